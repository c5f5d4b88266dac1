"""The reference time loop is right: every gradient of every cell, with and without all that is optional.

T is 5, N is 2, weights are random, biases, states and cotangents are not zero: each of these is what some
wrong backward pass in public code needed in order to be seen.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from bptt.cells import CELLS, Cell
from bptt.layer.reference import scatter_add, unroll
from bptt.types import Array, Params
from gradcheck import (
    TOLERANCE,
    Layer,
    assert_close,
    central_differences,
    complex_step,
    dot,
    random_layer,
    relative_error,
)

ROUNDING = TOLERANCE["float64"]


# Rows differ and steps differ; a step is held in mid-sequence, at the end and, in row 1, at the start.
MASK = np.array([[1, 0], [1, 1], [0, 1], [1, 1], [1, 0]], bool)
# At the first step, after a held step and on a held step; both rows at once and one alone.
RESET = np.array([[0, 1], [1, 0], [0, 0], [1, 1], [0, 1]], bool)
FLAGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "mask": {"mask": MASK},
    "reset": {"reset": RESET},
    "mask+reset": {"mask": MASK, "reset": RESET},
}
FLAGS |= {f"reverse {name}": flags | {"reverse": True} for name, flags in FLAGS.items()}
EVERY_CELL = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
EVERY_FLAG = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
BOTH_WAYS = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
# With this one no tensor's gradient is below 0.1 at its largest, for any cell under any flags: a relu's
# units are not all dead, and no fault hides in a gradient that vanishes.
SEED = 117


def layer(cell: Cell, seed: int = SEED, **kwargs: Any) -> Layer:
    return random_layer(np.random.default_rng(seed), cell, **kwargs)


@EVERY_CELL
@EVERY_FLAG
@pytest.mark.parametrize("bias", ["none", "one", "two"])
def test_every_gradient(cell: Cell, flags: dict[str, Any], bias: Literal["none", "one", "two"]) -> None:
    case = layer(cell, bias=bias, **flags)
    grads = case.grads()
    assert min(np.abs(array).max() for array in grads.values()) > 0.1
    assert_close(grads, complex_step(case.loss, case.arrays), 1e-12)
    assert_close(grads, central_differences(case.loss, case.arrays), 1e-6)


@EVERY_CELL
@BOTH_WAYS
@pytest.mark.parametrize("T", [1, 2, 3])
@pytest.mark.parametrize("N", [1, 3])
def test_every_gradient_of_short_sequences(cell: Cell, reverse: bool, T: int, N: int) -> None:
    case = layer(cell, T=T, N=N, reverse=reverse)
    assert_close(case.grads(), complex_step(case.loss, case.arrays), 1e-12)


@EVERY_CELL
@EVERY_FLAG
def test_each_output_alone(cell: Cell, flags: dict[str, Any]) -> None:
    """One cotangent at a time: backward of y alone, of each final state alone; the others left out."""
    case = layer(cell, **flags)
    for only in case.cotangents:
        alone = replace(case, cotangents={name: d * (name == only) for name, d in case.cotangents.items()})
        run = case.run()
        grads = alone.grads(run)
        assert_close(grads, complex_step(alone.loss, case.arrays), 1e-12)
        final = tuple(alone.cotangents[s] for s in cell.states)
        left_out = run.backward(case.cotangents["y"]) if only == "y" else run.backward(dstates=final)
        assert equal(left_out.params, {name: grads[name] for name in left_out.params})
        assert left_out.inputs is not None
        assert np.array_equal(left_out.inputs, grads["x"])
        assert all(
            np.array_equal(d, grads[f"{s}0"]) for s, d in zip(cell.states, left_out.states, strict=True)
        )


def equal(these: Params, those: Params) -> bool:
    """Return whether both hold the same tensors, bit for bit."""
    return these.keys() == those.keys() and all(np.array_equal(a, those[name]) for name, a in these.items())


@EVERY_CELL
@EVERY_FLAG
def test_zero_cotangent_gives_exactly_zero(cell: Cell, flags: dict[str, Any]) -> None:
    case = layer(cell, **flags)
    run = case.run()
    zeros = tuple(np.zeros_like(s) for s in run.states)
    for grads in (run.backward(np.zeros_like(run.y), zeros), run.backward()):
        assert grads.inputs is not None
        assert not any(array.any() for array in (*grads.params.values(), grads.inputs, *grads.states))


@EVERY_CELL
@EVERY_FLAG
def test_backward_is_linear(cell: Cell, flags: dict[str, Any]) -> None:
    """Gradients of a sum of losses are the sum of gradients: nothing is kept from call to call."""
    case, other = layer(cell, **flags), layer(cell, seed=1, **flags)
    run = case.run()
    total = {name: case.cotangents[name] - 2 * other.cotangents[name] for name in case.cotangents}
    parts, more = case.grads(run), replace(case, cotangents=other.cotangents).grads(run)
    wanted = {name: array - 2 * more[name] for name, array in parts.items()}
    assert_close(replace(case, cotangents=total).grads(run), wanted, ROUNDING)


@EVERY_CELL
@EVERY_FLAG
def test_backward_twice_gives_the_same_and_changes_nothing(cell: Cell, flags: dict[str, Any]) -> None:
    case = layer(cell, **flags)
    run = case.run()
    given = [*case.arrays.values(), *case.cotangents.values(), *flags.values(), run.y, *run.states]
    before = [np.copy(array) for array in given]
    first, second = case.grads(run), case.grads(run)
    assert equal(first, second)
    assert all(np.array_equal(a, b) for a, b in zip(before, given, strict=True))
    assert equal(first, case.grads())


@EVERY_CELL
@EVERY_FLAG
def test_results_are_arrays_of_their_own(cell: Cell, flags: dict[str, Any]) -> None:
    """A caller who writes into what it got (an optimiser, a clip) reaches nobody else's array."""
    case = layer(cell, **flags).during(slice(0, 1))  # with one step the least is made on the way
    run = case.run()
    made = [run.y, *run.states, *case.grads(run).values()]
    given = [*case.arrays.values(), *case.cotangents.values()]
    for k, array in enumerate(made):
        assert not any(np.shares_memory(array, other) for other in [*given, *made[:k]])


