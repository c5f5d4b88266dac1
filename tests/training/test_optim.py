"""Optimisers do what the papers say, in place and in the parameters' dtype; clipping keeps its promises."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import Backend
from bptt.training import optim
from bptt.training.optim import (
    BLOCK,
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSProp,
    clip_norm,
    clip_values,
    global_norm,
    make,
)
from bptt.types import Params

SHAPES = {"E": (5, 3), "U": (3, 4), "b": (4,), "scale": ()}

EVERY = [
    SGD(),
    SGD(momentum=0.9),
    SGD(momentum=0.9, nesterov=True),
    Adagrad(),
    RMSProp(),
    Adam(),
    AdamW(weight_decay=0.1),
]
every = pytest.mark.parametrize("optimizer", EVERY, ids=repr)


def draw(seed: int, dtype: Any = np.float64) -> Params:
    rng = np.random.default_rng(seed)
    return {name: np.asarray(rng.standard_normal(shape)).astype(dtype) for name, shape in SHAPES.items()}


def copy(arrays: Params) -> Params:
    return {name: array.copy() for name, array in arrays.items()}


def same_bits(a: Params, b: Params) -> bool:
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)


# --- the equations -----------------------------------------------------------------------------------


def torch_twin(optimizer: Optimizer, torch: Any, params: dict[str, Any]) -> Any:
    """PyTorch's optimiser of the same equations, in its own names for the options."""
    ps = list(params.values())
    match optimizer:
        case SGD(momentum, nesterov):
            return torch.optim.SGD(ps, momentum=momentum, nesterov=nesterov)
        case Adagrad(eps):  # eps inside of the root is a sum that starts at eps
            return torch.optim.Adagrad(ps, eps=0.0, initial_accumulator_value=eps)
        case RMSProp(decay, eps):
            return torch.optim.RMSprop(ps, alpha=decay, eps=eps)
        case AdamW(beta1, beta2, eps, weight_decay):
            groups = [
                {"params": [p for p in ps if p.ndim >= 2], "weight_decay": weight_decay},
                {"params": [p for p in ps if p.ndim < 2], "weight_decay": 0.0},
            ]
            return torch.optim.AdamW(groups, betas=(beta1, beta2), eps=eps)
        case Adam(beta1, beta2, eps):
            return torch.optim.Adam(ps, betas=(beta1, beta2), eps=eps)
    raise AssertionError(optimizer)


@every
def test_twenty_steps_equal_pytorchs(optimizer: Optimizer) -> None:
    torch = pytest.importorskip("torch")
    params = draw(0)
    twins = {name: torch.tensor(p, requires_grad=True) for name, p in params.items()}
    twin = torch_twin(optimizer, torch, twins)
    state = optimizer.init(params)
    for step in range(20):
        grads, lr = draw(step + 1), 0.1 / (step + 1)
        optimizer.update(params, grads, state, lr)
        for group in twin.param_groups:
            group["lr"] = lr
        for name, tensor in twins.items():
            tensor.grad = torch.tensor(grads[name])
        twin.step()
    for name, tensor in twins.items():
        np.testing.assert_allclose(params[name], tensor.detach().numpy(), rtol=1e-12, atol=1e-12)


GRADS = (2.0, 4.0, -1.0)


def adam(
    b1: float, b2: float, eps: float, *, unbias: bool = True, t0: int = 1, inside: bool = False
) -> float:
    """Where Adam takes p = 1 by GRADS with lr = 0.1, in plain Python; the options are faults."""
    p, m, v = 1.0, 0.0, 0.0
    for t, g in enumerate(GRADS, t0):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        c1, c2 = (1 - b1**t, 1 - b2**t) if unbias else (1.0, 1.0)
        p -= 0.1 * (m / c1) / (math.sqrt(v / c2 + eps) if inside else math.sqrt(v / c2) + eps)
    return p


def by_squares(decay: float, share: float, eps: float, *, inside: bool) -> float:
    """Where Adagrad (decay 1, share 1) and RMSProp take p = 1 by GRADS with lr = 0.1."""
    p, s = 1.0, 0.0
    for g in GRADS:
        s = decay * s + share * g**2
        p -= 0.1 * g / (math.sqrt(s + eps) if inside else math.sqrt(s) + eps)
    return p


