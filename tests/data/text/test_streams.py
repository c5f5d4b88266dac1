"""Streams and windows: every token once, rows without a gap, a place that can be left and found again."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bptt.data.batches import Batches
from bptt.data.text import TextStream, windows
from bptt.errors import ConfigError, DataError, ShapeError
from bptt.types import Batch
from spoiled import spoiled, taken

lengths, batches, chunks = st.integers(2, 200), st.integers(1, 9), st.integers(1, 20)


def epoch(stream: TextStream) -> float:
    """Return the passes over the text so far, by the place that the stream itself gives."""
    return float(stream.state()["batches"] / stream.batches_per_epoch)


def epoch_of(stream: TextStream) -> list[Batch]:
    """Take batches until the epoch is a whole number again."""
    end, taken = epoch(stream) + 1, []
    while epoch(stream) < end:
        taken.append(stream.next())
    return taken


def same(one: Batch, other: Batch) -> bool:
    return (
        np.array_equal(one.inputs, other.inputs)
        and np.array_equal(one.targets, other.targets)
        and one.carry == other.carry
    )


@given(lengths, batches, chunks)
def test_an_epoch_covers_the_text_row_by_row(length: int, batch: int, chunk: int) -> None:
    assume(length > batch * chunk)
    ids = np.arange(length)
    stream = TextStream(ids, batch, chunk)
    for _ in range(2):
        taken = epoch_of(stream)
        inputs = np.concatenate([b.inputs for b in taken])
        targets = np.concatenate([b.targets for b in taken])
        used = inputs.size
        assert inputs.T.ravel().tolist() == list(range(used))
        assert targets.T.ravel().tolist() == list(range(1, used + 1))
        assert 0 <= (length - 1) - used < batch, "only the remainder may be lost"
        assert [b.inputs.shape for b in taken[:-1]] == [(chunk, batch)] * (len(taken) - 1)
        assert 1 <= len(taken[-1].inputs) <= chunk
        assert [b.carry for b in taken] == [False] + [True] * (len(taken) - 1)
    assert epoch(stream) == 2


@given(lengths, batches, chunks, st.integers(0, 30), st.integers(0, 30))
def test_a_restored_stream_goes_on_as_the_saved_one(
    length: int, batch: int, chunk: int, before: int, after: int
) -> None:
    assume(length > batch * chunk)
    ids = np.arange(length)
    saved, restored = TextStream(ids, batch, chunk), TextStream(ids, batch, chunk)
    for _ in range(before):
        saved.next()
    for _ in range(after):
        restored.next()
    restored.restore(json.loads(json.dumps(saved.state())))
    assert epoch(restored) == epoch(saved)
    for _ in range(30):
        assert same(saved.next(), restored.next())


VARIED: dict[str, Any] = {"jitter": 2.5, "half": 0.3, "seed": 3}


@given(lengths, batches, chunks, st.floats(0, 50), st.floats(0, 1))
def test_batches_of_unlike_lengths_cover_the_text_too(
    length: int, batch: int, chunk: int, jitter: float, half: float
) -> None:
    assume(length > batch * chunk)
    stream = TextStream(np.arange(length), batch, chunk, jitter=jitter, half=half)
    for _ in range(3):
        taken = epoch_of(stream)
        inputs, targets = (
            np.concatenate([getattr(b, part) for b in taken]) for part in ("inputs", "targets")
        )
        assert inputs.T.ravel().tolist() == list(range(inputs.size))
        assert np.array_equal(targets, inputs + 1)
        assert 0 <= (length - 1) - inputs.size < batch
        assert [b.carry for b in taken] == [False] + [True] * (len(taken) - 1)
        assert min(len(b.inputs) for b in taken) >= 1


def test_lengths_are_drawn_anew_in_each_epoch_as_they_are_asked_for() -> None:
    stream = TextStream(np.arange(200_001), 2, 50, jitter=5.0, half=0.05)
    first, second = ([len(b.inputs) for b in epoch_of(stream)] for _ in range(2))
    assert len(first) == len(second) == stream.batches_per_epoch == round(100_000 / (50 * 0.975))
    assert first != second
    lengths = np.array(first + second)
    halves = lengths < 37
    assert 0.03 < halves.mean() < 0.07
    assert abs(lengths[~halves].mean() - 50) < 0.5
    assert abs(lengths[halves].mean() - 25) < 1.5
    assert abs(lengths[~halves].std() - 5) < 0.3
    other = TextStream(np.arange(200_001), 2, 50, jitter=5.0, half=0.05, seed=1)
    assert [len(b.inputs) for b in epoch_of(other)] != first
    wide = TextStream(np.arange(200_001), 2, 50, jitter=1e3)
    drawn = {len(b.inputs) for b in epoch_of(wide)}
    assert min(drawn) >= 4
    assert max(drawn) < 110


def test_a_place_among_unlike_lengths_is_found_again() -> None:
    saved, restored = (TextStream(np.arange(400), 2, 9, **VARIED) for _ in range(2))
    for _ in range(saved.batches_per_epoch + 3):
        saved.next()
    restored.restore(json.loads(json.dumps(saved.state())))
    for _ in range(60):
        assert same(saved.next(), restored.next())


def test_a_stream_is_a_source_of_int32_time_major_batches() -> None:
    source: Batches = TextStream(np.arange(50, dtype=np.int64), batch=3, chunk=4)
    batch = source.next()
    assert batch.inputs.shape == batch.targets.shape == (4, 3)
    assert batch.inputs.dtype == batch.targets.dtype == np.int32
    assert batch.inputs.flags.c_contiguous
    assert batch.mask is None


@pytest.mark.parametrize("batch", [1, 2])
def test_a_batch_can_be_written_to_without_harm(batch: int) -> None:
    ids = np.arange(9, dtype=np.int32)
    stream = TextStream(ids, batch, chunk=4)
    taken = stream.next()
    taken.inputs[:] = taken.targets[:] = -1
    stream.restore({**stream.state(), "batches": 0})
    assert stream.next().inputs[:, 0].tolist() == [0, 1, 2, 3]
    assert ids.tolist() == list(range(9))


def test_the_shortest_text_that_is_enough_and_one_token_less() -> None:
    assert TextStream(np.arange(13), batch=4, chunk=3).next().inputs.shape == (3, 4)
    with pytest.raises(DataError, match=r"valid: 12 tokens .* 4 x 3 \+ 1 = 13; .*smaller --batch or --chunk"):
        TextStream(np.arange(12), batch=4, chunk=3, name="valid")


def test_sizes_and_ids_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="--batch must be at least 1, got 0"):
        TextStream(np.arange(9), 0, 1)
    with pytest.raises(ConfigError, match="--chunk must be at least 1, got -1"):
        TextStream(np.arange(9), 1, -1)
    with pytest.raises(ShapeError, match=r"\(L,\) integers, got \(9,\) float64"):
        TextStream(np.zeros(9), 1, 1)
    with pytest.raises(ShapeError, match=r"got \(3, 3\)"):
        windows(np.zeros((3, 3), np.int32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 51}, "has length 51, this stream 50"),
        ({"batch": 4}, "has batch 4, this stream 3"),
        ({"chunk": 5}, "has chunk 5, this stream 4"),
        ({"batches": -1}, "not a place"),
        ({"batches": "2"}, "not a place"),
        ({"more": 1}, "not a place"),
    ],
)
def test_a_place_in_another_text_is_refused(change: dict[str, Any], message: str) -> None:
    stream = TextStream(np.arange(50), batch=3, chunk=4)
    with pytest.raises(DataError, match=message):
        stream.restore({**stream.state(), **change})
    with pytest.raises(DataError, match="not a place"):
        stream.restore({})


# Windows.


@given(lengths, chunks)
def test_windows_predict_every_token_but_the_first_once(length: int, steps: int) -> None:
    ids = np.arange(100, 100 + length)
    inputs, targets, mask = windows(ids, steps)
    assert inputs.shape == targets.shape == mask.shape == (steps, -(-(length - 1) // steps))
    assert inputs.dtype == targets.dtype == np.int32
    assert mask.dtype == np.bool_
    assert targets.T[mask.T].tolist() == ids[1:].tolist()
    assert (targets[mask] == inputs[mask] + 1).all(), "a target follows its input"
    assert not inputs[~mask].any()
    assert not targets[~mask].any()
    assert mask[:, :-1].all(), "only the last window is filled up"


def test_windows_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 step, got 0"):
        windows(np.arange(9), 0)
    with pytest.raises(DataError, match=r"at least 2 tokens.*got 1"):
        windows(np.arange(1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_ids_of_any_integer_type_give_the_same_batches_and_windows(dtype: Any) -> None:
    ids = np.random.default_rng(0).integers(200, size=300)
    one, other = TextStream(ids.astype(np.int32), 3, 7), TextStream(ids.astype(dtype), 3, 7)
    for _ in range(20):
        assert same(one.next(), other.next())
    for a, b in zip(windows(ids, 9), windows(ids.astype(dtype), 9), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_a_place_of_any_json_is_taken_or_refused_in_a_line() -> None:
    stream = TextStream(np.arange(50), batch=3, chunk=4)
    good = stream.state()
    for state in spoiled(good, np.random.default_rng(0)):
        if taken(stream.restore, state, DataError):
            assert {**state, "batches": 0} == {**good, "batches": 0}
            assert 0 <= state["batches"] < 1 << 63
        stream.next()
