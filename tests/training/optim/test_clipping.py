"""Clipping keeps its promises: by entry, by norm, in place, to the same bits in any order."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bptt.errors import ConfigError
from bptt.training.optim import clip_norm, clip_values, global_norm
from bptt.training.optim.blocks import BLOCK
from bptt.types import Params
from optimizers import copy, same_bits


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


def test_the_norm_of_float32_is_summed_in_float64_by_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bptt.layer import threads

    grads = {"W": np.random.default_rng(0).normal(size=(777, 333)).astype(np.float32)}
    exact = math.sqrt(math.fsum(float(x) ** 2 for x in grads["W"].ravel()))
    norms = set()
    for count in (1, 2, 4):
        monkeypatch.setattr(threads, "count", lambda count=count: count)
        norms.add(global_norm(grads))
    (norm,) = norms
    assert abs(norm / exact - 1) < 1e-14
    assert math.isnan(global_norm({"W": np.array([1, np.nan], np.float32)}))
    assert global_norm({"W": np.array([1, -np.inf], np.float32)}) == math.inf
