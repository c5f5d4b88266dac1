"""A model run over a sequence, forward and backward: (1) to (3) of :mod:`bptt.nets.model`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import scatter_add
from bptt.layer.reference import without_padding
from bptt.layer.threads import one_blas_thread
from bptt.nets.losses import counted_targets, weights
from bptt.nets.stack import StackRun, apply_drop, dropout_mask
from bptt.types import Array, Generator, Params

if TYPE_CHECKING:
    from bptt.nets.model import Model


class ModelGradients(NamedTuple):
    """What backpropagation through a model gives.

    Attributes
    ----------
    params : dict of arrays
    inputs : (T, N, D), or None for tokens
    state : dict of (N, H)
        At the initial states.
    features : (N, F), or None
        At the features that gave the initial states.
    """

    params: Params
    inputs: Array | None
    state: Params
    features: Array | None


class OutputGradients(NamedTuple):
    """At h (T·N, H), at the output matrix (H, K), and at its bias (K,)."""

    dh: Array
    dV: Array
    db: Array


@dataclass(frozen=True, eq=False, repr=False)
class Hidden:
    """A model run up to its layers' outputs h (T·N, H), after dropout."""

    model: "Model"
    params: Params
    inputs: Array
    features: Array | None
    run: StackRun
    x: Array
    h: Array
    drop_in: Array | None
    drop_out: Array | None

    @classmethod
    def of(
        cls,
        model: "Model",
        params: Params,
        inputs: Array,
        state: Params | None,
        mask: Array | None,
        reset: Array | None,
        features: Array | None,
        rng: Generator | None,
    ) -> "Hidden":
        """Run the model up to the outputs of its layers."""
        if features is not None and (state is not None or model.features is None):
            raise ConfigError("features give the first state: a model made for them, and no state")
        if model.features is not None and features is None and state is None:
            raise ConfigError("this model's sequences start from features, or from a state: give one of them")
        inputs = _checked(model, params, inputs, mask)
        if features is not None:
            state = _states_from(model, params, features)
        x, layers = inputs, params
        drop_in = None
        if model.token_inputs and model.embedding is not None:
            drops = model.input_dropout > 0 and rng is not None
            if inputs.size > model.inputs and not drops:
                layers = params | model.folded(params)  # (1) with (2): rows of E W
            else:
                x = params["embedding"][inputs]  # (1)
        if x.ndim == 3:
            drop_in = dropout_mask(rng, x.shape, model.input_dropout, x.dtype)
            x = apply_drop(x, drop_in)
        run = model.stack.forward(layers, x, state, mask=mask, reset=reset, rng=rng)  # (2)
        drop_out = dropout_mask(rng, run.y.shape, model.dropout, run.y.dtype)
        h = apply_drop(run.y, drop_out).reshape(-1, run.y.shape[-1])
        return cls(model, params, inputs, features, run, x, h, drop_in, drop_out)

    def outputs(self) -> "ModelRun":
        """Return the run with its outputs: (3)."""
        model, params = self.model, self.params
        y = model.matmul(self.h, model.output_matrix(params))
        if model.output_bias:
            y = _iadd(y, params["output.b"])
        return ModelRun(y.reshape(*self.run.y.shape[:2], model.outputs), self.run.states, self)

    def cross_entropy(self, targets: Array, counted: Array | None) -> tuple[float, Array, OutputGradients]:
        """Return (4), the cross-entropy, each step's, and the gradients of (3), by compiled code.

        At most so many logits are held at a time, however many rows there are.
        """
        from bptt.kernels.ops.output import cross_entropy

        model, shape = self.model, self.run.y.shape[:2]
        targets = counted_targets(targets, shape, model.outputs, counted)
        w = weights(shape, model.reduction, counted)
        V, b = model.output_matrix(self.params), self.params.get("output.b")
        is_narrow = model.precision == "bfloat16"
        each, *grads = cross_entropy(self.h, V, b, targets.ravel(), w.ravel(), bfloat16=is_narrow)
        return float(w.ravel() @ each), each.reshape(shape), OutputGradients(*grads)

    def losses(self, targets: Array) -> Array:
        """Return (4) for every step alone, (T, N): the cross-entropy by compiled code."""
        from bptt.kernels.ops.output import losses

        model, shape = self.model, self.run.y.shape[:2]
        targets = counted_targets(targets, shape, model.outputs, None)
        V, b = model.output_matrix(self.params), self.params.get("output.b")
        each = losses(self.h, V, b, targets.ravel(), bfloat16=model.precision == "bfloat16")
        return each.reshape(shape)

    def output_backward(self, doutputs: Array) -> OutputGradients:
        """Backpropagate through the output matrix: (3)."""
        matmul, dy = self.model.matmul, doutputs.reshape(-1, doutputs.shape[-1])
        V = self.model.output_matrix(self.params)
        return OutputGradients(matmul(dy, V.T), matmul(self.h.T, dy), dy.sum(axis=0))

    def backward(
        self, back: OutputGradients, dstate: Params | None, *, overwrite: bool = False
    ) -> ModelGradients:
        """Backpropagate through the layers to the inputs: (2) and (1)."""
        model, params, (dh, dV, db) = self.model, self.params, back
        grads: Params = {"output.b": db} if model.output_bias else {}
        dy = apply_drop(dh.reshape(self.run.y.shape), self.drop_out)
        layers, dx, dinitial = self.run.backward(dy, dstate, overwrite=overwrite)  # (2)
        grads |= layers
        if model.embedding is not None:
            if self.x is self.inputs:
                dE = self._unfold(grads)
            else:
                assert dx is not None  # x was real, so the layers gave its gradient
                dx = apply_drop(dx, self.drop_in)
                dE = scatter_add(
                    self.inputs, dx.reshape(-1, dx.shape[-1]), model.inputs, model.backend
                )  # (1)
            grads["embedding"] = dE + dV.T if model.tied else dE
            dx = None
        elif dx is not None:
            dx = apply_drop(dx, self.drop_in)
        if not model.tied:
            grads["output.W"] = dV
        dfeatures = None
        if self.features is not None:
            dh0 = np.concatenate([dinitial[name] for name in model.first_states], axis=1)
            grads["initial.W"] = self.features.T @ dh0
            grads["initial.b"] = dh0.sum(axis=0)
            dfeatures = dh0 @ params["initial.W"].T
        elif model.features is not None:  # a later chunk: its state came from the one before
            grads |= {name: np.zeros_like(params[name]) for name in ("initial.W", "initial.b")}
        # in the order of the parameters, so that sums over all of them never depend on ours here
        ordered = {name: grads[name] for name in params if name in grads}
        return ModelGradients(ordered, dx, dinitial, dfeatures)

    def _unfold(self, grads: Params) -> Array:
        """Turn the gradient at E W into those at W (in place in `grads`) and at E (returned)."""
        E, matmul = self.params["embedding"], self.model.matmul
        dE: Array = np.zeros_like(E)
        for name in self.model.first_W:
            dEW = grads[name]
            grads[name] = matmul(E.T, dEW)
            dE = dE + matmul(dEW, self.params[name].T)
        return dE