@EVERY_CELL
@EVERY_FLAG
@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_dtype_is_kept(cell: Cell, flags: dict[str, Any], dtype: type) -> None:
    case = layer(cell, dtype=dtype, **flags)
    real = layer(cell, **flags)
    made, wanted = case.outputs() | case.grads(), real.outputs() | real.grads()
    assert {name: array.dtype for name, array in made.items()} == dict.fromkeys(wanted, np.dtype(dtype))
    assert_close(made, wanted, TOLERANCE[np.dtype(dtype).name])
    assert all(s.dtype == dtype for s in case.run().backward().states)


@EVERY_CELL
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_default_states_are_zeros_of_the_dtype(cell: Cell, dtype: type) -> None:
    case = layer(cell, dtype=dtype)
    zeros = {f"{s}0": np.zeros_like(case.arrays[f"{s}0"]) for s in cell.states}
    params = {k: v for k, v in case.arrays.items() if k in ("W", "U", "b", "b_h")}
    run, wanted = unroll(cell, params, case.arrays["x"]), case.run(case.arrays | zeros)
    assert run.y.dtype == dtype
    assert np.array_equal(run.y, wanted.y)
    assert equal(case.grads(run), case.grads(wanted))


@EVERY_CELL
@EVERY_FLAG
def test_complex_gradients_are_the_derivatives_of_complex_outputs(cell: Cell, flags: dict[str, Any]) -> None:
    """A complex step through backward gives the Hessian, and the Hessian is symmetric."""
    case = layer(cell, **flags)
    u, v = (layer(cell, seed=seed).arrays for seed in (1, 2))

    def hessian_times(v: Params) -> Params:
        moved = {name: array + 1e-30j * v[name] for name, array in case.arrays.items()}
        return {name: array.imag * 1e30 for name, array in case.grads(case.run(moved)).items()}

    assert abs(dot(hessian_times(v), u)) > 0.1
    assert dot(hessian_times(v), u) == pytest.approx(dot(hessian_times(u), v), rel=1e-11)


@EVERY_CELL
@EVERY_FLAG
@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_integers_are_one_hot_vectors(cell: Cell, flags: dict[str, Any], dtype: type) -> None:
    case = layer(cell, D=7, **flags)
    tokens: Array = (
        np.random.default_rng(3).integers(6, size=(5, 2)).astype(dtype)
    )  # row 6 of W is never chosen
    one_hot = replace(case, arrays=case.arrays | {"x": np.eye(7)[tokens]})
    integers = replace(case, arrays=case.arrays | {"x": tokens})
    grads, wanted = integers.grads(), one_hot.grads()
    wanted.pop("x")
    assert_close(integers.outputs(), one_hot.outputs(), 1e-14)
    assert_close(grads, wanted, ROUNDING)
    assert not grads["W"][6].any()


