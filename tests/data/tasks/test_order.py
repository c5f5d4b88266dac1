"""Temporal order is task 6a of Hochreiter and Schmidhuber (1997)."""

import numpy as np
import pytest

from bptt.data.tasks import TemporalOrder
from bptt.data.tasks.base import counted
from task_models import order_oracle


def test_temporal_order_is_task_6a() -> None:
    batch = TemporalOrder(batch=3000, seed=0).next()
    assert batch.mask is not None
    lengths, rows = batch.mask.sum(axis=0), np.arange(3000)
    assert set(lengths) == set(range(100, 111))
    assert (batch.inputs[0] == 0).all()
    assert (batch.inputs[lengths - 1, rows] == 1).all()
    assert ((batch.inputs == 1).sum(axis=0) == 1).all()
    relevant = batch.inputs >= 6
    assert (relevant.sum(axis=0) == 2).all()
    assert set(np.flatnonzero(relevant.any(axis=1))) == {*range(10, 21), *range(50, 61)}
    assert (relevant[10:21].sum(axis=0) == 1).all()
    middle = batch.inputs[1:99][~relevant[1:99]]
    assert set(middle) == {2, 3, 4, 5}
    assert np.bincount(middle)[2:] / len(middle) == pytest.approx(np.full(4, 0.25), abs=0.01)
    last = counted(batch)
    assert (last.sum(axis=0) == 1).all()
    assert (last.argmax(axis=0) == lengths - 1).all()
    assert (batch.targets[lengths - 1, rows] == order_oracle(batch)[0].argmax(axis=-1)).all()
    classes = batch.targets[lengths - 1, rows]
    assert np.bincount(classes, minlength=4) / len(rows) == pytest.approx(np.full(4, 0.25), abs=0.03)