@dataclass(frozen=True, eq=False, repr=False)
class ModelRun:
    """A model run over a sequence.

    Attributes
    ----------
    outputs : (T, N, K)
        Logits, or forecasts.
    state : dict of (N, H)
        The states after the sequence.
    """

    outputs: Array
    state: Params
    _hidden: Hidden

    def backward(
        self, doutputs: Array, dstate: Params | None = None, *, overwrite: bool = False
    ) -> ModelGradients:
        """Backpropagate from the gradient at the outputs, and at the final state if it is used further.

        Parameters
        ----------
        doutputs : (T, N, K)
        dstate : dict of (N, H), optional
        overwrite : bool
            Whether what the forward kept may be lost, so that it need not be held twice.
        """
        if doutputs.shape != self.outputs.shape:
            raise ShapeError(
                f"the gradient at the outputs must be (T, N, K) = {self.outputs.shape}, got {doutputs.shape}"
            )
        with one_blas_thread():
            back = self._hidden.output_backward(doutputs)
            return self._hidden.backward(back, dstate, overwrite=overwrite)


def _checked(model: "Model", params: Params, inputs: Array, mask: Array | None) -> Array:
    """Return the inputs without their padding, or raise a ShapeError that names what does not fit."""
    kind = np.integer if model.token_inputs else np.inexact
    if inputs.ndim != (2 if model.token_inputs else 3) or not np.issubdtype(inputs.dtype, kind):
        wanted = "(T, N) integer tokens" if model.token_inputs else f"(T, N, D = {model.inputs}) features"
        raise ShapeError(f"inputs must be {wanted}, got {inputs.dtype} {inputs.shape}")
    if mask is not None and mask.shape == inputs.shape[:2]:
        inputs = without_padding(inputs, mask)
    if model.token_inputs and inputs.size and not (inputs.min() >= 0 and inputs.max() < model.inputs):
        raise ShapeError(
            f"tokens must be in 0 .. V-1 = {model.inputs - 1}, got {inputs.min()} .. {inputs.max()}"
        )
    shapes = model.shapes
    for name, shape in shapes.items():
        if name not in params:
            raise ShapeError(f"params has no {name!r}; it holds {', '.join(params) or 'nothing'}")
        if params[name].shape != shape:
            raise ShapeError(f"{name} must be {shape}, got {params[name].shape}")
    if len(params) > len(shapes):
        raise ShapeError(f"the model has no parameter {', '.join(params.keys() - shapes.keys())}")
    return inputs


def _states_from(model: "Model", params: Params, features: Array) -> Params:
    if features.ndim != 2 or features.shape[1] != model.features:
        raise ShapeError(f"features must be (N, F = {model.features}), got {features.shape}")
    h = features @ params["initial.W"] + params["initial.b"]
    state = model.zero_state(len(features), h.dtype)
    parts = np.split(h, len(model.first_states), axis=1)
    return state | dict(zip(model.first_states, parts, strict=True))


def _iadd(y: Array, b: Array) -> Array:
    """Return y + b, in y where its dtype holds the sum."""
    if np.result_type(y, b) == y.dtype:
        y += b
        return y
    return np.asarray(y + b)
