"""Where to write a line's name: beside it, on no line, and nearer to it than to any other."""

import numpy as np

from bptt.types import Array

GAP = 4.0
"""Points between a label and its line, at least."""

Box = tuple[float, float, float, float]


def place(
    lines: list[Array],
    sizes: list[tuple[float, float]],
    room: Box,
    dots: list[tuple[float, float] | None],
) -> list[tuple[float, float] | None]:
    """Return the lower left corner of each line's label; None where there is no place for it.

    Parameters
    ----------
    lines : list of (P, 2)
        Points on each line, dense, on the page. There may be more lines than labels: those have none.
    sizes : list of (width, height)
        Of the labels.
    room : (left, bottom, right, top)
        Where labels may stand.
    dots : list of (x, y) or None
        A dot on each line that its label tells of: so the nearer to it the better.
    """
    boxes: list[Box] = []
    corners: list[tuple[float, float] | None] = []
    for own, (line, (width, height), dot) in enumerate(zip(lines, sizes, dots, strict=False)):
        others = [other for k, other in enumerate(lines) if k != own and len(other)]
        left, bottom, right, top = room
        inside = line[(line[:, 1] >= bottom) & (line[:, 1] <= top) & (line[:, 0] <= right)]
        best, chosen = np.inf, None
        for x, y in inside[:: max(1, len(inside) // 80)]:
            for dx, dy in (
                (GAP, GAP),
                (GAP, -GAP - height),
                (-GAP - width, GAP),
                (-GAP - width, -GAP - height),
                (GAP, -height / 2),
                (-GAP - width, -height / 2),
                (-width / 2, GAP),
                (-width / 2, -GAP - height),
            ):
                box = (x + dx, y + dy, x + dx + width, y + dy + height)
                if box[0] < left or box[1] < bottom or box[2] > right or box[3] > top:
                    continue
                if any(_overlap(box, other) for other in boxes):
                    continue
                near, far = _distance(box, line), [_distance(box, other) for other in others]
                # on a line is worst; then among others as near; then far from its own
                cost = near + sum(100 * (d < GAP / 2) for d in (near, *far))
                cost += sum(max(0.0, 3 * GAP - (d - near)) for d in far)
                if dot is not None:
                    cost += 0.1 * float(np.hypot(x - dot[0], y - dot[1]))
                if cost < best:
                    best, chosen = cost, box
        boxes += [chosen] if chosen else []
        corners.append(chosen and (chosen[0], chosen[1]))
    return corners


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _distance(box: Box, points: Array) -> float:
    """Return how far a box is from the nearest of some points."""
    dx = np.maximum(np.maximum(box[0] - points[:, 0], points[:, 0] - box[2]), 0)
    dy = np.maximum(np.maximum(box[1] - points[:, 1], points[:, 1] - box[3]), 0)
    return float(np.hypot(dx, dy).min(initial=np.inf))
