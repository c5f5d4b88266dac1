"""One step of a layer by a compiled kernel, as when a model writes."""

import numpy as np

from bptt.cells import States
from bptt.kernels.cell.compiled import Compiled
from bptt.kernels.llvm import jit
from bptt.types import Array, Params


class OneStep:
    """A layer that takes one step at a time, on arrays that stay where they are.

    Parameters
    ----------
    compiled : Compiled
    params : dict of arrays
        The layer's W, U, b, ...
    states : tuple of (N, H)
        Where it begins.
    tokens : bool
        Whether tokens choose rows of W.
    x : (N, D), optional
        What it reads instead, where that is somebody's array; by default one of its own.

    Attributes
    ----------
    input : (N, D), or (N,) integers
        To be filled before `run`.
    y : (N, H)
        The output, after it.
    """

    def __init__(
        self, compiled: Compiled, params: Params, states: States, *, tokens: bool, x: Array | None = None
    ) -> None:
        k, dtype = compiled.interface, states[0].dtype
        N, H, D = len(states[0]), k.cell.hidden(params), len(params["W"])
        own = (np.array(state, order="C") for state in states)
        self._states = dict(zip(k.cell.states, own, strict=True))
        arrays = compiled.room(N, H, dtype) | compiled.weights(params, dtype, tokens=tokens)
        self.y = arrays["y"]
        if tokens:
            self.input = arrays["tokens"] = np.zeros(N, np.int64)
        else:
            self.input = arrays["x"] = np.empty((N, D), dtype) if x is None else x
        if "x" in k.cell.given:  # its equations read x itself, which is no token
            arrays["unit.x"] = arrays["x"]
        arrays |= {f"carry.{s}": state for s, state in self._states.items()}
        arrays |= {"starts": np.zeros(1, np.int64), "counts": np.full(1, N, np.int64)}
        self._kept: dict[str, Array | int | None] = {"steps": 1, "H": H, "D": D, "R": N, **arrays}
        self._kept |= {"narrow": compiled.narrow(N, H, D), "scratch": compiled.scratch(1, H)}  # all in use
        self._kept |= compiled.still(1, H)
        self._words = compiled.words("forward", self._kept)
        self._at, self._step = jit.address(self._words), compiled.works["forward"].call

    def run(self) -> None:
        """Take the step."""
        self._step(self._at, 0)

    def state(self, name: str) -> Array:
        """Return a state as it is now, (N, H), where it lies."""
        return self._states[name]
