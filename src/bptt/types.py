"""Names for the types that cross room borders."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array of any dtype; docstrings give the shape."""

Params: TypeAlias = dict[str, Array]
"""Parameters, gradients or states by name, as in ``{"layers.0.U": ...}``."""

Dtype: TypeAlias = npt.DTypeLike

Generator: TypeAlias = np.random.Generator
"""All randomness comes from one of these, passed in by the caller."""
