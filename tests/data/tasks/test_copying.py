"""The copying task has the layout of Arjovsky, Shah and Bengio (2016)."""

import math

import pytest

from bptt.data.tasks import Copy
from task_models import task_of


def test_copy_has_arjovskys_layout() -> None:
    task = Copy(batch=200, seed=0, delay=30, length=5, symbols=3)
    assert (task.input_tokens, task.output_size) == (5, 4)
    batch = task.next()
    assert batch.inputs.shape == batch.targets.shape == (40, 200)
    assert set(batch.inputs[:5].flat) == {0, 1, 2}
    assert (batch.inputs[5:34] == 3).all()
    assert (batch.inputs[34] == 4).all()
    assert (batch.inputs[35:] == 3).all()
    assert (batch.targets[:35] == 3).all()
    assert (batch.targets[35:] == batch.inputs[:5]).all()


def test_the_baseline_guesses_each_symbol() -> None:
    assert task_of("copy").baseline == pytest.approx(10 * math.log(8) / 120)
