"""Optimisers move parameters and state in place, in their dtype, compiled as in NumPy; or not at all."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.errors import ShapeError
from bptt.kernels.backends import Backend
from bptt.training.optim import SGD, Adam, AdamW, Optimizer
from bptt.training.optim.blocks import BLOCK
from bptt.types import Params
from optimizers import copy, draw, every, same_bits


@every
def test_moves_the_same_arrays_and_leaves_gradients(optimizer: Optimizer) -> None:
    params, grads = draw(0), draw(1)
    state = optimizer.init(params)
    held, kept, before = {**params, **state}, copy(grads), copy({**params, **state})
    optimizer.update(params, grads, state, 0.1)
    for name, array in {**params, **state}.items():
        assert array is held[name]
        assert (array != before[name]).any(), name
    assert same_bits(grads, kept)
    assert state["t"] == 1


@every
def test_float32_stays_float32(optimizer: Optimizer) -> None:
    """NumPy's float64 scalars promote; neither as lr nor as options may they change a bit."""
    plain = {"W": np.random.default_rng(0).standard_normal((50, 40)).astype(np.float32)}
    numpy_scalars = copy(plain)
    odd = replace(optimizer, **{k: np.float64(v) for k, v in asdict(optimizer).items() if k != "nesterov"})
    states = optimizer.init(plain), odd.init(numpy_scalars)
    for step in range(3):
        grads = {"W": np.random.default_rng(step + 1).standard_normal((50, 40)).astype(np.float32)}
        optimizer.update(plain, grads, states[0], 0.1)
        odd.update(numpy_scalars, grads, states[1], np.float64(0.1))
    assert {a.dtype for name, a in {**plain, **states[0]}.items() if name != "t"} == {np.dtype(np.float32)}
    assert same_bits({**plain, **states[0]}, {**numpy_scalars, **states[1]})


def test_float32_arithmetic_is_float32() -> None:
    rng = np.random.default_rng(0)
    p, g = rng.standard_normal((2, 1000)).astype(np.float32)
    params = {"p": p.copy()}
    SGD().update(params, {"p": g}, SGD().init(params), 0.1)
    in_float64 = (p - 0.1 * g.astype(np.float64)).astype(np.float32)
    assert (params["p"] == p - np.float32(0.1) * g).all()
    assert (params["p"] != in_float64).any()


@every
def test_long_and_strided_arrays_move_as_short_ones(optimizer: Optimizer) -> None:
    """Blocks, gaps and Fortran order are layout, not arithmetic."""
    n = 2 * BLOCK + 7
    rng = np.random.default_rng(0)
    p, g = rng.standard_normal((2, n, 2))
    long = {"p": p.copy()}
    gaps = {"p": np.zeros((n, 4))[:, ::2]}
    gaps["p"][...] = p
    fortran = {"p": np.asfortranarray(p)}
    pieces = {str(k): p[k : k + 1000].copy() for k in range(0, n, 1000)}
    for params in (long, gaps, fortran, pieces):
        grads = {"p": g} if "p" in params else {k: g[int(k) : int(k) + 1000] for k in params}
        state = optimizer.init(params)
        for _ in range(2):
            optimizer.update(params, grads, state, 0.1)
    assert (long["p"] != p).all()
    for params in (gaps, fortran):
        assert (params["p"] == long["p"]).all()
    assert (np.concatenate(list(pieces.values())) == long["p"]).all()


@every
def test_empty_arrays_and_no_arrays(optimizer: Optimizer) -> None:
    for params in ({}, {"b": np.zeros((0, 3))}):
        state = optimizer.init(params)
        optimizer.update(params, copy(params), state, 0.1)
        assert state["t"] == 1


@every
def test_a_saved_state_goes_on_with_the_same_bits(optimizer: Optimizer, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    def go(params: Params, state: Params, steps: range) -> None:
        for step in steps:
            optimizer.update(params, draw(step + 1, np.float32), state, 0.1)

    params = draw(0, np.float32)
    state = optimizer.init(params)
    go(params, state, range(5))
    save_file(params, tmp_path / "params.safetensors")
    save_file(state, tmp_path / "state.safetensors")
    again, again_state = load_file(tmp_path / "params.safetensors"), load_file(tmp_path / "state.safetensors")
    go(params, state, range(5, 10))
    go(again, again_state, range(5, 10))
    assert same_bits(again, params)
    assert same_bits(again_state, state)
    lost = load_file(tmp_path / "params.safetensors")
    go(lost, optimizer.init(lost), range(5, 10))
    assert same_bits(lost, params) == (optimizer == SGD())  # the others do depend on their state


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every
def test_compiled_updates_are_the_equations(optimizer: Optimizer, dtype: type) -> None:
    rng = np.random.default_rng(0)
    shapes = {"W": (301, 333), "b": (7,), "one": (1,)}
    start: dict[str, Any] = {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    results = []
    backends: tuple[Backend, ...] = ("cpu", "reference")
    for backend in backends:
        params = {name: p.copy() for name, p in start.items()}
        state, rng = optimizer.init(params), np.random.default_rng(1)
        for _ in range(3):
            grads: dict[str, Any] = {
                name: rng.normal(size=p.shape).astype(dtype) for name, p in params.items()
            }
            optimizer.update(params, grads, state, 0.01, backend=backend)
        results.append(params | state)
    tolerance = 3e-6 if dtype is np.float32 else 1e-14
    for name, array in results[1].items():
        assert np.abs(results[0][name] - array).max() < tolerance, name


def spoil(what: str, params: Params, grads: Params, state: Params) -> None:
    match what:
        case "grads and parameters differ in b":
            del grads["b"]
        case "grads: b must be float64 (4,), got float64 (1,)":
            grads["b"] = np.ones(1)
        case "grads: U must be float64 (3, 4), got float32 (3, 4)":
            grads["U"] = grads["U"].astype(np.float32)
        case "state and parameters differ in m.b":
            del state["m.b"]
        case "state and parameters differ in s.b":
            state["s.b"] = grads["b"].copy()
        case "state and parameters differ in t":
            del state["t"]
        case "state: v.b must be float64 (4,), got float64 (5,)":
            state["v.b"] = np.ones(5)
        case "b must be real, float32 or wider, got complex128":
            params["b"] = params["b"].astype(complex)
        case "b must be real, float32 or wider, got float16":
            params["b"] = params["b"].astype(np.float16)
        case _:
            raise AssertionError(what)


@pytest.mark.parametrize("optimizer", [Adam(), AdamW()], ids=repr)
@pytest.mark.parametrize(
    "message",
    [
        "grads and parameters differ in b",
        "grads: b must be float64 (4,), got float64 (1,)",
        "grads: U must be float64 (3, 4), got float32 (3, 4)",
        "state and parameters differ in m.b",
        "state and parameters differ in s.b",
        "state and parameters differ in t",
        "state: v.b must be float64 (4,), got float64 (5,)",
        "b must be real, float32 or wider, got complex128",
        "b must be real, float32 or wider, got float16",
    ],
)
def test_what_does_not_fit_is_refused_and_moves_nothing(optimizer: Optimizer, message: str) -> None:
    params, grads = draw(0), draw(1)
    state = optimizer.init(params)
    spoil(message, params, grads, state)
    before = copy({**params, **state})
    with pytest.raises(ShapeError) as error:
        optimizer.update(params, grads, state, 0.1)
    assert str(error.value) == f"{optimizer.name}: {message}"
    assert same_bits({**params, **state}, before)
