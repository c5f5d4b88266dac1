"""Joint weights told apart: whether the rows of the inputs come first in them, or those of the states."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bptt.check.adapters.shapes import Shape, extent
from bptt.check.subject import Sizes
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
    without = {name: array.copy() for name, array in at.items()}
    for name in joint:
        axis, symbol = next((k, s) for k, s in enumerate(shapes[name]) if "+" in s)
        inputs = extent(symbol.split("+")[0], sizes)
        without[name][(slice(None),) * axis + (slice(inputs),)] = 0
    if np.array_equal(*outcomes(without)):
        return roles  # without the first rows the inputs do not matter
    return {n: "UW" + r[2:] if n in joint else r for n, r in roles.items()}
