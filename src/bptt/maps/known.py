"""Maps of the literature, by name; and from a text to a map."""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bptt.errors import ConfigError
from bptt.maps.base import Functions, Map
from bptt.maps.by_equation import Equation, Size, Start
from bptt.types import Array


def antisymmetric(gamma: float = 0.01) -> Equation:
    """Return M - Mᵀ - γ I: no eigenvalue grows (AntisymmetricRNN, Chang et al. 2019)."""
    return Equation(f"M - M.T - {_number(gamma)} * I", known=_called("antisymmetric", gamma))


def lipschitz(beta: float = 0.75, gamma: float = 0.001) -> Equation:
    """Return (1-β) (M + Mᵀ) + β (M - Mᵀ) - γ I (Lipschitz RNN, Erichson et al. 2021)."""
    b = _number(beta)
    text = f"S = M + M.T; A = M - M.T; (1 - {b}) * S + {b} * A - {_number(gamma)} * I"
    return Equation(text, known=_called("lipschitz", beta, gamma))


def orthogonal() -> Equation:
    """Return exp(M - Mᵀ), which is orthogonal (expRNN, Lezcano-Casado and Martínez-Rubio 2019)."""
    return Equation("A = M - M.T; expm(A)", known="orthogonal()")


def cayley(plus: float = 0.5) -> Equation:
    """Return (I + A)⁻¹ (I - A) D with A = M - Mᵀ; D has ones and, after that part of the rows, minus ones.

    Which is orthogonal (scoRNN, Helfrich et al. 2018).
    """
    text = f"A = M - M.T; D = diag(signs({_number(plus)})); inv(I + A) @ (I - A) @ D"
    return Equation(text, known=_called("cayley", plus))


def householder(count: int) -> Equation:
    """Return the product of so many reflections I - 2 v vᵀ / vᵀv, a row of V each (Mhammedi et al. 2017)."""
    return Equation(
        "reflections(V)", {"V": (_whole(count), "rows")}, {"V": (-1, 1)}, _called("householder", count)
    )


def low_rank(rank: int) -> Equation:
    """Return L R of a rank (FastGRNN, Kusupati et al. 2018; of all of U with one L, a projection: LSTMP)."""
    r = _whole(rank)
    s = float(np.sqrt(3 / r))
    raw: dict[str, Sequence[Size]] = {"left": ("rows", r), "right": (r, "columns")}
    return Equation("left @ right", raw, {"right": (-s, s)}, _called("low_rank", rank))


def heads(count: int) -> Equation:
    """Return so many blocks along the diagonal, zeros elsewhere: heads (sLSTM), RG-LRU's gates."""
    n = _whole(count)
    return Equation("blocks(B)", {"B": (n, f"rows/{n}", f"columns/{n}")}, None, _called("heads", count))


def kronecker(count: int) -> Equation:
    """Return A ⊗ B with A (count, count) (Kronecker Recurrent Units, Jose et al. 2018)."""
    n = _whole(count)
    raw: dict[str, Sequence[Size]] = {"A": (n, n), "B": (f"rows/{n}", f"columns/{n}")}
    s = float(np.sqrt(3 / n))
    return Equation("kron(A, B)", raw, {"A": (-s, s)}, _called("kronecker", count))


def tensor_train(count: int, rank: int) -> Equation:
    """Return a chain of two tensors, A_1 ⊗ B_1 + ... of a rank, A (count, count) (Yang et al. 2017)."""
    n, each = _whole(count), range(1, _whole(rank) + 1)
    raw: dict[str, Sequence[Size]] = {f"A_{k}": (n, n) for k in each}
    raw |= {f"B_{k}": (f"rows/{n}", f"columns/{n}") for k in each}
    s = float(np.sqrt(3 / (n * rank)))
    text = " + ".join(f"kron(A_{k}, B_{k})" for k in each)
    starts = {f"A_{k}": (-s, s) for k in each}
    return Equation(text, raw, starts, _called("tensor_train", count, rank))


def unitary(seed: int = 0) -> Equation:
    """Return D F R P D F⁻¹ R D of complex numbers, each a row's next two entries (Arjovsky et al. 2016).

    D turns each by an angle, F is Fourier's transform, R a reflection, P an order that is drawn.
    """
    raw: dict[str, Sequence[Size]] = dict.fromkeys("abc", ("rows/2",)) | dict.fromkeys("vw", (1, "rows"))
    turns = [f"D_{n} = kron(diag(cos({n})), E) + kron(diag(sin({n})), E) @ turn()" for n in "abc"]
    order = f"permutation(2, {_number(seed)})"
    around = f"reflections(v) @ reflections(v @ turn()) @ {order} @ D_b"
    back = "fourier().T @ reflections(w) @ reflections(w @ turn()) @ D_c"
    text = "; ".join(["E = array([[1.0, 0.0], [0.0, 1.0]])", *turns, f"D_a @ fourier() @ {around} @ {back}"])
    starts = dict.fromkeys("abc", (-np.pi, np.pi)) | dict.fromkeys("vw", (-1.0, 1.0))
    return Equation(text, raw, starts, _called("unitary", seed))


