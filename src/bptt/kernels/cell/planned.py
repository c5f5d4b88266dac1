"""A layer's run as two programs, a forward and a backward that reads what the forward has left."""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Protocol

import numpy as np

from bptt.cells import Cell, States
from bptt.errors import ConfigError
from bptt.kernels.runtime.program import Past, Program, Shaped
from bptt.kernels.runtime.programs import shapes_of
from bptt.layer.shapes import expect
from bptt.shown import Shown
from bptt.types import Array, Gradients, Params

USED_UP = "a backward with overwrite=True has used up this run: run the forward again"


class Run(Protocol):
    """A layer run through time; see :class:`bptt.Unrolled`."""

    y: Array
    states: States

    def backward(
        self, dy: Array | None = None, dstates: States | None = None, *, overwrite: bool = False
    ) -> Gradients[States]:
        """Backpropagate through time."""


class Layer:
    """A layer's programs for arrays of some shapes.

    Parameters
    ----------
    cell : Cell
    run : callable
        Returns the run of arrays by name.
    shapes : dict of (shape, dtype)
    """

    def __init__(self, cell: Cell, run: Callable[[Params], Run], shapes: Mapping[str, Shaped]) -> None:
        self.cell = cell

        def forward(**arrays: Array) -> Params:
            self._run = run(arrays)  # whose arrays stand for those of every run
            return {"y": self._run.y} | {f"last.{k}": s for k, s in enumerate(self._run.states)}

        self.forward = Program.of(forward, shapes, keeps=True)
        self._backwards: dict[tuple[str | bool, ...], Program] = {}
        # told now if it has none
        self.backward({"dy": (self._run.y.shape, self._run.y.dtype)}, overwrite=False)

    def run(self, arrays: Params) -> "PlannedRun":
        """Run the layer."""
        found, past = self.forward.begin(list(arrays.values()))
        return PlannedRun(found.pop("y"), tuple(found.values()), self, past)

    def backward(self, shapes: Mapping[str, Shaped], *, overwrite: bool) -> Program:
        """Return the backward from gradients by name: ``dy``, and those at the final states."""
        key: tuple[str | bool, ...] = (*shapes, overwrite)
        if key not in self._backwards:

            def backward(**arrays: Array) -> Params:
                dy, run = arrays.pop("dy", None), copy(self._run)
                grads = run.backward(dy, tuple(arrays.values()) or None, overwrite=overwrite)
                found = {f"d.{name}": array for name, array in grads.params.items()}
                found |= {f"first.{k}": array for k, array in enumerate(grads.states)}
                return found if grads.inputs is None else found | {"dx": grads.inputs}

            self._backwards[key] = Program.of(backward, shapes, before=self.forward)
        return self._backwards[key]


class PlannedRun(Shown, text="bptt.layer.shapes:run_text"):
    """A layer run through time by its program; see :class:`bptt.Unrolled`."""

    def __init__(self, y: Array, states: States, layer: Layer, past: Past) -> None:
        self.y, self.states = y, states
        self._layer = layer
        self._past: Past | None = past

    def backward(
        self, dy: Array | None = None, dstates: States | None = None, *, overwrite: bool = False
    ) -> Gradients[States]:
        """Backpropagate through time, as :meth:`bptt.Unrolled.backward` does.

        Parameters and errors are those of :meth:`bptt.kernels.cell.unrolled.KernelRun.backward`.
        """
        layer = self._layer
        expect(layer.cell, dy, dstates, self.y, self.states)
        if self._past is None:
            raise ConfigError(USED_UP)
        given = {} if dy is None else {"dy": dy}
        given |= {f"d.{k}": d for k, d in enumerate(dstates or ())}
        arrays = {name: np.ascontiguousarray(a, self.y.dtype) for name, a in given.items()}
        program = layer.backward(shapes_of(arrays), overwrite=overwrite)
        found = program.run(list(arrays.values()), self._past)
        if overwrite:
            self._past = None
        dx, K = found.pop("dx", None), len(self.states)
        first = tuple(found.pop(f"first.{k}") for k in range(K))
        return Gradients({name[2:]: array for name, array in found.items()}, dx, first)
