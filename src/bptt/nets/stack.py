"""Layers of cells, one direction or both, over the same sequence.

Layer l reads what layer l-1 writes; with both directions a layer's output is the two directions' side by
side, and the next layer's D is 2H. Parameters and states are flat dicts: ``"layers.0.U"`` and, for the
direction that runs from the end, ``"layers.0.reverse.U"``; ``"layers.0.h"``, ``"layers.0.reverse.c"``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import get_args

import numpy as np

from bptt.cells import Cell
from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import Backend, LayerRun, Precision, add, expect_backend, side_by_side, unroll
from bptt.layer import mapped
from bptt.layer.shapes import layer_shapes
from bptt.nets import dropout
from bptt.nets.dropout import Per
from bptt.nets.init import Init
from bptt.nets.noise import Noise
from bptt.types import Array, Batch, BiasCount, Dtype, Generator, Gradients, Params, Shapes

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
    dropout_per : "step" or "sequence"
        Whether each step has a draw of its own, or all steps of a row the same.
    noise : Noise, optional
        What happens to the states through time while training; by default nothing (Zaremba et al. 2014).
    learn_start : bool
        Whether the states that sequences start from are parameters: ``"layers.0.start.h"`` (H,), ...
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
    dropout_per: Per = "step"
    noise: Noise | None = None
    learn_start: bool = False
    backend: Backend = "auto"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        expect_sizes(self, "inputs", "hidden", "layers")
        if self.layers > MOST_LAYERS:
            raise ConfigError(f"layers must be at most {MOST_LAYERS:,}, got {self.layers:,}")
        if self.bias not in get_args(BiasCount):
            raise ConfigError(f"bias must be one of {', '.join(get_args(BiasCount))}; got {self.bias!r}")
        expect_backend(self.backend, self.precision)
        dropout.expect_part("dropout", self.dropout)
        dropout.expect_per(self.dropout_per)
        reads = {self.inputs, self.hidden, *([self.width] if self.layers > 1 else [])}
        if "x" in self.cell.inputs and len(reads) > 1:
            raise ConfigError(
                f"{self.cell.name}: its equations read x, so every layer's input must be H = {self.hidden}: "
                f"inputs or an embedding {self.hidden}, one direction; got {sorted(reads - {self.hidden})}"
            )
        if self.noise is not None and self.noise.expected is not self.cell:
            raise ConfigError(f"the layers of a noise run its expected cell; got {self.cell.name}")

    @property
    def width(self) -> int:
        """The size of the output: H, or 2H with both directions."""
        return self.side * len(self.directions)

    @property
    def side(self) -> int:
        """The size of one direction's output: H, but of a cell that projects it."""
        return self.cell.width(self.cell.states[0], self.hidden)

    @cached_property
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
                drawn = init.layer(
                    rng, self.cell, D, self.hidden, self.bias, dtype, learn_start=self.learn_start
                )
                params |= {f"layers.{layer}.{direction}{name}": array for name, array in drawn.items()}
        return params

    def shapes(self) -> Shapes:
        """Return the shape of every parameter, by its name."""
        shapes: Shapes = {}
        for layer in range(self.layers):
            D = self.inputs if layer == 0 else self.width
            bias: BiasCount = self.bias if self.cell.bias else "none"
            own = layer_shapes(self.cell, D, self.hidden, bias, learn_start=self.learn_start)
            for direction in self.directions:
                shapes |= {f"layers.{layer}.{direction}{name}": shape for name, shape in own.items()}
        return shapes

    def made(self, params: Params) -> Params:
        """Return parameters with the matrices that the cell's maps make in place of what they are made of."""
        found = {name: array for name, array in params.items() if not name.startswith("layers.")}
        for prefix, own in self._layers(params):
            found |= {prefix + name: array for name, array in mapped.made(self.cell, own).items()}
        return found

    def pulled_back(self, params: Params, grads: Params) -> Params:
        """Return the gradients at parameters from those at what `made` returned."""
        found = {name: array for name, array in grads.items() if not name.startswith("layers.")}
        back = dict(self._layers(grads))
        for prefix, own in self._layers(params):
            raw = mapped.pulled_back(self.cell, own, back[prefix])
            found |= {prefix + name: array for name, array in raw.items()}
        return {name: found[name] for name in params if name in found} | found

    def _layers(self, params: Params) -> Iterator[tuple[str, Params]]:
        for layer in range(self.layers):
            for direction in self.directions:
                own = layer_params(params, layer, reverse=direction != "")
                yield f"layers.{layer}.{direction}", own

    def zero_states(self, batch: int, dtype: Dtype = np.float32, params: Params | None = None) -> Params:
        """Return the states of all layers before the first step, (N, H).

        Zeros, or where the cell starts, or where a layer does as it has learnt: `params` say where.
        """
        states: Params = {}
        for layer in range(self.layers):
            for direction in self.directions:
                own = layer_params(params or {}, layer, reverse=direction != "")
                first = self.cell.first_states(batch, self.hidden, dtype, own)
                names = (f"layers.{layer}.{direction}{state}" for state in self.cell.states)
                states |= dict(zip(names, first, strict=True))
        return states

    @cached_property
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
        inputs: Array | Batch,
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
        inputs : (T, N, D) array, (T, N) integers, or Batch
            x; a batch has a mask and resets of its own.
        states : dict of (N, H), optional
            As from `zero_states`, which is the default. What is given is where the first step begins, and
            not where a reset does.
        mask, reset : (T, N) bool, optional
            As in :func:`bptt.unroll`.
        rng : Generator, optional
            Draws what is dropped. Without it nothing is: that is how a model is evaluated.
        """
        batch = Batch.of(inputs, mask=mask, reset=reset)
        self.expect_states("states", states)
        x, final = batch.inputs, Params()
        runs: list[tuple[str, LayerRun]] = []
        drops: list[Array | None] = []
        for layer in range(self.layers):
            p = self.dropout if layer else 0.0
            drops.append(dropout.factors(rng, x.shape, p, x.dtype, self.dropout_per))
            x = dropout.apply(x, drops[-1], self.backend)
            outputs = []
            for direction in self.directions:
                prefix, backward = f"layers.{layer}.{direction}", direction != ""
                own, cell, given = layer_params(params, layer, reverse=backward), self.cell, Params()
                if self.noise is not None:
                    shape = (*x.shape[:2], self.hidden)
                    cell, given = self.noise.draw(rng, shape, own["U"].dtype, self.backend)
                run = unroll(
                    cell,
                    own | given,
                    x,
                    None if states is None else tuple(states[prefix + s] for s in self.cell.states),
                    mask=batch.mask,
                    reset=batch.reset,
                    reverse=backward,
                    inputs=batch.given,
                    backend=self.backend,
                    precision=self.precision,
                )
                runs.append((prefix, run))
                outputs.append(run.y)
                final |= dict(zip((prefix + s for s in self.cell.states), run.states, strict=True))
            x = side_by_side(outputs, self.backend)
        return StackRun(x, final, self, runs, drops)

    def expect_states(self, what: str, states: Params | None) -> None:
        """Raise a ShapeError unless `states`, where given, has an array for each of `state_names`."""
        if states is not None and set(states) != set(self.state_names):
            raise ShapeError(
                f"{what} must hold {', '.join(self.state_names)}; got {', '.join(states) or 'none'}"
            )


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
        self,
        dy: Array | None = None,
        dstates: Params | None = None,
        *,
        overwrite: bool = False,
        done: Callable[[Params], None] = lambda _: None,
    ) -> Gradients[Params]:
        """Backpropagate through the layers and through time.

        Parameters
        ----------
        dy : array of the shape of `y`, optional
        dstates : dict of (N, H), optional
            The gradient at the final states.
        overwrite : bool
            Whether what the forward kept may be lost, so that it need not be held twice.
        done : callable
            Called with the gradients at a layer's parameters, but for the first's, while others are computed.
        """
        stack, ways = self._stack, len(self._stack.directions)
        stack.expect_states("the gradient at the final states", dstates)
        dparams, dinitial, dgiven = Params(), Params(), Params()
        dx = dy
        for layer in reversed(range(stack.layers)):
            dy, dx, own = dx, None, Params()
            for k in range(ways):
                prefix, run = self._runs[layer * ways + k]
                part = None if dy is None else dy[..., k * stack.side : (k + 1) * stack.side]
                names = [prefix + s for s in stack.cell.states]
                dfinal = None if dstates is None else tuple(dstates[name] for name in names)
                grads = run.backward(part, dfinal, overwrite=overwrite)
                for name, array in grads.params.items():
                    if name not in stack.cell.inputs:
                        own[prefix + name] = array
                    else:  # all layers read the same
                        dgiven[name] = add(dgiven[name], array, stack.backend) if name in dgiven else array
                dinitial |= dict(zip(names, grads.states, strict=True))
                if grads.inputs is not None:  # both directions read the same x
                    dx = grads.inputs if dx is None else add(dx, grads.inputs, stack.backend)
            dparams |= own
            if layer:
                done(own)
            if dx is not None:
                dx = dropout.apply(dx, self._drops[layer], stack.backend)
        first = {name: dinitial[name] for name in stack.state_names}
        return Gradients(dparams, dx, first, given=dgiven or None)


def start_of(state: str) -> str:
    """Return the name of the parameter where a state starts that is learnt.

    Examples
    --------
    >>> start_of("layers.0.reverse.c")
    'layers.0.reverse.start.c'
    """
    layer, _, name = state.rpartition(".")
    return f"{layer}.start.{name}"


def layer_params(params: Params, layer: int = 0, *, reverse: bool = False) -> Params:
    """Return one layer's W, U and what else it has, by these names, from a model's or a stack's parameters.

    Examples
    --------
    >>> sorted(layer_params({"layers.0.W": np.ones((2, 3)), "layers.0.U": np.ones((3, 3)), "output.W": None}))
    ['U', 'W']
    """
    prefix = f"layers.{layer}." + ("reverse." if reverse else "")
    own = {name.removeprefix(prefix): array for name, array in params.items() if name.startswith(prefix)}
    return {name: array for name, array in own.items() if not name.startswith("reverse.")}


def expect_sizes(owner: object, *names: str) -> None:
    """Raise a ConfigError unless these attributes, where they are not None, are whole numbers from 1."""
    for name in names:
        size = getattr(owner, name)
        if size is not None and (isinstance(size, bool) or not isinstance(size, Integral) or size < 1):
            raise ConfigError(f"{name} must be a whole number from 1, got {size!r}")