def masked(mask: Array | str) -> Equation:
    """Return M where a mask, an array of zeros and ones or a function's text, is not 0.

    ``"lower(4)"`` and ``"upper(4)"`` are block-triangular: h_prev U reaches a group from those after it, or
    before; ``"sparse(0.1, 3)"`` keeps a tenth of the entries, drawn from the seed 3.
    """
    if isinstance(mask, str):
        return Equation(f"{mask} * M", known=f"masked({mask!r})")
    return Equation(f"array({_listed(mask)}) * M")


def diagonal() -> Equation:
    """Return diag(v): each unit is recurrent with itself alone (IndRNN, Li et al. 2018)."""
    return Equation("diag(v)", {"v": ("rows",)}, {"v": (-1, 1)}, "diagonal()")


def circulant() -> Equation:
    """Return the circulant matrix of v, its first row."""
    return Equation("circulant(v)", {"v": ("rows",)}, None, "circulant()")


def toeplitz() -> Equation:
    """Return the square matrix whose diagonals, from the lowest, are the entries of v."""
    return Equation("toeplitz(v)", {"v": ("2*rows-1",)}, None, "toeplitz()")


def dale(plus: float = 0.8) -> Equation:
    """Return diag(s) abs(M): units that excite, then units that inhibit (Song et al. 2016)."""
    return Equation(f"diag(signs({_number(plus)})) @ abs(M)", known=_called("dale", plus))


def reservoir(radius: float = 0.9, density: float = 1.0, seed: int = 0) -> Equation:
    """Return a matrix that is drawn from a seed and not learnt (echo state networks, Jaeger 2001)."""
    n = ", ".join(map(_number, (radius, density, seed)))
    return Equation(f"reservoir({n})", known=_called("reservoir", radius, density, seed))


def legendre(theta: float) -> Equation:
    """Return the matrices of a Legendre memory of theta steps, which are not learnt (Voelker et al. 2019)."""
    return Equation(f"legendre({_number(theta)})", known=_called("legendre", theta))


def legs() -> Equation:
    """Return the matrices of HiPPO-LegS, which are not learnt (Gu et al. 2020)."""
    return Equation("legs()", known="legs")


def constant(values: Array) -> Equation:
    """Return a matrix that is as it is given, and not learnt."""
    return Equation(f"array({_listed(values)})")


def equation(
    text: str, raw: Mapping[str, Sequence[Size]] | None = None, starts: Mapping[str, Start] | None = None
) -> Equation:
    """Return the map that an equation is, with the shapes of its raw arrays and where they start."""
    return Equation(text, raw, starts)


MAPS: dict[str, Callable[..., Equation]] = {
    made.__name__: made
    for made in (
        antisymmetric, lipschitz, orthogonal, cayley, householder, unitary, low_rank, heads, kronecker,
        tensor_train, masked, diagonal, circulant, toeplitz, dale, reservoir, legendre, legs, constant,
        equation,
    )
}  # fmt: skip
"""What a map is called in a text."""


def read(given: Any) -> Map:
    """Return the map that is meant; nothing of a text is run.

    Parameters
    ----------
    given : str, Map or pair of functions
        A name of `MAPS` with its numbers, ``"antisymmetric(0.01)"``, or an equation, ``"M - M.T"``; what is a
        map already; or ``(forward, pullback)`` of M.

    Raises
    ------
    ConfigError
        If it is none of these.

    Examples
    --------
    >>> read("low_rank(8)").shapes(64, 128)
    {'left': (64, 8), 'right': (8, 128)}
    >>> read("0.5 * (M + M.T)").shapes(4, 4)
    {'M': (4, 4)}
    """
    if isinstance(given, Map):
        return given
    if isinstance(given, tuple | list) and len(given) == 2 and all(map(callable, given)):
        return Functions(*given)
    if not isinstance(given, str):
        wanted = f"a text (one of {', '.join(MAPS)}, or an equation of M), a Map, or two functions"
        raise ConfigError(f"a map is {wanted}; got {given!r:.80}")
    try:
        body = ast.parse(given.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Equation(given)  # of several lines, or it says what is wrong
    match body:
        case ast.Name(id=name) if name in MAPS:
            return _made(given, name, [], {})
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in MAPS and not _is_word(
            name, args
        ):
            try:
                values = [ast.literal_eval(a) for a in args]
                named = {str(k.arg): ast.literal_eval(k.value) for k in keywords}
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                raise ConfigError(f"the map {given!r:.80}: {name} takes plain values") from None
            return _made(given, name, values, named)
    return Equation(given)


def _is_word(name: str, args: Sequence[ast.expr]) -> bool:
    """Return whether a call is of a function of equations that is called as a map is: circulant(v)."""
    return name in ("circulant", "toeplitz") and bool(args)


def _made(text: str, name: str, values: Sequence[Any], named: Mapping[str, Any]) -> Equation:
    try:
        return MAPS[name](*values, **named)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"the map {text!r:.80}: {error}") from None


def _called(name: str, *values: float) -> str:
    return f"{name}({', '.join(repr(v) for v in values)})"


def _number(value: float) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ConfigError(f"a map's number must be finite, got {value!r:.40}")
    return repr(float(value))


def _whole(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"a map's count must be a whole number from 1, got {value!r:.40}")
    return value


def _listed(values: Any) -> str:
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise ConfigError(f"a constant must be a matrix of finite numbers, got {values!r:.60}")
    return repr(array.tolist())
