"""The output matrix, a loss of numbers and their gradients, as works: what the cross-entropy is of tokens.

::

    y = h V + b        ℓ = Σ_k l(y_k, t_k)        dy = w ∂l/∂y
    dh = dy Vᵀ         dV = Σ hᵀ dy               db = Σ dy

What l is of a loss, and its derivative s by y, are equations, as :mod:`bptt.nets.losses` has them;
``where(u, a, b)`` is a where u is above 0.
"""

import numpy as np

from bptt.kernels.ops import rows
from bptt.kernels.ops.output import Output, like
from bptt.kernels.ops.products import matmul
from bptt.kernels.ops.sums import column_sums
from bptt.kernels.ops.update import update
from bptt.kernels.runtime import memory
from bptt.types import Array

ERRORS = {
    "squared_error": ("s = y - t", "l = 0.5*s*s"),
    "absolute_error": ("e = y - t", "s = sign(e)", "l = s*e"),
    "quantile": ("e = y - t", "s = where(e, 1 - c, where(-e, -c, 0*e))", "l = s*e"),
    # -|y|: no two terms are large and cancel; a target that is nan counts for nothing
    "sigmoid_cross_entropy": (
        "k = where(1 + t, 1, 0)",
        "yes = c*where(1 + t, t, 0)",
        "no = k - where(1 + t, t, 0)",
        "u = -abs(y)",
        "p = sigmoid(u)",
        "s = where(y, no*(1 - p) - yes*p, no*p - yes*(1 - p))",
        "l = (yes + no)*softplus(u) + where(y, no, -yes)*y",
    ),
}
"""Of each loss the equations of s and l. c are a quantile's levels, or what a yes costs."""


def error(
    loss: str,
    h: Array,
    V: Array,
    b: Array | None,
    targets: Array,
    w: Array,
    c: Array | None = None,
    *,
    bfloat16: bool = False,
) -> Output:
    """Return each row's loss, and the gradient of their weighted sum.

    Parameters
    ----------
    loss : str
        Of `ERRORS`.
    h : (M, H)
        float32 or float64.
    V : (H, K)
    b : (K,), optional
    targets : (M, K) or (M, 1)
        Of the same dtype, as all that follows.
    w : (M,)
        What each row's loss counts. Where that is 0 so are the loss and its gradient, whatever is there.
    c : (K,), optional
        Ones by default.
    bfloat16 : bool
        Whether the products' operands, which are float32, are rounded to bfloat16.

    Examples
    --------
    >>> out = error("squared_error", np.ones((1, 2)), np.ones((2, 1)), None, np.array([[5.0]]), np.ones(1))
    >>> out.each, out.db
    (array([4.5]), array([-3.]))
    """
    y, made = _made(loss, h, V, b, targets, c, bfloat16=bfloat16)
    made |= {"w": rows.spread(w.astype(h.dtype, copy=False).reshape(-1, 1), y.shape)}
    equations = (*ERRORS[loss], "l = where(w, l, 0)", "y = where(w, w*s, 0)")
    update(equations, made)
    dh, dV = matmul(y, V.T, bfloat16=bfloat16), matmul(h.T, y, like(V), bfloat16=bfloat16)
    each = row_sums(made["l"])
    return Output(each, dh, dV, column_sums(y), each)


def errors(
    loss: str,
    h: Array,
    V: Array,
    b: Array | None,
    targets: Array,
    c: Array | None = None,
    *,
    bfloat16: bool = False,
) -> Array:
    """Return each row's loss alone, (M,); parameters are those of `error`.

    Examples
    --------
    >>> errors("absolute_error", np.ones((1, 2)), np.ones((2, 2)), None, np.array([[5.0, 1.0]]))
    array([4.])
    """
    _, made = _made(loss, h, V, b, targets, c, bfloat16=bfloat16)
    update(ERRORS[loss], made)
    return row_sums(made["l"])


def _made(
    loss: str, h: Array, V: Array, b: Array | None, targets: Array, c: Array | None, *, bfloat16: bool
) -> tuple[Array, dict[str, Array]]:
    """Return the outputs, and the arrays of a loss's equations, which are all of one shape."""
    y = matmul(h, V, bfloat16=bfloat16)
    if b is not None:
        rows.add(y, np.broadcast_to(b, y.shape), y)
    t = targets if targets.shape == y.shape else rows.spread(targets, y.shape)
    made = {"y": y, "t": t, "l": memory.empty(y.shape, y.dtype)}
    if c is not None:
        made["c"] = rows.spread(c.astype(y.dtype, copy=False), y.shape)
    elif any("c*" in line for line in ERRORS[loss]):
        made["c"] = rows.filled(y.shape, 1.0, y.dtype)
    return y, made


def row_sums(values: Array) -> Array:
    """Return the sums of rows (M, K), (M,)."""
    M, K = values.shape
    return values.reshape(M) if K == 1 else matmul(values, rows.filled((K, 1), 1.0, values.dtype)).reshape(M)
