"""A model run over one sequence in float64, by the reference loop, with all that its layers compute."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bptt.cells import Cell, States
from bptt.layer.reference import Unrolled, unroll
from bptt.layer.threads import one_blas_thread
from bptt.nets.losses import LOSSES
from bptt.nets.model import Model
from bptt.nets.stack import layer_params
from bptt.types import Array, Params

GUESSES = 8
"""The likeliest outputs that are kept."""

NUMBERS = ("squared_error", "absolute_error", "quantile")
"""The losses whose outputs are numbers."""

MOST_OUTPUTS = 1 << 22
"""Outputs of steps that are computed at once: 32 MB."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One sequence of T steps.

    Attributes
    ----------
    inputs : (T,) tokens, or (T, D)
    targets : (T, ...), (1, ...) with a pool, or None
    counted : (T,) bool, or (1,)
        Which targets count.
    tokens, truth : list of T str
        In words, what is read at each step, and what was to come.
    text : list of T str, or None
        Of what text each token is a part: joined they are that text.
    features : (F,) or None
        What it starts from.
    given : dict of (T, ...), or None
        What the cell reads beside its input.
    scale : ((T,), (T,)) or None
        What makes numbers of outputs: outputs times the second and the first added.
    """

    inputs: Array
    targets: Array | None
    counted: Array
    tokens: list[str]
    truth: list[str | None]
    text: list[str] | None = None
    features: Array | None = None
    given: Mapping[str, Array] | None = None
    scale: tuple[Array, Array] | None = None


@dataclass(frozen=True, eq=False)
class LayerRun:
    """One direction of a layer, run.

    Attributes
    ----------
    cell : Cell
    params : dict of arrays
        W, U and what else it has, with what is given at each step.
    x : (T, 1, D), or (T, 1) tokens
    first : tuple of (1, width)
        The states before the first step.
    run : Unrolled
    a : (T, columns)
        The pre-activations.
    states : dict of (T, width)
        After each step.
    before : dict of (T, width)
        Before it.
    """

    cell: Cell
    params: Params
    x: Array
    first: States
    run: Unrolled
    a: Array
    states: Params
    before: Params
    reverse: bool

    @property
    def widths(self) -> list[int]:
        """How many numbers each state has."""
        return [array.shape[1] for array in self.states.values()]


@dataclass(frozen=True, eq=False)
class Ran:
    """A model run over a piece.

    Attributes
    ----------
    layers : list of list of LayerRun
        By layer and direction.
    outputs, which : (T, ·), or (1, ·) with a pool
        Probabilities of the likeliest outputs, and which they are; or all outputs, where they are numbers.
    loss : (T,)
        Of each step; with a pool the last step has the sequence's. NaN where there is none.
    dh : (T, width), or (1, width) with a pool
        The gradient of each loss at what the outputs are made from.
    """

    model: Model
    layers: list[list[LayerRun]]
    outputs: Array
    which: Array
    loss: Array
    dh: Array


def double(model: Model, params: Params) -> tuple[Model, Params]:
    """Return a model and its parameters as they are run here: in float64, their maps made."""
    params = {name: array.astype(np.float64) for name, array in params.items()}
    model = replace(
        model,
        backend="reference",
        precision="float32",
        class_weights=None,
        label_smoothing=0.0,
        reduction="sum_over_time_and_batch",
    )
    return model.unmapped(params)


def run(model: Model, params: Params, piece: Piece) -> Ran:
    """Run a model of :func:`double` over a piece."""
    T = len(piece.inputs)
    features = None if piece.features is None else piece.features[None].astype(np.float64)
    first = model.start.forward(params, features, None)
    given = {name: array[:, None].astype(np.float64) for name, array in (piece.given or {}).items()}
    x = piece.inputs[:, None]
    if model.embedding is not None:
        x = params["embedding"][x]
    elif not model.token_inputs:
        x = x.astype(np.float64)
    layers: list[list[LayerRun]] = []
    final: Params = {}
    with one_blas_thread(), np.errstate(all="ignore"):
        for layer in range(model.layers):
            own = []
            for direction in model.stack.directions:
                at = f"layers.{layer}.{direction}"
                states = None if first is None else tuple(first[at + s] for s in model.stack.cell.states)
                params_of = layer_params(params, layer, reverse=direction != "")
                own.append(_layer(model.stack.cell, params_of | given, x, states, direction != ""))
                final |= {at + s: a for s, a in zip(model.stack.cell.states, own[-1].run.states, strict=True)}
            layers.append(own)
            x = np.concatenate([side.run.y for side in own], axis=-1)
        h = _pooled(model, x, final)
        rows = max(1, MOST_OUTPUTS // model.outputs)
        some = [slice(start, start + rows) for start in range(0, len(h), rows)]
        above = [_above(model, params, h[part], piece, part) for part in some]
    each, dh, outputs, which = (np.concatenate(parts) for parts in zip(*above, strict=True))
    if model.pool is not None:
        each = np.append(np.full(T - 1, np.nan), each)
    return Ran(model, layers, outputs, which, each, dh)


def _above(model: Model, params: Params, h: Array, piece: Piece, part: slice) -> tuple[Array, ...]:
    """Return of some steps each loss, its gradient at h, the likeliest outputs, and which they are."""
    run, counted = model.output.forward(params, h), piece.counted[part]
    each, dh = np.full(len(h), np.nan), np.zeros_like(h[:, 0])
    if piece.targets is not None and counted.any():
        loss = model.output.loss_of(run.outputs, piece.targets[part, None], mask=counted[:, None])
        back = run.backward(loss.grad).inputs
        assert back is not None
        each, dh = np.where(counted, loss.each[:, 0], np.nan), back[:, 0]
    y = LOSSES[model.loss].predict(run.outputs)[:, 0]
    if model.loss in NUMBERS:
        return each, dh, y, np.broadcast_to(np.arange(y.shape[1]), y.shape)
    best = np.argsort(-y, axis=1, kind="stable")[:, :GUESSES]
    return each, dh, np.take_along_axis(y, best, axis=1), best


def _layer(cell: Cell, own: Params, x: Array, states: States | None, reverse: bool) -> LayerRun:
    seen: list[tuple[Array, States]] = []
    ran = unroll(cell, own, x, states, reverse=reverse, seen=seen)
    first = states or cell.first_states(1, cell.hidden(own), ran.y.dtype, own)
    turn = slice(None, None, -1 if reverse else 1)
    after = [np.concatenate(each)[turn] for each in zip(*(states for _, states in seen), strict=True)]
    before = [
        np.concatenate([start, own_after[turn][:-1]])[turn]
        for start, own_after in zip(first, after, strict=True)
    ]
    return LayerRun(
        cell,
        own,
        x,
        first,
        ran,
        np.concatenate([a for a, _ in seen])[turn],
        dict(zip(cell.states, after, strict=True)),
        dict(zip(cell.states, before, strict=True)),
        reverse,
    )


def _pooled(model: Model, y: Array, final: Params) -> Array:
    """Return what the outputs are made from."""
    if model.pool is None:
        return y
    if model.pool == "mean":
        mean: Array = y.mean(axis=0, keepdims=True)
        return mean
    last, h = model.layers - 1, model.stack.cell.states[0]
    return np.concatenate([final[f"layers.{last}.{d}{h}"] for d in model.stack.directions], axis=1)[None]


def enters(ran: Ran) -> list[Array]:
    """Return for each direction of the top layer what a pooled loss has at each output h_t, (T, side)."""
    model, T = ran.model, len(ran.layers[-1][0].a)
    found = list[Array]()
    for k in range(len(model.stack.directions)):
        own = ran.dh[:, k * model.stack.side : (k + 1) * model.stack.side]
        at_each = np.zeros((T, own.shape[1]))
        if model.pool == "mean":
            at_each[:] = own / T
        else:
            at_each[0 if k else T - 1] = own[0]
        found.append(at_each)
    return found
