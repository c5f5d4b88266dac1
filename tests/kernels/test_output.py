"""The fused output, softmax and cross-entropy against the losses room and plain products."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.kernels.ops import output
from bptt.kernels.runtime import memory
from bptt.layer import threads
from bptt.nets import losses
from bptt.types import Array, Reduction
from gradcheck import TOLERANCE

SIZES = [(1, 1, 1), (3, 2, 5), (7, 33, 16), (40, 17, 65), (300, 16, 5000), (2048, 8, 65)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("M", "H", "K"), SIZES)
def test_equals_the_reference(dtype: str, M: int, H: int, K: int) -> None:
    rng = np.random.default_rng(M)
    h, V, b = rng.normal(size=(M, H)), rng.normal(size=(H, K)), rng.normal(size=K)
    targets, w = rng.integers(K, size=M), np.full(M, 1 / M)
    wanted = losses.cross_entropy(
        (h @ V + b)[:, None], targets[:, None], reduction="mean_over_time_and_batch"
    )
    dz = wanted.grad[:, 0]
    h_, V_, b_ = (x.astype(dtype) for x in (h, V, b))
    got = output.cross_entropy(h_, V_, b_, targets, w)
    pairs = [
        (got.each, wanted.each[:, 0]),
        (got.dh, dz @ V.T),
        (got.dV, h.T @ dz),
        (got.db, dz.sum(0)),
    ]
    for fast, right in pairs:
        assert fast.shape == right.shape
        assert np.abs(fast - right).max() <= 0.3 * TOLERANCE[dtype] * max(1.0, np.abs(right).max())


@pytest.mark.parametrize(("M", "H", "K"), SIZES[1:])
def test_smoothed_labels_equal_the_reference(M: int, H: int, K: int) -> None:
    rng = np.random.default_rng(M)
    h, V, b = rng.normal(size=(M, H)), rng.normal(size=(H, K)), rng.normal(size=K)
    targets, mask = rng.integers(K, size=M), rng.random(M) < 0.8
    mask[0] = True
    told = {"reduction": "mean_over_time_and_batch", "mask": mask[:, None], "smoothing": 0.2}
    wanted = losses.cross_entropy((h @ V + b)[:, None], targets[:, None], **told)  # type: ignore[arg-type]
    w, dz = mask / mask.sum(), wanted.grad[:, 0]
    got = output.cross_entropy(h, V, b, targets, w, smoothing=0.2)
    assert w @ (got.each + 0.2 * got.spread) == pytest.approx(wanted.value, rel=1e-12)
    pairs = [(got.each, wanted.each[:, 0]), (got.dh, dz @ V.T), (got.dV, h.T @ dz), (got.db, dz.sum(0))]
    for fast, right in pairs:
        assert np.abs(fast - right).max() <= 0.3 * TOLERANCE["float64"] * max(1.0, np.abs(right).max())


@pytest.mark.parametrize("counting", [0, 3, 38, 40])
def test_rows_that_count_nothing_have_no_loss_and_no_gradient(counting: int) -> None:
    rng = np.random.default_rng(counting)
    h, V = rng.normal(size=(40, 7)), rng.normal(size=(7, 9))
    targets, w = rng.integers(9, size=40), np.zeros(40)
    those = rng.permutation(40)[:counting]
    w[those] = rng.random(counting) + 0.1
    got = output.cross_entropy(h, V, None, targets, w)
    z = h @ V
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    dz = w[:, None] * (p - np.eye(9)[targets])
    each = np.where(w > 0, -np.log(p[np.arange(40), targets]), 0)
    for fast, right in zip(got, (each, dz @ V.T, h.T @ dz, dz.sum(0), each), strict=True):
        np.testing.assert_allclose(fast, right, rtol=0, atol=TOLERANCE["float64"])


@pytest.mark.parametrize("K", [3, 37])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_logits_that_overflow_count_nothing_where_their_row_does_not(K: int, smoothing: float) -> None:
    rng = np.random.default_rng(K)
    h, V, w = rng.normal(size=(4, 2)), rng.normal(size=(2, K)) + 1, np.array([0.5, 0.0, 0.3, 0.0])
    h[1], h[3] = 1e200, -1e200
    targets, those = rng.integers(K, size=4), [0, 2]
    few = output.cross_entropy(h[those], V * 1e150, None, targets[those], w[those], smoothing=smoothing)
    got = output.cross_entropy(h, V * 1e150, None, targets, w, smoothing=smoothing)
    for fast, right in zip((got.each, got.dh, got.spread), (few.each, few.dh, few.spread), strict=True):
        np.testing.assert_array_equal(fast[those], right)
        assert not fast[[1, 3]].any()
    np.testing.assert_allclose(got.dV, few.dV, rtol=1e-12)
    np.testing.assert_allclose(got.db, few.db, rtol=1e-12)


@pytest.mark.parametrize("block", [1, 100, 450, 2000])
def test_blocks_of_logits_give_the_whole(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(block)
    h, V, b = rng.normal(size=(41, 7)), rng.normal(size=(7, 50)), rng.normal(size=50)
    targets, w = rng.integers(50, size=41), rng.random(41)
    whole = output.cross_entropy(h, V, b, targets, w)
    monkeypatch.setattr(output, "BLOCK", block)
    for part, right in zip(output.cross_entropy(h, V, b, targets, w), whole, strict=True):
        np.testing.assert_allclose(part, right, rtol=0, atol=TOLERANCE["float64"])


def test_large_logits_do_not_overflow_and_small_ones_count_nothing() -> None:
    h, V = np.array([[1.0], [-1.0]], np.float32), np.array([[3000.0, 0.0, -3000.0]], np.float32)
    got = output.cross_entropy(h, V, None, np.array([0, 0]), np.ones(2, np.float32))
    assert got.each.tolist() == [0.0, 6000.0]
    assert np.isfinite(got.dV).all()


def test_the_same_bits_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    h, V = (rng.normal(size=shape).astype(np.float32) for shape in ((333, 40), (40, 5000)))
    targets, w = rng.integers(5000, size=333), rng.random(333)
    bits = []
    for count in (1, 2, 4):
        monkeypatch.setattr(threads, "count", lambda count=count: count)
        bits.append([a.tobytes() for a in output.cross_entropy(h, V, None, targets, w)])
    assert bits[0] == bits[1] == bits[2]


@pytest.mark.parametrize("reduction", ["mean_over_time_and_batch", "sum_over_time_mean_over_batch"])
def test_in_a_model_with_masks_and_a_tied_matrix(reduction: Reduction) -> None:
    rng = np.random.default_rng(1)
    tokens = rng.integers(12, size=(6, 4))
    mask = np.arange(5)[:, None] < np.array([5, 2, 4, 1])
    tokens[1:][~mask] = 99  # no token at all, where it does not count
    tokens[0] = rng.integers(12, size=4)
    inputs = np.where(mask, tokens[:-1], 0)
    for tied in (False, True):
        fast, right = (
            bptt.Model(
                inputs=12, outputs=12, hidden=8, embedding=8, tied=tied, reduction=reduction, backend=backend
            )
            for backend in ("cpu", "reference")
        )
        params = fast.init(rng, np.float64)
        got = fast.loss_and_grads(params, inputs, tokens[1:], mask=mask)
        wanted = right.loss_and_grads(params, inputs, tokens[1:], mask=mask)
        assert abs(got.loss - wanted.loss) < 1e-14
        assert got.grads.keys() == wanted.grads.keys()
        for name, grad in wanted.grads.items():
            assert np.abs(got.grads[name] - grad).max() < 1e-14, name


def test_a_wrong_target_is_named() -> None:
    model = bptt.Model(inputs=3, outputs=3, hidden=2, backend="cpu")
    params = model.init(np.random.default_rng(0))
    with pytest.raises(bptt.ShapeError, match=r"targets must be in 0 \.\. V-1 = 2, got 3"):
        model.loss_and_grads(params, np.zeros((2, 1), int), np.full((2, 1), 3))


def test_memory_comes_back_with_the_last_view_and_not_before() -> None:
    first = memory.empty((300, 300), np.float64)
    at, view = first.ctypes.data, first[3:]
    assert at % 64 == 0
    del first
    second = memory.empty((300, 300), np.float64)
    assert second.ctypes.data != at  # the view still looks there
    del view
    assert memory.empty((300, 300), np.float64).ctypes.data == at


def test_a_step_of_many_sizes_uses_the_same_memory_again() -> None:
    rng = np.random.default_rng(3)
    sizes = [int(n) for n in rng.integers(20_000, 3_000_000, size=40)]
    releases = rng.permutation(40)

    def step() -> list[int]:
        arrays, places = {}, []
        for k, size in enumerate(sizes):
            arrays[k] = memory.empty(size, np.float32)
            arrays[k][:] = k
            places.append(arrays[k].ctypes.data)
            if k > 20:
                arrays.pop(int(releases[k - 20]), None)
        assert all((array == k).all() for k, array in arrays.items())  # nobody else's
        return places

    step()
    chunks = list(memory._arena.chunks)
    assert step() == step()
    assert memory._arena.chunks == chunks


def test_room_that_nobody_uses_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_arena": memory._Arena(), "CHUNK": 1 << 20, "FORGOTTEN": 8}.items():
        monkeypatch.setattr(memory, name, value)
    kept = memory.empty(1 << 19, np.uint8)
    large = memory.empty(1 << 24, np.uint8)
    one, _ = memory._arena.chunks
    for _ in range(20):
        memory.empty(1 << 16, np.uint8)
    assert len(memory._arena.chunks) == 2
    del large
    for _ in range(20):
        memory.empty(1 << 16, np.uint8)
    assert memory._arena.chunks == [one]
    assert len(kept) == 1 << 19


def test_memory_that_is_asked_for_while_some_is_given_out_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[Array] = []
    real = memory._Arena.part

    def part(self: memory._Arena, size: int) -> Any:  # as a finaliser or a signal's handler may come
        inside.append(memory.empty(size, np.uint8))
        return real(self, size)

    monkeypatch.setattr(memory._Arena, "part", part)
    outside = memory.empty(1 << 20, np.uint8)
    assert not np.may_share_memory(outside, inside[0])
    assert memory.empty(1 << 20, np.uint8).size == 1 << 20  # and in peace again


def test_room_that_the_system_refuses_is_asked_for_more_modestly(monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = np.empty, []

    def empty(shape: Any, dtype: Any) -> Array:
        asked.append(shape)
        if shape > 1 << 21:
            raise MemoryError
        return real(shape, dtype)

    monkeypatch.setattr(memory, "_arena", memory._Arena())
    monkeypatch.setattr(np, "empty", empty)
    arrays = [memory.empty(1 << 20, np.uint8) for _ in range(3)]
    assert max(asked) >= memory.CHUNK
    assert not np.may_share_memory(arrays[0], arrays[2])


def test_a_result_is_not_written_over_by_the_next_step() -> None:
    rng = np.random.default_rng(2)
    model = bptt.Model(inputs=20, outputs=20, hidden=200, embedding=30, backend="cpu")
    params, tokens = model.init(rng), rng.integers(20, size=(2, 9, 8))
    first = model.loss_and_grads(params, tokens[0, :-1], tokens[0, 1:])
    kept = {name: array.copy() for name, array in (first.grads | first.state).items()}
    model.loss_and_grads(params, tokens[1, :-1], tokens[1, 1:])
    for name, array in (first.grads | first.state).items():
        assert np.array_equal(array, kept[name]), name


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_losses_alone_are_those_of_a_step(backend: Any) -> None:
    rng = np.random.default_rng(4)
    model = bptt.Model(inputs=11, outputs=11, hidden=20, embedding=5, backend=backend)
    params, tokens = model.init(rng, np.float64), rng.integers(11, size=(10, 3))
    state = {name: rng.normal(size=(3, 20)) for name in model.zero_state(3)}
    wanted = model.backprop(params, bptt.Batch(tokens[:-1], tokens[1:]), state)
    each, after = model.losses(params, tokens[:-1], tokens[1:], state)
    np.testing.assert_allclose(each, wanted.each, rtol=0, atol=TOLERANCE["float64"])
    for name, array in after.items():
        np.testing.assert_array_equal(array, wanted.state[name])
