"""Where the names of points stand in a picture: beside their points, inside the picture, none on another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SIZE, LINE = 12.0, 14.0  # of a picture's letters, and the height of a line of them
MARKER = 5.0
NEAR = 14.0  # farther than this from its point, a name is joined to it by a line


@dataclass(frozen=True)
class Placed:
    """A name, where its text begins ('start') or ends ('end'), and the point that it is of where that is far."""

    text: str
    x: float
    y: float
    anchor: str
    far_from: tuple[float, float] | None


Box = tuple[float, float, float, float]


def text_width(text: str) -> float:
    """How wide a text is at the most: by its letters, in the widest of the fonts that a page is shown in.

    >>> text_width("0.5 %"), text_width("WWW") > text_width("iii")
    (37.2, True)
    """
    return round(SIZE * sum(_WIDE.get(letter, 0.66) for letter in text), 1)


_WIDE = dict.fromkeys("ijltfr.,:;'|!()[]-/ ", 0.4) | dict.fromkeys("mwMW%@", 0.98)
"""Letters that are narrower or wider than most, in parts of the size of the font."""


def shortened(text: str, most: int) -> str:
    """A text of at most so many letters: its beginning and its end, by which long names differ.

    >>> shortened("/a/long/path/to/0.csv", 12), shortened("gap", 12)
    ('/a/lo…/0.csv', 'gap')
    """
    if len(text) <= most:
        return text
    before = (most - 1) // 2
    return f"{text[:before]}…{text[before + 1 - most :]}"


def place(
    spots: Sequence[tuple[float, float, str]], room: Box, others: Sequence[tuple[float, float]] = ()
) -> list[Placed]:
    """The names of points `(x, y, name)` inside `room` (left, top, right, bottom), the first one first.

    A name keeps off the other points too where it can, and one that has no room anywhere is left out.

    >>> [(p.text, p.x, p.anchor) for p in place([(10, 50, "a"), (95, 50, "b")], (0, 0, 100, 100))]
    [('a', 17.0, 'start'), ('b', 88.0, 'end')]
    """
    taken, free = [_around_point(x, y) for x, y, _ in spots], [_around_point(x, y) for x, y in others]
    placed = []
    for x, y, text in spots:
        found = _place_of(x, y, text, room, [*taken, *free]) or _place_of(x, y, text, room, taken)
        if found is not None:
            box, name = found
            taken.append(box)
            placed.append(name)
    return placed


def _around_point(x: float, y: float) -> Box:
    return (x - MARKER, y - MARKER, x + MARKER, y + MARKER)


def _place_of(x: float, y: float, text: str, room: Box, taken: Sequence[Box]) -> tuple[Box, Placed] | None:
    """The first place near a point where its name touches nothing; None where there is none."""
    wide = text_width(text)
    for at, down, anchor in _around(x, y, room):
        left = at if anchor == "start" else at - wide
        box = (left, down - LINE / 2, left + wide, down + LINE / 2)
        if _inside(box, room) and not any(_touch(box, other) for other in taken):
            far = (x, y) if abs(down - y) > NEAR or abs(at - x) > NEAR else None
            return box, Placed(text, round(at, 1), round(down + 4, 1), anchor, far)
    return None


def _around(x: float, y: float, room: Box) -> Iterator[tuple[float, float, str]]:
    """Places near a point first: to its right, to its left, then higher and lower, then farther away."""
    heights = sorted(
        (room[1] + LINE / 2 + LINE / 2 * i for i in range(int((room[3] - room[1]) / LINE * 2))),
        key=lambda v: abs(v - y),
    )
    for aside in (7.0, 24.0, 60.0, 120.0):
        for down in (y, *heights):
            for sign, anchor in ((1, "start"), (-1, "end")):
                yield x + sign * aside, down, anchor


def _inside(box: Box, room: Box) -> bool:
    return box[0] >= room[0] and box[1] >= room[1] and box[2] <= room[2] and box[3] <= room[3]


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
