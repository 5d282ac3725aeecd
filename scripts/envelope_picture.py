"""The picture of `scripts/envelope.py`: loss against FLOPs, the fixed sizes thin, the growing net thick."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 62, 96, 34, 46
ROOM = 13
"""Between two labels below each other."""
GREYS = ("#c9cdd2", "#aeb4bb", "#949ba4", "#79828c", "#606a75", "#48525e")
INK, GROWN = "#2b3138", "#d9480f"

Curves = Mapping[str, Mapping[float, float]]


def write_picture(path: Path, curves: Curves, growing: str) -> None:
    """Write the picture of one set: the loss of each arm, by FLOPs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_lines(curves, growing)) + "\n", encoding="utf-8")


def _lines(curves: Curves, growing: str) -> Iterator[str]:
    flops = sorted({x for curve in curves.values() for x in curve})
    losses = [y for curve in curves.values() for y in curve.values()]
    low, high = min(losses) / 1.03, max(losses) * 1.03

    def x_of(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(value / flops[0]) / math.log(flops[-1] / flops[0])

    def y_of(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * math.log(high / value) / math.log(high / low)

    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    yield _text(LEFT, 20, "Test loss against training FLOPs, both logarithmic", weight="bold")
    for value in flops:
        yield f'<line x1="{x_of(value):.1f}" y1="{TOP}" x2="{x_of(value):.1f}" y2="{HEIGHT - BOTTOM}" stroke="#eceef0"/>'
        yield _text(x_of(value), HEIGHT - BOTTOM + 18, f"{value / 1e9:.3g}", anchor="middle")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "GFLOP", anchor="middle")
    for value in _ticks(low, high):
        yield f'<line x1="{LEFT}" y1="{y_of(value):.1f}" x2="{WIDTH - RIGHT}" y2="{y_of(value):.1f}" stroke="#eceef0"/>'
        yield _text(LEFT - 8, y_of(value) + 4, f"{value:g}", anchor="end")
    fixed = sorted((arm for arm in curves if arm != growing), key=int)
    labels = []
    for arm, colour in [*zip(fixed, GREYS[-len(fixed) :], strict=True), (growing, GROWN)]:
        points = sorted(curves[arm].items())
        yield (
            f'<polyline fill="none" stroke="{colour}" stroke-width="{3 if arm == growing else 1.5}" points="'
            + " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in points)
            + '"/>'
        )
        yield from (f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{colour}"/>' for x, y in points)
        end_x, end_y = x_of(points[-1][0]) + 6, y_of(points[-1][1]) + 4
        labels.append((end_x, end_y, "grows" if arm == growing else f"{arm} × 3", GROWN if arm == growing else INK))
    lowest: dict[float, float] = {}
    for x, y, label, colour in sorted(labels):
        lowest[x] = max(y, lowest.get(x, -ROOM) + ROOM)
        yield _text(x, lowest[x], label, colour=colour)
    yield "</svg>"


def _ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10(high - low))
    step = step if (high - low) / step >= 3 else step / 5
    return [round(step * i, 6) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">{text}</text>'
