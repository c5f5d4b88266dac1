"""Runs of every job are seen on what they were validated on, with the losses that are measured elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.looking import Look, Seen
from bptt.looking.reading import END, START
from labelled_tables import SMALL_LABELS, TABLES, written
from small_runs import SMALL, book, go, text
from small_series import asked, sales

__all__ = ["book", "sales"]


def run_of(folder: Path, **settings: Any) -> bptt.Trained:
    told = {**(SMALL_LABELS if "task" in settings else SMALL), "steps": 2, **settings}
    go(bptt.Trainer.start(bptt.Settings.of(**told), folder / "run"))
    return bptt.Trained.load(folder / "run")


def only(look: Look) -> Seen:
    (run,) = look.runs
    T = len(run.tokens)
    assert len(run.truth) == len(run.loss) == T
    for layer in run.layers:
        assert {value["array"].shape for value in layer.values} == {(T, layer.units)}
        assert layer.gradient["norm"].shape[0] == T
        assert layer.follows.shape == (len(run.properties), layer.units)
        seen = np.isfinite(layer.gradient["norm"][:, 0, 0])
        losses = np.isfinite(run.loss)
        assert seen.sum() == losses.sum()
        if not layer.reverse:
            assert (seen == losses).all()
    return run


@pytest.mark.parametrize("tokens", ["char", "byte", "word"])
def test_a_text(tokens: str, tmp_path: Path, book: str) -> None:
    trained = run_of(tmp_path, data=book, tokens=tokens)
    run = only(bptt.look(trained, steps=60))
    ids = next(iter(trained.ids_of().values()))
    assert "".join(run.tokens) == trained.vocabulary.decode(ids[:60])  # type: ignore[union-attr]
    assert run.truth[:-1] == [token.lstrip(" ") or " " for token in run.tokens[1:]] or tokens != "word"
    count = min(60, len(ids) - 1)
    each, _ = trained.model.losses(trained.params, ids[:count, None], ids[1 : count + 1, None])
    np.testing.assert_allclose(run.loss[:count], each[:, 0], rtol=1e-4)
    assert run.layers[0].chunk == 8
    assert {"column", "loss", "place in chunk"} <= {p.name for p in run.properties}
    own = only(bptt.look(trained, tokens="the fox\nlooks"))
    assert "".join(own.tokens) == "the fox\nlooks"
    from_file = tmp_path / "a.txt"
    from_file.write_text("the fox\nlooks")
    np.testing.assert_array_equal(only(bptt.look(trained, path=str(from_file))).loss, own.loss)


def test_texts_by_themselves(tmp_path: Path) -> None:
    tmp_path.joinpath("names.txt").write_text("emma\nava\nmia\nnoa\n" * 20)
    trained = run_of(tmp_path, data=str(tmp_path / "names.txt"), lines=True, learn_start=True)
    run = only(bptt.look(trained, steps=10**6))
    assert len(run.starts) == 8
    assert [run.tokens[k] for k in run.starts] == [START] * 8
    assert [run.truth[k - 1] for k in run.starts[1:]] == [END] * 7
    np.testing.assert_allclose(run.loss.mean(), trained.scores()[0].nats, rtol=1e-4)
    assert only(bptt.look(trained, steps=3)).tokens[0] == START


@pytest.mark.parametrize("name", TABLES)
def test_labelled_sequences(name: str, tmp_path: Path) -> None:
    data, told = written(tmp_path, name)
    trained = run_of(tmp_path, data=data, **told, layers=2)
    run = only(bptt.look(trained, steps=10**6, lags=5))
    loss = trained.label_score().loss if told.get("class_weights") is None else None
    if loss is not None:
        np.testing.assert_allclose(np.nanmean(run.loss), loss, rtol=1e-4)
    score = trained.label_score(data)
    assert score.count == np.isfinite(only(bptt.look(trained, path=data, steps=10**6, lags=2)).loss).sum()
    if told["task"] not in ("regress", "track"):
        assert run.guesses is not None
        at = np.isfinite(run.loss)
        told_class = run.guesses["tokens"][at, 0]
        right = [run.vocabulary[k] == y for k, y in zip(told_class, np.array(run.truth)[at], strict=True)]
        assert abs(np.mean(right) - trained.label_score().figures["accuracy"]) < 1e-9
        p = run.guesses["p"][at][:, : len(run.vocabulary)].sum(axis=1)
        np.testing.assert_allclose(p, 1, rtol=1e-5)


def test_series(tmp_path: Path, sales: str) -> None:
    go(bptt.Trainer.start(asked(sales, steps=3), tmp_path / "run"))
    run = only(bptt.look(tmp_path / "run", steps=10**6))
    back = bptt.Forecaster.load(tmp_path / "run").backtest()
    np.testing.assert_allclose(np.nanmean(run.loss), back.loss, rtol=1e-4)
    assert run.guesses is not None
    error = [
        abs(float(y) - m)
        for y, m, loss in zip(run.truth, run.guesses["mean"], run.loss, strict=True)
        if y is not None and np.isfinite(loss)
    ]
    np.testing.assert_allclose(np.mean(error), back.figures["mae"], rtol=1e-3)


@pytest.mark.parametrize("task", ["adding", "reber", "copy"])
def test_generated_tasks(task: str, tmp_path: Path) -> None:
    settings = bptt.Settings.of(data=task, hidden=6, batch=4, steps=1)
    go(bptt.Trainer.start(settings, tmp_path / "run"))
    run = only(bptt.look(tmp_path / "run", steps=250, lags=20))
    assert len(run.starts) >= 1
    assert len(run.tokens) <= 250
    with pytest.raises(bptt.DataError, match="leave TEXT out"):
        bptt.look(tmp_path / "run", path="a.txt")


def test_two_runs_read_the_same_text_in_tokens_of_their_own_order(tmp_path: Path, book: str) -> None:
    first = run_of(tmp_path, data=book)
    tmp_path.joinpath("other.txt").write_text("zebra\n" + text(1))
    other = run_of(tmp_path / "b", data=str(tmp_path / "other.txt"), cell="gru")
    view = bptt.look(first, against=other, steps=50)
    assert view.runs[0].tokens == view.runs[1].tokens
    assert [run.about["cell"] for run in view.runs] == ["lstm", "gru"]
    by_word = run_of(tmp_path / "c", data=book, tokens="word")
    with pytest.raises(bptt.ConfigError, match="does not read the same steps"):
        bptt.look(first, against=by_word, steps=50)


def test_a_run_without_a_vocabulary_reads_tokens(tmp_path: Path) -> None:
    model = bptt.Model(inputs=5, outputs=5, hidden=4)
    folder = bptt.save_run(tmp_path / "run", model, model.init(np.random.default_rng(0)))
    run = only(bptt.look(folder, tokens=np.array([0, 3, 1, 4, 2, 0])))
    assert run.tokens == ["0", "3", "1", "4", "2", "0"]
    assert run.layers[0].chunk is None  # nobody knows what it was trained in
    with pytest.raises(bptt.DataError, match="without a vocabulary"):
        bptt.look(folder)


def test_a_text_that_is_another_now_is_not_looked_at(tmp_path: Path, book: str) -> None:
    trained = run_of(tmp_path, data=book)
    Path(book).write_text(text(5))
    with pytest.raises(bptt.DataError, match="no longer the text"):
        bptt.look(trained)


def test_unlike_ways_to_say_what_is_read_are_refused(tmp_path: Path, book: str) -> None:
    trained = run_of(tmp_path, data=book)
    with pytest.raises(bptt.ConfigError, match="two ways"):
        bptt.look(trained, path=book, tokens="the fox")
    with pytest.raises(bptt.ConfigError, match="a run has its own"):
        bptt.look(trained, trained.params, np.array([1, 2]))
    with pytest.raises(bptt.DataError, match="nothing to look at"):
        bptt.look(trained, tokens="")


def test_the_last_token_may_be_all_whose_losses_are_taken_at_once(
    tmp_path: Path, book: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = run_of(tmp_path, data=book)
    assert np.isnan(only(bptt.look(trained, tokens="t")).loss).all()
    whole = only(bptt.look(trained, tokens="the fox")).loss
    monkeypatch.setattr("bptt.looking.forward.MOST_OUTPUTS", 3 * trained.model.outputs)
    np.testing.assert_array_equal(only(bptt.look(trained, tokens="the fox")).loss, whole)
