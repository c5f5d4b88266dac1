"""Tensors as compiled code reads and writes them: numbers that lie one after the other, by their address."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch

from bptt.errors import ShapeError
from bptt.kernels.runtime import memory

Tensor = Any
"""A torch.Tensor."""


def dtype_of(dtype: Any) -> np.dtype[Any]:
    """Return NumPy's name of float32, float64 or bool."""
    return _DTYPES[dtype]


_DTYPES: dict[Any, np.dtype[Any]] = {
    torch.float32: np.dtype("f4"),
    torch.float64: np.dtype("f8"),
    torch.bool: np.dtype("?"),
}


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor whose numbers lie one after the other; ShapeError where its memory was given back."""
    if tensor.is_contiguous():
        last = tensor.numel()
    else:
        last = 1 + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    if (tensor.storage_offset() + last) * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ShapeError(
            f"a tensor of {tuple(tensor.shape)} has no memory for its numbers: its storage was resized to "
            f"{tensor.untyped_storage().nbytes():,} bytes; give it its memory back before a layer reads it"
        )
    return tensor.contiguous()


def empty(shape: Sequence[int], like: Tensor) -> Tensor:
    """Return a tensor, in memory that is used again where it is large."""
    if prod(shape) < LARGE:
        return torch.empty(shape, dtype=like.dtype)
    return torch.from_numpy(memory.empty(tuple(shape), dtype_of(like.dtype)))


LARGE = 1 << 17
"""Numbers above which the system gives a tensor's memory out as new pages each time."""
