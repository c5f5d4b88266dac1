"""What constructors ask for, by the names of their arguments."""

import inspect
from typing import Any

from bptt.checking.adapters.calls import call
from bptt.checking.adapters.names import part, size_of
from bptt.checking.adapters.shapes import extent
from bptt.checking.adapters.signature import parameters
from bptt.checking.adapters.standins import vocabulary
from bptt.checking.subject import Sizes, SubjectError

RATE = 1.0
"""The learning rate given to code that updates its parameters: the update is then the gradient."""


class Optimizer:
    """Stands for an optimizer: one step down the gradient."""

    def update(self, value: Any, gradient: Any, *_: Any, **__: Any) -> Any:
        """Return the parameter after the step."""
        return value - RATE * gradient

    __call__ = step = update


def arguments_for(function: Any, cls: type, sizes: Sizes, inputs: str) -> dict[str, Any]:
    """Return what a constructor (or another method of a class) asks for, its arrays apart.

    Raises
    ------
    SubjectError
        If it asks for what is not known.
    """
    arguments: dict[str, Any] = {}
    for p in parameters(function):
        name = p.name.lower()
        if part(p.name) in ("W", "b") and p.default is p.empty:
            continue
        if size := size_of(p.name, inputs):
            arguments[p.name] = extent(size, sizes)
        elif part(p.name) == "rate":
            arguments[p.name] = RATE
        elif name in ("input_shape", "x_shape", "shape"):
            arguments[p.name] = (sizes.T, extent(inputs, sizes))
        elif p.default is p.empty:
            value = _known(name, sizes)
            arguments[p.name] = _of_namespace(p.name, cls, sizes, inputs) if value is None else value
    return arguments


def _known(name: str, sizes: Sizes) -> Any:
    if "optim" in name:
        return Optimizer()
    if "epoch" in name or "iter" in name:
        return 1
    if "activation" in name or name == "act_fn":
        return "tanh"
    if "drop" in name:
        return 0.0
    return 0 if "seed" in name else vocabulary(name, sizes.V)


def _of_namespace(name: str, cls: type, sizes: Sizes, inputs: str) -> Any:
    """Return an object of the class in the same file that is called like an argument."""
    for key, value in _globals(cls).items():
        if inspect.isclass(value) and value is not cls and key.lower() == name.lower().replace("_", ""):
            return made(value, sizes, inputs)
    raise SubjectError(f"{cls.__name__}: what its constructor wants for {name} is not known")


def _globals(cls: type) -> dict[str, Any]:
    return next((dict(m.__globals__) for m in vars(cls).values() if inspect.isfunction(m)), {})


def made(cls: type, sizes: Sizes, inputs: str) -> Any:
    """Return an object of a class."""
    return call(cls, **arguments_for(cls, cls, sizes, inputs))
