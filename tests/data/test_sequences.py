"""Sequences of unlike lengths: every one once an epoch, whole, and from any place on again."""

import tracemalloc

import numpy as np
import pytest

from bptt.data.sequences import SequenceBatches, Sequences, split
from bptt.errors import DataError


def sequences() -> Sequences:
    lengths = np.array([3, 1, 7, 2, 5, 4, 6, 2, 1, 3, 4])
    return Sequences(np.arange(lengths.sum()), lengths, np.arange(lengths.sum()) * 10)


def seen(source: SequenceBatches) -> list[int]:
    return sorted(
        int(token)
        for batch in (source.next() for _ in range(source.batches_per_epoch))
        for token in batch.inputs[batch.mask]
    )


@pytest.mark.parametrize("chunk", [None, 2])
def test_an_epoch_has_every_step_once(chunk: int | None) -> None:
    source = SequenceBatches(sequences(), batch=4, seed=0, chunk=chunk)
    assert seen(source) == list(range(sequences().lengths.sum()))


def test_targets_and_masks_belong_to_their_steps() -> None:
    source = SequenceBatches(sequences(), batch=4, seed=0, chunk=3)
    for batch in (source.next() for _ in range(20)):
        assert batch.mask is not None
        assert (batch.targets == 10 * batch.inputs)[batch.mask].all()
        assert not batch.inputs[~batch.mask].any()


def test_epochs_have_other_orders_and_seeds_too() -> None:
    source = SequenceBatches(sequences(), batch=1, seed=0)
    first, second = ([source.next().inputs[0, 0] for _ in range(11)] for _ in range(2))
    other = SequenceBatches(sequences(), batch=1, seed=1)
    assert first != second
    assert first != [other.next().inputs[0, 0] for _ in range(11)]


@pytest.mark.parametrize("chunk", [None, 2])
def test_a_place_is_found_again(chunk: int | None) -> None:
    for done in range(25):
        source = SequenceBatches(sequences(), batch=3, seed=5, chunk=chunk)
        for _ in range(done):
            source.next()
        again = SequenceBatches(sequences(), batch=3, seed=5, chunk=chunk)
        again.restore(source.state())
        for _ in range(12):
            one, two = source.next(), again.next()
            assert one.carry == two.carry
            np.testing.assert_array_equal(one.inputs, two.inputs)


def test_a_place_elsewhere_is_refused() -> None:
    state = SequenceBatches(sequences(), batch=3, seed=5).state()
    with pytest.raises(DataError, match="batch 3"):
        SequenceBatches(sequences(), batch=4, seed=5).restore(state)
    with pytest.raises(DataError, match="batches, not 99"):
        SequenceBatches(sequences(), batch=3, seed=5).restore({**state, "done": 99})


def test_rows_of_a_batch_are_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 2000)
    source = SequenceBatches(
        Sequences(np.zeros(lengths.sum(), int), lengths, np.zeros(2000, int)), batch=20, seed=0
    )
    batches = [source.next() for _ in range(source.batches_per_epoch)]
    steps = sum(batch.inputs.size for batch in batches)
    assert steps < 1.1 * lengths.sum()


def test_some_of_them_are_as_they_were() -> None:
    some = sequences().take(np.array([4, 1]))
    assert some.lengths.tolist() == [5, 1]
    assert some.inputs.tolist() == [13, 14, 15, 16, 17, 3]
    assert some.targets.tolist() == [130, 140, 150, 160, 170, 30]


def test_a_split_leaves_nothing_out() -> None:
    train, valid = split(7)
    assert sorted([*train, *valid]) == list(range(7))
    with pytest.raises(DataError, match="cannot be split"):
        split(1)


def test_sequences_that_are_read_together_are_few_steps() -> None:
    lengths = np.array([5, 1, 9, 2, 2, 40, 1])
    some = Sequences(np.zeros(60, int), lengths, np.zeros(60, int))
    found = [which.tolist() for which in some.alike(6)]
    assert found == [[1, 6, 3], [4], [0], [2], [5]]


def test_one_long_sequence_among_short_ones_takes_little_memory() -> None:
    lengths = np.array([1] * 63 + [200_000])
    some = Sequences(np.zeros(lengths.sum(), np.uint8), lengths, np.zeros(lengths.sum(), np.uint8))
    source = SequenceBatches(some, batch=64, seed=0, chunk=64)
    tracemalloc.start()
    for _ in range(40):
        source.next()
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
