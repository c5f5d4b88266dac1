"""Scores are what a token-by-token reading gives, cold or carried, however the text is cut up inside."""

import math
from typing import Any

import numpy as np
import pytest

from bptt import Model
from bptt.data.sequences import Sequences
from bptt.errors import DataError
from bptt.nets import evaluate
from bptt.training.scoring import Score
from bptt.types import Array, Params

V = 7

MODELS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "two layers, embedding": {"layers": 2, "embedding": 3, "cell": "gru"},
    "tied": {"embedding": 5, "tied": True, "cell": "gru-cho"},
    "rnn": {"cell": "rnn", "bias": "two"},
    "no bias": {"bias": "none", "output_bias": False},
    "dropout": {"dropout": 0.5, "layers": 2},
    "sum": {"reduction": "sum_over_time_and_batch"},
}


def network(dtype: Any = np.float64, **options: Any) -> tuple[Model, Params]:
    model = Model(inputs=V, outputs=V, hidden=5, init_name="normal", init_scale=1.0, **options)
    return model, model.init(np.random.default_rng(1), dtype)


def text(length: int) -> Array:
    return np.random.default_rng(length).integers(V, size=length)


def slowly(model: Model, params: Params, ids: Array, window: int) -> float:
    """Return nats per token, read one at a time; the state is forgotten after each `window` of them."""
    total, state = 0.0, None
    for t in range(len(ids) - 1):
        run = model.forward(params, ids[t : t + 1, None], None if t % window == 0 else state)
        state, z = run.state, run.outputs[0, 0].astype(np.float64)
        total -= z[ids[t + 1]] - z.max() - math.log(np.exp(z - z.max()).sum())
    return total / (len(ids) - 1)


@pytest.mark.parametrize("name", MODELS)
def test_cold_and_carried_are_what_token_by_token_gives(name: str) -> None:
    model, params = network(**MODELS[name])
    ids = text(600)
    cold, carried = evaluate.cold(model, params, ids), evaluate.carried(model, params, ids)
    assert cold == pytest.approx(slowly(model, params, ids, 256), rel=1e-12)
    assert carried == pytest.approx(slowly(model, params, ids, 10**9), rel=1e-12)
    assert abs(cold - carried) > 1e-6  # they are not the same figure
    single = {key: array.astype(np.float32) for key, array in params.items()}
    assert evaluate.cold(model, single, ids) == pytest.approx(cold, rel=1e-5)


@pytest.mark.parametrize("length", [2, 3, 255, 256, 257, 258, 513])
def test_every_token_but_the_first_counts_once_at_any_length(length: int) -> None:
    model, params = network()
    ids = text(length)
    assert evaluate.cold(model, params, ids) == pytest.approx(slowly(model, params, ids, 256), rel=1e-12)
    assert evaluate.carried(model, params, ids) == pytest.approx(
        slowly(model, params, ids, length), rel=1e-12
    )


@pytest.mark.parametrize("window", [1, 2, 7, 299, 300, 1000])
def test_windows_may_have_any_length(window: int) -> None:
    model, params = network(cell="gru")
    ids = text(300)
    assert evaluate.cold(model, params, ids, window) == pytest.approx(
        slowly(model, params, ids, window), rel=1e-12
    )


@pytest.mark.parametrize("most", [1, 40, 1000, 5000, 30_000, 10**9])
def test_scores_do_not_depend_on_how_the_text_is_cut_inside(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, params = network(layers=2)
    ids = text(700)
    for window in (256, 20):
        wanted = evaluate.cold(model, params, ids, window)
        with monkeypatch.context() as patched:
            patched.setattr(evaluate, "MOST_NUMBERS", most)
            assert evaluate.cold(model, params, ids, window) == pytest.approx(wanted, rel=1e-12)
    wanted = evaluate.carried(model, params, ids)
    monkeypatch.setattr(evaluate, "MOST_NUMBERS", most)
    assert evaluate.carried(model, params, ids) == pytest.approx(wanted, rel=1e-12)


def test_memory_is_bounded_by_cutting(monkeypatch: pytest.MonkeyPatch) -> None:
    model, params = network()
    largest = 0
    real = Model.losses

    def losses(self: Model, params: Params, inputs: Array, *rest: Any) -> Any:
        nonlocal largest
        largest = max(largest, inputs.size * max(self.outputs, 8 * self.hidden))
        return real(self, params, inputs, *rest)

    monkeypatch.setattr(Model, "losses", losses)
    monkeypatch.setattr(evaluate, "MOST_NUMBERS", 10_000)
    evaluate.cold(model, params, text(20_000))
    evaluate.carried(model, params, text(20_000))
    assert 1_000 < largest <= 10_000


def test_where_the_state_does_not_matter_cold_and_carried_are_the_same() -> None:
    model, params = network(cell="rnn")
    params["layers.0.U"][:] = 0
    ids = text(600)
    assert evaluate.cold(model, params, ids) == pytest.approx(evaluate.carried(model, params, ids), rel=1e-12)


def test_a_uniform_model_has_log_v() -> None:
    model, params = network()
    params["output.W"][:] = 0
    for score in (evaluate.cold, evaluate.carried):
        assert score(model, params, text(400)) == pytest.approx(math.log(V), rel=1e-12)


def test_there_is_nothing_to_predict_in_one_token() -> None:
    model, params = network()
    with pytest.raises(DataError, match="at least 2 tokens"):
        evaluate.cold(model, params, text(1))


def test_a_score_has_its_other_units() -> None:
    score = Score("a text", 10, "cold", 2 * math.log(2))
    assert (score.bits, score.perplexity) == pytest.approx((2, 4))
    assert score.to_json() == pytest.approx(
        {"text": "a text", "tokens": 10, "start": "cold", "nats": score.nats, "bits": 2.0, "perplexity": 4.0}
    )
    assert math.isfinite(Score("hopeless", 10, "cold", 1e9).perplexity)


def test_each_sequence_is_read_from_its_own_start_however_it_is_cut_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, params = network(features=2)
    rng = np.random.default_rng(0)
    lengths = np.array([3, 40, 1, 7, 3, 25])
    some = Sequences(text(79), lengths, text(79)[::-1], rng.normal(size=(6, 2)))
    wanted = []
    for k, start in enumerate(some.starts):
        own = slice(start, start + lengths[k])
        features = some.features[[k]] if some.features is not None else None
        each, _ = model.losses(params, some.inputs[own, None], some.targets[own, None], features=features)
        wanted.append(each[:, 0])
    for most in (1, 100, 10**6):
        monkeypatch.setattr(evaluate, "steps_at_once", lambda model, rows=1, most=most: most)
        found = dict(evaluate.each(model, params, some))
        assert sorted(found) == [*range(6)]
        for k, losses in found.items():
            np.testing.assert_allclose(losses, wanted[k], rtol=1e-12)
        mean = evaluate.mean(model, params, some)
        assert mean == pytest.approx(np.concatenate(wanted).mean(), rel=1e-12)
