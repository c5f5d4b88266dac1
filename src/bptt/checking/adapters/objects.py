# ruff: noqa: D102 the methods are described in the base class
"""Methods of a class: objects of it are made with sizes that are known, and opened with other arrays."""

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import call, is_number
from bptt.checking.adapters.constructing import RATE, arguments_for, made
from bptt.checking.adapters.graph import arrays, label, put
from bptt.checking.adapters.home import Home, fresh, is_parameter
from bptt.checking.adapters.names import part, size_of, without_d
from bptt.checking.adapters.shapes import Shape, extent
from bptt.checking.adapters.signature import callees, parameters
from bptt.checking.subject import Sizes, SubjectError
from bptt.types import Params

BUILDERS = ("initialize", "initialize_parameters", "init_params", "_init_params", "init_weights", "setup")
"""What methods are called that make the parameters, where the constructor does not."""


CLEANERS = ("zero_grad", "zero_grads", "zero_gradients", "reset_grads", "reset_gradients", "init_grads")
"""What methods are called that make the buffers of the gradients, or empty them."""


def _attributes(cls: type, methods: Iterable[str]) -> set[str]:
    """Return the names that methods read, and those that they call; none where that is hidden."""
    read, waiting = set[str](), set(methods)
    while waiting:
        member = inspect.getattr_static(cls, waiting.pop())
        for callee in callees(getattr(member, "fget", getattr(member, "__func__", member))):
            names = _names(callee.__code__) - read
            waiting |= {
                n
                for n in names
                if callable(getattr(cls, n, None)) or isinstance(getattr(cls, n, None), property)
            }
            read |= names
    return set() if {"getattr", "__dict__", "vars", "setattr"} & read else read


def _names(code: Any) -> set[str]:
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if hasattr(c, "co_names")))


class Object(Home):
    """Methods of a class, with the arrays that its objects hold or their constructor takes."""

    keeps = True

    def __init__(self, cls: type, methods: Mapping[str, str]) -> None:
        super().__init__()
        self.cls, self.methods = cls, dict(methods)
        for method in methods.values():
            for callee in callees(getattr(cls, method)):
                self._reach(callee)
        arrays_of = [p for p in parameters(cls) if not isinstance(p.default, (int, float, str))]
        self.given = [p.name for p in arrays_of if part(p.name) in ("W", "b")]
        self.made: dict[tuple[Sizes, str], Any] = {}
        for name in self.given:
            self._take(name)
        if not self.given:
            held = vars(self.prototype(Sizes()))
            read = _attributes(cls, methods.values())
            self._take_inside(
                {n: v for n, v in held.items() if n in read or not (read and is_parameter(n, v))}
            )
            bias = held.get("c")  # the output's, where there are V and b
            if {"V", "b"} <= self.ndims.keys() and isinstance(bias, np.ndarray):
                self._take("c", bias)

    def prototype(self, sizes: Sizes, inputs: str = "D") -> Any:
        """Return an object made with these sizes, always the same; without arrays, if it wants them given."""
        if self.given:
            return object.__new__(self.cls)
        if (sizes, inputs) not in self.made:
            new = made(self.cls, sizes, inputs)
            for name in BUILDERS:
                build = getattr(new, name, None)
                if inspect.ismethod(build) and not any(is_parameter(label(p), a) for p, a in arrays(new)):
                    with contextlib.suppress(SubjectError):
                        call(build, **arguments_for(build, self.cls, sizes, inputs))
            self.made[sizes, inputs] = new
        return self.made[sizes, inputs]

    @contextlib.contextmanager
    def opened(
        self, at: Params, sizes: Sizes, inputs: str = "D"
    ) -> Iterator[Mapping[str, Callable[..., Any]]]:
        if self.given:
            sized = arguments_for(self.cls, self.cls, sizes, inputs)
            new = call(self.cls, **sized, **{name: at[name] for name in self.given})
        else:
            new = fresh(self.prototype(sizes, inputs))
            for name, value in list(vars(new).items()):
                if isinstance(value, int) and not isinstance(value, bool) and (size := size_of(name, inputs)):
                    object.__setattr__(new, name, extent(size, sizes))
                elif isinstance(value, float) and part(name) == "rate":
                    object.__setattr__(new, name, RATE)
            for name in (*self.matrices, *self.biases):
                if name in at:
                    put(new, self.paths.get(name, (name,)), at[name].copy())
            self._fit_buffers(new, at)
        for name in (n for n in CLEANERS if inspect.ismethod(getattr(new, n, None))):
            with contextlib.suppress(SubjectError):
                call(getattr(new, name))
        self.last = new
        yield {name: getattr(new, method) for name, method in self.methods.items()}

    def kept_names(self) -> list[str]:
        return list(vars(self.last))

    def natural(self, sizes: Sizes, inputs: str = "D") -> dict[str, Shape]:
        if self.given:
            return {}
        held = dict(arrays(vars(self.prototype(sizes, inputs))))
        names = (*self.matrices, *self.biases)
        found = {n: held[path] for n in names if (path := self.paths.get(n, (n,))) in held}
        return {n: tuple(str(k) for k in array.shape) for n, array in found.items()}

    def _fit_buffers(self, new: Any, at: Params) -> None:
        """Give empty buffers of gradients the shapes and the kind of the arrays that are put in."""
        for path, array in list(arrays(vars(new))):
            of = without_d(str(path[-1]))
            buffer = of in at and of != path[-1] and not array.any()
            if buffer and (array.shape != at[of].shape or np.iscomplexobj(at[of])):
                put(new, path, np.zeros_like(at[of]))

    def kept(self, functions: Mapping[str, Callable[..., Any]], at: Params) -> Params:
        new = getattr(next(iter(functions.values())), "__self__", None)
        if not hasattr(new, "__dict__"):
            return {}
        found = self._left(vars(new), at)
        listed = vars(new).get("grads")
        if isinstance(listed, list) and len(listed) == len(self.given):
            found |= {f"d{name}": g for name, g in zip(self.given, listed, strict=True) if is_number(g)}
        return found