@EVERY_CELL
@BOTH_WAYS
def test_masked_steps_hold_the_states(cell: Cell, reverse: bool) -> None:
    case = layer(cell, mask=MASK, reverse=reverse)
    y = case.run().y
    assert not y[~MASK].any()
    assert (y[MASK] != 0).any()
    for n in range(2):
        steps = MASK[:, n]
        dense = replace(case, arrays=only(case.arrays, steps, n), mask=None)
        assert np.allclose(y[steps, n], dense.run().y[:, 0], rtol=ROUNDING, atol=0)
        for s, alone in zip(case.run().states, dense.run().states, strict=True):
            assert np.allclose(s[n], alone[0], rtol=ROUNDING, atol=0)


def only(arrays: Params, steps: Array | slice, n: int) -> Params:
    """Return the arrays with row n alone, at the given steps alone."""
    rows: dict[str, Any] = {"x": (steps, slice(n, n + 1)), "y": (steps, slice(n, n + 1))}
    rows |= dict.fromkeys(("h", "c", "h0", "c0"), slice(n, n + 1))
    return {name: array[rows[name]] if name in rows else array for name, array in arrays.items()}


@EVERY_CELL
@BOTH_WAYS
def test_unequal_lengths_are_each_row_alone(cell: Cell, reverse: bool) -> None:
    lengths = [3, 5, 1]
    mask = np.arange(5)[:, None] < lengths
    case = layer(cell, N=3, mask=mask, reverse=reverse)
    outputs, grads = case.outputs(), case.grads()
    sums: Params = {}
    for n, length in enumerate(lengths):
        steps = slice(0, length)
        row = Layer(cell, only(case.arrays, steps, n), only(case.cotangents, steps, n), reverse=reverse)
        assert_close(row.outputs(), only(outputs, steps, n), ROUNDING)
        alone = row.grads()
        own = {name: alone.pop(name) for name in ("x", *(f"{s}0" for s in cell.states))}
        whole = only(grads, steps, n)
        assert_close(own, {name: whole[name] for name in own}, ROUNDING)
        assert not grads["x"][length:, n].any()
        sums = {name: array + sums[name] if sums else array for name, array in alone.items()}
    assert_close(sums, {name: grads[name] for name in sums}, ROUNDING)


@EVERY_CELL
@BOTH_WAYS
@pytest.mark.parametrize(
    ("where", "junk"),
    [
        ("dy", 1e30),
        ("dy", np.nan),
        ("x", 1e30),
        ("x", np.nan),
    ],
)
def test_what_stands_in_the_padding_has_no_influence(
    cell: Cell, reverse: bool, where: str, junk: float
) -> None:
    case = layer(cell, mask=MASK, reset=RESET, reverse=reverse)
    before = case.outputs() | case.grads()
    padded = case.arrays["x"] if where == "x" else case.cotangents["y"]
    padded[~MASK] = junk
    assert equal(before, case.outputs() | case.grads())


@EVERY_CELL
@BOTH_WAYS
def test_nothing_masked_and_nothing_reset_is_plain(cell: Cell, reverse: bool) -> None:
    case = layer(cell, reverse=reverse)
    flagged = replace(case, mask=np.ones((5, 2), bool), reset=np.zeros((5, 2), bool))
    assert equal(case.outputs() | case.grads(), flagged.outputs() | flagged.grads())


@EVERY_CELL
@BOTH_WAYS
def test_all_masked_hands_the_states_through(cell: Cell, reverse: bool) -> None:
    case = layer(cell, mask=np.zeros((5, 2), bool), reverse=reverse)
    outputs, grads = case.outputs(), case.grads()
    assert not outputs["y"].any()
    for s in cell.states:
        assert np.array_equal(outputs[s], case.arrays[f"{s}0"])
        assert np.array_equal(grads.pop(f"{s}0"), case.cotangents[s])
    assert not any(array.any() for array in grads.values())