RULES = {
    "sgd": (SGD(), 1 - 0.1 * (2 + 4 - 1), {"ascent": 1 + 0.1 * (2 + 4 - 1)}),
    "momentum": (  # v = 2, 5, 1.5
        SGD(momentum=0.5),
        1 - 0.1 * (2 + 5 + 1.5),
        {"damped, (1 - momentum) g": 1 - 0.1 * (1 + 2.5 + 0.75), "forgets v": 1 - 0.1 * (2 + 4 - 1)},
    ),
    "nesterov": (  # g + v / 2 = 3, 6.5, -0.25
        SGD(momentum=0.5, nesterov=True),
        1 - 0.1 * (3 + 6.5 - 0.25),
        {"is plain momentum": 1 - 0.1 * (2 + 5 + 1.5)},
    ),
    "adagrad": (
        Adagrad(eps=0.5),
        by_squares(1, 1, 0.5, inside=True),
        {
            "eps outside": by_squares(1, 1, 0.5, inside=False),
            "forgets the sum": by_squares(0, 1, 0.5, inside=True),
        },
    ),
    "rmsprop": (
        RMSProp(decay=0.75, eps=0.5),
        by_squares(0.75, 0.25, 0.5, inside=False),
        {
            "eps inside": by_squares(0.75, 0.25, 0.5, inside=True),
            "sum, not mean": by_squares(0.75, 1, 0.5, inside=False),
            "decay for 1 - decay": by_squares(0.25, 0.75, 0.5, inside=False),
        },
    ),
    "adam": (
        Adam(beta1=0.5, beta2=0.75, eps=0.5),
        adam(0.5, 0.75, 0.5),
        {
            "no bias correction": adam(0.5, 0.75, 0.5, unbias=False),
            "t starts late": adam(0.5, 0.75, 0.5, t0=2),
            "eps inside": adam(0.5, 0.75, 0.5, inside=True),
            "betas exchanged": adam(0.75, 0.5, 0.5),
        },
    ),
}


@pytest.mark.parametrize(("optimizer", "right", "faults"), RULES.values(), ids=RULES)
def test_three_steps_by_hand(optimizer: Optimizer, right: float, faults: dict[str, float]) -> None:
    params = {"p": np.ones(())}
    state = optimizer.init(params)
    for g in GRADS:
        optimizer.update(params, {"p": np.array(g)}, state, 0.1)
    assert params["p"] == pytest.approx(right, rel=1e-14)
    for fault, wrong in faults.items():  # the steps were chosen so that each fault would show
        assert abs(wrong - right) > 1e-3, fault


def test_adams_first_two_steps_in_numbers() -> None:
    """m = 1, v = 2, then 2.5 and 9; corrected 2, 4, then 10/3 and 12: no formula shared with the code."""
    params = {"p": np.zeros(1)}
    optimizer = Adam(beta1=0.5, beta2=0.5, eps=1e-12)
    state = optimizer.init(params)
    optimizer.update(params, {"p": np.array([2.0])}, state, 1.0)
    assert params["p"][0] == pytest.approx(-1.0, rel=1e-11)
    optimizer.update(params, {"p": np.array([4.0])}, state, 1.0)
    assert params["p"][0] == pytest.approx(-1.9622504486493764, rel=1e-11)
    assert [state[name].item() for name in ("m.p", "v.p", "t")] == [2.5, 9.0, 2]


def test_adamw_decays_matrices_only_and_not_through_the_means() -> None:
    params = draw(0)
    before, zeros = copy(params), {name: np.zeros_like(p) for name, p in params.items()}
    optimizer = AdamW(weight_decay=0.5)
    state = optimizer.init(params)
    optimizer.update(params, zeros, state, 0.1)
    for name, p in params.items():
        np.testing.assert_allclose(p, before[name] * (0.95 if p.ndim >= 2 else 1.0), rtol=1e-15)
    assert not any(state[name].any() for name in state if name != "t")


# --- in place, in the parameters' dtype -------------------------------------------------------------


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
    odd = replace(optimizer, **{k: np.float64(v) for k, v in vars(optimizer).items() if k != "nesterov"})
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


