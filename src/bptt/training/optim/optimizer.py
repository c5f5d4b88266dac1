"""What every optimiser does: make its state, and move parameters and state by its equations.

An optimiser is its hyper-parameters and its equations, and nothing else. What it remembers between updates
is a dict of arrays that the caller holds, so that a checkpoint saves it as it saves the parameters::

    "t"                 updates done, a 0-d int64 array
    "m.layers.0.U"      slot m of the parameter layers.0.U, of its shape and dtype
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import Backend, uses_kernels
from bptt.shown import Shown
from bptt.training.optim.equations import FUNCTIONS, Rule, read
from bptt.types import Array, Params

TINY = float(np.finfo(np.float32).tiny)
"""The least eps: a smaller one is as good as zero in float32."""


@dataclass(frozen=True)
class Optimizer(ABC, Shown, html="bptt.training.shown:optimizer_html"):
    """An update of parameters by equations, whose hyper-parameters are its fields.

    In `equations` ``p`` is a parameter, ``g`` its gradient, ``lr`` the learning rate of this update, ``t``
    the number of this update, from 1, and ``matrix`` 1 where p has two dimensions or more, else 0; slots and
    hyper-parameters go by their names. Slots start at zero. A line sets p, a slot, or a name of its own; all
    is elementwise, and in the parameter's dtype, but for what is made of numbers alone, as 1 - beta**t.
    ``docs/optimiser.md`` shows one that is a user's own.
    """

    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"eps": (TINY, 1.0)}
    """Of a hyper-parameter, the least value and the bound below which it is; 0 and 1 unless told."""

    def __init_subclass__(cls) -> None:
        """Show the equations behind the first line of the docstring."""
        equations = vars(cls).get("equations")
        if cls.__doc__ and isinstance(equations, tuple):
            says, *rest = cls.__doc__.split("\n\n", 1)
            cls.__doc__ = "\n\n".join([says, "    ::", "\n".join(f"        {e}" for e in equations), *rest])

    def __post_init__(self) -> None:
        for field in fields(self):
            option, value = field.name, getattr(self, field.name)
            if isinstance(field.default, bool):
                if not isinstance(value, bool):
                    raise ConfigError(f"{self.name}: {option} must be True or False, got {value!r}")
                continue
            low, high = self.bounds.get(option, (0.0, 1.0))
            if not (isinstance(value, int | float | np.floating) and low <= value < high):
                wanted = f"a number in [{low:g}, {high:g})"
                raise ConfigError(f"{self.name}: {option} must be {wanted}, got {value!r}")
            # A NumPy scalar would promote float32 arithmetic to float64.
            object.__setattr__(self, option, float(value))
        _ = self.rule  # what cannot be read is told now

    @property
    def name(self) -> str:
        """The name in `OPTIMIZERS`."""
        return type(self).__name__.lower()

    @property
    def slots(self) -> tuple[str, ...]:
        """What is remembered of each parameter."""
        return ()

    def init(self, params: Params) -> Params:
        """Return the state before the first update: ``t`` and, for each slot and parameter, zeros.

        Parameters
        ----------
        params : dict of real arrays, float32 or wider
        """
        state = {"t": np.zeros((), np.int64)}
        for slot in self.slots:
            state |= {f"{slot}.{name}": np.zeros_like(p, subok=False) for name, p in params.items()}
        return state

    @property
    @abstractmethod
    def equations(self) -> tuple[str, ...]:
        """The update, in the order in which it is computed, as in ``"p = p - lr*g"``."""

    @cached_property
    def _options(self) -> tuple[str, ...]:
        """The names of the hyper-parameters."""
        return tuple(field.name for field in fields(self))

    @cached_property
    def _known(self) -> dict[str, Any]:
        """What the code of the rule's numbers knows, but for those of an update."""
        return FUNCTIONS | {name: getattr(self, name) for name in self._options}

    @cached_property
    def rule(self) -> Rule:
        """The equations, read."""
        for name, names in (("equations", self.equations), ("slots", self.slots)):
            if not isinstance(names, tuple):
                raise ConfigError(f"{self.name}: {name} must be a tuple of str, got {names!r}")
        return read(self.name, self.equations, self.slots, self._options)

    def update(
        self, params: Params, grads: Params, state: Params, lr: float, *, backend: Backend = "auto"
    ) -> None:
        """Move `params` and `state` by one update, in place; `grads` are left as they are.

        Parameters
        ----------
        params : dict of real arrays, float32 or wider
        grads : dict of arrays
            One for each parameter, of its shape and dtype. Finite, as `global_norm` tells: a nan stays in
            the state for good.
        state : dict of arrays
            What `init` returned, moved by the updates since.
        lr : float
        backend : "auto", "reference" or "cpu"
            Compiled code goes over the arrays once (see :mod:`bptt.kernels.backends`).

        Raises
        ------
        ShapeError
            If names, shapes or dtypes do not agree; nothing has been moved then.
        """
        self._check(params, grads, state)
        state["t"] += 1
        self.move(params, grads, state, np.array(self.numbers(float(state["t"]), float(lr))), backend)

    def numbers(self, t: float, lr: float) -> list[list[float]]:
        """Return the numbers that the equations read at update t, (2, K): for a vector, and for a matrix."""
        of_vector = self._known | {"t": t, "lr": lr, "matrix": 0.0}
        of_matrix = of_vector | {"matrix": 1.0}
        for known in (of_vector, of_matrix):
            exec(self.rule.numbers, known)
        return [of_vector["_read"], of_matrix["_read"]]

    def move(self, params: Params, grads: Params, state: Params, numbers: Array, backend: Backend) -> None:
        """Move `params` and the slots in `state` by `numbers`, as an `update` that has checked them does."""
        rule = self.rule
        for name, p in params.items():
            arrays = {"p": p, "g": grads[name]} | {slot: state[f"{slot}.{name}"] for slot in self.slots}
            own = numbers[int(p.ndim >= 2)]
            if uses_kernels(backend, p.dtype) and all(a.flags.c_contiguous for a in arrays.values()):
                from bptt.kernels.ops.update import update

                update(rule.lines, arrays, rule.reads, own)
            else:
                rule.apply(arrays, dict(zip(rule.reads, own.tolist(), strict=True)))

    def _check(self, params: Params, grads: Params, state: Params) -> None:
        """Raise ShapeError unless grads and state have the names, shapes and dtypes of the parameters."""
        wanted = {f"{slot}.{name}": p for slot in self.slots for name, p in params.items()}
        wanted["t"] = np.zeros((), np.int64)
        for name, p in params.items():
            if p.dtype.kind != "f" or p.dtype.itemsize < 4:
                raise ShapeError(f"{self.name}: {name} must be real, float32 or wider, got {p.dtype}")
        for what, given, like in (("grads", grads, params), ("state", state, wanted)):
            if odd := sorted(given.keys() ^ like.keys()):
                raise ShapeError(f"{self.name}: {what} and parameters differ in {', '.join(odd)}")
            for name, a in like.items():
                b = given[name]
                if (b.shape, b.dtype) != (a.shape, a.dtype):
                    want, got = f"{a.dtype} {a.shape}", f"{b.dtype} {b.shape}"
                    raise ShapeError(f"{self.name}: {what}: {name} must be {want}, got {got}")
