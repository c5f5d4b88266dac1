"""A recurrent model: input, layers of cells, output matrix, loss; and the gradients of all of it.

::

    (1)  x_t = E[token_t]            or row token_t of W itself (one-hot input), or real features
    (2)  h_t = layers(x_t, states)   see bptt.nets.stack and bptt.unroll
    (3)  y_t = h_t W_out + b_out     the logits, or the forecast
    (4)  L = loss(y, targets)        see bptt.losses

A model is a description and holds no arrays: parameters, gradients and states are flat dicts of arrays
that the caller owns. Running it, forward and backward, is :mod:`bptt.nets.model_run`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, get_args

import numpy as np

from bptt.cells import Cell
from bptt.errors import ConfigError
from bptt.kernels.backends import Backend, Precision, matmul, uses_kernels
from bptt.layer.threads import one_blas_thread
from bptt.nets.init import BiasCount, Init, InitName
from bptt.nets.losses import LOSSES, Loss
from bptt.nets.model_run import Hidden, ModelRun
from bptt.nets.stack import Stack
from bptt.types import Array, Dtype, Generator, LossName, Params, Reduction
from bptt.zoo import get


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
        A name, ``"FILE.py:NAME"``, or a cell (see :func:`bptt.zoo.get`).
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
        See :mod:`bptt.nets.losses`.
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
            get(self.cell),
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
            size = len(self.first_states) * self.hidden
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
            size = len(self.first_states) * self.hidden
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
            hidden = Hidden.of(self, params, inputs, state, mask, reset, features, rng)
            if self._loss_is_compiled(hidden):
                loss, each, back = hidden.cross_entropy(targets, counted)
            else:
                found = self.loss_of(hidden.outputs().outputs, targets, mask=counted, overwrite=True)
                loss, each, back = found.value, found.each, hidden.output_backward(found.grad)
            grads = hidden.backward(back, None, overwrite=True).params
            return LossesAndGrads(loss, each, grads, hidden.run.states)

    def losses(
        self, params: Params, inputs: Array, targets: Array, state: Params | None = None
    ) -> tuple[Array, Params]:
        """Return every step's own loss, (T, N), and the state to carry on: what an evaluation needs.

        Parameters are those of `loss_and_grads`.
        """
        with one_blas_thread():
            hidden = Hidden.of(self, params, inputs, state, None, None, None, None)
            if self._loss_is_compiled(hidden):
                each = hidden.losses(targets)
            else:
                each = self.loss_of(hidden.outputs().outputs, targets, overwrite=True).each
            return each, hidden.run.states

    def _loss_is_compiled(self, hidden: Hidden) -> bool:
        return self.loss == "cross_entropy" and uses_kernels(self.backend, hidden.h.dtype)

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
    ) -> ModelRun:
        """Run the model over a sequence and keep what its backward needs.

        Parameters are those of `loss_and_grads`.

        Returns
        -------
        ModelRun
            With ``outputs`` (T, N, K), ``state``, and ``backward``.
        """
        with one_blas_thread():
            return Hidden.of(self, params, inputs, state, mask, reset, features, rng).outputs()

    def matmul(self, a: Array, b: Array) -> Array:
        """Return the product of `a` (M, K) and `b` (K, N) by the model's backend, in its precision."""
        return matmul(a, b, self.backend, self.precision)

    def output_matrix(self, params: Params) -> Array:
        """Return the matrix from h to the outputs, (H, K)."""
        return params["embedding"].T if self.tied else params["output.W"]

    @property
    def first_W(self) -> list[str]:  # noqa: N802
        """The names of the first layer's W, one for each direction."""
        return [f"layers.0.{direction}W" for direction in self.stack.directions]

    def folded(self, params: Params) -> Params:
        """Return the first layer's W as E W, a row for each token of the vocabulary.

        With fewer tokens in the vocabulary than steps in the batch, V products with W serve for T·N.
        """
        return {name: self.matmul(params["embedding"], params[name]) for name in self.first_W}

    @property
    def first_states(self) -> list[str]:
        """The names of the outputs' own states, one for each layer and direction."""
        return [name for name in self.stack.state_names if name.endswith(f".{self.stack.cell.states[0]}")]
