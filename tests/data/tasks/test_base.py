"""What is asked of every task: its optimum and baseline are reached, and a saved place is found again."""

import json

import numpy as np
import pytest

from bptt.data.batches import Batches
from bptt.data.tasks import AR2, TASKS, Adding, Copy, EmbeddedReber, Task, TemporalOrder, make
from bptt.data.tasks.base import counted
from bptt.errors import ConfigError, RunError, ShapeError
from bptt.types import Batch
from spoiled import spoiled, taken
from task_models import (
    FAULTY,
    FORGETFUL,
    ORACLES,
    adding_oracle,
    ar2_oracle,
    copy_talkative,
    fresh,
    mean_loss,
    order_oracle,
    task_of,
)


@pytest.mark.parametrize("name", TASKS)
def test_a_model_that_knows_the_answer_meets_the_criterion(name: str) -> None:
    verdict = task_of(name).criterion(ORACLES[name])
    assert verdict.met, verdict.says
    assert verdict.figure == (1.0 if name != "ar2" else pytest.approx(1.0, abs=0.01))
    assert verdict.says.startswith(f"{name}: ")
    assert "\n" not in verdict.says


@pytest.mark.parametrize(("name", "fault"), [(name, k) for name in TASKS for k in range(len(FAULTY[name]))])
def test_one_planted_fault_misses_the_criterion(name: str, fault: int) -> None:
    assert not task_of(name).criterion(FAULTY[name][fault]).met


@pytest.mark.parametrize("name", TASKS)
def test_outputs_that_are_no_numbers_miss_the_criterion(name: str) -> None:
    task = task_of(name)
    verdict = task.criterion(lambda b: np.full((*b.inputs.shape[:2], task.output_size), np.nan))
    assert verdict.met is False


def test_a_fault_in_few_rows_is_counted() -> None:
    """8 test batches of 250 rows, one row wrong in each."""
    verdict = task_of("adding").criterion(FAULTY["adding"][0])
    assert verdict.figure == pytest.approx(1992 / 2000)
    assert "1,992 of 2,000" in verdict.says


def test_what_is_allowed_beside_the_answer_is_allowed() -> None:
    """Just within each tolerance, and anything at steps whose target does not count."""
    assert (
        task_of("adding")
        .criterion(lambda b: np.where(counted(b)[..., None], adding_oracle(b), 9) + 0.039)
        .met
    )
    assert task_of("temporal-order").criterion(lambda b: 0.62 * order_oracle(b) + 0.085).met
    assert task_of("copy").criterion(copy_talkative).met
    biased = task_of("ar2").criterion(lambda b: ar2_oracle(b) + 0.06)
    assert biased.met
    assert biased.figure == pytest.approx(1 + 0.06**2 / 0.3**2, abs=0.01)


@pytest.mark.parametrize("name", TASKS)
def test_outputs_of_another_shape_are_refused(name: str) -> None:
    with pytest.raises(ShapeError, match=rf"{name}: predict must return \(T, N, K\)"):
        task_of(name).criterion(lambda b: ORACLES[name](b)[:-1])


@pytest.mark.parametrize("name", TASKS)
def test_the_optimum_is_reached_and_not_passed(name: str) -> None:
    task, batches = fresh(name)
    with np.errstate(divide="raise" if name != "reber" else "warn"):
        loss = mean_loss(task, batches, ORACLES[name])
    assert task.optimum is not None
    assert loss == pytest.approx(task.optimum, rel=0.02, abs=1e-12)


@pytest.mark.parametrize("name", TASKS)
def test_the_baseline_is_what_a_forgetful_model_reaches(name: str) -> None:
    task, batches = fresh(name)
    assert mean_loss(task, batches, FORGETFUL[name]) == pytest.approx(task.baseline, rel=0.02)


def same(a: Batch, b: Batch) -> bool:
    return all(
        np.array_equal(getattr(a, part), getattr(b, part))
        for part in ("inputs", "targets", "mask", "target_mask")
        if getattr(a, part) is not None or getattr(b, part) is not None
    )


@pytest.mark.parametrize("name", TASKS)
def test_a_saved_place_is_found_again(name: str) -> None:
    source: Batches = task_of(name)
    source.next()
    state = json.loads(json.dumps(source.state()))
    wanted = [source.next() for _ in range(3)]
    other = task_of(name, seed=77)  # the state alone says where to go on
    other.restore(state)
    assert all(same(other.next(), batch) for batch in wanted)


