"""NumPy with the names of PyTorch that a printed Function calls, so that its text runs where no torch is."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from bptt.derive import exact
from bptt.derive.axes import max_along
from bptt.derive.functions import FUNCTIONS, in_numpy
from bptt.derive.lines import Arrays, States
from bptt.derive.whole import Whole
from bptt.elementwise import stop


class Tensor(np.ndarray[Any, Any]):
    """An array with the methods of a tensor that the text calls."""

    def to(self, dtype: Any) -> "Tensor":
        """Return itself: there is one dtype."""
        return self

    def detach(self) -> "Tensor":
        """Return the same as a constant, as :func:`bptt.elementwise.stop` does."""
        return tensor((exact.NAMESPACE["stop"] if self.dtype == object else stop)(self))

    def clone(self) -> "Tensor":
        """Return a copy."""
        return self.copy()

    def unflatten(self, dim: int, sizes: tuple[int, ...]) -> "Tensor":
        """Return it with axes in place of the last."""
        return tensor(self.reshape(*self.shape[:-1], *sizes))

    def flatten(self, start: int = 0) -> "Tensor":  # type: ignore[override]  # PyTorch's
        """Return it with one axis in place of the last ones."""
        return tensor(self.reshape(*(self.shape[:start] if start else ()), -1))

    def new_ones(self, shape: tuple[int, ...]) -> "Tensor":
        """Return ones."""
        return tensor(np.ones(shape))


def tensor(array: Any) -> Tensor:
    """Return an array with these methods."""
    return np.asarray(array).view(Tensor)


class Function:
    """What a Function is made from; its methods are called one by one."""

    apply = None


class Context:
    """What a Function keeps of a step."""

    saved_tensors: tuple[Any, ...] = ()
    needs_input_grad = (True,) * 1000

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep them."""
        self.saved_tensors = tensors


class Steps:
    """A Function's forward and backward as a program that runs through time.

    Parameters
    ----------
    whole : Whole
        What it is printed from.
    function : class
        The Function, which finds :func:`namespace` under the name of torch.
    """

    def __init__(self, whole: Whole, function: Any) -> None:
        self.whole, self.function = whole, function

    def forward(self, params: Arrays, inputs: Any, states: States) -> tuple[Any, States, Any]:
        """Run the step forward through time."""
        given = [tensor(a) for a in self.whole.joined(params).values()]
        tape, outputs = [], []
        for t, x in enumerate(inputs):
            ctx, at = Context(), [tensor(params[n][t]) for n in self._inputs]
            made = self.function.forward(ctx, tensor(x), *at, *map(tensor, states), *given)
            states = made if isinstance(made, tuple) else (made,)
            tape.append((ctx, x))
            outputs.append(states[0])
        return np.stack(outputs), states, tape

    def backward(
        self, params: Arrays, tape: Any, doutputs: Any, dstates: States
    ) -> tuple[Arrays, Any, States]:
        """Run the step backward through time."""
        grads = {n: 0 * a for n, a in self.whole.joined(params).items()}
        at = {n: 0 * params[n] for n in self._inputs}
        dinputs = []
        for t, (ctx, x) in reversed([*enumerate(tape)]):
            dy = doutputs[t]
            dx, *found = self.function.backward(ctx, *map(tensor, (dy + dstates[0], *dstates[1:])))
            for n in at:
                d = found.pop(0)
                at[n][t] = 0 if d is None else d
            nexts = zip(dstates, found[: len(dstates)], strict=True)
            dstates, found = tuple(0 * s if d is None else d for s, d in nexts), found[len(dstates) :]
            for n, d in zip(grads, found, strict=True):
                grads[n] = grads[n] + (0 if d is None else d)
            dinputs.append(0 * x if dx is None else dx)
        return self.whole.parted(grads, params) | at, np.stack(dinputs[::-1]), dstates

    @property
    def _inputs(self) -> list[str]:
        return [n for n in self.whole.equations.inputs if n != self.whole.x]


def namespace(numbers: Mapping[str, Any]) -> SimpleNamespace:
    """Return such a torch, for the numbers of a namespace as :mod:`bptt.derive.functions` has it."""
    functions: dict[str, Callable[..., Any]] = {n: in_numpy(n, numbers) for n in FUNCTIONS}
    maximum, minimum, softplus = (functions[n] for n in ("max", "min", "softplus"))

    def clamp(a: Any, min: Any = None, max: Any = None) -> Any:
        return maximum(a, min) if max is None else minimum(a, max)

    functions |= {
        "maximum": maximum,
        "minimum": minimum,
        "clamp": clamp,
        "where": np.where,
        "full_like": np.full_like,
        "zeros_like": np.zeros_like,
        "broadcast_to": np.broadcast_to,
        "sum": lambda a, dim, keepdim: np.sum(a, axis=dim, keepdims=keepdim),
        "amax": lambda a, dim, keepdim: max_along(a, dim),
        "cumsum": lambda a, dim: np.cumsum(a, axis=dim),
        "flip": lambda a, dims: np.flip(a, dims),
        "cat": lambda arrays, dim: np.concatenate(arrays, axis=dim),
    }
    several = {
        "chunk": lambda a, count, dim: map(tensor, np.split(a, count, axis=dim)),
        "split": lambda a, sizes, dim: map(tensor, np.split(a, np.cumsum(sizes)[:-1], axis=dim)),
    }

    def made(function: Callable[..., Any]) -> Callable[..., Tensor]:
        return lambda *arguments, **named: tensor(function(*arguments, **named))

    return SimpleNamespace(
        **{name: made(f) for name, f in functions.items()},
        **several,
        special=SimpleNamespace(ndtr=made(functions["Phi"])),
        nn=SimpleNamespace(functional=SimpleNamespace(softplus=made(lambda a, threshold: softplus(a)))),
        autograd=SimpleNamespace(
            Function=Function, function=SimpleNamespace(once_differentiable=lambda backward: backward)
        ),
    )
