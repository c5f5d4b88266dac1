"""A recurrent model: what it starts from, input, layers of cells, output with its loss; and all gradients.

::

    (0)  h_0                         where they start, carried, from features    bptt.nets.start
    (1)  x_t = E[token_t]            or rows of W, or real features              bptt.nets.input
    (2)  h_t = layers(x_t, states)                                               bptt.nets.stack
         h = pool(h_1 ... h_T)       where one thing is told of each sequence    bptt.nets.pool
    (3)  y_t = h_t V + b             the logits, or the forecast                 bptt.nets.output
    (4)  L = loss(y, targets)                                                    bptt.nets.losses

Each part has the same four functions, ``shapes``, ``init``, ``forward``, and ``backward`` of what the forward
returned; a model chains them. It is a description and holds no arrays: parameters, gradients and states are
flat dicts of arrays that the caller owns.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Unpack

import numpy as np

from bptt.cells import Cell
from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import Backend, Precision
from bptt.layer.shapes import without_padding
from bptt.layer.threads import one_blas_thread
from bptt.nets import activation, dropout, mapped
from bptt.nets.dropout import Per
from bptt.nets.init import Init, InitName
from bptt.nets.input import Input
from bptt.nets.losses import Loss
from bptt.nets.noise import Noise
from bptt.nets.output import Counted, Output
from bptt.nets.planned import Bound, Done, Planned
from bptt.nets.pool import Pool, PoolName
from bptt.nets.run import Backprop, LossAndGrads, ModelRun, compute, run_layers, with_cost
from bptt.nets.stack import Stack, expect_sizes
from bptt.nets.start import Start
from bptt.nets.weightdrop import WeightDrop
from bptt.shown import Shown
from bptt.types import (
    Array,
    Batch,
    BiasCount,
    Dtype,
    Flags,
    Generator,
    Gradients,
    Params,
    Reduction,
    Shapes,
    expect_array,
    expect_generator,
)
from bptt.zoo import get


@dataclass(frozen=True, kw_only=True, repr=False)
class Model(Shown, html="bptt.nets.shown:html", text="bptt.nets.shown:text"):
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
        A name, ``"FILE.py:NAME"``, or a cell (see :func:`bptt.zoo.get`).
    layers : int
        L.
    token_inputs : bool
        Whether inputs are (T, N) tokens, or (T, N, D) real features.
    embedding : int, optional
        E. Without it tokens choose rows of W directly, which is one-hot input.
    tied : bool
        Whether the output matrix is the transposed embedding (wants E = H, or a projection to E).
    projection : int, optional
        R. With it h is projected to R numbers before the output matrix.
    features : int, optional
        F, the size of a feature vector from which each sequence starts: h_0 = features @ W + b in every
        layer, as in captioning an image.
    learn_start : bool
        Whether the states that sequences start from are parameters, of each layer and direction; they begin
        at zero, or where the cell starts.
    bidirectional : bool
    pool : "last" or "mean", optional
        One output for each sequence, (1, N, K), with targets (1, N) or (1, N, K): from the output state after
        it, of each direction, or from the mean of h_t over its steps.
    bias, output_bias
        Biases of the layers ("none", "one", "two") and whether the output has one.
    dropout : float
        The part dropped from every layer's output on its way up, while training.
    input_dropout : float
        The part dropped from x_t.
    dropout_per : "step" or "sequence"
        Whether each step has a draw of its own of these two, or all steps of a row the same.
    embedding_dropout, weight_dropout : float
        The part of the words that is dropped, and of U's entries; see :mod:`bptt.nets.weightdrop`.
    recurrent_dropout : float
        The part dropped of what U reads of the output, the same at all steps of a row.
    zoneout, zoneout_cell : float
        The part of the output that keeps its value from before a step, and of all other states; see
        :mod:`bptt.nets.noise`.
    loss, reduction : str
        See :mod:`bptt.nets.losses`.
    quantiles : tuple of float, optional
        The levels of the loss "quantile", one for each output; by default in even steps.
    class_weights : tuple of K floats, optional
        What each class's cross-entropy is multiplied by.
    label_smoothing : float
        The part of each target that is spread over all outputs, for the cross-entropy.
    activation_penalty, temporal_penalty : float
        α and β of :mod:`bptt.nets.activation`; their cost is added to the loss that is differentiated.
    init_name, init_scale, forget_bias
        See :mod:`bptt.nets.init`.
    backend : "auto", "reference" or "cpu"
        The NumPy loop (reference), or machine code compiled for this processor (cpu; an error where there
        can be none). auto: the latter where all arrays are float32 and there is a kernel.
    precision : "float32" or "bfloat16"
        Of the products. float32: as the arrays are. bfloat16: operands rounded, sums in float32; for float32
        arrays on a processor with AVX512-BF16.

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
    projection: int | None = None
    features: int | None = None
    learn_start: bool = False
    bidirectional: bool = False
    pool: PoolName | None = None
    bias: BiasCount = "one"
    output_bias: bool = True
    dropout: float = 0.0
    input_dropout: float = 0.0
    dropout_per: Per = "step"
    embedding_dropout: float = 0.0
    weight_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout: float = 0.0
    zoneout_cell: float = 0.0
    loss: str = "cross_entropy"
    reduction: Reduction = "mean_over_time_and_batch"
    quantiles: tuple[float, ...] | None = None
    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    activation_penalty: float = 0.0
    temporal_penalty: float = 0.0
    init_name: InitName = "uniform"
    init_scale: float | None = None
    forget_bias: float = 0.0
    backend: Backend = "auto"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        expect_sizes(self, "inputs", "outputs", "hidden", "layers", "embedding", "projection", "features")
        _ = self.stack, self.input, self.weights, self.pooling, self.output, self._init  # their own checks
        wanted = self.projection or self.stack.width
        if self.tied and (self.embedding != wanted or self.outputs != self.inputs):
            way = f", or projection = {self.embedding}," if self.embedding else ""
            raise ConfigError(
                f"a tied output matrix is the embedding transposed: it wants E = {wanted}{way} and as many "
                f"outputs as inputs; got E = {self.embedding}, {self.inputs} in, {self.outputs} out"
            )

        for name in ("activation_penalty", "temporal_penalty"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be a finite number from 0, got {getattr(self, name)}")
        if self.temporal_penalty and self.pool is not None:
            raise ConfigError("temporal_penalty is of steps, and a pool leaves one of each sequence")

    @cached_property
    def stack(self) -> Stack:
        """The layers alone."""
        noise = Noise(get(self.cell), self.recurrent_dropout, self.zoneout, self.zoneout_cell)
        return Stack(
            noise.expected,
            inputs=self.embedding or self.inputs,
            hidden=self.hidden,
            layers=self.layers,
            bidirectional=self.bidirectional,
            bias=self.bias,
            dropout=self.dropout,
            dropout_per=self.dropout_per,
            noise=noise,
            learn_start=self.learn_start,
            backend=self.backend,
            precision=self.precision,
        )

    @cached_property
    def input(self) -> Input:
        """The part below the layers."""
        return Input(self.inputs, self.token_inputs, self.embedding, self.input_dropout, self.stack)

    @cached_property
    def weights(self) -> WeightDrop:
        """What a training step goes without."""
        return WeightDrop(self.embedding_dropout, self.weight_dropout, self.input)

    @cached_property
    def draws(self) -> bool:
        """Whether a training step draws anything."""
        parts = (self.dropout, self.input_dropout, self.embedding_dropout, self.weight_dropout)
        return any((*parts, self.recurrent_dropout, self.zoneout, self.zoneout_cell))

    @cached_property
    def penalised(self) -> bool:
        """Whether what the layers put out costs something by itself."""
        return self.activation_penalty + self.temporal_penalty > 0

    @cached_property
    def plain(self) -> "Model":
        """The model whose matrices are as the layers use them; itself where its cell has no maps."""
        cell = get(self.cell)
        return replace(self, cell=cell.plain) if cell.maps else self

    def unmapped(self, params: Params) -> tuple["Model", Params]:
        """Return the plain model, and the parameters with the matrices that the cell's maps make."""
        if self.plain is self:
            return self, params
        expect_params(params, self.shapes)
        return self.plain, self.stack.made(params)

    def unprojected(self, params: Params) -> tuple["Model", Params]:
        """Return the model whose output is one matrix, P V, with its parameters; itself if it has no P."""
        if self.projection is None:
            return self, params
        whole = {"output.W": params["output.P"] @ self.output.matrix(params)}
        model = replace(self, projection=None, tied=False)
        return model, {name: (params | whole)[name] for name in model.shapes}

    @cached_property
    def start(self) -> Start:
        """The part before the first step."""
        return Start(self.features, self.stack)

    @cached_property
    def pooling(self) -> Pool:
        """The part between the layers and the output."""
        return Pool(self.pool, self.stack)

    @cached_property
    def output(self) -> Output:
        """The part above the layers."""
        return Output(
            self.stack.width,
            self.outputs,
            projection=self.projection,
            bias=self.output_bias,
            tied=self.tied,
            dropout=self.dropout,
            dropout_per=self.dropout_per,
            loss=self.loss,
            reduction=self.reduction,
            quantiles=self.quantiles,
            class_weights=self.class_weights,
            label_smoothing=self.label_smoothing,
            backend=self.backend,
            precision=self.precision,
        )

    @property
    def _parts(self) -> tuple[Input, Stack, Start, Output]:
        """The parts, in the order of their parameters."""
        return self.input, self.stack, self.start, self.output

    @property
    def _init(self) -> Init:
        return Init(self.init_name, self.init_scale, self.forget_bias)

    def init(self, rng: Generator, dtype: Dtype = np.float32) -> Params:
        """Return parameters drawn from `rng`.

        Returns
        -------
        dict of arrays
            ``"embedding"`` (V, E); ``"layers.l.W"``, ``"layers.l.U"``, ``"layers.l.b"`` as
            :func:`bptt.unroll` has them, ``"layers.l.start.h"``, ...; ``"output.P"`` (H, R), ``"output.W"``
            (H, K) or (R, K), ``"output.b"``; ``"initial.W"`` (F, L·H), ``"initial.b"`` (L·H,), twice as wide
            with both directions. Those that
            the description asks for.
        """
        expect_generator(rng)
        if not np.issubdtype(dtype, np.floating):
            raise ConfigError(f"parameters are drawn as float32 or float64, not as {np.dtype(dtype)}")
        params: Params = {}
        for part in self._parts:
            params |= part.init(rng, self._init, dtype)
        return params

    @cached_property
    def shapes(self) -> Shapes:
        """The shape of every parameter, by its name, in the order of `init`."""
        shapes: Shapes = {}
        for part in self._parts:
            shapes |= part.shapes()
        return shapes

    def zero_state(self, batch: int, dtype: Dtype = np.float32, params: Params | None = None) -> Params:
        """Return the state before any input, (N, H) by name: zeros, or with `params` what is learnt."""
        return self.stack.zero_states(batch, dtype, params)

    def loss_and_grads(
        self,
        params: Params,
        inputs: Array | Batch,
        targets: Array | None = None,
        state: Params | None = None,
        *,
        rng: Generator | None = None,
        **flags: Unpack[Flags],
    ) -> LossAndGrads:
        """Return the loss of a chunk, its gradient at every parameter, and the state to carry on.

        Backpropagation through time goes back to the chunk's first step and stops there: this is
        truncated BPTT where the state comes from a chunk before.

        Parameters
        ----------
        params : dict of arrays
        inputs : (T, N) tokens, (T, N, D) features, or Batch
        targets : (T, N) tokens for the cross-entropy, else (T, N, K)
            Not with a `Batch`, which has its own, and its own flags.
        state : dict of (N, H), optional
            From the chunk before; by default where sequences start, zeros unless that is learnt.
        rng : Generator, optional
            Draws the dropout; without it nothing is dropped.
        **flags
            ``mask``, ``target_mask``, ``reset`` (T, N) bool, ``features`` (N, F), ``given`` arrays by name:
            see :class:`bptt.Batch`.
        """
        found = self.backprop(params, Batch.of(inputs, targets, **flags), state, rng=rng)
        return LossAndGrads(found.loss, found.grads.params, found.state)

    def backprop(
        self,
        params: Params,
        batch: Batch,
        state: Params | None = None,
        *,
        rng: Generator | None = None,
        done: Done | None = None,
    ) -> Backprop:
        """Return the loss of a batch, each step's own, all gradients, and the state to carry on.

        Parameters are those of `loss_and_grads`, and:

        Parameters
        ----------
        done : callable, optional
            Called with dicts of gradients at parameters that are there while others are computed: the
            output's first, then each layer's, from above. Those of a tied matrix, of the first layer with
            what is below it, and of a cell with maps, are there at the end.
        """
        if self.plain is not self:
            plain, made = self.unmapped(params)
            ran = plain.backprop(made, batch, state, rng=rng)
            return ran._replace(grads=mapped.gradients(self.stack, params, ran.grads))
        noting = dropout.Noting(rng) if rng is not None and self.draws else None
        given, counted = self._given(params, batch, state)
        found = self._planned.run("backprop", params | given, noting)
        if found is not None:
            return self._backprop_of(found, params, counted or self._alike(batch))
        batch = self._checked(params, batch, state)
        above = self.of_outputs(batch)
        with one_blas_thread():
            if not self._is_compiled(params, batch, state):
                run = run_layers(self, params, batch, state, noting)
                outputs = self.output.forward(params, run.h, noting)
                loss = self.output.loss_of(outputs.outputs, above.targets, mask=above.counted, overwrite=True)
                cost, back = with_cost(self, run.h, above, outputs.backward(loss.grad))
                grads = run.gradients(back, None, overwrite=True, done=done)
                return Backprop(loss.value + cost, loss.each, grads, run.layers.states)
            counted = counted or self.output.counted(above, self._steps(batch))
            found = compute(self, params | given, "backprop", noting, done)
        self._planned.met("backprop", params | given, [] if noting is None else noting.requests)
        return self._backprop_of(found, params, counted)

    def bound(
        self, params: Params, batch: Batch, state: Params | None = None, *, rng: Generator | None = None
    ) -> Bound | None:
        """Return `backprop` over parameters that stay where they are, for batches of a form.

        None where there is no program for such batches, or not yet: they are made at the second.
        """
        if self.plain is not self:
            plain, made = self.unmapped(params)
            inner = plain.bound(made, batch, state, rng=rng)
            return None if inner is None else mapped.MappedBound(self.stack, params, made, inner)
        given, counted = partial(self._given, params), self._alike(batch)
        return self._planned.bind(given, params, batch, state, counted, rng if self.draws else None)

    def _alike(self, batch: Batch) -> Counted:
        """Return what targets count that all count alike."""
        return Counted(self.output.alike(self._steps(batch)), None, batch.targets)

    def _backprop_of(self, found: Mapping[str, Array], params: Params, counted: Counted) -> Backprop:
        """Return what was found, as `compute` names it."""
        each, states, w, c = found["each"], self.stack.state_names, counted.w, counted.c
        loss = float(w.ravel() @ each.ravel())
        if "cost" in found:
            loss += float(found["cost"].sum(dtype=np.float64))
        if "spread" in found:
            loss += self.label_smoothing * float(w.ravel() @ found["spread"].ravel())
        if c is not None:
            each = (each * c).astype(each.dtype)
        own = {name: found["d." + name] for name in params}
        first = {name: found["d.first." + name] for name in states}
        given = {name[8:]: array for name, array in found.items() if name.startswith("d.given.")}
        grads = Gradients(own, found.get("d.inputs"), first, found.get("d.features"), given or None)
        return Backprop(loss, each, grads, {name: found["last." + name] for name in states})

    def losses(
        self,
        params: Params,
        inputs: Array | Batch,
        targets: Array | None = None,
        state: Params | None = None,
        **flags: Unpack[Flags],
    ) -> tuple[Array, Params]:
        """Return every step's own loss, (T, N), and the state to carry on: what an evaluation needs.

        Parameters are those of `loss_and_grads`, without dropout; a loss that does not count is zero.
        """
        batch = Batch.of(inputs, targets, **flags)
        if self.plain is not self:
            plain, params = self.unmapped(params)
            return plain.losses(params, batch, state=state)
        given, counted = self._given(params, batch, state)
        found = self._planned.run("losses", params | given)
        above = self.of_outputs(batch)
        if found is None:
            batch = self._checked(params, batch, state)
            if not self._is_compiled(params, batch, state):
                run = self.forward(params, batch, state)
                loss = self.output.loss_of(run.outputs, above.targets, mask=above.counted, overwrite=True)
                return loss.each, run.state
            counted = counted or self.output.counted(above, self._steps(batch))
            with one_blas_thread():
                found = compute(self, params | given, "losses")
            self._planned.met("losses", params | given)
        each = found["each"]
        if counted is not None and counted.c is not None:
            each = (each * counted.c).astype(each.dtype)
        if above.counted is not None:
            each = np.where(above.counted, each, each.dtype.type(0))
        return each, {name: found["last." + name] for name in self.stack.state_names}

    def loss_of(self, outputs: Array, targets: Array, *, mask: Array | None = None) -> Loss:
        """Return the model's loss of `outputs`, over the steps of `mask`."""
        return self.output.loss_of(outputs, targets, mask=mask)

    def forward(
        self,
        params: Params,
        inputs: Array | Batch,
        state: Params | None = None,
        *,
        rng: Generator | None = None,
        **flags: Unpack[Flags],
    ) -> ModelRun:
        """Run the model over a sequence and keep what its backward needs.

        Parameters are those of `loss_and_grads`.

        Returns
        -------
        ModelRun
            With ``outputs`` (T, N, K), or (1, N, K) with a pool, ``state``, and ``backward``.
        """
        if self.plain is not self:
            plain, made = self.unmapped(params)
            inner = plain.forward(made, Batch.of(inputs, **flags), state, rng=rng)
            return ModelRun(inner._run, inner._above, (self.stack, params))
        batch = self._checked(params, Batch.of(inputs, **flags), state)
        with one_blas_thread():
            run = run_layers(self, params, batch, state, rng)
            return ModelRun(run, self.output.forward(params, run.h, rng))

    def _checked(self, params: Params, batch: Batch, state: Params | None) -> Batch:
        """Return a batch without its padding, or raise an error that names what does not fit."""
        self.start.expect(batch.features, state)
        expect_params(params, self.shapes)
        self.stack.expect_states("states", state)
        return self.input.checked(batch)

    def _is_compiled(self, params: Params, batch: Batch, state: Params | None) -> bool:
        """Return whether all of it, the loss too, is compiled code."""
        arrays = [*params.values(), *(state or {}).values()]
        arrays += [] if self.token_inputs else [batch.inputs]
        return self.output.is_compiled(np.result_type(*arrays))

    def _steps(self, batch: Batch) -> tuple[int, int]:
        """Return how many steps the outputs have, and of how many rows."""
        T, N = batch.inputs.shape[:2]
        return (T, N) if self.pool is None else (1, N)

    def _given(self, params: Params, batch: Batch, state: Params | None) -> tuple[Params, Counted | None]:
        """Return all that a step depends on beside the parameters, by name.

        And what targets count, where they do not all count alike.
        """
        if not isinstance(params, dict) or not isinstance(params.get("layers.0.U"), np.ndarray):
            expect_params(params, self.shapes)
        if state is not None and not isinstance(state, Mapping):
            raise ShapeError(f"state must be arrays by their names, a dict; got a {type(state).__name__}")
        counted, dtype = None, params["layers.0.U"].dtype  # in which the layers read what is beside
        is_weighed = batch.mask is not None or batch.target_mask is not None
        is_weighed |= self.class_weights is not None and self.loss == "cross_entropy"
        if is_weighed or self.penalised:
            batch = self.input.checked(batch)
        if is_weighed:
            counted = self.output.counted(self.of_outputs(batch), self._steps(batch))
        inputs, targets = batch.inputs, batch.targets if counted is None else counted.targets
        arrays = {
            "inputs": np.ascontiguousarray(inputs, np.int64) if inputs.dtype.kind in "iu" else inputs,
            "targets": np.ascontiguousarray(targets, np.int64) if targets.dtype.kind in "iu" else targets,
        }
        if counted is not None:
            arrays["w"] = counted.w.astype(dtype)
        if self.loss != "cross_entropy":
            arrays["targets"] = self.output.numbers(targets, dtype)
        if self.pool == "mean":
            arrays["shares"] = self.pooling.shares(batch.mask, inputs.shape, dtype)
        if batch.mask is not None:
            arrays["mask"] = batch.mask
        if batch.reset is not None:
            arrays["reset"] = batch.reset
        if batch.features is not None:
            arrays["features"] = self.start.read(batch.features, dtype)
        if self.penalised:
            above, both = self.of_outputs(batch), (self.activation_penalty, self.temporal_penalty)
            shape, flags = (*self._steps(batch), self.stack.width), (above.mask, above.reset)
            arrays["penalties"] = activation.numbers(shape, *both, *flags, batch.penalised)
            if (pairs := activation.pairs_of(*flags)) is not None:
                arrays["pairs"] = pairs.astype(dtype)
        for name, array in (batch.given or {}).items():
            arrays[f"given.{name}"] = without_padding(np.ascontiguousarray(array, dtype), batch.mask)
        for name, array in (state or {}).items():
            arrays[f"first.{name}"] = array
        return arrays, counted

    @cached_property
    def _planned(self) -> Planned:
        outputs = self.outputs if self.loss == "cross_entropy" else None
        return Planned(partial(compute, self), self.inputs if self.token_inputs else None, outputs)

    def of_outputs(self, batch: Batch) -> Batch:
        """Return a batch whose flags are those of the outputs: with a pool those of steps are none."""
        return batch if self.pool is None else replace(batch, mask=None, reset=None)


def expect_params(params: Params, shapes: Shapes) -> None:
    """Raise a ShapeError unless there is an array of its shape for each name, and no other."""
    if not isinstance(params, Mapping):
        raise ShapeError(f"params must be arrays by their names, a dict; got a {type(params).__name__}")
    for name, shape in shapes.items():
        if name not in params:
            raise ShapeError(f"params has no {name!r}; it holds {', '.join(params) or 'nothing'}")
        expect_array(name, params[name])
        if params[name].shape != shape:
            raise ShapeError(f"{name} must be {shape}, got {params[name].shape}")
        if not np.issubdtype(params[name].dtype, np.inexact):
            raise ShapeError(
                f"{name} must be numbers with a point, float32 or float64; got {params[name].dtype}"
            )
    if len(params) > len(shapes):
        raise ShapeError(f"the model has no parameter {', '.join(params.keys() - shapes.keys())}")
