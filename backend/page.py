"""Self-contained HTML pages: one file, pictures inside, dark and light by the reader's own preference.

Every function returns safe HTML: text is escaped where it enters, so sections can be joined freely.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from PIL import Image

_STYLE = """
:root { color-scheme: light dark; --ground: #fbfaf8; --ink: #1d1d1f; --quiet: #6a6a70; --line: #dddad4; --card: #fff;
  --accent: #a4452c; --check: #e6e3de; --s0: #a4452c; --s1: #2b6cb0; --s2: #2f855a; --s3: #b7791f; --s4: #6b46c1;
  --s5: #4a5568; }
@media (prefers-color-scheme: dark) { :root { --ground: #17181a; --ink: #ececee; --quiet: #9a9aa2; --line: #34363a;
  --card: #1f2124; --accent: #f0906f; --check: #2c2e32; --s0: #f0906f; --s1: #7ab8f5; --s2: #7bd3a0; --s3: #edc46b;
  --s4: #b79cf5; --s5: #b8c0cc; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 1240px; background: var(--ground); color: var(--ink);
  font: 15px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0; font-size: 1.9rem; letter-spacing: -.02em; }
h2 { margin: 2.4rem 0 .8rem; font-size: 1.15rem; }
p.lead { margin: .3rem 0 1.6rem; color: var(--quiet); }
.pictures { display: flex; flex-wrap: wrap; gap: 14px; align-items: flex-start; }
figure { margin: 0; flex: 0 1 auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  overflow: hidden; }
figure img { display: block; max-width: 100%; height: auto; max-height: 560px; }
figure.wide { flex-basis: 100%; } figure.wide img { max-height: none; width: 100%; }
figure.clear img { background: repeating-conic-gradient(var(--check) 0 25%, transparent 0 50%) 0 0 / 18px 18px; }
figcaption { padding: .4rem .7rem; font-size: .84rem; color: var(--quiet); }
summary { margin: 1.6rem 0 .8rem; font-size: 1.15rem; font-weight: 650; cursor: pointer; }
.scroll { margin-bottom: 1.4rem; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .32rem .8rem .32rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--quiet); font-weight: 500; } td.number, th.number { text-align: right; }
tr.chosen td { font-weight: 650; }
ul.notes { padding-left: 1.1rem; } ul.notes li::marker { color: var(--accent); }
svg { display: block; width: 100%; max-width: 760px; height: auto; }
svg text { fill: var(--quiet); font: 12px system-ui, sans-serif; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 0 3rem; }
"""


def page(title: str, lead: str, sections: Sequence[str]) -> str:
    """Return the whole document; `sections` are safe HTML from the functions below."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f'<p class="lead">{escape(lead)}</p>\n' + "\n".join(sections) + "\n</body>\n</html>\n"
    )


def section(heading: str, *content: str) -> str:
    """A headed section; content is safe HTML."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n" + "\n".join(content) + "\n</section>"


def folded(heading: str, *content: str) -> str:
    """A section that opens on a click; content is safe HTML."""
    return f"<details>\n<summary>{escape(heading)}</summary>\n" + "\n".join(content) + "\n</details>"


def pictures(*figures: str) -> str:
    """Figures side by side, wrapping as the window asks."""
    return '<div class="pictures">' + "".join(figures) + "</div>"


def columns(*blocks: str) -> str:
    """Blocks side by side where the window is wide enough."""
    return '<div class="columns">' + "".join(f"<div>{block}</div>" for block in blocks) + "</div>"


def figure(image: np.ndarray, caption: str, *, wide: bool = False) -> str:
    """A picture [H, W, 3] or [H, W, 4] uint8 with its caption; straight alpha shows on a chequered ground."""
    clear = image.shape[2] == 4
    kinds = " ".join(kind for kind, is_so in (("wide", wide), ("clear", clear)) if is_so)
    return (
        f'<figure class="{kinds}"><img src="{_data_address(image)}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def notes(sentences: Sequence[str]) -> str:
    """A list of plain sentences."""
    return '<ul class="notes">' + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def facts(values: Mapping[str, object]) -> str:
    """A two-column table of names and values."""
    return table(("", ""), [(name, value) for name, value in values.items()]) if values else ""


def table(header: Sequence[str], rows: Sequence[Sequence[object]], chosen: str | None = None) -> str:
    """A table; numbers stand right-aligned, rows whose first cell is `chosen` are set in bold."""
    numeric = [all(isinstance(row[k], float | int | None) for row in rows) and k > 0 for k in range(len(header))]
    head = "".join(f"<th{_cell_kind(n)}>{escape(name)}</th>" for name, n in zip(header, numeric, strict=True))
    body = "".join(
        f"<tr{' class=' + chr(34) + 'chosen' + chr(34) if row[0] == chosen else ''}>"
        + "".join(f"<td{_cell_kind(n)}>{_cell(value)}</td>" for value, n in zip(row, numeric, strict=True))
        + "</tr>"
        for row in rows
    )
    headed = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    return f'<div class="scroll"><table>{headed}<tbody>{body}</tbody></table></div>'


def curves(series: Mapping[str, Sequence[float]], x_label: str = "step") -> str:
    """Line chart (inline SVG) of values over their index, on a logarithmic scale; what has no logarithm is left out."""
    values = [v for line in series.values() for v in line if v > 0 and math.isfinite(v)]
    if not values:
        return ""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)) + 1e-9)
    longest = max(len(line) for line in series.values())
    grid = "".join(_grid_line(decade, low, high) for decade in range(low, high + 1))
    lines = "".join(_line(line, k, longest, low, high) for k, line in enumerate(series.values()))
    legend = "".join(
        f'<text x="{70 + 130 * (k % 5)}" y="{318 + 18 * (k // 5)}"><tspan style="fill:var(--s{k % 6})">■</tspan> '
        f"{escape(name)}</text>"
        for k, name in enumerate(series)
    )
    height = 330 + 18 * ((len(series) - 1) // 5)
    axis = f'<text x="70" y="292">0</text><text x="740" y="292" text-anchor="end">{longest} {escape(x_label)}s</text>'
    return f'<svg viewBox="0 0 760 {height}" role="img" aria-label="curves">{grid}{lines}{axis}{legend}</svg>'


def _grid_line(decade: int, low: int, high: int) -> str:
    y = _height(10.0**decade, low, high)
    return (
        f'<line x1="70" x2="740" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>'
        f'<text x="62" y="{y + 4:.1f}" text-anchor="end">{10.0**decade:g}</text>'
    )


def _line(line: Sequence[float], index: int, longest: int, low: int, high: int) -> str:
    points = " ".join(
        f"{70 + 670 * k / max(longest - 1, 1):.1f},{_height(value, low, high):.1f}"
        for k, value in enumerate(line)
        if value > 0 and math.isfinite(value)
    )
    return f'<polyline points="{points}" fill="none" stroke="var(--s{index % 6})" stroke-width="1.8"/>'


def _height(value: float, low: int, high: int) -> float:
    return 270 - 255 * (math.log10(value) - low) / max(high - low, 1)


def _cell_kind(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def _data_address(image: np.ndarray) -> str:
    """A data: address holding the picture: JPEG without alpha, PNG with."""
    buffer, form = io.BytesIO(), "PNG" if image.shape[2] == 4 else "JPEG"
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, form, **({} if form == "PNG" else {"quality": 90}))
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
