"""A layer as two programs: the bits of works run one by one, forward and backward, whatever is given."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import bptt
from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import kernel
from bptt.kernels.cell import unrolled
from bptt.kernels.cell.planned import PlannedRun
from bptt.layer.shapes import layer_shapes
from bptt.types import Array, Params

D, H, F4 = 4, 6, np.dtype(np.float32)


def draw(rng: np.random.Generator, *shape: int) -> Array:
    return rng.normal(size=shape).astype(F4)


def params_of(cell: str) -> Params:
    rng = np.random.default_rng(0)
    return {name: draw(rng, *shape) for name, shape in layer_shapes(bptt.zoo.get(cell), D, H, "two").items()}


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru-cho", "rnn", "indrnn", "slstm", "lstm-peephole"])
@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize(("T", "N"), [(7, 1), (5, 9)])
def test_the_same_bits_forward_and_backward(cell: str, tokens: bool, T: int, N: int) -> None:
    rng, own, params = np.random.default_rng(1), bptt.zoo.get(cell), params_of(cell)
    compiled = kernel("auto", own, F4)
    assert compiled is not None
    for reverse, has_states, has_resets, has_mask in (
        (False, False, False, False), (False, True, True, False), (True, True, False, False),
        (True, False, True, False), (False, False, True, True), (True, True, False, True),
    ):  # fmt: skip
        for seed in range(4):
            x = rng.integers(D, size=(T, N)) if tokens else draw(rng, T, N, D)
            states = tuple(draw(rng, N, H) for _ in own.states) if has_states else None
            reset = rng.random((T, N)) < 0.3 if has_resets else None
            mask = np.arange(T)[:, None] < rng.integers(0, T + 1, N) if has_mask else None
            if mask is not None and not tokens:
                x[~mask] = np.nan
            run = bptt.unroll(own, params, x, states, mask=mask, reset=reset, reverse=reverse)
            x = x if mask is None else np.where(mask.reshape(T, N, *[1] * (x.ndim - 2)), x, 0)
            wanted = unrolled.run(
                compiled, params, x, states, F4, mask=mask, reset=reset, reverse=reverse
            )  # fmt: skip
            # a loop from the end wants the resets moved by a step, which NumPy does
            assert isinstance(run, PlannedRun) == (seed >= 2 and not (has_resets and reverse))
            np.testing.assert_array_equal(run.y, wanted.y)
            dy, dlast = draw(rng, T, N, H), tuple(draw(rng, N, H) for _ in own.states)
            for given, overwrite in (((dy, None), False), ((dy, dlast), False), ((None, dlast), True)):
                found, right = (r.backward(*given, overwrite=overwrite) for r in (run, wanted))
                assert list(found.params) == list(right.params)
                for a, b in zip(found.params.values(), right.params.values(), strict=True):
                    np.testing.assert_array_equal(a, b)
                for a, b in zip((*run.states, *found.states), (*wanted.states, *right.states), strict=True):
                    np.testing.assert_array_equal(a, b)
                assert (found.inputs is None) == (right.inputs is None) == tokens
                if found.inputs is not None:
                    np.testing.assert_array_equal(found.inputs, right.inputs)


def test_runs_that_are_held_are_independent() -> None:
    params = params_of("lstm")
    rng = np.random.default_rng(2)
    inputs, dy = [draw(rng, 5, 2, D) for _ in range(5)], draw(rng, 5, 2, H)
    runs = [bptt.unroll("lstm", params, x) for x in inputs]
    assert isinstance(runs[-1], PlannedRun)
    grads = [run.backward(dy) for run in reversed(runs)][::-1]
    for x, found in zip(inputs, grads, strict=True):
        right = bptt.unroll("lstm", params, x, backend="reference").backward(dy)
        np.testing.assert_allclose(found.params["U"], right.params["U"], rtol=1e-5, atol=1e-5)


def test_a_run_that_is_used_up_and_gradients_that_do_not_fit() -> None:
    params, x = params_of("gru"), np.ones((4, 3, D), F4)
    for _ in range(3):
        run = bptt.unroll("gru", params, x)
    assert isinstance(run, PlannedRun)
    with pytest.raises(ShapeError, match="dy must be"):
        run.backward(np.ones((4, 2, H), F4))
    first = run.backward(np.ones((4, 3, H)), overwrite=True)
    with pytest.raises(ConfigError, match="used up this run"):
        run.backward()
    again = bptt.unroll("gru", params, x).backward(np.ones((4, 3, H), F4))
    np.testing.assert_array_equal(first.params["W"], again.params["W"])
