"""The functions of a map's equation, each with its pullback: from the gradient at its value.

A function takes arrays and keeps their dtype, complex128 too, so that a complex step goes through. Numbers
among its arguments have no gradient.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt import elementwise
from bptt.types import Array

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Function:
    """A function of an equation.

    Attributes
    ----------
    value : function
        Of the arrays and the numbers that it is called with.
    shape : function
        From the shapes of its arrays, and numbers, to that of its value; a ValueError says what does not fit.
    back : dict of function
        For each array, by its place, the pullback: of the arguments and of the gradient at the value.
    slope : str
        Of a function element by element: its derivative, of x and its value v, as an equation has it.
    """

    value: Callable[..., Any]
    shape: Callable[..., Shape]
    back: Mapping[int, Callable[..., Any]]
    slope: str = ""


# ---------------------------------------------------------------------------------- whole matrices

_PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
    670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip


def expm(A: Array) -> Array:
    """Return the exponential of a matrix: its approximant of order 13, scaled and squared (Higham 2005)."""
    dtype = np.result_type(A, np.float32)
    A = A.astype(np.result_type(dtype, np.float64))
    norm = float(np.abs(A).sum(axis=0).max(initial=0))
    squarings = max(0, int(np.ceil(np.log2(norm / 5.37)))) if 5.37 < norm < np.inf else 0
    A = A / 2.0**squarings
    one, A2 = np.eye(len(A), dtype=A.dtype), A @ A
    A4 = A2 @ A2
    A6, c = A4 @ A2, _PADE
    odd = A6 @ (c[13] * A6 + c[11] * A4 + c[9] * A2) + c[7] * A6 + c[5] * A4 + c[3] * A2 + c[1] * one
    even = A6 @ (c[12] * A6 + c[10] * A4 + c[8] * A2) + c[6] * A6 + c[4] * A4 + c[2] * A2 + c[0] * one
    odd = A @ odd
    E = np.linalg.solve(even - odd, even + odd)
    for _ in range(squarings):
        E = E @ E
    found: Array = E.astype(dtype)
    return found


def expm_back(A: Array, d: Array) -> Array:
    """Return the derivative of expm at Aᵀ along d: a block of the exponential of [[Aᵀ, d], [0, Aᵀ]]."""
    if np.isrealobj(A) and np.array_equal(A, -A.T) and np.isfinite(A).all():
        return _of_rotations(A, d)
    n, size = len(A), float(np.abs(d).max(initial=0))
    if not 0 < size < np.inf:
        return d * 0 if size == 0 else np.full_like(d, np.nan)
    E = expm(np.block([[A.T, d / size], [np.zeros_like(A), A.T]]))
    return np.asarray(E[:n, n:] * d.dtype.type(size))  # it is linear in d, whose size would cost squarings


def _of_rotations(A: Array, d: Array) -> Array:
    """Return that where A = V diag(iθ) Vᴴ is antisymmetric, at a tenth of the cost (Daleckii and Krein 1965).

    Of Vᴴ d V each entry j, k is multiplied by (exp(-iθ_j) - exp(-iθ_k)) / (-iθ_j + iθ_k), which is a sine.
    """
    turns, V = np.linalg.eigh(-1j * A.astype(np.float64))
    of = V.conj().T @ d @ V
    of *= np.exp(-0.5j * (turns[:, None] + turns)) * np.sinc((turns[:, None] - turns) / (2 * np.pi))
    found: Array = (V @ of @ V.conj().T).real.astype(d.dtype)
    return found


def reflections(V: Array) -> Array:
    """Return H_1 H_2 ..., with H = I - 2 v vᵀ / vᵀv for each row v of V (k, n)."""
    P: Array = np.eye(V.shape[1], dtype=V.dtype)
    for v in V:
        P = np.asarray(P - np.outer(P @ v, (2 / (v @ v)) * v))
    return P


def reflections_back(V: Array, d: Array) -> Array:
    """Return the gradient at V: from the last row to the first, as H H = I takes the product back."""
    P, dV = reflections(V), np.empty_like(V)
    for k in reversed(range(len(V))):
        v = V[k]
        s = v @ v
        P = P - np.outer(P @ v, (2 / s) * v)
        Gv, vG = P.T @ (d @ v), d.T @ (P @ v)  # of G = Pᵀ d, the gradient at H_k
        dV[k] = (-2 / s) * (Gv + vG) + (4 / (s * s)) * (v @ Gv) * v
        d = d - np.outer(d @ v, (2 / s) * v)
    return dV


def blocks(B: Array) -> Array:
    """Return the matrix (n r, n c) with the matrices of B (n, r, c) along its diagonal, zeros elsewhere."""
    n, r, c = B.shape
    U = np.zeros((n, r, n, c), B.dtype)
    U[np.arange(n), :, np.arange(n)] = B
    return U.reshape(n * r, n * c)


def blocks_back(B: Array, d: Array) -> Array:
    """Return the blocks along the diagonal."""
    n, r, c = B.shape
    found: Array = d.reshape(n, r, n, c)[np.arange(n), :, np.arange(n)]
    return found


def circles(n: int) -> Array:
    """Return which entry of a vector stands where in its circulant matrix (n, n)."""
    return (np.arange(n) - np.arange(n)[:, None]) % n


def diagonals(length: int) -> Array:
    """Return which entry of a vector stands where in its Toeplitz matrix."""
    n = (length + 1) // 2
    return np.arange(n) - np.arange(n)[:, None] + n - 1


def _gathered(at: Callable[[int], Array]) -> Function:
    """Return the function that puts the entries of a vector where `at` says."""

    def back(v: Array, d: Array) -> Array:
        dv = np.zeros_like(v, np.result_type(v, d))
        np.add.at(dv, at(len(v)), d)
        return dv

    return Function(lambda v: v[at(len(v))], lambda v: at(_vector(v)).shape, {0: back})


def kron_back_a(A: Array, B: Array, d: Array) -> Array:
    """Return the gradient at the first factor of a Kronecker product."""
    return np.asarray(np.einsum("ikjl,kl->ij", d.reshape(len(A), len(B), A.shape[1], B.shape[1]), B))


def kron_back_b(A: Array, B: Array, d: Array) -> Array:
    """Return the gradient at its second factor."""
    return np.asarray(np.einsum("ikjl,ij->kl", d.reshape(len(A), len(B), A.shape[1], B.shape[1]), A))


# -------------------------------------------------------------------------------------------- shapes


def _vector(v: Shape) -> int:
    if len(v) != 1:
        raise ValueError(f"a vector is wanted, and this is {v}")
    return v[0]


def _square(A: Shape) -> Shape:
    if len(A) != 2 or A[0] != A[1]:
        raise ValueError(f"a square matrix is wanted, and this is {A}")
    return A


def _of_blocks(B: Shape) -> Shape:
    if len(B) != 3:
        raise ValueError(f"blocks (n, rows, columns) are wanted, and this is {B}")
    return (B[0] * B[1], B[0] * B[2])


def _of_kron(A: Shape, B: Shape) -> Shape:
    if len(A) != 2 or len(B) != 2:
        raise ValueError(f"two matrices are wanted, and these are {A} and {B}")
    return (A[0] * B[0], A[1] * B[1])


def _of_sum(X: Shape, axis: float) -> Shape:
    if axis not in range(len(X)):
        raise ValueError(f"sum(X, 0) sums over the rows, sum(X, 1) over the columns, of X that is {X}")
    return tuple(1 if k == axis else n for k, n in enumerate(X))


def _rows_of(V: Shape) -> Shape:
    if len(V) != 2:
        raise ValueError(f"a row (k, n) for each reflection is wanted, and this is {V}")
    return (V[1], V[1])


def _each(value: Callable[..., Any], slope: str) -> Function:
    return Function(value, lambda x: x, {}, slope)


FUNCTIONS: dict[str, Function] = {
    "expm": Function(expm, _square, {0: expm_back}),
    "inv": Function(np.linalg.inv, _square, {}),  # its pullback is by its value
    "reflections": Function(reflections, _rows_of, {0: reflections_back}),
    "blocks": Function(blocks, _of_blocks, {0: blocks_back}),
    "kron": Function(np.kron, _of_kron, {0: kron_back_a, 1: kron_back_b}),
    "diag": Function(np.diag, lambda v: 2 * (_vector(v),), {0: lambda v, d: np.diagonal(d).copy()}),
    "circulant": _gathered(circles),
    "toeplitz": _gathered(diagonals),
    "sum": Function(
        lambda X, axis: X.sum(axis=int(axis), keepdims=True),
        _of_sum,
        {0: lambda X, axis, d: np.broadcast_to(d, X.shape)},
    ),
    "stop": Function(elementwise.stop, lambda X: X, {}),
    "tanh": _each(np.tanh, "1 - v * v"),
    "sigmoid": _each(elementwise.sigmoid, "v * (1 - v)"),
    "softplus": _each(elementwise.softplus, "sigmoid(x)"),
    "relu": _each(elementwise.relu, "step(x)"),
    "abs": _each(elementwise.absolute, "sign(x)"),
    "exp": _each(np.exp, "v"),
    "log": _each(np.log, "1 / x"),
    "sqrt": _each(np.sqrt, "0.5 / v"),
    "sin": _each(np.sin, "cos(x)"),
    "cos": _each(np.cos, "-sin(x)"),
    "sign": Function(elementwise.sign, lambda X: X, {}),
    "step": Function(lambda x: np.asarray(x.real > 0, x.real.dtype), lambda X: X, {}),
}
"""What an equation calls. Those without a slope or a pullback have the derivative 0."""
