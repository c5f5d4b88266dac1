"""Dynamic evaluation: the published updates, written out; what is given stays as it is."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import ConfigError, DataError, Model, Settings, Trained, Trainer
from bptt.nets.evaluate import Pause, carried
from bptt.training import dynamic
from bptt.types import Array, Params
from small_runs import LINES, SMALL, go
from small_runs import book as book

MODEL = Model(inputs=7, outputs=7, hidden=5, embedding=4, layers=2, backend="reference")
"""Its weights are drawn; so is what it reads."""


def drawn(length: int = 61) -> tuple[Params, Array]:
    rng = np.random.default_rng(0)
    params = {name: rng.normal(0, 0.5, shape) for name, shape in MODEL.shapes.items()}
    return params, rng.integers(7, size=length)


def plainly(params: Params, ids: Array, rate: float, decay: float, T: int, rms: Params | None) -> float:
    """Return what the paper's equations give: nats per token."""
    own, total, state = dict(params), 0.0, None
    mean = None if rms is None else sum(r.sum() for r in rms.values()) / sum(r.size for r in rms.values())
    for start in range(0, len(ids) - 1, T):
        part = ids[start : start + T + 1, None]
        loss, grads, state = MODEL.loss_and_grads(own, part[:-1], part[1:], state)
        total += loss * (len(part) - 1)
        for name, theta in own.items():
            g, back = grads[name], decay * (params[name] - theta)
            if rms is not None:
                g = g / (rms[name] + mean)
                back = back * np.minimum(rms[name] / mean, 1 / decay if decay else np.inf)
            own[name] = theta - rate * g + back
    return total / (len(ids) - 1)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("segment", [1, 7, 100])
def test_the_updates_are_those_of_the_paper(scaled: bool, decay: float, segment: int) -> None:
    params, ids = drawn()
    rms = dynamic.root_mean_squares(MODEL, params, ids, segment=3) if scaled else None
    told: dict[str, Any] = {"rate": 0.01 if scaled else 0.3, "decay": decay, "segment": segment}
    found = dynamic.evaluate(MODEL, params, ids, rms=rms, **told)
    assert found == pytest.approx(plainly(params, ids, told["rate"], decay, segment, rms), rel=1e-12)
    if segment < 60:
        assert abs(found - carried(MODEL, params, ids)) > 1e-3
    fast = replace(MODEL, backend="cpu")
    assert dynamic.evaluate(fast, params, ids, rms=rms, **told) == pytest.approx(found, rel=1e-12)


def test_root_mean_squares_are_those_of_the_segments_gradients() -> None:
    params, ids = drawn(200)
    found = dynamic.root_mean_squares(MODEL, params, ids, segment=3)
    rows, steps = 32, 199 // 32
    squares: list[Params] = []
    state = None
    for start in range(0, steps, 3):
        at = [np.arange(row * steps + start, row * steps + min(start + 3, steps)) for row in range(rows)]
        inputs, targets = (np.stack([ids[k + next_] for k in at], axis=1) for next_ in (0, 1))
        _, grads, state = MODEL.loss_and_grads(params, inputs, targets, state)
        squares.append({name: g**2 for name, g in grads.items()})
    for name, r in found.items():
        np.testing.assert_allclose(r, np.sqrt(np.mean([s[name] for s in squares], axis=0)), rtol=1e-12)


def test_nothing_given_is_changed_and_costs_of_training_do_not_count() -> None:
    params, ids = drawn()
    before = {name: array.copy() for name, array in params.items()}
    found = dynamic.evaluate(MODEL, params, ids, rate=0.3)
    assert all(np.array_equal(array, before[name]) for name, array in params.items())
    dear = replace(MODEL, label_smoothing=0.3, activation_penalty=2.0, temporal_penalty=1.0, dropout=0.5)
    dear = replace(dear, reduction="sum_over_time_and_batch")
    assert dynamic.evaluate(dear, params, ids, rate=0.3) == found
    assert dynamic.evaluate(MODEL, params, ids, rate=0.0) == pytest.approx(carried(MODEL, params, ids))


