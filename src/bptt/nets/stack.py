"""Layers of cells, one direction or both, over the same sequence.

Layer l reads what layer l-1 writes; with both directions a layer's output is the two directions' side by
side, and the next layer's D is 2H. Parameters and states are flat dicts: ``"layers.0.U"`` and, for the
direction that runs from the end, ``"layers.0.reverse.U"``; ``"layers.0.h"``, ``"layers.0.reverse.c"``.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from bptt.cells import Cell, States
from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import Backend, LayerRun, Precision, expect_backend, unroll
from bptt.nets.init import BiasCount, Init
from bptt.types import Array, Dtype, Generator, Params

MOST_LAYERS = 1000
"""Layers have names of their own, so that a million of them would take minutes to be counted."""


@dataclass(frozen=True)
class Stack:
    """L layers of a cell.

    Parameters
    ----------
    cell : Cell
    inputs : int
        D, the size of the first layer's input (V where it is tokens).
    hidden : int
        H.
    layers : int
        L.
    bidirectional : bool
    bias : "none", "one" or "two"
        Biases in each layer: none, b, or b and b_h as PyTorch has them.
    dropout : float
        The part of each layer's output that is dropped on its way to the next layer, while training.
        Nothing is dropped on the way through time (Zaremba et al. 2014).
    backend : "auto", "reference" or "cpu"
        What runs the layers (see :mod:`bptt.kernels.backends`).
    precision : "float32" or "bfloat16"
        Of the products (see there).

    Examples
    --------
    >>> import bptt
    >>> stack = Stack(bptt.zoo.get("gru"), inputs=3, hidden=4, layers=2, bidirectional=True)
    >>> params = stack.init(np.random.default_rng(0))
    >>> run = stack.forward(params, np.ones((5, 2, 3), np.float32))
    >>> run.y.shape, sorted(run.states)
    ((5, 2, 8), ['layers.0.h', 'layers.0.reverse.h', 'layers.1.h', 'layers.1.reverse.h'])
    """

    cell: Cell
    inputs: int
    hidden: int
    layers: int = 1
    bidirectional: bool = False
    bias: BiasCount = "one"
    dropout: float = 0.0
    backend: Backend = "auto"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("inputs", "hidden", "layers"):
            size = getattr(self, name)
            if not isinstance(size, int) or size < 1:
                raise ConfigError(f"{name} must be a whole number from 1, got {size!r}")
        if self.layers > MOST_LAYERS:
            raise ConfigError(f"layers must be at most {MOST_LAYERS:,}, got {self.layers:,}")
        if self.bias not in get_args(BiasCount):
            raise ConfigError(f"bias must be one of {', '.join(get_args(BiasCount))}; got {self.bias!r}")
        expect_backend(self.backend, self.precision)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and below 1, got {self.dropout}")

    @property
    def width(self) -> int:
        """The size of the output: H, or 2H with both directions."""
        return self.hidden * (2 if self.bidirectional else 1)

    @property
    def directions(self) -> tuple[str, ...]:
        """What stands in a parameter's name for each direction."""
        return ("", "reverse.") if self.bidirectional else ("",)

    def init(self, rng: Generator, init: Init | None = None, dtype: Dtype = np.float32) -> Params:
        """Return the parameters of all layers, drawn from `rng`."""
        init = init or Init()
        params: Params = {}
        for layer in range(self.layers):
            D = self.inputs if layer == 0 else self.width
            for direction in self.directions:
                drawn = init.layer(rng, self.cell, D, self.hidden, self.bias, dtype)
                params |= {f"layers.{layer}.{direction}{name}": array for name, array in drawn.items()}
        return params

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter, by its name."""
        H, cell = self.hidden, self.cell
        Gx, Gh = len(cell.from_x), len(cell.from_h) + len(cell.from_q)
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(self.layers):
            D = self.inputs if layer == 0 else self.width
            own: dict[str, tuple[int, ...]] = {"W": (D, Gx * H), "U": (H, Gh * H)}
            if self.bias != "none" and cell.bias:
                own["b"] = (Gx * H,)
                if self.bias == "two":
                    own["b_h"] = (Gh * H,)
            own |= dict.fromkeys(cell.units, (H,))
            for direction in self.directions:
                shapes |= {f"layers.{layer}.{direction}{name}": shape for name, shape in own.items()}
        return shapes

    def zero_states(self, batch: int, dtype: Dtype = np.float32) -> Params:
        """Return the states of all layers, (N, H) zeros."""
        return {name: np.zeros((batch, self.hidden), dtype) for name in self.state_names}

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of all states, layer by layer."""
        return tuple(
            f"layers.{layer}.{direction}{state}"
            for layer in range(self.layers)
            for direction in self.directions
            for state in self.cell.states
        )

    def forward(
        self,
        params: Params,
        x: Array,
        states: Params | None = None,
        *,
        mask: Array | None = None,
        reset: Array | None = None,
        rng: Generator | None = None,
    ) -> "StackRun":
        """Run all layers over a sequence.

        Parameters
        ----------
        params : dict of arrays
            As from `init`; names outside ``layers.`` are not read.
        x : (T, N, D) array, or (T, N) integers
        states : dict of (N, H), optional
            As from `zero_states`, which is the default.
        mask, reset : (T, N) bool, optional
            As in :func:`bptt.unroll`.
        rng : Generator, optional
            Draws what is dropped. Without it nothing is: that is how a model is evaluated.
        """
        self.expect_states("states", states)
        runs: list[tuple[str, LayerRun]] = []
        drops: list[Array | None] = []
        final: Params = {}
        for layer in range(self.layers):
            drops.append(self._drop(rng, x) if layer else None)
            x = apply_drop(x, drops[-1])
            outputs = []
            for direction in self.directions:
                prefix = f"layers.{layer}.{direction}"
                own = layer_params(params, layer, reverse=direction != "")
                before = None if states is None else tuple(states[prefix + s] for s in self.cell.states)
                run = unroll(
                    self.cell,
                    own,
                    x,
                    before,
                    mask=mask,
                    reset=reset,
                    reverse=direction != "",
                    backend=self.backend,
                    precision=self.precision,
                )
                runs.append((prefix, run))
                outputs.append(run.y)
                final |= {prefix + s: array for s, array in zip(self.cell.states, run.states, strict=True)}
            x = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)
        return StackRun(x, final, self, runs, drops)

    def expect_states(self, what: str, states: Params | None) -> None:
        """Raise a ShapeError unless `states`, where given, has an array for each of `state_names`."""
        if states is not None and set(states) != set(self.state_names):
            raise ShapeError(
                f"{what} must hold {', '.join(self.state_names)}; got {', '.join(states) or 'none'}"
            )

    def _drop(self, rng: Generator | None, x: Array) -> Array | None:
        return dropout_mask(rng, x.shape, self.dropout, x.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class StackRun:
    """Layers run over a sequence.

    Attributes
    ----------
    y : (T, N, H), or (T, N, 2H) with both directions
    states : dict of (N, H)
        The states after the sequence.
    """

    y: Array
    states: Params
    _stack: Stack
    _runs: list[tuple[str, LayerRun]]
    _drops: list[Array | None]

    def backward(
        self, dy: Array | None = None, dstates: Params | None = None, *, overwrite: bool = False
    ) -> tuple[Params, Array | None, Params]:
        """Backpropagate through the layers and through time.

        Parameters
        ----------
        dy : array of the shape of `y`, optional
        dstates : dict of (N, H), optional
            The gradient at the final states.
        overwrite : bool
            Whether what the forward kept may be lost, so that it need not be held twice.

        Returns
        -------
        dparams : dict of arrays
        dx : (T, N, D), or None for tokens
        dstates : dict of (N, H)
            The gradient at the initial states.
        """
        stack, ways = self._stack, len(self._stack.directions)
        stack.expect_states("the gradient at the final states", dstates)
        dparams: Params = {}
        dinitial: Params = {}
        dx = dy
        for layer in reversed(range(stack.layers)):
            dy, dx = dx, None
            for k in range(ways):
                prefix, run = self._runs[layer * ways + k]
                part = None if dy is None else dy[..., k * stack.hidden : (k + 1) * stack.hidden]
                dfinal: States | None = None
                if dstates is not None:
                    dfinal = tuple(dstates[prefix + s] for s in stack.cell.states)
                grads = run.backward(part, dfinal, overwrite=overwrite)
                dparams |= {prefix + name: array for name, array in grads.params.items()}
                dinitial |= {
                    prefix + s: array for s, array in zip(stack.cell.states, grads.states, strict=True)
                }
                if grads.x is not None:
                    dx = grads.x if dx is None else dx + grads.x  # both directions read the same x
            if dx is not None:
                dx = apply_drop(dx, self._drops[layer])
        return dparams, dx, {name: dinitial[name] for name in stack.state_names}


def layer_params(params: Params, layer: int = 0, *, reverse: bool = False) -> Params:
    """Return one layer's W, U and what else it has, by these names, from a model's or a stack's parameters.

    Examples
    --------
    >>> sorted(layer_params({"layers.0.W": np.ones((2, 3)), "layers.0.U": np.ones((3, 3)), "output.W": None}))
    ['U', 'W']
    """
    prefix = f"layers.{layer}." + ("reverse." if reverse else "")
    own = {name.removeprefix(prefix): array for name, array in params.items() if name.startswith(prefix)}
    return {name: array for name, array in own.items() if "." not in name}  # not those of the other direction


def dropout_mask(rng: Generator | None, shape: tuple[int, ...], p: float, dtype: Dtype) -> Array | None:
    """Return factors 0 (with probability p) and 1/(1-p), or None where nothing is dropped."""
    if rng is None or p == 0:
        return None
    factors: Array = (rng.random(shape, dtype=np.float32) >= p).astype(dtype)
    factors /= 1 - p
    return factors


def apply_drop(x: Array, factors: Array | None) -> Array:
    """Return x with its dropout; forward and backward alike."""
    return x if factors is None else x * factors
