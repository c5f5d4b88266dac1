"""Lines over steps, tokens or seconds as a picture: SVG that needs no library and no script.

Lines have classes, ``c0`` to ``c7``, by which a page may give them colours of its own; the hues are those of
Okabe and Ito (2008). A line of many points is drawn by the least and the most of each stretch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from bptt.shown.markup import Markup
from bptt.types import Array

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0629a", "#8a7a00", "#3d9bd1", "#7a5ac8", "#808080")
"""As dark as they are light: they are seen on white and on black."""

MOST = 600
"""Points of a line that are drawn."""

LEFT, RIGHT, TOP, BOTTOM = 68, 14, 12, 40


@dataclass(frozen=True)
class Curve:
    """A line.

    Attributes
    ----------
    name : str
        What a legend calls it; lines of one name are one entry.
    x, y : (P,) arrays
        Points that are not finite are gaps.
    colour : int
    thin : bool
        Whether it is drawn thin, as what is noisy is.
    dots : bool
        Whether each point is marked.
    """

    name: str
    x: Array
    y: Array
    colour: int = 0
    thin: bool = False
    dots: bool = False


def curves(
    lines: Sequence[Curve],
    *,
    x: str,
    y: str,
    log: bool = False,
    width: int = 640,
    height: int = 320,
    label: str = "",
) -> Markup:
    """Return a chart of lines.

    Parameters
    ----------
    lines : sequence of Curve
    x, y : str
        What the axes are called.
    log : bool
        Whether y is logarithmic; numbers that are not above 0 are then gaps.
    width, height : int
    label : str
        What the picture is, for those who do not see it.

    Examples
    --------
    >>> picture = curves([Curve("a", np.arange(3), np.array([3.0, 1.0, 2.0]))], x="steps", y="loss")
    >>> picture.startswith("<svg"), picture.count("<path")
    (True, 1)
    """
    own = [(line, *_points(line, log)) for line in lines]
    xs, ys = (np.concatenate([[], *(points[k] for points in own)]) for k in (1, 2))
    xs, ys = xs[np.isfinite(ys)], ys[np.isfinite(ys)]
    if len(xs) and 0 < xs.min() < xs.max() / 5:
        xs = np.append(xs, 0.0)  # what begins soon after the start is shown from it
    across, up = _Axis(xs, LEFT, width - RIGHT), _Axis(ys, height - BOTTOM, TOP, log=log)
    parts = [*_grid(across, up, width, height), *_names(x, y, width, height)]
    for line, px, py in own:
        parts += _drawn(line, across.at(px), up.at(py))
    said = escape(label or f"{y} against {x}")
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    look = f'font-family="sans-serif" font-size="12" role="img" aria-label="{said}"'
    spans = (  # what numbers lie between which places, for a script that reads off the lines
        f'data-x="{across.low:.9g} {across.high:.9g} {across.start} {across.end}" '
        f'data-y="{up.low:.9g} {up.high:.9g} {up.start} {up.end}"'
    )
    inside = "\n".join(parts)
    opening = f'<svg class="curves" xmlns="http://www.w3.org/2000/svg" {size} {look} {spans}>'
    return Markup(f"{opening}\n{inside}\n</svg>")


def legend(names: Sequence[str]) -> Markup:
    """Return the names of lines, each beside its colour."""
    shown = (f"<span>{swatch(k)} {escape(name)}</span>" for k, name in enumerate(names))
    return Markup(f'<p class="legend">{" &ensp; ".join(shown)}</p>')


def swatch(colour: int) -> Markup:
    """Return a short piece of a line of a colour."""
    size = 'width="18" height="10" viewBox="0 0 18 10"'
    return Markup(f'<svg {size} aria-hidden="true"><path {_stroke(colour)} d="M0 5H18"/></svg>')


def _stroke(colour: int, thin: bool = False) -> str:
    k = colour % len(COLOURS)
    width = 'stroke-width="1" opacity=".6"' if thin else 'stroke-width="1.8"'
    if colour >= len(COLOURS):  # as many again, in dashes
        width += ' stroke-dasharray="5 3"'
    return f'class="line c{k}" fill="none" stroke="{COLOURS[k]}" stroke-linejoin="round" {width}'


class _Axis:
    """From numbers to places between two ends."""

    def __init__(self, values: Array, start: float, end: float, *, log: bool = False) -> None:
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        if not high - low > 1e-12 * max(abs(low), abs(high), 1e-100):
            low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
        self.low, self.high, self.start, self.end, self.log = low, high, start, end, log

    def at(self, values: Array) -> Array:
        """Return where numbers lie."""
        placed: Array = self.start + (values - self.low) / (self.high - self.low) * (self.end - self.start)
        return placed

    def ticks(self) -> list[tuple[float, str]]:
        """Return where marks are and what stands at them: 1, 2 or 5 times a power of ten."""
        if not self.log:
            return [(mark, _number(mark, self.high)) for mark in _round(self.low, self.high)]
        each = 1 + int(self.high - self.low) // 6  # decades apart
        tens = range(math.floor(self.low), math.floor(self.high) + 1)
        for within in ((1,), (1, 2, 5)):
            marks = [n + math.log10(m) for n in tens if n % each == 0 for m in within]
            marks = [mark for mark in marks if self.low <= mark <= self.high]
            if len(marks) > 2:
                return [(mark, _number(10.0**mark, 0.0)) for mark in marks]
        marks = _round(10.0**self.low, 10.0**self.high)
        return [(math.log10(mark), _number(mark, 0.0)) for mark in marks if mark > 0]


def _round(low: float, high: float) -> list[float]:
    """Return some round numbers from one to another."""
    rough = (high - low) / 5
    ten = 10.0 ** math.floor(math.log10(rough))
    apart = next(m * ten for m in (1.0, 2.0, 5.0, 10.0) if m * ten >= rough)
    first, last = math.ceil(low / apart - 1e-9), math.floor(high / apart + 1e-9)
    return [k * apart for k in range(first, last + 1)]


def _number(value: float, largest: float) -> str:
    if abs(value) < abs(largest) / 1e9:
        return "0"
    if 1000 <= abs(value) < 1e10:
        return f"{value:,.0f}"
    return f"{value:.6g}" if abs(value) >= 1e-4 else f"{value:.4g}"


def _points(line: Curve, log: bool) -> tuple[Array, Array]:
    """Return a line's points as they are drawn: their logarithms, and few."""
    x, y = np.asarray(line.x, np.float64), np.asarray(line.y, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(y > 0, np.log10(y), np.nan) if log else y
    y = np.where(np.isfinite(y), y, np.nan)
    if len(x) <= MOST:
        return x, y
    kept: list[int] = []
    for some in np.array_split(np.arange(len(x)), MOST // 2):
        there = some[np.isfinite(y[some])]
        ends = (
            {int(there[y[there].argmin()]), int(there[y[there].argmax()])} if len(there) else {int(some[0])}
        )
        kept += sorted(ends)
    return x[kept], y[kept]


def _drawn(line: Curve, x: Array, y: Array) -> list[str]:
    """Return a line's elements: a path with gaps, and dots where they are wanted or one point is all."""
    k, pieces, places, there = line.colour, [], [], False
    for px, py in zip(x.tolist(), y.tolist(), strict=True):
        if math.isnan(py):
            there = False
            continue
        pieces.append(f"{'L' if there else 'M'}{px:.1f} {py:.1f}")
        places.append((px, py))
        there = True
    if not pieces:
        return []
    title = f"<title>{escape(line.name)}</title>"
    parts = [f'<path {_stroke(k, line.thin)} d="{" ".join(pieces)}">{title}</path>']
    if line.dots or len(pieces) == 1:
        look = f'class="d{k % len(COLOURS)}" fill="{COLOURS[k % len(COLOURS)]}" r="2.4"'
        parts += [f'<circle {look} cx="{px:.1f}" cy="{py:.1f}"/>' for px, py in places]
    return parts


def _grid(across: _Axis, up: _Axis, width: int, height: int) -> list[str]:
    """Return the axes: a line for each mark of y, and the numbers at both."""
    parts, end, foot = [], width - RIGHT, height - BOTTOM
    for mark, words in up.ticks():
        (py,) = up.at(np.array([mark])).tolist()
        parts.append(_rule(py, end, 0.15))
        parts.append(_text(words, LEFT - 6, py + 4, "end"))
    for mark, words in across.ticks():
        (px,) = across.at(np.array([mark])).tolist()
        parts.append(_text(words, px, foot + 16))
    return [*parts, _rule(foot, end, 0.6)]


def _names(x: str, y: str, width: int, height: int) -> list[str]:
    across, down = (LEFT + width - RIGHT) / 2, (TOP + height - BOTTOM) / 2
    turned = f"translate(13 {down:.0f}) rotate(-90)"
    return [_text(x, across, height - 6), f'<g transform="{turned}">{_text(y, 0, 0)}</g>']


def _rule(y: float, end: float, opacity: float) -> str:
    where = f'x1="{LEFT}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}"'
    return f'<line stroke="currentColor" opacity="{opacity}" {where}/>'


def _text(words: str, x: float, y: float, anchor: str = "middle") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text fill="currentColor" {where}>{escape(words)}</text>'
