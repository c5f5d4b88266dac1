"""The adding problem is experiment 4 of Hochreiter and Schmidhuber (1997)."""

import numpy as np
import pytest

from bptt.data.tasks import Adding


def test_adding_is_experiment_4() -> None:
    task = Adding(batch=3000, seed=0)
    batch = task.next()
    assert batch.mask is not None
    assert batch.target_mask is not None
    value, marker = batch.inputs[..., 0], batch.inputs[..., 1]
    lengths = batch.mask.sum(axis=0)
    assert set(lengths) == set(range(100, 111))
    assert (batch.target_mask.sum(axis=0) == 1).all()
    assert (batch.target_mask.argmax(axis=0) == lengths - 1).all()
    assert not batch.inputs[~batch.mask].any()

    inside = value[batch.mask]
    assert np.abs(inside).max() <= 1
    assert inside.mean() == pytest.approx(0, abs=0.01)
    assert inside.var() == pytest.approx(1 / 3, rel=0.01)

    rows = np.arange(3000)
    assert (marker[0] == -1).all()
    assert (marker[lengths - 1, rows] == -1).all()
    assert (np.sort(marker, axis=0)[:2] == -1).all()
    assert ((marker == -1).sum(axis=0) == 2).all()
    marked = marker == 1
    assert set(marked.sum(axis=0)) == {1, 2}, "one only where the first pair was drawn"
    assert (marked.sum(axis=0) == 1).mean() == pytest.approx(0.1 + 0.9 / 49, abs=0.02)
    assert not marked[50:].any()
    assert marked[49].any()
    early = marked[:10].any(axis=0)
    assert early[marked.sum(axis=0) == 2].all(), "one of them is among the first ten"
    target = batch.targets[lengths - 1, rows, 0]
    assert target == pytest.approx(0.5 + np.where(marked, value, 0).sum(axis=0) / 4, abs=1e-6)
    assert batch.inputs.dtype == batch.targets.dtype == np.float32


@pytest.mark.parametrize("T", [20, 21, 50, 100])
def test_addings_baseline_counts_the_first_pair_that_adds_nothing(T: int) -> None:
    """The variance of the target, summed over all pairs of places that can be drawn."""
    task = Adding(batch=1, seed=0, T=T)
    half = T // 2
    terms = [
        (1 / 10) * (1 / (half - 1)) * ((one > 0) + (two > 0))
        for one in range(10)
        for two in range(half)
        if two != one
    ]
    assert task.baseline == pytest.approx(sum(terms) * (1 / 3) / 16 / 2)