# --- what is refused -----------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adma", {}, "optimizer must be one of sgd, adagrad, rmsprop, adam, adamw, got 'adma'"),
        ("adam", {"momentum": 0.9}, "adam: options are beta1, beta2, eps; got momentum"),
        ("adam", {"beta1": 1.0}, "adam: beta1 must be a number in [0, 1), got 1.0"),
        ("adamw", {"weight_decay": -0.1}, "adamw: weight_decay must be a number in [0, 1), got -0.1"),
        ("rmsprop", {"decay": math.nan}, "rmsprop: decay must be a number in [0, 1), got nan"),
        ("adagrad", {"eps": 0.0}, "adagrad: eps must be a number in [1.17549e-38, 1), got 0.0"),
        ("sgd", {"momentum": "0.9"}, "sgd: momentum must be a number in [0, 1), got '0.9'"),
        ("sgd", {"nesterov": True}, "sgd: nesterov needs a momentum above 0, got 0; 0.9 is common"),
        ("sgd", {"nesterov": "no"}, "sgd: nesterov must be True or False, got 'no'"),
    ],
)
def test_options_that_mean_nothing(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        make(name, **options)
    assert str(error.value) == message


def test_make_knows_every_optimizer() -> None:
    assert {type(optimizer) for optimizer in EVERY} == set(OPTIMIZERS.values())
    for name, kind in OPTIMIZERS.items():
        assert make(name) == kind()
        assert make(name).name == name
    assert make("sgd", momentum=0.5, nesterov=True) == SGD(0.5, True)


# --- clipping ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_values_clips_counts_and_keeps_nan(dtype: Any) -> None:
    g = np.array([[-np.inf, -5.5, -5.0, 0.0], [np.nan, 5.0, 6.0, np.inf]], dtype)
    grads = {"g": g, "none": np.zeros(3, dtype), "empty": np.zeros((0, 2), dtype)}
    assert clip_values(grads, 5.0) == 4
    assert grads["g"] is g
    np.testing.assert_array_equal(g, np.array([[-5, -5, -5, 0], [np.nan, 5, 5, 5]], dtype))
    assert clip_values(grads, 5.0) == 0


def test_clip_values_reaches_gaps_scalars_and_every_block() -> None:
    whole = np.full((3, 2 * BLOCK + 1), 9.0)
    grads = {"gaps": whole[:, ::2], "scalar": np.array(-9.0)}
    assert clip_values(grads, 1) == 3 * (BLOCK + 1) + 1
    assert (whole[:, ::2] == 1).all()
    assert (whole[:, 1::2] == 9).all()
    assert grads["scalar"] == -1


@pytest.mark.parametrize("limit", [math.inf, 1e40])
def test_a_limit_beyond_float32_clips_nothing(limit: float) -> None:
    grads = {"g": np.array([3e38, -1.0], np.float32)}
    assert clip_values(grads, limit) == 0
    clip_norm(grads, limit)
    assert same_bits(grads, {"g": np.array([3e38, -1.0], np.float32)})


@pytest.mark.parametrize("clip", [clip_values, clip_norm])
@pytest.mark.parametrize("limit", [0, -1.0, math.nan])
def test_a_limit_must_be_above_zero(clip: Callable[[Params, float], float], limit: float) -> None:
    grads = {"g": np.ones(3)}
    with pytest.raises(ConfigError, match=f"limit must be above 0, got {limit}"):
        clip(grads, limit)
    assert (grads["g"] == 1).all()


def reals(dtype: Any) -> st.SearchStrategy[Any]:
    bound = 2.0**20
    elements = st.floats(-bound, bound, width=dtype(0).itemsize * 8, allow_subnormal=False)
    return hnp.arrays(
        dtype, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4), elements=elements
    )


