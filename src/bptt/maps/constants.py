"""The constants of a map's equation: of the matrix's size, and of numbers; they are not learnt."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from bptt.maps.functions import expm
from bptt.types import Array


def _groups(rows: int, columns: int, n: float) -> tuple[Array, Array]:
    if n < 1 or n != int(n) or rows % int(n) or columns % int(n):
        raise ValueError(f"{n:g} blocks of equal size do not fit {rows} rows and {columns} columns")
    n = int(n)
    return np.arange(rows)[:, None] // (rows // n), np.arange(columns) // (columns // n)


def _lower(rows: int, columns: int, n: float) -> Array:
    i, j = _groups(rows, columns, n)
    return np.asarray(i >= j, float)


def _upper(rows: int, columns: int, n: float) -> Array:
    i, j = _groups(rows, columns, n)
    return np.asarray(i <= j, float)


def _signs(rows: int, columns: int, part: float) -> Array:
    if not 0 <= part <= 1:
        raise ValueError(f"signs wants the part of the rows with a plus, from 0 to 1; got {part:g}")
    return np.where(np.arange(rows) < round(part * rows), 1.0, -1.0)


def _sparse(rows: int, columns: int, density: float, seed: float = 0) -> Array:
    if not 0 < density <= 1:
        raise ValueError(
            f"sparse wants the part of the entries that are there, above 0 to 1; got {density:g}"
        )
    return np.asarray(np.random.default_rng(int(seed)).random((rows, columns)) < density, float)


def _reservoir(rows: int, columns: int, radius: float = 0.9, density: float = 1.0, seed: float = 0) -> Array:
    A: Array = np.random.default_rng(int(seed)).uniform(-1, 1, (rows, columns))
    A *= _sparse(rows, columns, density, seed + 1)
    if rows != columns:
        return np.asarray(radius * A / np.sqrt(rows / 3))
    largest = float(np.abs(np.linalg.eigvals(A)).max(initial=0))
    return np.asarray(A * (radius / largest)) if largest else A


def _legendre(rows: int, columns: int, theta: float) -> Array:
    """Return the matrix that keeps a window of theta steps as Legendre polynomials do (Voelker et al. 2019).

    Square: exp(A / theta)ᵀ of their A; one row: what a number adds, A⁻¹ (exp(A / theta) - I) B, transposed.
    """
    if not theta > 0 or rows not in (1, columns):
        raise ValueError(f"legendre(theta) is square, or one row, with theta above 0; got {(rows, columns)}")
    i, j = np.arange(columns)[:, None], np.arange(columns)
    A = (2 * i + 1) * np.where(i < j, -1.0, np.where((i - j) % 2, 1.0, -1.0))
    step = expm(A / theta)
    if rows == columns:
        return np.asarray(step.T)
    B = (2 * i + 1) * np.where(i % 2, -1.0, 1.0)
    found: Array = np.linalg.solve(A, (step - np.eye(columns)) @ B).T
    return found


def _legs(rows: int, columns: int) -> Array:
    """Return HiPPO-LegS's matrices, which keep all of the past as Legendre polynomials (Gu et al. 2020).

    Square: their Aᵀ; one row: Bᵀ.
    """
    if rows not in (1, columns):
        raise ValueError(f"legs is square, or one row; got {(rows, columns)}")
    n = np.arange(columns)
    root = np.sqrt(2 * n + 1)
    A = np.tril(np.outer(root, root), -1) + np.diag(n + 1)
    return np.asarray(A.T if rows == columns else root[None])


def _pairs(rows: int, columns: int, name: str) -> int:
    if rows != columns or rows % 2:
        raise ValueError(f"{name}() is a square of an even size, of complex numbers; got {(rows, columns)}")
    return rows // 2


def _turn(rows: int, columns: int) -> Array:
    """Return i times, where each two entries of a row are a complex number's real and imaginary part."""
    return np.kron(np.eye(_pairs(rows, columns, "turn")), [[0.0, 1.0], [-1.0, 0.0]])


def _fourier(rows: int, columns: int) -> Array:
    """Return the unitary Fourier transform of such rows; its transposed takes it back."""
    n = _pairs(rows, columns, "fourier")
    turns = 2 * np.pi * (np.arange(n)[:, None] * np.arange(n) % n) / n
    re, im = np.cos(turns) / np.sqrt(n), -np.sin(turns) / np.sqrt(n)
    return np.kron(re, np.eye(2)) + np.kron(im, [[0.0, 1.0], [-1.0, 0.0]])


def _permutation(rows: int, columns: int, width: float = 1, seed: float = 0) -> Array:
    """Return what puts groups of so many entries in an order that the seed draws."""
    if rows != columns or width < 1 or rows % width:
        raise ValueError(f"permutation({width:g}) is a square of whole groups; got {(rows, columns)}")
    order = np.random.default_rng(int(seed)).permutation(rows // int(width))
    return np.kron(np.eye(len(order))[order], np.eye(int(width)))


CONSTANTS: dict[str, Callable[..., Array]] = {
    "lower": _lower,
    "upper": _upper,
    "signs": _signs,
    "sparse": _sparse,
    "reservoir": _reservoir,
    "legendre": _legendre,
    "legs": _legs,
    "turn": _turn,
    "fourier": _fourier,
    "permutation": _permutation,
}
"""Arrays that numbers and the matrix's own size make, by ``(rows, columns, *numbers)``; not learnt."""


@lru_cache(64)
def constant(name: str, sizes: tuple[int, int], *numbers: float) -> Array:
    """Return one of `CONSTANTS`, made once."""
    made = CONSTANTS[name](*sizes, *numbers)
    made.flags.writeable = False
    return made
