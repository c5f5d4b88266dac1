"""Every map: its matrix is what its paper says, and its pullback the gradient, element by element."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from bptt import maps
from bptt.errors import ConfigError, ShapeError
from bptt.types import Array, Params
from gradcheck import assert_close, complex_step

rng = np.random.default_rng(0)
SQUARE = [
    "antisymmetric(0.1)", "lipschitz(0.65, 0.01)", "orthogonal", "cayley(0.5)", "householder(3)",
    "low_rank(2)", "heads(2)", "kronecker(2)", "masked('lower(3)')", "masked('sparse(0.5, 3)')", "diagonal",
    "circulant", "tensor_train(3, 2)", "unitary", "unitary(3)",
    "toeplitz", "dale(0.5)", "reservoir(0.9, 0.5, 1)", "legendre(4.0)", "M @ M.T / 2",
    "exp(M) / sum(exp(M), 1)", "equation('g * I + M', {'g': (1,)})", "inv(M + 9 * I)", "expm(M) @ expm(M.T)",
    "equation('g * M / sqrt(sum(M * M, 0))', {'g': ('columns',)})", "tanh(M) * sigmoid(M.T) - relu(M)",
    "-M / (2 + M * M)", "equation('diag(a) @ M @ diag(b)', {'a': ('rows',), 'b': ('columns',)})",
    "A = M - M.T\nexpm(A) @ A", "softplus(M) - M**3 / 4 + sin(M) * cos(M)", "log(2 + M * M)",
    "abs(M) * array([[2.0]])",
]  # fmt: skip
WIDE = [
    "low_rank(2)",
    "kronecker(2)",
    "tensor_train(2, 3)",
    "heads(2)",
    "masked('upper(2)')",
    "2 * M",
    "dale",
    "legendre(3.0)",
]


def drawn(made: maps.Map, rows: int, columns: int) -> Params:
    return {name: rng.normal(size=shape) for name, shape in made.shapes(rows, columns).items()}


@pytest.mark.parametrize(
    ("text", "rows", "columns"),
    [*((t, 6, 6) for t in SQUARE), *((t, 1 if "legendre" in t else 4, 6) for t in WIDE)],
)
def test_a_maps_pullback_is_its_gradient(text: str, rows: int, columns: int) -> None:
    made = maps.read(text)
    raw, d = drawn(made, rows, columns), rng.normal(size=(rows, columns))
    assert made.forward(raw, rows, columns).shape == (rows, columns)
    got = made.pullback(raw, d)
    assert_close(got, complex_step(lambda a: (made.forward(a, rows, columns) * d).sum() + 0j, raw), 1e-12)
    narrow = {name: array.astype(np.float32) for name, array in raw.items()}
    assert not raw or made.forward(narrow, rows, columns).dtype == np.float32
    again = maps.read(str(made.text))
    assert again.text == made.text
    assert pickle.loads(pickle.dumps(made)).text == made.text
    maps.prove(made, rows, columns)


def of(text: str, rows: int = 6) -> tuple[Array, Params]:
    made = maps.read(text)
    raw = drawn(made, rows, rows)
    return made.forward(raw, rows, rows), raw


@pytest.mark.parametrize("text", ["orthogonal", "cayley(0.5)", "householder(4)", "unitary(1)", "fourier()"])
def test_orthogonal_maps_are_orthogonal(text: str) -> None:
    U, _ = of(text)
    np.testing.assert_allclose(U @ U.T, np.eye(6), atol=1e-13)


def test_what_constrained_maps_are() -> None:
    U, raw = of("antisymmetric(0.3)")
    np.testing.assert_array_equal(U + U.T, -0.6 * np.eye(6))
    U, raw = of("lipschitz(0.65, 0.01)")
    M = raw["M"]
    np.testing.assert_allclose(U, 0.35 * (M + M.T) + 0.65 * (M - M.T) - 0.01 * np.eye(6), atol=1e-15)
    U, raw = of("masked('lower(3)')")
    np.testing.assert_array_equal(U, np.kron(np.tri(3), np.ones((2, 2))) * raw["M"])
    U, raw = of("heads(3)")
    np.testing.assert_array_equal(U[2:4, 2:4], raw["B"][1])
    assert np.count_nonzero(U) == 12
    U, raw = of("circulant")
    np.testing.assert_array_equal(U[1], np.roll(raw["v"], 1))
    U, raw = of("toeplitz")
    np.testing.assert_array_equal(np.diagonal(U, 1), np.full(5, raw["v"][6]))
    U, _ = of("dale(0.5)")
    assert (U[:3] >= 0).all()
    assert (U[3:] <= 0).all()
    U, _ = of("reservoir(0.9, 1.0, 2)")
    assert abs(np.linalg.eigvals(U)).max() == pytest.approx(0.9)
    np.testing.assert_array_equal(U, of("reservoir(0.9, 1.0, 2)")[0])


def test_a_legendre_memory_keeps_a_window() -> None:
    theta, order = 20.0, 8
    A = maps.legendre(theta).forward({}, order, order)
    B = maps.legendre(theta).forward({}, 1, order)
    m = np.zeros((1, order))
    signal = np.sin(0.2 * np.arange(60))
    for u in signal:
        m = m @ A + u * B
    # the polynomials shifted to the window, of which the newest value is at 0 and the oldest at theta
    newest, oldest = (m @ (-1.0) ** np.arange(order)).item(), m.sum().item()
    assert abs(newest - signal[-1]) < 0.15
    assert abs(oldest - signal[-1 - int(theta)]) < 0.15


def test_the_exponential_is_accurate_at_every_size() -> None:
    for scale in (1e-8, 0.1, 3.0, 40.0):
        A = scale * rng.normal(size=(7, 7)) / 7
        values, vectors = np.linalg.eig(A)
        wanted = ((vectors * np.exp(values)) @ np.linalg.inv(vectors)).real
        got = maps.read("expm(M)").forward({"M": A}, 7, 7)
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12 * np.abs(wanted).max())


def wrong(M: Array, d: Array) -> Array:
    return 2 * M * d + 1e-4 * d


def right(M: Array, d: Array) -> Array:
    return 2 * M * d


def test_a_pair_of_functions_is_a_map_and_a_wrong_pullback_is_refused() -> None:
    maps.prove(maps.read((np.square, right)), 4, 5)
    for pullback in (wrong, lambda M, d: right(M, d.T) if d.shape[0] == d.shape[1] else d):
        with pytest.raises(ConfigError, match="it is not the gradient"):
            maps.prove(maps.read((np.square, pullback)), 4, 4)
    # one that loses what is imaginary is held against differences
    maps.prove(maps.read((lambda M: M * np.abs(M), lambda M, d: 2 * np.abs(M) * d)), 4, 4)
    with pytest.raises(ShapeError, match="must give M"):
        maps.prove(maps.read((np.square, lambda M, d: d[0])), 4, 4)
    with pytest.raises(ShapeError, match="must give a matrix"):
        maps.prove(maps.read((lambda M: M[0], right)), 4, 4)
    with pytest.raises(ConfigError, match="does not run: AttributeError"):
        maps.prove(maps.read((lambda M: M.nothing, right)), 4, 4)


HOSTILE: list[tuple[str, str]] = [
    ("__import__('os')", "has no place"),
    ("M.real", "has no place"),
    ("foo(M)", "has no place"),
    ("M[0]", "has no place"),
    ("lambda: 1", "has no place"),
    ("M ** M", "a power is a number"),
    ("I = M; I", "has a meaning"),
    ("heads('x')", "whole number"),
    ("low_rank(0)", "whole number"),
    ("low_rank()", "missing"),
    ("low_rank(10**9)", "plain values"),
    ("expm(M", "no expression"),
    ("2.0 ** 99999 * M", "a number that is none"),
    ("U + M", "choose another name"),
    ("dM = M; dM + M", "choose another name"),
    ("_a @ M", "begins with a letter"),
    ("(" * 5000, "no expression"),
    ("M" + " + M" * 50, "nested more"),
    ("x = 1", "and then an expression"),
    ("equation('M', {'N': (2,)})", "reads no 'N'"),
    ("equation('M', {'M': ('rows', 2.5)})", "sizes of M"),
    ("equation('M', {}, {'M': 'x'})", "starts at"),
    ("constant([[1, 'x']])", "matrix of finite numbers"),
    ("antisymmetric(1e999)", "finite"),
]


@pytest.mark.parametrize(("text", "says"), HOSTILE, ids=[text[:20] for text, _ in HOSTILE])
def test_a_text_that_is_no_map_is_refused_in_a_line(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        maps.read(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("M - M.T", "do not fit"), ("low_rank(16000000)", "too large"), ("householder(9999999)", "too large"),
        ("equation('sum(A @ B, 0) @ M', {'A': (90000, 1), 'B': (1, 90000)})", "too large"),
        ("heads(4)", "no whole number"), ("lower(5) * M", "5 blocks"),
        ("I", "square"), ("kron(M)", "does not take"), ("sum(M, 3)", "sum"), ("M @ M", "do not fit"),
        ("sparse(0) * M", "above 0"), ("equation('M', {'M': ('rows-9', 2)})", "whole number"),
        ("diag(M)", "a vector"),
    ],
)  # fmt: skip
def test_a_map_that_does_not_fit_says_so(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        maps.read(text).shapes(5, 6)


def test_what_is_no_map() -> None:
    for given in (3, None, (1, 2), [np.square]):
        with pytest.raises(ConfigError, match="a map is a text"):
            maps.read(given)


def test_raw_arrays_start_so_that_the_matrix_is_as_large_as_others() -> None:
    draw: Callable[[str], Array] = lambda text: (  # noqa: E731
        (m := maps.read(text)).forward(m.start(np.random.default_rng(0), 64, 64), 64, 64)
    )
    for text in ("low_rank(8)", "kronecker(8)"):
        assert 0.5 < draw(text).std() * np.sqrt(3 * 64) < 2, text
