"""Schedules give the published rates, warm up, save their state, and refuse what means nothing."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bptt.errors import ConfigError
from bptt.training.schedules import SCHEDULES, EarlyStopping, Plateau, Schedule, get

EVERY = sorted(SCHEDULES)


def built(name: str, *, lr: float = 0.5, warmup: int = 0) -> Schedule:
    return get(name, lr=lr, total_steps=100, warmup=warmup)


def test_constant() -> None:
    assert {built("constant").lr(step, step / 10) for step in (0, 1, 99, 1000)} == {0.5}


@pytest.mark.parametrize(
    ("keep", "factor", "epochs", "last"),
    [(4, 1 / 2, 13, 2.0**-9), (6, 1 / 1.2, 39, 1.2**-33), (14, 1 / 1.15, 55, 1.15**-41)],
    ids=["small", "medium", "large"],
)
def test_step_is_zarembas(keep: int, factor: float, epochs: int, last: float) -> None:
    """lr 1 for the first `keep` epochs; epoch number keep + 1 is the first with a lower rate."""
    schedule = get("step", lr=1.0, keep=keep, factor=factor)
    rates = [schedule.lr(0, epoch + within) for epoch in range(epochs) for within in (0.0, 0.5, 0.999)]
    assert rates[: 3 * keep] == [1.0] * (3 * keep)
    assert rates[3 * keep : 3 * keep + 4] == [factor] * 3 + [factor**2]
    assert rates[-1] == pytest.approx(last, rel=1e-12)


def test_cosine_by_hand() -> None:
    cosine = get("cosine", lr=1.0, total_steps=14, warmup=2, floor=0.2)
    rates = [cosine.lr(step, 0.0) for step in (2, 5, 8, 11, 14, 15, 1000)]
    quarter = 0.4 * math.sqrt(2) / 2
    assert rates == pytest.approx([1.0, 0.6 + quarter, 0.6, 0.6 - quarter, 0.2, 0.2, 0.2], rel=1e-15)
    every = [cosine.lr(step, 0.0) for step in range(2, 15)]
    assert every == sorted(every, reverse=True)


@pytest.mark.parametrize("name", EVERY)
def test_warmup_is_linear_then_the_schedules_own(name: str) -> None:
    cold, warm = built(name), built(name, warmup=10)
    assert warm.lr(0, 0.0) == pytest.approx(0.05)  # not 0: the first update counts
    assert warm.lr(4, 0.0) == pytest.approx(0.25)
    assert warm.lr(9, 0.0) == warm.lr(10, 0.0) == 0.5
    if name != "cosine":  # whose half wave starts after the warm-up
        assert [warm.lr(s, s / 10) for s in range(9, 120)] == [cold.lr(s, s / 10) for s in range(9, 120)]


@pytest.mark.parametrize("name", EVERY)
def test_all_of_it_may_be_warmup(name: str) -> None:
    schedule = built(name, warmup=100)
    assert schedule.lr(99, 0.0) == 0.5
    assert math.isfinite(schedule.lr(100, 1.0))


@pytest.mark.parametrize("name", EVERY)
@given(step=st.integers(0, 1000), epoch=st.floats(0, 100), warmup=st.integers(0, 100))
def test_a_rate_is_a_float_between_zero_and_peak(name: str, step: int, epoch: float, warmup: int) -> None:
    peak: Any = np.float32(0.5)
    rate = get(name, lr=peak, total_steps=100, warmup=warmup).lr(step, epoch)
    assert type(rate) is float
    assert 0 <= rate <= 0.5


def rates(schedule: Schedule, losses: list[float]) -> list[float]:
    given = []
    for loss in losses:
        schedule.observe(loss)
        given.append(schedule.lr(0, 0.0))
    return given


def test_plateau_by_hand() -> None:
    """The count starts again after a cut, and the best does not."""
    losses = [5.0, 4.0, 4.0, 4.5, 4.2, 3.9, 4.0, 4.0, 4.0, 4.0]
    assert rates(get("plateau", lr=1.0, factor=0.5, patience=2), losses) == [
        *[1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    ]
    assert rates(get("plateau", lr=1.0, factor=0.5, floor=0.3), losses)[-1] == 0.3


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_never_the_best(bad: float) -> None:
    schedule = get("plateau", lr=1.0, factor=0.5)
    assert rates(schedule, [bad, 3.0, bad, 2.0, 2.0]) == [0.5, 0.5, 0.25, 0.25, 0.125]
    json.dumps(schedule.state(), allow_nan=False)


@pytest.mark.parametrize("patience", [1, 2, 4])
@pytest.mark.parametrize("min_delta", [0.0, 0.05])
def test_plateau_is_pytorchs_with_a_patience_of_one_less(patience: int, min_delta: float) -> None:
    torch = pytest.importorskip("torch")
    twin_optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    twin = torch.optim.lr_scheduler.ReduceLROnPlateau(
        *[twin_optimizer, "min", 0.5, patience - 1], threshold=min_delta, threshold_mode="abs", eps=0.0
    )
    schedule = get("plateau", lr=1.0, factor=0.5, patience=patience, min_delta=min_delta)
    rng = np.random.default_rng(0)
    cuts = set()
    for step in range(60):
        loss = 3 / (1 + step / 10) + 0.3 * rng.random()
        schedule.observe(loss)
        twin.step(loss)
        cuts.add(schedule.lr(0, 0.0))
        assert schedule.lr(0, 0.0) == twin_optimizer.param_groups[0]["lr"]
    assert len(cuts) > 3


@given(losses=st.lists(st.floats(0, 10) | st.just(math.nan), max_size=30), cut=st.integers(0, 30))
def test_a_restored_plateau_goes_on_the_same(losses: list[float], cut: int) -> None:
    whole, first, second = (Plateau(peak=1.0, factor=0.9, patience=2, min_delta=0.1) for _ in range(3))
    rates(first, losses[:cut])
    second.restore(json.loads(json.dumps(first.state(), allow_nan=False)))
    assert rates(whole, losses)[cut:] == rates(second, losses[cut:])
    assert second.state() == whole.state()


def test_early_stopping_by_hand() -> None:
    stop = EarlyStopping(patience=2, min_delta=0.5)
    losses = [5.0, 4.6, 4.0, 3.6, math.nan, 3.0, 2.9, 2.5]
    assert [stop.observe(loss) for loss in losses] == [*[False] * 4, True, False, False, True]
    again = EarlyStopping(patience=2, min_delta=0.5)
    again.restore(json.loads(json.dumps(stop.state(), allow_nan=False)))
    assert again == stop
    worse, better = list[Any](np.array([3.0, 1.0], np.float32))  # NumPy's numbers, which JSON refuses
    assert again.observe(worse)
    assert not again.observe(better)
    json.dumps(again.state(), allow_nan=False)


def test_another_schedules_state_is_refused() -> None:
    plateau = get("plateau", lr=1.0)
    for name in EVERY:
        built(name).restore(built(name).state())
        if name != "plateau":
            with pytest.raises(ConfigError, match=f"{name}: .* must have nothing, got bad, best, cuts"):
                built(name).restore(plateau.state())
    with pytest.raises(ConfigError, match=r"plateau: .* must have best, bad, cuts, got nothing"):
        plateau.restore({})
    with pytest.raises(ConfigError, match=r"earlystopping: .* must have best, bad, got bad, best, cuts"):
        EarlyStopping(1).restore(plateau.state())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cosin", {}, "schedule must be one of constant, step, plateau, cosine, got 'cosin'"),
        ("cosine", {"gamma": 1}, "cosine: options are lr, total_steps, warmup, floor; got gamma"),
        ("constant", {"peak": 1}, "constant: options are lr, total_steps, warmup; got peak"),
        ("constant", {"lr": -0.1}, "constant: lr must be a finite number above 0, got -0.1"),
        ("constant", {"lr": 0.0}, "constant: lr must be a finite number above 0, got 0.0"),
        ("constant", {"lr": math.nan}, "constant: lr must be a finite number above 0, got nan"),
        ("constant", {"lr": "1"}, "constant: lr must be a finite number above 0, got '1'"),
        ("step", {"total_steps": 0}, "step: total_steps must be a whole number above 0, got 0"),
        ("step", {"total_steps": 1.5}, "step: total_steps must be a whole number above 0, got 1.5"),
        ("step", {"warmup": 101}, "step: warmup must be whole, 0 to total_steps = 100, got 101"),
        ("step", {"warmup": -1}, "step: warmup must be whole, 0 to total_steps = 100, got -1"),
        ("step", {"keep": -1}, "step: keep must be a whole number of epochs, 0 or more, got -1"),
        ("step", {"factor": 1.5}, "step: factor must be in (0, 1], got 1.5"),
        ("cosine", {"total_steps": None}, "cosine: total_steps must be given, got None"),
        ("cosine", {"floor": 2.0}, "cosine: floor must be in [0, lr = 1.0], got 2.0"),
        ("plateau", {"floor": -1}, "plateau: floor must be in [0, lr = 1.0], got -1"),
        ("plateau", {"factor": 0}, "plateau: factor must be in (0, 1], got 0"),
        ("plateau", {"patience": 0}, "plateau: patience must be a whole number above 0, got 0"),
        ("plateau", {"min_delta": -1}, "plateau: min_delta must be 0 or more, and finite, got -1"),
    ],
)
def test_what_means_nothing_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        get(name, **{"lr": 1.0, "total_steps": 100, **options})
    assert str(error.value) == message