def test_a_rate_that_takes_the_weights_apart_is_infinite_and_a_pause_may_end_it() -> None:
    params, ids = drawn()
    wild = replace(MODEL, cell="rnn-relu")
    params = {name: np.full(shape, 2.0) for name, shape in wild.shapes.items()}
    assert dynamic.evaluate(wild, params, ids, rate=1e300) == math.inf

    def stop() -> None:
        raise KeyboardInterrupt

    ends: Pause = stop
    with pytest.raises(KeyboardInterrupt):
        dynamic.evaluate(MODEL, drawn()[0], ids, rate=0.1, pause=ends)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"rate": -1.0}, "rate must be a finite number from 0, got -1"),
        ({"rate": math.nan}, "rate must be a finite number from 0, got nan"),
        ({"rate": 0.1, "decay": 1.0}, r"decay must be a number in \[0, 1\), got 1"),
        ({"rate": 0.1, "segment": 0}, "segment must be from 1 to 16,384 tokens, got 0"),
        ({"rate": 0.1, "segment": 10**9}, "segment must be from 1 to 16,384 tokens"),
    ],
)
def test_a_number_that_means_nothing_is_told(told: dict[str, Any], says: str) -> None:
    params, ids = drawn()
    with pytest.raises(ConfigError, match=says):
        dynamic.evaluate(MODEL, params, ids, **told)


@pytest.mark.parametrize("rule", ["sgd", "rms"])
def test_the_rate_is_the_best_of_those_that_are_tried_on_the_validation_text(
    tmp_path: Path, book: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(Trainer.start(Settings(**SMALL | {"data": book}), tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    (valid,) = trained.ids_of().values()
    monkeypatch.setattr(dynamic, "TRIED", 100)
    found = dynamic.scores(trained, rule=rule)
    assert (found.rule, found.segment, found.tried_on) == (rule, 20, 100)
    rms = None
    if rule == "rms":
        train = trained.corpus().train
        assert trained.vocabulary is not None
        rms = dynamic.root_mean_squares(trained.model, trained.params, trained.vocabulary.encode(train))

    def loss(ids: Array, rate: float, decay: float) -> float:
        return dynamic.evaluate(trained.model, trained.params, ids, rate=rate, decay=decay, rms=rms)

    tried = {rate: loss(valid[:101], rate, 0.0) for rate in dynamic.RATES[rule]}
    assert tried[found.rate] == min(tried.values())
    assert loss(valid[:101], found.rate, found.decay) == min(
        loss(valid[:101], found.rate, decay) for decay in dynamic.DECAYS
    )
    (score,) = found.scores
    assert score.nats == loss(valid, found.rate, found.decay)
    assert (score.start, score.tokens) == ("dynamic", len(valid) - 1)
    given = dynamic.scores(trained, rule=rule, rate=found.rate, decay=found.decay, segment=20)
    assert given.scores == found.scores
    assert given.tried_on is None
    with pytest.raises(ConfigError, match="rule must be one of sgd, rms, got 'adam'"):
        dynamic.scores(trained, rule="adam")


def test_a_text_that_is_gone_leaves_a_rate_to_be_given(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(**SMALL | {"data": book, "steps": 2}), tmp_path / "run"))
    tmp_path.joinpath("other.txt").write_text("the lazy fox looks\n" * 9)
    Path(book).unlink()
    trained, other = Trained.load(tmp_path / "run"), str(tmp_path / "other.txt")
    with pytest.raises(DataError, match=r"chosen on the validation text: .*no such file.*; or give --rate"):
        dynamic.scores(trained, other)
    assert dynamic.scores(trained, other, rate=0.1).scores[0].text == other
    with pytest.raises(DataError, match=r"rms is of gradients on the training text: .*no such file"):
        dynamic.scores(trained, other, rate=0.1, rule="rms")
    tmp_path.joinpath("list.txt").write_text(LINES)
    lines = SMALL | {"data": str(tmp_path / "list.txt"), "lines": True, "steps": 1}
    go(Trainer.start(Settings(**lines), tmp_path / "lines"))
    with pytest.raises(DataError, match="of one long text; this is a model of sequences of text"):
        dynamic.scores(Trained.load(tmp_path / "lines"))