@EVERY_CELL
@BOTH_WAYS
@pytest.mark.parametrize("border", [1, 2, 4])
def test_reset_makes_two_sequences_of_one(cell: Cell, reverse: bool, border: int) -> None:
    reset = np.zeros((5, 2), bool)
    reset[border] = True
    case = layer(cell, reset=reset, reverse=reverse)
    zeros = {f"{s}0": np.zeros((2, 3)) for s in cell.states}
    none = {s: np.zeros((2, 3)) for s in cell.states}
    parts = [slice(0, border), slice(border, None)]
    began, ended = parts[::-1] if reverse else parts

    def part(steps: slice) -> Layer:
        cut = replace(case, reset=None).during(steps)
        if steps == began:
            return replace(cut, cotangents=cut.cotangents | none)
        return replace(cut, arrays=cut.arrays | zeros)

    outputs, grads = case.outputs(), case.grads()
    y = np.concatenate([part(steps).outputs()["y"] for steps in parts])
    assert relative_error(y, outputs["y"]) < 1e-14
    for s in cell.states:
        assert np.allclose(part(ended).outputs()[s], outputs[s], rtol=ROUNDING, atol=0)
    first, second = (part(steps).grads() for steps in parts)
    dx = np.concatenate([first.pop("x"), second.pop("x")])
    starts = part(began).grads()
    wanted = {name: first[name] + second[name] for name in ("W", "U", "b", "b_h")}
    wanted |= {"x": dx} | {f"{s}0": starts[f"{s}0"] for s in cell.states}
    assert_close(grads, wanted, ROUNDING)


@EVERY_CELL
def test_reset_at_the_first_step_forgets_what_was_carried(cell: Cell) -> None:
    reset = np.zeros((5, 2), bool)
    reset[0, 1] = True
    case = layer(cell, reset=reset)
    other = case.arrays | {f"{s}0": case.arrays[f"{s}0"] + [[0], [1]] for s in cell.states}
    assert np.array_equal(case.run().y, case.run(other).y)
    for s in cell.states:
        d = case.grads()[f"{s}0"]
        assert d[0].any() or cell.name == "rnn-relu"
        assert not d[1].any()
    # run from the end, the border before step 0 is where the chunk before would begin
    back = replace(case, reverse=True)
    for s, final, free in zip(
        cell.states, back.run().states, replace(back, reset=None).run().states, strict=True
    ):
        assert not final[1].any(), s
        assert np.array_equal(final[0], free[0])


@EVERY_CELL
@pytest.mark.parametrize("flags", [{}, {"mask": MASK}, {"reset": RESET & (np.arange(5) > 0)[:, None]}])
def test_reverse_is_the_flipped_sequence(cell: Cell, flags: dict[str, Any]) -> None:
    case = layer(cell, reverse=True, **flags)
    mask = None if case.mask is None else case.mask[::-1]
    # the border between t-1 and t is that between T-t-1 and T-t of the flipped sequence
    reset = None if case.reset is None else np.roll(case.reset[::-1], 1, axis=0)
    flipped = Layer(
        cell,
        case.arrays | {"x": case.arrays["x"][::-1]},
        case.cotangents | {"y": case.cotangents["y"][::-1]},
        mask,
        reset,
    )
    wanted = flipped.outputs() | flipped.grads()
    wanted |= {name: wanted[name][::-1] for name in ("x", "y")}
    assert_close(case.outputs() | case.grads(), wanted, ROUNDING)


@EVERY_CELL
def test_order_in_memory_does_not_matter(cell: Cell) -> None:
    """Transposed views, flipped views and Fortran order give what contiguous arrays give."""
    case = layer(cell)

    def strided(array: Array) -> Array:
        return np.asfortranarray(array) if array.ndim > 1 else np.repeat(array, 2)[::2]

    other = replace(
        case,
        arrays={name: strided(array) for name, array in case.arrays.items()},
        cotangents={name: strided(array) for name, array in case.cotangents.items()},
    )
    assert_close(other.outputs() | other.grads(), case.outputs() | case.grads(), ROUNDING)


def test_scatter_add_is_the_transpose_of_gathering() -> None:
    rng = np.random.default_rng(0)
    rows, values = rng.integers(5, size=(4, 3)), rng.normal(size=(12, 2))
    wanted = np.eye(7)[rows.ravel()].T @ values
    assert np.allclose(scatter_add(rows, values, 7), wanted, rtol=1e-14, atol=0)
    assert scatter_add(rows, values.astype(np.float32), 7).dtype == np.float32


def test_no_rows_at_all() -> None:
    assert not scatter_add(np.zeros((2, 0), int), np.zeros((0, 3)), 4).any()
    params = {"W": np.zeros((4, 12)), "U": np.zeros((3, 12))}
    run = unroll(CELLS["lstm"], params, np.zeros((5, 0), int))
    assert run.backward(run.y).params["W"].shape == (4, 12)
