"""The report: one file that needs nothing else, says everything it is given, and lets no text become markup."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from backend import page
from backend.report import ReportContent, write_report

NASTY = "<script>alert('x')</script> & \"quoted\""


class Balance(HTMLParser):
    """Checks that every opened tag is closed in order, and collects what was seen."""

    VOID = {"meta", "img", "line", "polyline"}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.sources, self.words = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for key, value in attrs if key in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(html: str) -> Balance:
    parser = Balance()
    parser.feed(html)
    assert not parser.open
    return parser


@pytest.fixture
def content():
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    return ReportContent(
        title=NASTY,
        lead=NASTY,
        photo=photo,
        overlay=photo,
        matte=np.dstack([photo, photo[..., :1]]),
        views=[(NASTY, np.tile(photo, (1, 5, 1)))],
        losses={NASTY: [1.0, 0.5, 0.01, float("nan"), 0.0], "mask": [0.2, 0.1]},
        settings={"size": 1024, NASTY: NASTY},
        providers={"matte": "mediapipe"},
        timings={"photo": 2.0, "training": 61.5},
        peak_mb=1234.5,
        confidence={"left hand": 0.25},
        notes=(NASTY,),
        licences={"body": "CC0-1.0"},
    )


def test_the_report_is_one_safe_file_with_the_pictures_first(content, tmp_path):
    write_report(tmp_path / "report.html", content)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    seen = read(html)
    assert "script" not in seen.tags and "link" not in seen.tags
    assert len(seen.sources) == 4 and all(source.startswith("data:image/") for source in seen.sources)
    assert html.index("<img") < html.index("<li>") < html.index("<table>")
    assert "prefers-color-scheme: dark" in html
    text = " ".join(seen.words)
    for words in (NASTY, "63.5 s", "1,234 MB", "25%", "mediapipe", "CC0-1.0", "1024"):
        assert words in text


def test_embedded_pictures_are_the_pictures(content):
    html = page.figure(content.matte, "matte")
    encoded = re.search(r"base64,([^\"]+)", html).group(1)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))), content.matte)


def test_parts_without_content_leave_no_heading(content, tmp_path):
    bare = ReportContent("t", "l", content.photo, content.photo, content.matte, views=[])
    write_report(tmp_path / "report.html", bare)
    assert "<h2>" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_curves_stay_inside_the_chart_for_any_finite_values():
    for series in ({"one": [3.0]}, {"flat": [1.0] * 5}, {"wide": [1e-9, 1e6]}, {"none": [0.0, float("inf")]}):
        points = re.findall(r'points="([^"]*)"', page.curves(series))
        for x, y in (map(float, pair.split(",")) for line in points for pair in line.split()):
            assert 70 <= x <= 740 and 10 <= y <= 271


def test_tables_align_numbers_and_mark_the_chosen_row():
    html = page.table(("method", "psnr"), [("ours", 21.123456), ("other", None)], chosen="ours")
    assert html.count('class="number"') == 3 and "21.12" in html and "–" in html
    assert html.count('class="chosen"') == 1
