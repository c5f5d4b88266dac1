"""What stands above the layers: the outputs, and the loss of them.

::

    (3)  y_t = h_t V + b        the logits, or the forecast; V is the embedding transposed where they are tied
         y_t = (h_t P) V + b    with a projection: what V reads has R numbers in place of H
    (4)  L = loss(y, targets)   see bptt.losses

With a projection a tied embedding may have another size than h: R = E (Inan, Khosravi and Socher, "Tying word
vectors and word classifiers", 2017, tie them at one size; the projected output is that of Sak, Senior and
Beaufays 2014 and of Melis, Dyer and Blunsom, "On the state of the art of evaluation in neural language
models", 2018). The first layer's W is the projection of a smaller embedding on the other side.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, get_args

import numpy as np

from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import Backend, Precision, matmul, uses_kernels
from bptt.nets import dropout
from bptt.nets.dropout import Per
from bptt.nets.init import Init
from bptt.nets.losses import (
    LOSSES,
    Loss,
    counted_targets,
    expect_numbers,
    expect_smoothing,
    levels_of,
    weights,
)
from bptt.types import Array, Batch, Dtype, Generator, Gradients, Params, Reduction, Shapes


@dataclass(frozen=True)
class Output:
    """The part above the layers.

    Parameters
    ----------
    width : int
        The size of h: H, or 2H with both directions.
    size : int
        K.
    projection : int or None
        R, the size that h is projected to before V.
    bias, tied : bool
        Whether there is b; whether V is the embedding transposed.
    dropout : float
        The part dropped from h_t.
    dropout_per : "step" or "sequence"
        What has a draw of its own.
    loss, reduction : str
        See :mod:`bptt.losses`.
    quantiles : tuple of float or None
        The levels of the loss "quantile".
    class_weights : tuple of K floats or None
        What each class's cross-entropy is multiplied by; of the loss sigmoid_cross_entropy what a yes costs.
    label_smoothing : float
        The part of each target that is spread over all K.
    backend, precision : str
        See :mod:`bptt.kernels.backends`.
    """

    width: int
    size: int
    projection: int | None
    bias: bool
    tied: bool
    dropout: float
    dropout_per: Per
    loss: str
    reduction: Reduction
    quantiles: tuple[float, ...] | None
    class_weights: tuple[float, ...] | None
    label_smoothing: float
    backend: Backend
    precision: Precision

    def __post_init__(self) -> None:
        for name, value, known in (
            ("loss", self.loss, tuple(LOSSES)),
            ("reduction", self.reduction, get_args(Reduction)),
        ):
            if value not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}; got {value!r}")
        if self.quantiles is not None:
            if self.loss != "quantile" or len(self.quantiles) != self.size:
                raise ConfigError(
                    f"quantiles are the levels of the loss quantile, one for each of {self.size} outputs; "
                    f"got {len(self.quantiles)} with {self.loss}"
                )
            if not all(0 < level < 1 for level in self.quantiles):
                raise ConfigError(f"quantiles must be between 0 and 1, got {self.quantiles}")
        expect_smoothing(self.label_smoothing)
        if self.label_smoothing and self.loss != "cross_entropy":
            raise ConfigError(f"label_smoothing is for the loss cross_entropy, not {self.loss}")
        c = self.class_weights
        if c is not None and not (
            self.loss in ("cross_entropy", "sigmoid_cross_entropy")
            and len(c) == self.size
            and all(0 < x < math.inf for x in c)
        ):
            raise ConfigError(
                f"class_weights are K = {self.size} finite numbers above 0, for the cross-entropy; "
                f"got {len(c)} for {self.loss}"
            )

    def shapes(self) -> Shapes:
        """Return the shape of every parameter of this part, by its name."""
        R = self.projection
        shapes: Shapes = {} if R is None else {"output.P": (self.width, R)}
        if not self.tied:
            shapes["output.W"] = (R or self.width, self.size)
        return shapes | ({"output.b": (self.size,)} if self.bias else {})

    def init(self, rng: Generator, draw: Init, dtype: Dtype) -> Params:
        """Return the parameters of this part, drawn from `rng`."""
        params: Params = {}
        R = self.projection
        if R is not None:
            params["output.P"] = draw.output(rng, self.width, R, dtype)
        if not self.tied:
            params["output.W"] = draw.output(rng, R or self.width, self.size, dtype)
        if self.bias:
            params["output.b"] = np.zeros(self.size, dtype)
        return params

    def matrix(self, params: Params) -> Array:
        """Return V (H, K), or (R, K) with a projection."""
        return params["embedding"].T if self.tied else params["output.W"]

    def projected(self, params: Params, rows: Array) -> Array:
        """Return what V reads, of rows of h: h P, or h itself."""
        return rows if self.projection is None else self._matmul(rows, params["output.P"])

    def forward(self, params: Params, h: Array, rng: Generator | None = None) -> "OutputRun":
        """Return the outputs, from h (T, N, H): (3)."""
        drop = dropout.factors(rng, h.shape, self.dropout, h.dtype, self.dropout_per)
        rows = dropout.apply(h, drop, self.backend).reshape(-1, self.width)
        z = self.projected(params, rows)
        y = self._matmul(z, self.matrix(params))
        if self.bias:
            y = _iadd(y, params["output.b"])
        return OutputRun(y.reshape(*h.shape[:2], self.size), self, params, rows, z, drop)

    def loss_of(
        self, outputs: Array, targets: Array, *, mask: Array | None = None, overwrite: bool = False
    ) -> Loss:
        """Return (4); `overwrite` allows the gradient to take the outputs' place."""
        out: dict[str, Any] = {"out": outputs} if overwrite and self.loss == "cross_entropy" else {}
        if self.class_weights is not None:
            out["class_weights"] = np.array(self.class_weights)
        if self.label_smoothing:
            out["smoothing"] = self.label_smoothing
        if self.loss == "quantile":
            out["levels"] = self.quantiles
        return LOSSES[self.loss](outputs, targets, reduction=self.reduction, mask=mask, **out)

    def is_compiled(self, dtype: np.dtype[Any]) -> bool:
        """Return whether (3) and (4) are compiled code, for which targets are `counted` before."""
        return uses_kernels(self.backend, dtype)

    def counted(self, batch: Batch, shape: tuple[int, int]) -> "Counted":
        """Return the targets of a batch for outputs (T, N), and what each counts."""
        w = _alike(shape, self.reduction)
        if batch.counted is not None:
            w = weights(shape, self.reduction, batch.counted)
        if self.loss != "cross_entropy":
            expect_numbers(self.loss, batch.targets, (*shape, self.size))
            return Counted(w, None, batch.targets)
        targets = counted_targets(batch.targets, shape, self.size, batch.counted)
        c = None if self.class_weights is None else np.array(self.class_weights)[targets]
        return Counted(w if c is None else w * c, c, np.ascontiguousarray(targets, np.int64))

    @staticmethod
    def numbers(targets: Array, dtype: np.dtype[Any]) -> Array:
        """Return targets that are no tokens as compiled code reads them, in the layers' dtype."""
        return np.ascontiguousarray(targets, dtype) if targets.dtype.kind in "biuf" else targets

    def alike(self, shape: tuple[int, int]) -> Array:
        """Return w where all targets count alike."""
        return _alike(shape, self.reduction)

    def backprop(
        self, params: Params, h: Array, targets: Array, w: Array | None, rng: Generator | None = None
    ) -> tuple[Params, Gradients[None]]:
        """Return each step's loss (T, N) and the gradients of this part and at h: (3) and (4).

        They are ``each`` and, of smoothed labels, ``spread``, of which L has ε times as much beside `each`.
        `w` is what each counts in the whole; by default all count alike.

        By compiled code: at most so many logits are held at a time, however many rows there are.
        """
        from bptt.kernels.ops.errors import error
        from bptt.kernels.ops.output import cross_entropy

        w = self.alike(h.shape[:2]) if w is None else w
        drop = dropout.factors(rng, h.shape, self.dropout, h.dtype, self.dropout_per)
        rows = dropout.apply(h, drop, self.backend).reshape(-1, self.width)
        V, b = self.matrix(params), params.get("output.b")
        narrow, part = self.precision == "bfloat16", self.label_smoothing
        z = self.projected(params, rows)
        if self.loss == "cross_entropy":
            found = cross_entropy(z, V, b, targets.ravel(), w.ravel(), bfloat16=narrow, smoothing=part)
        else:
            numbers = targets.reshape(-1, targets.shape[-1])
            found = error(self.loss, z, V, b, numbers, w.ravel(), self._levels(), bfloat16=narrow)
        grads = self._gradients(params, rows, found.dh, found.dV, found.db, drop, h.shape)
        losses = {"each": found.each} | ({"spread": found.spread} if part else {})
        return {name: array.reshape(h.shape[:2]) for name, array in losses.items()}, grads

    def losses(self, params: Params, h: Array, targets: Array) -> Array:
        """Return every step's loss alone, (T, N), by compiled code."""
        from bptt.kernels.ops.errors import errors
        from bptt.kernels.ops.output import losses

        rows = self.projected(params, h.reshape(-1, self.width))
        V, b, narrow = self.matrix(params), params.get("output.b"), self.precision == "bfloat16"
        if self.loss == "cross_entropy":
            found = losses(rows, V, b, targets.ravel(), bfloat16=narrow)
        else:
            numbers = targets.reshape(-1, targets.shape[-1])
            found = errors(self.loss, rows, V, b, numbers, self._levels(), bfloat16=narrow)
        return found.reshape(h.shape[:2])

    def _levels(self) -> Array | None:
        """Return what a loss of numbers knows of each output: a quantile's level, or what a yes costs."""
        if self.loss == "quantile":
            return levels_of(self.size, self.quantiles)
        return None if self.class_weights is None else np.array(self.class_weights)

    def _matmul(self, a: Array, b: Array) -> Array:
        return matmul(a, b, self.backend, self.precision)

    def _gradients(
        self,
        params: Params,
        rows: Array,
        dz: Array,
        dV: Array,
        db: Array,
        drop: Array | None,
        shape: tuple[int, ...],
    ) -> Gradients[None]:
        """Return the gradients of this part and at h of that shape, from dz, those at what V reads."""
        grads, dh = Params(), dz
        if self.projection is not None:
            grads["output.P"], dh = self._matmul(rows.T, dz), self._matmul(dz, params["output.P"].T)
        grads |= {"embedding": dV.T} if self.tied else {"output.W": dV}
        if self.bias:
            grads["output.b"] = db
        return Gradients(grads, dropout.apply(dh.reshape(shape), drop, self.backend), None)


