"""What the layers read: rows of an embedding or of W itself, or real features.

::

    (1)  x_t = E[token_t]            or row token_t of W itself (one-hot input), or real features

With fewer tokens in the vocabulary than steps in the batch, the first layer's W is folded into E: rows of E W
are chosen in place of rows of E, so that V products with W serve for T·N.
"""

from dataclasses import dataclass, replace

import numpy as np

from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import add, gather, matmul, scatter_add
from bptt.layer.shapes import without_padding
from bptt.nets import dropout
from bptt.nets.init import Init
from bptt.nets.stack import Stack
from bptt.types import Array, Batch, Dtype, Generator, Gradients, Params, Shapes


@dataclass(frozen=True)
class Input:
    """The part below the layers.

    Parameters
    ----------
    size : int
        V where the inputs are tokens, else D.
    tokens : bool
    embedding : int, optional
        E. Without it tokens choose rows of W.
    dropout : float
        The part dropped from x_t.
    stack : Stack
        The layers above.
    """

    size: int
    tokens: bool
    embedding: int | None
    dropout: float
    stack: Stack

    def __post_init__(self) -> None:
        dropout.expect_part("input_dropout", self.dropout)
        if self.embedding is not None and not self.tokens:
            raise ConfigError("an embedding is for tokens; these inputs are real features")
        if self.dropout and self.tokens and self.embedding is None:
            raise ConfigError("input_dropout drops parts of an embedding or of features: one-hot has none")

    @property
    def folds(self) -> tuple[str, ...]:
        """The names of the first layer's W, one for each direction."""
        return tuple(f"layers.0.{direction}W" for direction in self.stack.directions)

    @property
    def may_fold(self) -> bool:
        """Whether rows of E W will do in place of rows of E: the cell does not read x itself."""
        return "x" not in self.stack.cell.given

    def shapes(self) -> Shapes:
        """Return the shape of every parameter of this part, by its name."""
        return {} if self.embedding is None else {"embedding": (self.size, self.embedding)}

    def init(self, rng: Generator, draw: Init, dtype: Dtype) -> Params:
        """Return the embedding, drawn from `rng`."""
        if self.embedding is None:
            return {}
        return {"embedding": draw.embedding(rng, self.size, self.embedding, dtype)}

    def folded(self, params: Params) -> Params:
        """Return the first layer's W as E W, a row for each token of the vocabulary."""
        return {name: self._matmul(params["embedding"], params[name]) for name in self.folds}

    def forward(self, params: Params, batch: Batch, rng: Generator | None = None) -> "InputRun":
        """Return what the layers take of a batch that is `checked`."""
        x, tokens, below, drop = batch.inputs, batch.inputs, params, None
        if self.embedding is not None:
            if self.may_fold and tokens.size > self.size and not (self.dropout and rng is not None):
                below = params | self.folded(params)
            else:
                x = gather(params["embedding"], tokens, self.stack.backend)  # (1)
        if x.ndim == 3:
            drop = dropout.factors(rng, x.shape, self.dropout, x.dtype, self.stack.dropout_per)
            x = dropout.apply(x, drop, self.stack.backend)
        return InputRun(replace(batch, inputs=x), below, self, params, tokens, drop)

    def checked(self, batch: Batch) -> Batch:
        """Return a batch without padding in its inputs, or raise a ShapeError that names what is wrong."""
        inputs, mask = batch.inputs, batch.mask
        kind = np.integer if self.tokens else np.inexact
        if inputs.ndim != (2 if self.tokens else 3) or not np.issubdtype(inputs.dtype, kind):
            wanted = "(T, N) integer tokens" if self.tokens else f"(T, N, D = {self.size}) features"
            raise ShapeError(f"inputs must be {wanted}, got {inputs.dtype} {inputs.shape}")
        if mask is not None:
            if mask.shape != inputs.shape[:2]:
                raise ShapeError(f"mask must be (T, N) = {inputs.shape[:2]}, got {mask.shape}")
            inputs = without_padding(inputs, mask)
        if self.tokens and inputs.size and not (inputs.min() >= 0 and inputs.max() < self.size):
            raise ShapeError(
                f"tokens must be in 0 .. V-1 = {self.size - 1}, got {inputs.min()} .. {inputs.max()}"
            )
        inputs = np.ascontiguousarray(inputs, np.int64) if self.tokens else inputs
        return batch if inputs is batch.inputs else replace(batch, inputs=inputs)

    def _matmul(self, a: Array, b: Array) -> Array:
        return matmul(a, b, self.stack.backend, self.stack.precision)


@dataclass(frozen=True, eq=False, repr=False)
class InputRun:
    """What the layers take.

    Attributes
    ----------
    batch : Batch
        Whose inputs are the layers' x.
    params : dict of arrays
        Those of the model, with the embedding folded into the first layer's W where that is less work.
    """

    batch: Batch
    params: Params
    _input: Input
    _given: Params
    _tokens: Array
    _drop: Array | None

    def backward(self, layers: Gradients[Params]) -> Gradients[Params]:
        """Return the gradients of this part and of the layers, from those of the layers."""
        part, grads, dx = self._input, dict(layers.params), layers.inputs
        if dx is not None:
            dx = dropout.apply(dx, self._drop, part.stack.backend)
        if part.embedding is not None:
            if dx is None:
                grads |= self._unfolded(grads)
            else:
                rows = dx.reshape(-1, dx.shape[-1])
                grads["embedding"] = scatter_add(self._tokens, rows, part.size, part.stack.backend)  # (1)
            dx = None
        return layers._replace(params=grads, inputs=dx)

    def _unfolded(self, grads: Params) -> Params:
        """Return the gradients at W and at E, from those at E W."""
        part, E = self._input, self._given["embedding"]
        found: Params = {}
        for name in part.folds:
            found[name] = part._matmul(E.T, grads[name])
            dE = part._matmul(grads[name], self._given[name].T)
            if "embedding" in found:  # of the other direction
                dE = add(found["embedding"], dE, part.stack.backend)
            found["embedding"] = dE
        return found
