"""A recurrent model: input, layers of cells, output matrix, loss; and the gradients of all of it.

::

    (1)  x_t = E[token_t]            or row token_t of W itself (one-hot input), or real features
    (2)  h_t = layers(x_t, states)   see bptt.stack and bptt.unroll
    (3)  y_t = h_t W_out + b_out     the logits, or the forecast
    (4)  L = loss(y, targets)        see bptt.losses

A model is a description and holds no arrays: parameters, gradients and states are flat dicts of arrays
that the caller owns.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, get_args

import numpy as np

from bptt import cells
from bptt.backends import Backend, Precision, matmul, scatter_add, uses_kernels
from bptt.cells import Cell
from bptt.errors import ConfigError, ShapeError
from bptt.init import BiasCount, Init, InitName
from bptt.losses import LOSSES, Loss, LossName, Reduction, counted_targets, weights
from bptt.stack import Stack, StackRun, apply_drop, dropout_mask
from bptt.threads import one_blas_thread
from bptt.types import Array, Dtype, Generator, Params
from bptt.unroll import without_padding


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


class LossesAndGrads(NamedTuple):
    """A training step's result, with the losses that the loss is made of.

    Attributes
    ----------
    loss, grads, state
        As in `LossAndGrads`.
    each : (T, N)
        Every step's loss, before weights; zero where it does not count.
    """

    loss: float
    each: Array
    grads: Params
    state: Params


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


@dataclass(frozen=True, kw_only=True)
class Model:
    """A recurrent model's description.

    Parameters
    ----------
    inputs : int
        V, the size of the vocabulary, or D where the inputs are real.
    outputs : int
        K, the number of outputs.
    hidden : int
        H.
    cell : str or Cell
        A name, ``"FILE.py:NAME"``, or a cell (see :func:`bptt.cells.get`).
    layers : int
        L.
    token_inputs : bool
        Whether inputs are (T, N) tokens, or (T, N, D) real features.
    embedding : int, optional
        E. Without it tokens choose rows of W directly, which is one-hot input.
    tied : bool
        Whether the output matrix is the transposed embedding (wants E = H).
    features : int, optional
        F, the size of a feature vector from which each sequence starts: h_0 = features @ W + b in every
        layer, as in captioning an image.
    bidirectional : bool
    bias, output_bias
        Biases of the layers ("none", "one", "two") and whether the output has one.
    dropout : float
        The part dropped from every layer's output on its way up, while training.
    input_dropout : float
        The part dropped from x_t.
    loss, reduction : str
        See :mod:`bptt.losses`.
    init, init_scale, forget_bias
        See :mod:`bptt.init`.
    backend : "auto", "reference" or "cpu"
        See :mod:`bptt.backends`.
    precision : "float32" or "bfloat16"
        Of the products; see there.

    Raises
    ------
    ConfigError
        If a size, a name or a combination means nothing.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> rng = np.random.default_rng(0)
    >>> model = bptt.Model(inputs=65, outputs=65, hidden=32, embedding=16)
    >>> params = model.init(rng)
    >>> tokens = rng.integers(65, size=(9, 4))  # T + 1 steps of N = 4 rows
    >>> loss, grads, state = model.loss_and_grads(params, tokens[:-1], tokens[1:])
    >>> round(loss, 1), grads["layers.0.U"].shape, sorted(state)
    (4.2, (32, 128), ['layers.0.c', 'layers.0.h'])
    """

    inputs: int
    outputs: int
    hidden: int
    cell: str | Cell = "lstm"
    layers: int = 1
    token_inputs: bool = True
    embedding: int | None = None
    tied: bool = False
    features: int | None = None
    bidirectional: bool = False
    bias: BiasCount = "one"
    output_bias: bool = True
    dropout: float = 0.0
    input_dropout: float = 0.0
    loss: LossName = "cross_entropy"
    reduction: Reduction = "mean_over_time_and_batch"
    init_name: InitName = "uniform"
    init_scale: float | None = None
    forget_bias: float = 0.0
    backend: Backend = "auto"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "hidden", "layers", "embedding", "features"):
            size = getattr(self, name)
            if size is not None and (not isinstance(size, int) or size < 1):
                raise ConfigError(f"{name} must be a whole number from 1, got {size!r}")
        if self.loss not in LOSSES:
            raise ConfigError(f"loss must be one of {', '.join(LOSSES)}; got {self.loss!r}")
        if self.embedding is not None and not self.token_inputs:
            raise ConfigError("an embedding is for tokens; these inputs are real features")
        if self.reduction not in get_args(Reduction):
            raise ConfigError(
                f"reduction must be one of {', '.join(get_args(Reduction))}; got {self.reduction!r}"
            )
        if not 0 <= self.input_dropout < 1:
            raise ConfigError(f"input_dropout must be at least 0 and below 1, got {self.input_dropout}")
        if self.input_dropout and self.token_inputs and self.embedding is None:
            raise ConfigError("input_dropout drops parts of an embedding or of features: one-hot has none")
        if self.tied and (self.embedding != self.stack.width or self.outputs != self.inputs):
            raise ConfigError(
                f"a tied output matrix is the embedding transposed: it wants E = {self.stack.width} and as "
                f"many outputs as inputs; got E = {self.embedding}, {self.inputs} in, {self.outputs} out"
            )
        _ = self.stack, self._init  # their own checks

    @cached_property
    def stack(self) -> Stack:
        """The layers alone."""
        return Stack(
            cells.get(self.cell),
            inputs=self.embedding or self.inputs,
            hidden=self.hidden,
            layers=self.layers,
            bidirectional=self.bidirectional,
            bias=self.bias,
            dropout=self.dropout,
            backend=self.backend,
            precision=self.precision,
        )

    @property
    def _init(self) -> Init:
        return Init(self.init_name, self.init_scale, self.forget_bias)

    def init(self, rng: Generator, dtype: Dtype = np.float32) -> Params:
        """Return parameters drawn from `rng`.

        Returns
        -------
        dict of arrays
            ``"embedding"`` (V, E); ``"layers.l.W"``, ``"layers.l.U"``, ``"layers.l.b"`` as
            :func:`bptt.unroll` has them; ``"output.W"`` (H, K), ``"output.b"`` (K,);
            ``"initial.W"`` (F, L·H), ``"initial.b"`` (L·H,), twice as wide with both directions. Those that
            the description asks for.
        """
        draw, stack = self._init, self.stack
        params: Params = {}
        if self.embedding is not None:
            params["embedding"] = draw.embedding(rng, self.inputs, self.embedding, dtype)
        params |= stack.init(rng, draw, dtype)
        if self.features is not None:
            size = len(self._first_states) * self.hidden
            params["initial.W"] = draw.output(rng, self.features, size, dtype)
            params["initial.b"] = np.zeros(size, dtype)
        if not self.tied:
            params["output.W"] = draw.output(rng, stack.width, self.outputs, dtype)
        if self.output_bias:
            params["output.b"] = np.zeros(self.outputs, dtype)
        return params

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter, by its name, in the order of `init`."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.embedding is not None:
            shapes["embedding"] = (self.inputs, self.embedding)
        shapes |= self.stack.shapes()
        if self.features is not None:
            size = len(self._first_states) * self.hidden
            shapes |= {"initial.W": (self.features, size), "initial.b": (size,)}
        if not self.tied:
            shapes["output.W"] = (self.stack.width, self.outputs)
        if self.output_bias:
            shapes["output.b"] = (self.outputs,)
        return shapes

    def zero_state(self, batch: int, dtype: Dtype = np.float32) -> Params:
        """Return the state before any input: (N, H) zeros by name."""
        return self.stack.zero_states(batch, dtype)

    def loss_and_grads(
        self,
        params: Params,
        inputs: Array,
        targets: Array,
        state: Params | None = None,
        *,
        mask: Array | None = None,
        target_mask: Array | None = None,
        reset: Array | None = None,
        features: Array | None = None,
        rng: Generator | None = None,
    ) -> LossAndGrads:
        """Return the loss of a chunk, its gradient at every parameter, and the state to carry on.

        Backpropagation through time goes back to the chunk's first step and stops there: this is
        truncated BPTT where the state comes from a chunk before.

        Parameters
        ----------
        params : dict of arrays
        inputs : (T, N) tokens or (T, N, D) features
        targets : (T, N) tokens for the cross-entropy, else (T, N, K)
        state : dict of (N, H), optional
            From the chunk before; zeros by default.
        mask : (T, N) bool, optional
            Which steps exist (as in :func:`bptt.unroll`).
        target_mask : (T, N) bool, optional
            Which steps count in the loss; by default those that exist.
        reset : (T, N) bool, optional
            Before which steps the state starts anew.
        features : (N, F), optional
            What each sequence starts from.
        rng : Generator, optional
            Draws the dropout; without it nothing is dropped.
        """
        counted = mask if target_mask is None else target_mask
        found = self.losses_and_grads(params, inputs, targets, state, mask, counted, reset, features, rng)
        return LossAndGrads(found.loss, found.grads, found.state)

    def losses_and_grads(
        self,
        params: Params,
        inputs: Array,
        targets: Array,
        state: Params | None = None,
        mask: Array | None = None,
        counted: Array | None = None,
        reset: Array | None = None,
        features: Array | None = None,
        rng: Generator | None = None,
    ) -> LossesAndGrads:
        """Return what `loss_and_grads` does, and each step's own loss.

        Parameters are those of `loss_and_grads`; `counted` (T, N) says which steps count in the loss.
        """
        with one_blas_thread():
            hidden = self._hidden(params, inputs, state, mask, reset, features, rng)
            if self.loss == "cross_entropy" and uses_kernels(self.backend, hidden.h.dtype):
                loss, each, back = self._output_in_blocks(hidden, targets, counted)
            else:
                run = self._outputs(hidden)
                found = self.loss_of(run.outputs, targets, mask=counted, overwrite=True)
                loss, each, back = found.value, found.each, hidden.output_backward(found.grad)
            grads = hidden.backward(back, None, overwrite=True).params
            return LossesAndGrads(loss, each, grads, hidden.run.states)

    def _output_in_blocks(
        self, hidden: "_Hidden", targets: Array, mask: Array | None
    ) -> tuple[float, Array, "_OutputGradients"]:
        """Return the cross-entropy and the output's gradients; all logits are never held at once."""
        from bptt.kernels.output import cross_entropy

        params, shape = hidden.params, hidden.run.y.shape[:2]
        targets = counted_targets(targets, shape, self.outputs, mask)
        w = weights(shape, self.reduction, mask)
        V, b = self.output_matrix(params), params.get("output.b")
        is_narrow = self.precision == "bfloat16"
        each, *grads = cross_entropy(hidden.h, V, b, targets.ravel(), w.ravel(), bfloat16=is_narrow)
        return float(w.ravel() @ each), each.reshape(shape), _OutputGradients(*grads)

    def loss_of(
        self, outputs: Array, targets: Array, *, mask: Array | None = None, overwrite: bool = False
    ) -> Loss:
        """Return the model's loss of `outputs`; `overwrite` allows the gradient to take their place."""
        out = {"out": outputs} if overwrite and self.loss == "cross_entropy" else {}
        return LOSSES[self.loss](outputs, targets, reduction=self.reduction, mask=mask, **out)

    def forward(
        self,
        params: Params,
        inputs: Array,
        state: Params | None = None,
        *,
        mask: Array | None = None,
        reset: Array | None = None,
        features: Array | None = None,
        rng: Generator | None = None,
    ) -> "ModelRun":
        """Run the model over a sequence and keep what its backward needs.

        Parameters are those of `loss_and_grads`.

        Returns
        -------
        ModelRun
            With ``outputs`` (T, N, K), ``state``, and ``backward``.
        """
        with one_blas_thread():
            return self._outputs(self._hidden(params, inputs, state, mask, reset, features, rng))

    def _hidden(
        self,
        params: Params,
        inputs: Array,
        state: Params | None,
        mask: Array | None,
        reset: Array | None,
        features: Array | None,
        rng: Generator | None,
    ) -> "_Hidden":
        """Run the model up to the outputs of its layers."""
        if features is not None and (state is not None or self.features is None):
            raise ConfigError("features give the first state: a model made for them, and no state")
        if self.features is not None and features is None and state is None:
            raise ConfigError("this model's sequences start from features, or from a state: give one of them")
        inputs = self._check(params, inputs, mask)
        if features is not None:
            state = self._states_from(params, features)
        x, layers = inputs, params
        drop_in = None
        if self.token_inputs and self.embedding is not None:
            drops = self.input_dropout > 0 and rng is not None
            if inputs.size > self.inputs and not drops:
                layers = params | self._folded(params)  # (1) with (2): rows of E W
            else:
                x = params["embedding"][inputs]  # (1)
        if x.ndim == 3:
            drop_in = dropout_mask(rng, x.shape, self.input_dropout, x.dtype)
            x = apply_drop(x, drop_in)
        run = self.stack.forward(layers, x, state, mask=mask, reset=reset, rng=rng)  # (2)
        drop_out = dropout_mask(rng, run.y.shape, self.dropout, run.y.dtype)
        h = apply_drop(run.y, drop_out).reshape(-1, run.y.shape[-1])
        return _Hidden(self, params, inputs, features, run, x, h, drop_in, drop_out)

    def _outputs(self, hidden: "_Hidden") -> "ModelRun":
        y = self._matmul(hidden.h, self.output_matrix(hidden.params))  # (3)
        if self.output_bias:
            y = _iadd(y, hidden.params["output.b"])
        return ModelRun(y.reshape(*hidden.run.y.shape[:2], self.outputs), hidden.run.states, hidden)

    def _check(self, params: Params, inputs: Array, mask: Array | None) -> Array:
        """Return the inputs without their padding, or raise a ShapeError that names what does not fit."""
        kind = np.integer if self.token_inputs else np.inexact
        if inputs.ndim != (2 if self.token_inputs else 3) or not np.issubdtype(inputs.dtype, kind):
            wanted = "(T, N) integer tokens" if self.token_inputs else f"(T, N, D = {self.inputs}) features"
            raise ShapeError(f"inputs must be {wanted}, got {inputs.dtype} {inputs.shape}")
        if mask is not None and mask.shape == inputs.shape[:2]:
            inputs = without_padding(inputs, mask)
        if self.token_inputs and inputs.size and not (inputs.min() >= 0 and inputs.max() < self.inputs):
            raise ShapeError(
                f"tokens must be in 0 .. V-1 = {self.inputs - 1}, got {inputs.min()} .. {inputs.max()}"
            )
        shapes = self.shapes
        for name, shape in shapes.items():
            if name not in params:
                raise ShapeError(f"params has no {name!r}; it holds {', '.join(params) or 'nothing'}")
            if params[name].shape != shape:
                raise ShapeError(f"{name} must be {shape}, got {params[name].shape}")
        if len(params) > len(shapes):
            raise ShapeError(f"the model has no parameter {', '.join(params.keys() - shapes.keys())}")
        return inputs

    def _matmul(self, a: Array, b: Array) -> Array:
        return matmul(a, b, self.backend, self.precision)

    def output_matrix(self, params: Params) -> Array:
        """Return the matrix from h to the outputs, (H, K)."""
        return params["embedding"].T if self.tied else params["output.W"]

    @property
    def _first_W(self) -> list[str]:  # noqa: N802
        return [f"layers.0.{direction}W" for direction in self.stack.directions]

    def _folded(self, params: Params) -> Params:
        """Return the first layer's W as E W, a row for each token of the vocabulary.

        With fewer tokens in the vocabulary than steps in the batch, V products with W serve for T·N.
        """
        return {name: self._matmul(params["embedding"], params[name]) for name in self._first_W}

    @property
    def _first_states(self) -> list[str]:
        return [name for name in self.stack.state_names if name.endswith(f".{self.stack.cell.states[0]}")]

    def _states_from(self, params: Params, features: Array) -> Params:
        if features.ndim != 2 or features.shape[1] != self.features:
            raise ShapeError(f"features must be (N, F = {self.features}), got {features.shape}")
        h = features @ params["initial.W"] + params["initial.b"]
        state = self.zero_state(len(features), h.dtype)
        parts = np.split(h, len(self._first_states), axis=1)
        return state | dict(zip(self._first_states, parts, strict=True))


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
    _hidden: "_Hidden"

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