class Counted(NamedTuple):
    """What targets count.

    Attributes
    ----------
    w : (T, N)
        What each one's loss counts in the whole.
    c : (T, N), optional
        What it is multiplied by for its class.
    targets : (T, N)
        0 where they do not count.
    """

    w: Array
    c: Array | None
    targets: Array


@lru_cache
def _alike(shape: tuple[int, int], reduction: Reduction) -> Array:
    w = weights(shape, reduction)
    w.flags.writeable = False
    return w


@dataclass(frozen=True, eq=False, repr=False)
class OutputRun:
    """The outputs (T, N, K) of some h."""

    outputs: Array
    _output: Output
    _params: Params
    _h: Array  # (T·N, H), with its dropout
    _z: Array  # (T·N, R): what V reads
    _drop: Array | None

    def backward(self, dy: Array) -> Gradients[None]:
        """Return the gradients of this part and, as `inputs`, at h (T, N, H): (3)."""
        if dy.shape != self.outputs.shape:
            raise ShapeError(
                f"the gradient at the outputs must be (T, N, K) = {self.outputs.shape}, got {dy.shape}"
            )
        part, rows = self._output, dy.reshape(-1, dy.shape[-1])
        dz = part._matmul(rows, part.matrix(self._params).T)
        dV, db, shape = part._matmul(self._z.T, rows), rows.sum(axis=0), (*dy.shape[:2], part.width)
        return part._gradients(self._params, self._h, dz, dV, db, self._drop, shape)


def _iadd(y: Array, b: Array) -> Array:
    """Return y + b, in y where its dtype holds the sum."""
    if np.result_type(y, b) == y.dtype:
        y += b
        return y
    return np.asarray(y + b)
