"""Works laid out once and played over other arrays: the same numbers, and nothing that is not a work."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bptt.kernels.ops import rows
from bptt.kernels.ops.products import matmul
from bptt.kernels.runtime.program import LINE, Program
from bptt.kernels.runtime.programs import MOST, TIMES, Known
from bptt.kernels.runtime.tape import Tape, UnplannedError
from bptt.types import Array, Params

SHAPES = {"A": ((3, 5), "f4"), "B": ((5, 4), "f4")}


def draw(seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape, dtype in SHAPES.values()]


def chain(A: Array, B: Array) -> Params:
    """Return products, of which the first is in the way of nobody when the second is made."""
    first = matmul(A, B)
    second = matmul(first.T, A)
    return {"C": second, "turned": second.T, "sum": rows.add(second, second)}


def test_other_arrays_and_results_of_their_own() -> None:
    program = Program.of(chain, SHAPES)
    runs = [(draw(seed), program.run(draw(seed))) for seed in range(3)]
    for given, found in runs:  # after all of them: none has written over another's
        for name, array in chain(*given).items():
            np.testing.assert_array_equal(found[name], array)
        assert np.shares_memory(found["C"], found["turned"])


def test_bound_to_arrays_it_follows_what_is_in_them() -> None:
    given = draw(0)
    bound = Program.of(chain, SHAPES, stays=True).bind(given)
    lie = {name: array.ctypes.data for name, array in bound.results.items()}
    for seed in range(3):
        for own, array in zip(given, draw(seed), strict=True):
            own[...] = array
        bound.run()
        for name, array in chain(*draw(seed)).items():
            np.testing.assert_array_equal(bound.results[name], array)
    assert lie == {name: array.ctypes.data for name, array in bound.results.items()}


def test_room_that_is_given_back_is_used_again() -> None:
    def one_after_the_other(A: Array, B: Array) -> Params:
        for _ in range(10):
            made = rows.add(A, A)
        return {"C": rows.copy(made)}

    program = Program.of(one_after_the_other, SHAPES)
    assert program._room == 2 * LINE  # the last is asked for while the one before it is held
    A, B = draw(0)
    np.testing.assert_array_equal(program.run([A, B])["C"], 2 * A)


@pytest.mark.parametrize(
    "no_work",
    [
        lambda A: A + 1,
        lambda A: A.sum(),
        lambda A: A.max(),
        lambda A: A.argsort(),
        lambda A: A.copy(),
        lambda A: A[0, 0],
        lambda A: A[[0, 1]],
        lambda A: A[A > 0],
        lambda A: float(A[:1, :1]),
        lambda A: bool(A[:1, :1]),
        lambda A: list(A),
        lambda A: A.tolist(),
        lambda A: A.astype(np.float64),
        lambda A: A.fill(0),
        lambda A: A.__setitem__(0, 1.0),
        lambda A: np.concatenate([A, A]),
        lambda A: np.where(A, A, A),
        lambda A: np.zeros_like(A),
        lambda A: np.linalg.norm(A),
        lambda A: rows.copy(np.array(A)),  # NumPy copies, and does not ask
        lambda A: rows.copy(np.ascontiguousarray(A.T)),
    ],
)
def test_what_is_no_work_is_refused(no_work: Callable[[Array], object]) -> None:
    def function(A: Array, B: Array) -> Params:
        no_work(A)
        return {"C": matmul(A, B)}

    with pytest.raises(UnplannedError):
        Program.of(function, SHAPES)


def test_what_is_given_is_no_result() -> None:
    with pytest.raises(UnplannedError, match="C is not in room of the program's own"):
        Program.of(lambda A, B: {"C": A}, SHAPES)


def test_a_program_after_some_runs_and_a_reason_where_there_is_none() -> None:
    programs = Known(lambda shapes: Program.of(lambda A, B: {"C": matmul(A, B)}, shapes))
    arrays = dict(zip(SHAPES, draw(0), strict=True))
    for _ in range(TIMES):
        assert programs.find(arrays) is None
        programs.met(arrays)
    assert programs.find(arrays) is not None
    assert programs.find(arrays | {"A": np.ones((4, 5), np.float32)}) is None
    turned = arrays | {"A": np.asfortranarray(arrays["A"])}
    for _ in range(TIMES):
        programs.met(turned)
    assert (programs.find(turned), programs.reasons) == (None, ["A has gaps"])
    doubled = Known(lambda shapes: Program.of(lambda A, B: {"C": A * 2}, shapes))
    for _ in range(TIMES + 1):
        doubled.met(arrays)
    assert (doubled.find(arrays), doubled.reasons) == (None, ["NumPy's multiply is no work of a program"])


def test_shapes_that_are_met_stay_and_those_met_longest_ago_go() -> None:
    known = Known(lambda shapes: shapes["A"][0])
    first = dict(zip(SHAPES, draw(0), strict=True))
    for _ in range(TIMES):
        known.met(first)
    for n in range(MOST + 1):
        known.met({"A": np.zeros(n)})
        assert known.find(first) is not None
    for n in range(MOST):
        known.met({"A": np.zeros((n, 1))})
    assert known.find(first) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1,), (3, 7), (2, 3, 9), (70, 901)])
def test_element_by_element(shape: tuple[int, ...], dtype: type) -> None:
    rng = np.random.default_rng(0)
    a: Array = rng.normal(size=shape).astype(dtype)
    b: Array = rng.normal(size=shape).astype(dtype)
    np.testing.assert_array_equal(rows.add(a, b), a + b)
    np.testing.assert_array_equal(rows.multiply(a, b), a * b)
    np.testing.assert_array_equal(rows.copy(a), a)
    np.testing.assert_array_equal(rows.zeros(shape, dtype), np.zeros(shape, dtype))
    np.testing.assert_array_equal(rows.copy(a[..., 1:]), a[..., 1:])
    np.testing.assert_array_equal(rows.add(a.T, b.T), (a + b).T)
    total = a + b
    np.testing.assert_array_equal(rows.add(a, b, a), total)
    assert rows.add(a, b, a) is a
    wide: Array = np.ones((*shape[:-1], shape[-1] + 5), dtype)
    rows.copy(b, wide[..., 2:-3])
    np.testing.assert_array_equal(wide[..., 2:-3], b)
    np.testing.assert_array_equal(wide[..., [0, 1, -3, -2, -1]], 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 5), (16, 8), (17, 33), (901, 70)])
def test_operands_that_are_turned(shape: tuple[int, int], dtype: type) -> None:
    rng = np.random.default_rng(0)
    a: Array = rng.normal(size=shape).astype(dtype)
    b: Array = rng.normal(size=shape[::-1]).astype(dtype)
    wide: Array = np.ones((shape[1], shape[0] + 3), dtype)
    out = wide[:, 1:-2]
    rows.copy(a.T, out)
    np.testing.assert_array_equal(out, a.T)
    rows.add(a.T, out, out)  # one of them lies as what is written does
    np.testing.assert_array_equal(out, a.T + a.T)
    rows.add(b, a.T, out)
    np.testing.assert_array_equal(out, b + a.T)
    np.testing.assert_array_equal(wide[:, [0, -2, -1]], 1)
    np.testing.assert_array_equal(rows.multiply(a[:, ::-1].T, b), a[:, ::-1].T * b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_tokens_choose_and_odd_strides(dtype: type) -> None:
    table: Array = np.random.default_rng(0).normal(size=(7, 13)).astype(dtype)
    tokens = np.random.default_rng(1).integers(7, size=(5, 3))
    np.testing.assert_array_equal(rows.take(table, tokens), table[tokens])
    np.testing.assert_array_equal(rows.take(table[:, 3:9], tokens), table[:, 3:9][tokens])
    np.testing.assert_array_equal(rows.copy(table[::-2, ::3]), table[::-2, ::3])
    packed = np.zeros(4, np.dtype([("flag", "i1"), ("x", dtype, (3,))]))  # numbers where no number begins
    packed["x"] = table[:4, :3]
    np.testing.assert_array_equal(rows.copy(packed["x"]), table[:4, :3])


MAPS = Path("/proc/self/maps")


@pytest.mark.skipif(not MAPS.exists(), reason="the system does not tell of a process's memory")
def test_arrays_that_stand_for_others_are_one_part_of_memory() -> None:
    """A process may have some ten thousand parts, and a long one lays out thousands of programs."""
    tape, before = Tape(), len(MAPS.read_text().splitlines())
    held = [tape.stand_in((64, 64), "f4") for _ in range(200)]
    assert len(MAPS.read_text().splitlines()) - before < 50
    assert len({array.ctypes.data for array in held}) == 200
