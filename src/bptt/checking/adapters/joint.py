"""Joint weights told apart: whether the rows of the inputs come first in them, or those of the states."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bptt.checking.adapters.shapes import Shape, extent
from bptt.checking.subject import Sizes
from bptt.types import Params


def ordered(
    roles: dict[str, str],
    shapes: dict[str, Shape],
    sizes: Sizes,
    at: Params,
    outcomes: Callable[[Params], tuple[Any, Any]],
) -> dict[str, str]:
    """Return the roles, with WU where the inputs' rows come first and UW where the states' do.

    Parameters
    ----------
    roles, shapes
        Of the arrays of the point.
    sizes : Sizes
    at : dict of arrays
    outcomes : callable
        From a point to what the code gives there for two different inputs.
    """
    joint = [name for name, role in roles.items() if role.split(":")[0] == "WU"]
    if not joint:
        return roles
    axis, symbol = next((k, s) for k, s in enumerate(shapes[joint[0]]) if "+" in s)
    inputs = extent(symbol.split("+")[0], sizes)
    H = sizes.H
    for offset, first in ((0, "WU"), (H, "UW"), (1, "WU"), (H + 1, "UW")):  # by one: after a row of biases
        without = {name: array.copy() for name, array in at.items()}
        for name in joint:
            without[name][(slice(None),) * axis + (slice(offset, offset + inputs),)] = 0
        if np.array_equal(*outcomes(without)):  # without these rows the inputs do not matter
            return {n: first + r[2:] if n in joint else r for n, r in roles.items()}
    return roles