@pytest.mark.parametrize("name", TASKS)
def test_same_seed_same_bits(name: str) -> None:
    one, two, apart = task_of(name), task_of(name), task_of(name, seed=1)
    first = one.next()
    assert same(first, two.next())
    assert not same(first, apart.next())
    assert not same(first, one.next())
    assert first.inputs.dtype == (np.int64 if one.input_tokens else np.float32)


@pytest.mark.parametrize("name", TASKS)
def test_the_test_set_stays(name: str) -> None:
    """Whatever the seed, whatever has been drawn, and without moving the training stream."""
    task, other = task_of(name), task_of(name, seed=1997)
    before = list(task.test_batches())
    state = task.state()
    assert all(map(same, before, other.test_batches()))
    assert task.state() == state
    assert sum(batch.inputs.shape[1] for batch in before) == (256 if name == "reber" else 2000)
    training = task_of(name, seed=1997, batch=before[0].inputs.shape[1])
    assert not same(training.next(), before[0])


def test_a_state_of_other_sizes_is_refused() -> None:
    state = Adding(batch=8, seed=0, T=50).state()
    with pytest.raises(RunError, match=r"saved by Adding\(batch=8, T=50\), this is Adding\(batch=8, T=100\)"):
        Adding(batch=8, seed=0).restore(state)
    with pytest.raises(RunError, match="ar2: the state was saved by Adding"):
        AR2(batch=8, seed=0).restore(state)


@pytest.mark.parametrize("name", ["copy", "ar2"])
def test_a_state_of_any_json_is_taken_or_refused_in_a_line(name: str) -> None:
    task = task_of(name)
    good = task.state()
    for state in spoiled(good, np.random.default_rng(0)):
        if taken(task.restore, state, RunError):
            assert task.state() == state
            assert state["task"] == good["task"]
            task.next()


@pytest.mark.parametrize("name", TASKS)
def test_every_task_says_what_a_model_needs(name: str) -> None:
    task = task_of(name)
    batch = task.next()
    assert task.name == name
    assert task.summary
    assert task.optimum is not None
    assert task.optimum < task.baseline
    if task.input_tokens is None:
        assert batch.inputs.shape[2:] == (task.input_size,)
    else:
        assert task.input_size is None
        assert batch.inputs.ndim == 2
        assert 0 <= batch.inputs.min() <= batch.inputs.max() < task.input_tokens
    if task.loss == "cross_entropy":
        assert 0 <= batch.targets.min() <= batch.targets.max() < task.output_size
    else:
        assert batch.targets.shape[2:] == (task.output_size,)


def test_errors_say_what_is_wanted() -> None:
    with pytest.raises(ConfigError, match="no 'add'; choose from reber, adding, temporal-order, copy, ar2"):
        make("add", batch=1, seed=0)
    with pytest.raises(ConfigError, match="copy: has no T; its sizes are delay, length, symbols"):
        make("copy", batch=1, seed=0, T=5)
    with pytest.raises(ConfigError, match="adding: T must be a whole number, 20 or more, got 19"):
        make("adding", batch=1, seed=0, T=19)
    with pytest.raises(ConfigError, match="adding: batch must be"):
        make("adding", batch=0, seed=0)
    with pytest.raises(ConfigError, match="adding: seed must be"):
        make("adding", batch=1, seed=-1)
    with pytest.raises(ConfigError, match=r"delay must be a whole number, 1 or more, got 2\.5"):
        make("copy", batch=1, seed=0, delay=2.5)
    with pytest.raises(ConfigError, match="ar2: sigma"):
        make("ar2", batch=1, seed=0, sigma=0)


def test_the_smallest_sizes_work() -> None:
    Adding(batch=1, seed=0, T=20).next()
    TemporalOrder(batch=1, seed=0, T=10).next()
    Copy(batch=1, seed=0, delay=1, length=1, symbols=2).next()
    assert AR2(batch=1, seed=0, T=2).next().inputs.shape == (2, 1, 1)
    EmbeddedReber(batch=1, seed=0, strings=1).next()


def test_a_task_that_says_not_what_is_right_is_told() -> None:
    task = Adding(batch=2, seed=0)
    with pytest.raises(TypeError, match=r"adding: a task defines right\(\), or a criterion\(\) of its own"):
        Task.right(task, task.next(), np.zeros((1, 2, 1)))
