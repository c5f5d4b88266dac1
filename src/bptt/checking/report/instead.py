"""What a wrong gradient is instead: zero, a multiple, a transpose, another's; or where it is wrong."""

import numpy as np

from bptt.types import Array, Params


def relation(name: str, got: Array, right: Params, at: Params, tolerance: float) -> str:
    """Return in words what the gradient `got` at `name` is instead; empty where that is not known.

    `right` has the numerical gradients of all names, and `at` the point, in case a gradient is a parameter
    itself; the `tolerance` for what counts as equal is relative.

    Examples
    --------
    >>> right = np.array([[1.0, 2.0], [3.0, 5.0]])
    >>> relation("U", right.T, {"U": right}, {}, 1e-9), relation("U", 2 * right, {"U": right}, {}, 1e-9)
    ('the right one transposed', 'the right one times 2')
    """
    wanted = right[name]
    if not np.isfinite(got).all():
        return "not finite"
    if not got.any():
        return "exactly zero"
    factor = float((got * wanted).sum()) / (float((wanted * wanted).sum()) or 1.0)
    others = [
        (f"the right one times {factor:.6g}", factor * wanted),
        ("the right one transposed", wanted.T),
        *((f"the gradient at {other}", array) for other, array in right.items() if other != name),
        *((f"the array {other} itself", array) for other, array in at.items()),
        *((f"the right one plus {other} itself", wanted + at[other]) for other in at if other == name),
    ]
    for words, array in others:
        if array.shape == got.shape and not _off(got, array, tolerance).any():
            return words
    wrong = _off(got, wanted, tolerance)
    return _blocks(wrong, wrong | (wanted != 0))


def _off(got: Array, wanted: Array, tolerance: float) -> Array:
    off: Array = np.abs(got - wanted) > tolerance * max(float(np.abs(wanted).max(initial=0)), 1e-300)
    return off


def _blocks(wrong: Array, shown: Array) -> str:
    """Return which of 4, 3 or 2 equal blocks along an axis are wrong, if another is right.

    An entry that should be zero, and is, speaks for neither: a token that does not occur has no right column.
    """
    for count in (4, 3, 2):
        for axis, size in enumerate(wrong.shape):
            if size % count == 0 and size != count:
                bad, seen = ([part.any() for part in np.split(a, count, axis)] for a in (wrong, shown))
                if 0 < sum(bad) < sum(seen):
                    step, what = size // count, "columns" if axis == wrong.ndim - 1 else "rows"
                    ranges = [f"{k * step}:{(k + 1) * step}" for k, is_bad in enumerate(bad) if is_bad]
                    return f"only in {what} {', '.join(ranges)} of {size}"
    return ""
