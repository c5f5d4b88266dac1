"""What goes on around a layer of PyTorch, by which it is decided what runs it."""

from typing import Any, NamedTuple

import torch
from torch.autograd import forward_ad

from bptt.kernels import backends
from bptt.torch.tensors import Tensor


class Reason(NamedTuple):
    """Why compiled code does not run, and whether PyTorch's own layer cannot either."""

    text: str
    by_loop: bool = False


def is_plain(tensor: Tensor) -> bool:
    """Return whether a tensor is nothing but the numbers where it lies.

    One that was kept from within a transform of torch.func looks like any, and has no numbers of its own.
    """
    is_known = type(tensor) in _KNOWN
    return is_known and not (tensor.is_neg() or torch._C._functorch.is_functorch_wrapped_tensor(tensor))


_KNOWN = {torch.Tensor, torch.nn.Parameter}


def transform() -> Reason | None:
    """Return which transform is under way that PyTorch's own layers do not take, if one is."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return Reason("a transform of torch.func", by_loop=True)
    if forward_ad._current_level >= 0:
        return Reason("forward-mode derivatives", by_loop=True)
    return None


def autocast() -> Any:
    """Return the dtype to which autocast takes what it is for on the CPU, or None."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None


@torch.compiler.assume_constant_result
def has_bfloat16() -> bool:
    """Return whether products of bfloat16 can be had."""
    return backends.has_bfloat16()
