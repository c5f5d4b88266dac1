"""Names for the types that cross room borders."""

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array of any dtype; docstrings give the shape."""

Params: TypeAlias = dict[str, Array]
"""Parameters, gradients or states by name, as in ``{"layers.0.U": ...}``."""

Dtype: TypeAlias = npt.DTypeLike

Generator: TypeAlias = np.random.Generator
"""All randomness comes from one of these, passed in by the caller."""

Reduction: TypeAlias = Literal[
    "sum_over_time_and_batch",
    "mean_over_time_and_batch",
    "sum_over_time_mean_over_batch",
    "mean_over_time_sum_over_batch",
]
"""How the losses of steps and rows are weighed, see :mod:`bptt.nets.losses`."""

LossName: TypeAlias = Literal["cross_entropy", "squared_error", "sigmoid_cross_entropy"]