@pytest.mark.parametrize(("dtype", "ulp"), [(np.float32, 2.0**-22), (np.float64, 2.0**-51)])
@given(data=st.data(), limit=st.floats(1e-3, 1e6))
def test_clip_norm_bounds_the_norm_and_keeps_the_direction(
    dtype: Any, ulp: float, data: st.DataObject, limit: float
) -> None:
    grads = data.draw(st.dictionaries(st.sampled_from("abc"), reals(dtype)))
    before, held = copy(grads), dict(grads)
    norm = clip_norm(grads, limit)
    entries = [float(x) for g in before.values() for x in g.ravel()]
    assert norm == pytest.approx(math.hypot(*entries), rel=1e-14)
    assert global_norm(grads) <= limit * (1 + ulp)
    assert all(grads[name] is held[name] and grads[name].dtype == dtype for name in grads)
    if norm <= limit:
        assert same_bits(grads, before)
    for name, g in grads.items():
        scaled = before[name].astype(np.float64) * min(1.0, limit / norm if norm else 1.0)
        np.testing.assert_allclose(g, scaled, rtol=ulp, atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize(
    ("entry", "dtype"), [(3e38, np.float32), (1e-45, np.float32), (1e300, np.float64), (5e-324, np.float64)]
)
def test_the_norm_neither_overflows_nor_underflows(entry: float, dtype: Any) -> None:
    g = np.array([entry, 0, -entry, entry, entry], dtype)
    assert global_norm({"g": g}) == pytest.approx(2 * float(g[0]), rel=1e-14)


def test_a_huge_gradient_is_still_scaled() -> None:
    grads = {"a": np.full(3, 3e38, np.float32), "b": np.full((1, 1), -3e38, np.float32)}
    assert clip_norm(grads, 5.0) == pytest.approx(6e38)
    np.testing.assert_allclose([*grads["a"], *grads["b"].ravel()], [2.5, 2.5, 2.5, -2.5], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_norm_that_is_not_finite_is_returned_and_scales_nothing(bad: float) -> None:
    grads = {"a": np.array([1.0, 2.0]), "b": np.array([bad, 100.0]), "c": np.array([7.0])}
    before = copy(grads)
    norm = clip_norm(grads, 1.0)
    assert math.isnan(norm) if math.isnan(bad) else norm == math.inf
    assert same_bits(grads, before)
    grads["a"][0], grads["c"][0] = np.inf, np.nan
    assert math.isnan(clip_norm(grads, 1.0))


def test_zero_gradients_have_norm_zero() -> None:
    for grads in ({}, {"g": np.zeros((2, 3))}, {"g": np.zeros((0, 3), np.float32)}):
        assert clip_norm(grads, 1.0) == 0.0
        assert not any(g.any() for g in grads.values())


def orders(arrays: Params) -> Iterator[Params]:
    rng = np.random.default_rng(0)
    for _ in range(20):
        yield {name: arrays[name] for name in rng.permutation(list(arrays))}


def test_the_norm_has_the_same_bits_in_any_order_of_names() -> None:
    """A checkpoint may give the names back sorted; a resumed run must still clip by the same factor."""
    rng = np.random.default_rng(0)
    arrays = {f"g{k}": rng.standard_normal(9) * 10.0 ** rng.integers(-3, 3) for k in range(40)}
    assert len({global_norm(some) for some in orders(arrays)}) == 1
    plain = set()
    for some in orders(arrays):
        total = 0.0  # added one by one: Python's own sum makes up for rounding from 3.12 on
        for g in some.values():
            total += float((g * g).sum())
        plain.add(total)
    assert len(plain) > 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "optimizer",
    [
        optim.SGD(),
        optim.SGD(momentum=0.9),
        optim.SGD(momentum=0.9, nesterov=True),
        optim.Adagrad(),
        optim.RMSProp(),
        optim.Adam(),
        optim.AdamW(weight_decay=0.1),
    ],
    ids=repr,
)
def test_compiled_updates_are_the_equations(optimizer: optim.Optimizer, dtype: type) -> None:
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


def test_the_norm_of_float32_is_summed_in_float64_by_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bptt.layer import threads

    grads = {"W": np.random.default_rng(0).normal(size=(777, 333)).astype(np.float32)}
    exact = math.sqrt(math.fsum(float(x) ** 2 for x in grads["W"].ravel()))
    norms = set()
    for count in (1, 2, 4):
        monkeypatch.setattr(threads, "count", lambda count=count: count)
        norms.add(optim.global_norm(grads))
    (norm,) = norms
    assert abs(norm / exact - 1) < 1e-14
    assert math.isnan(optim.global_norm({"W": np.array([1, np.nan], np.float32)}))
    assert optim.global_norm({"W": np.array([1, -np.inf], np.float32)}) == math.inf


def test_an_optimiser_without_equations_is_not_passed_over() -> None:
    class Plain(optim.SGD):
        equations = ()

    moved = []
    for kind in (optim.SGD, Plain):
        params, grads = {"p": np.ones(5, np.float32)}, {"p": np.arange(5, dtype=np.float32)}
        rule = kind()
        rule.update(params, grads, rule.init(params), 0.1)
        moved.append(params["p"])
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-6)
    assert (moved[1][1:] != 1).all()
