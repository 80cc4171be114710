"""One picture of what `vivant demo` made: the photo, moments of the talk, and the person turned. Makes the README's.

python examples/contact_sheet.py PICTURE DEMO [DEMO ...]
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image

WIDTH, GAP, MARGIN = 1600, 8, 6
"""Pixels of the sheet, between its rows, and that are left white beside a person."""
MOMENTS = (1.6, 2.0, 3.2, 4.2)
"""Seconds of the talk."""
TURNED = (1, 3)
"""Of the turn's five views, from -60 to +60 degrees."""


def moments(video: Path) -> Iterator[Image.Image]:
    """The frames that are shown at `MOMENTS`."""
    wanted = list(MOMENTS)
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if wanted and frame.time >= wanted[0]:
                yield frame.to_image()
                wanted.pop(0)


def trimmed(picture: Image.Image) -> Image.Image:
    """Without the white columns on either side."""
    drawn = np.flatnonzero((np.asarray(picture.convert("L")) < 250).any(0))
    left, right = int(drawn.min()) - MARGIN, int(drawn.max()) + MARGIN
    return picture.crop((max(left, 0), 0, min(right, picture.width), picture.height))


def row(demo: Path) -> Image.Image:
    """One person's pictures side by side, `WIDTH` wide, all as high."""
    turn = Image.open(demo / "turn.png").convert("RGB")
    side = turn.width // 5
    views = [turn.crop((k * side, 0, (k + 1) * side, turn.height)) for k in TURNED]
    for view in views:
        view.paste("white", (0, 0, side // 8, turn.height // 16))  # its angle
    shown = [Image.open(demo / "avatar" / "photo.png").convert("RGB")]
    shown += [trimmed(picture) for picture in (*moments(demo / "talk.mp4"), *views)]
    height = int(WIDTH / sum(picture.width / picture.height for picture in shown))
    sheet, left = Image.new("RGB", (WIDTH, height), "white"), 0
    for picture in shown:
        width = round(height * picture.width / picture.height)
        sheet.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (left, 0))
        left += width
    return sheet


def main() -> None:
    """Lay one row per demo below the other."""
    target, *demos = map(Path, sys.argv[1:])
    rows = [row(demo) for demo in demos]
    sheet = Image.new("RGB", (WIDTH, sum(one.height + GAP for one in rows) - GAP), "white")
    top = 0
    for one in rows:
        sheet.paste(one, (0, top))
        top += one.height + GAP
    sheet.save(target)


if __name__ == "__main__":
    main()