class _OutputGradients(NamedTuple):
    """At h (T·N, H), at the output matrix (H, K), and at its bias (K,)."""

    dh: Array
    dV: Array
    db: Array


@dataclass(frozen=True, eq=False, repr=False)
class _Hidden:
    """A model run up to its layers' outputs h (T·N, H), after dropout."""

    model: Model
    params: Params
    inputs: Array
    features: Array | None
    run: StackRun
    x: Array
    h: Array
    drop_in: Array | None
    drop_out: Array | None

    def output_backward(self, doutputs: Array) -> _OutputGradients:
        """Backpropagate through the output matrix: (3)."""
        matmul, dy = self.model._matmul, doutputs.reshape(-1, doutputs.shape[-1])
        V = self.model.output_matrix(self.params)
        return _OutputGradients(matmul(dy, V.T), matmul(self.h.T, dy), dy.sum(axis=0))

    def backward(
        self, back: _OutputGradients, dstate: Params | None, *, overwrite: bool = False
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
            dh0 = np.concatenate([dinitial[name] for name in model._first_states], axis=1)
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
        E, matmul = self.params["embedding"], self.model._matmul
        dE: Array = np.zeros_like(E)
        for name in self.model._first_W:
            dEW = grads[name]
            grads[name] = matmul(E.T, dEW)
            dE = dE + matmul(dEW, self.params[name].T)
        return dE


def _iadd(y: Array, b: Array) -> Array:
    """Return y + b, in y where its dtype holds the sum."""
    if np.result_type(y, b) == y.dtype:
        y += b
        return y
    return np.asarray(y + b)
