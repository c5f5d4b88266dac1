"""The chain of a model's parts, forward and back.

::

    h_0 ─┐
    x_t ─┴─ layers ── pool ── h ── output ── L        forward
    d.. ─┴─ layers ── pool ── dh ─ output ── dL       back

`compute` is all of a step as one function of arrays: what a program is recorded from.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from bptt.kernels.backends import add
from bptt.layer.threads import one_blas_thread
from bptt.nets import activation, mapped, weightdrop
from bptt.nets.input import InputRun
from bptt.nets.output import OutputRun
from bptt.nets.planned import Done
from bptt.nets.stack import Stack, StackRun
from bptt.types import Array, Batch, Flags, Generator, Gradients, Params

if TYPE_CHECKING:
    from bptt.nets.model import Model


class LossAndGrads(NamedTuple):
    """A training step's result.

    Attributes
    ----------
    loss : float
        L, as the model's reduction has it.
    grads : dict of arrays
        dL at every parameter, by its name.
    state : dict of (N, H)
        The states after the sequence, to be carried into the next chunk.
    """

    loss: float
    grads: Params
    state: Params


class Backprop(NamedTuple):
    """What backpropagation of a loss gives.

    Attributes
    ----------
    loss : float
        L, with what is added to it: label smoothing, and what the activations cost.
    each : (T, N), or (1, N) with a pool
        Every step's loss, before weights and without these; zero where it does not count.
    grads : Gradients
        At the parameters, the inputs, the initial states and the features.
    state : dict of (N, H)
        The states after the sequence.
    """

    loss: float
    each: Array
    grads: Gradients[Params]
    state: Params


def run_layers(
    model: "Model",
    params: Params,
    batch: Batch,
    state: Params | None,
    rng: Generator | None,
    shares: Array | None = None,
) -> "LayersRun":
    """Run a model from (0) to (2), over a batch that its input has checked.

    `shares` are those of :class:`bptt.nets.pool.Pool`, where they are known.
    """
    states = model.start.forward(params, batch.features, state)
    dropped = model.weights.factors(rng, params)
    below = model.input.forward(weightdrop.apply(params, dropped, model.backend), batch, rng)
    layers = model.stack.forward(below.params, below.batch, states, rng=rng)
    if shares is None and model.pool == "mean":
        shares = model.pooling.shares(batch.mask, layers.y.shape, layers.y.real.dtype)
    h = model.pooling.forward(layers, shares)
    return LayersRun(model, params, batch, dropped, below, layers, shares, h)


def compute(
    model: "Model",
    arrays: Params,
    what: Literal["backprop", "losses", "step"],
    rng: Generator | None = None,
    done: Done | None = None,
) -> Params:
    """Return what `backprop` or `losses` finds, by name: ``each``, ``last.``, ``d.``, ``d.first.``.

    For a step in float32 there are ``squares``, too, the sums of those of pieces of the gradients.
    """
    params, targets = {name: arrays[name] for name in model.shapes}, arrays["targets"]
    given = {name[6:]: array for name, array in arrays.items() if name.startswith("given.")}
    flags: Flags = {
        "given": given or None,
        "mask": arrays.get("mask"), "reset": arrays.get("reset"), "features": arrays.get("features"),
    }  # fmt: skip
    state = {name: arrays.get(f"first.{name}") for name in model.stack.state_names}
    first = {name: array for name, array in state.items() if array is not None}
    batch = Batch(arrays["inputs"], **flags)
    run = run_layers(model, params, batch, first or None, rng, arrays.get("shares"))
    found = {f"last.{name}": array for name, array in run.layers.states.items()}
    if what == "losses":
        return found | {"each": model.output.losses(params, run.h, targets)}
    w = arrays.get("w")
    losses, above = model.output.backprop(params, run.h, targets, w, rng)
    found |= losses
    if model.penalised:
        from bptt.kernels.ops.penalty import penalty

        pairs, temporal = arrays.get("pairs"), model.temporal_penalty > 0
        found["cost"], dh = penalty(run.h, arrays["penalties"], pairs, temporal=temporal)
        assert above.inputs is not None
        above = above._replace(inputs=add(above.inputs, dh, model.backend))
    grads = run.gradients(above, None, overwrite=True, done=done)
    found |= {f"d.{name}": array for name, array in grads.params.items()}
    found |= {f"d.first.{name}": array for name, array in grads.states.items()}
    others = {"d.inputs": grads.inputs, "d.features": grads.features}
    others |= {f"d.given.{name}": array for name, array in (grads.given or {}).items()}
    if what == "step" and all(array.dtype == np.float32 for array in grads.params.values()):
        from bptt.kernels.ops.update import squares

        others["squares"] = squares(list(grads.params.values()))
    return found | {name: array for name, array in others.items() if array is not None}


def with_cost(model: "Model", h: Array, batch: Batch, above: Gradients[None]) -> tuple[Any, Gradients[None]]:
    """Return what h costs by itself, and the gradients of what is above it with its own."""
    if not model.penalised:
        return 0.0, above
    alpha, beta = model.activation_penalty, model.temporal_penalty
    cost, dh = activation.penalty(h, alpha, beta, batch.mask, batch.reset, batch.penalised)
    return cost, above._replace(inputs=above.inputs + dh)


@dataclass(frozen=True, eq=False, repr=False)
class LayersRun:
    """A model run up to the outputs of its layers."""

    model: "Model"
    params: Params
    batch: Batch
    dropped: Params
    below: InputRun
    layers: StackRun
    shares: Array | None
    h: Array

    def gradients(
        self,
        above: Gradients[None],
        dstate: Params | None,
        *,
        overwrite: bool,
        done: Done | None = None,
    ) -> Gradients[Params]:
        """Return all gradients, from those of what is above: back through (2), (1) and (0)."""
        model, done = self.model, done or (lambda _: None)
        done({name: array for name, array in above.params.items() if name not in model.input.shapes()})
        ended, shared = Params(), model.start.others.values()

        def end(own: Params) -> None:
            """Take what is dropped into account in a layer whose gradients nothing below changes."""
            drops = {name: drop for name, drop in self.dropped.items() if name in own}
            ended.update(own := weightdrop.apply(own, drops, model.backend))
            done({name: array for name, array in own.items() if name not in shared})

        dy, dstate = model.pooling.backward(self.layers, self.shares, above.inputs, dstate)
        back = self.below.backward(self.layers.backward(dy, dstate, overwrite=overwrite, done=end))
        first = model.start.backward(self.params, self.batch.features, back.states)
        drops = {name: drop for name, drop in self.dropped.items() if name not in ended}
        found = weightdrop.apply(back.params, drops, model.backend) | ended
        for name, array in (*first.params.items(), *above.params.items()):  # a tied matrix has two
            found[name] = add(found[name], array, self.model.backend) if name in found else array
        # in the order of the parameters, so that sums over all of them never depend on ours here
        ordered = {name: found[name] for name in self.params if name in found}
        return Gradients(ordered, back.inputs, back.states, first.features, back.given)


class ModelRun:
    """A model run over a sequence.

    Attributes
    ----------
    outputs : (T, N, K), or (1, N, K) with a pool
        Logits, or forecasts.
    state : dict of (N, H)
        The states after the sequence.
    """

    def __init__(self, run: LayersRun, above: OutputRun, mapped: tuple[Stack, Params] | None = None) -> None:
        self.outputs, self.state = above.outputs, run.layers.states
        self._run, self._above, self._mapped = run, above, mapped

    def backward(
        self, doutputs: Array, dstate: Params | None = None, *, overwrite: bool = False
    ) -> Gradients[Params]:
        """Backpropagate from the gradient at the outputs, and at the final state if it is used further.

        Parameters
        ----------
        doutputs : array of the shape of `outputs`
        dstate : dict of (N, H), optional
        overwrite : bool
            Whether what the forward kept may be lost, so that it need not be held twice.
        """
        with one_blas_thread():
            found = self._run.gradients(self._above.backward(doutputs), dstate, overwrite=overwrite)
        return found if self._mapped is None else mapped.gradients(*self._mapped, found)
