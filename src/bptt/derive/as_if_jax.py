"""NumPy with the names of JAX that a printed custom_vjp calls, so that its text runs where no JAX is."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from bptt.derive import as_if_torch
from bptt.derive.as_if_torch import Context, tensor
from bptt.derive.axes import max_along


class _CustomVjp:
    """What jax.custom_vjp makes of a function; its forward and backward are called one by one."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Take the forward and the backward."""


def namespace(numbers: Mapping[str, Any]) -> SimpleNamespace:
    """Return such a jax, for the numbers of a namespace as :mod:`bptt.derive.functions` has it."""
    torch = as_if_torch.namespace(numbers)
    over = {
        "split": lambda a, at, axis: [tensor(part) for part in np.split(a, at, axis=axis)],
        "concatenate": lambda arrays, axis: tensor(np.concatenate(arrays, axis=axis)),
        "sum": lambda a, axis, keepdims: tensor(np.sum(a, axis=axis, keepdims=keepdims)),
        "max": lambda a, axis, keepdims: tensor(max_along(a, axis)),
        "cumsum": lambda a, axis: tensor(np.cumsum(a, axis=axis)),
        "flip": lambda a, axis: tensor(np.flip(a, axis)),
        "ones": lambda shape: tensor(np.ones(shape)),
        "ravel": lambda a: tensor(np.ravel(a)),
    }

    def softplus(a: Any) -> Any:
        return torch.nn.functional.softplus(a, threshold=40)

    return SimpleNamespace(
        custom_vjp=_CustomVjp,
        numpy=SimpleNamespace(**{**vars(torch), **over}),
        nn=SimpleNamespace(sigmoid=torch.sigmoid, relu=torch.relu, softplus=softplus),
        scipy=SimpleNamespace(special=SimpleNamespace(erf=torch.erf, ndtr=torch.special.ndtr)),
        lax=SimpleNamespace(stop_gradient=lambda a: a.detach()),
    )


class Function:
    """A step's forward and backward as :class:`bptt.derive.as_if_torch.Steps` calls them.

    Parameters
    ----------
    forward, backward : callable
        As the text has them.
    """

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        self._forward, self._backward = forward, backward

    def forward(self, ctx: Context, *given: Any) -> Any:
        """Return the states after the step."""
        states, saved = self._forward(*given)
        ctx.save_for_backward(*saved)
        return states

    def backward(self, ctx: Context, *incoming: Any) -> Any:
        """Return the gradients at what is given."""
        return self._backward(ctx.saved_tensors, incoming if len(incoming) > 1 else incoming[0])
