"""Runs of labelled sequences: they learn, go on to the same bits, and tell what they have learnt."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import ConfigError, DataError, RunError, Settings, Trained, Trainer
from bptt.data.sequences import Sequences
from bptt.data.tables import read_table
from bptt.nets import reading
from bptt.nets.model import Model
from bptt.training.jobs import labels
from bptt.training.labelling import ClassScore
from bptt.training.numbers import NumberScore
from bptt.training.trainer import DONE, STOPPED
from labelled_tables import SMALL_LABELS, TABLES, written
from small_runs import go, left_by

EVERY_TABLE = pytest.mark.parametrize("name", TABLES)


@EVERY_TABLE
def test_a_run_of_labels_stopped_and_resumed_ends_as_one_never_stopped(tmp_path: Path, name: str) -> None:
    data, told = written(tmp_path, name)
    settings = Settings(data=data, **SMALL_LABELS, **told)
    whole = go(Trainer.start(settings, tmp_path / "whole"))
    trainer = Trainer.start(settings, tmp_path / "parts")
    for stop in (0, 1, 3, 7, 8, 13, 22):
        assert go(trainer, stop).end == STOPPED
        trainer = Trainer.resume(tmp_path / "parts")
        assert trainer.step == stop
    assert go(trainer).end == whole.end == DONE
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")


def test_other_rows_than_the_runs_own_are_refused(tmp_path: Path) -> None:
    data, told = written(tmp_path, "classify")
    go(Trainer.start(Settings(data=data, **SMALL_LABELS, **told), tmp_path / "run"), 3)
    Path(data).write_text(Path(data).read_text().replace("it,1", "jp,1", 1))
    with pytest.raises(RunError, match=r"no longer what the run was trained on \(sha256"):
        Trainer.resume(tmp_path / "run")
    with pytest.raises(DataError, match="no longer"):
        Trained.load(tmp_path / "run").label_score()


def run_of(tmp_path: Path, name: str, **more: Any) -> tuple[str, Trained]:
    data, told = written(tmp_path, name)
    how = SMALL_LABELS | {"steps": 150, "hidden": 12, "eval_every": 50} | told | more
    go(Trainer.start(Settings(data=data, **how), tmp_path / "run"))
    return data, Trained.load(tmp_path / "run")


@EVERY_TABLE
def test_what_can_be_told_is_learnt_and_told(tmp_path: Path, name: str) -> None:
    data, trained = run_of(tmp_path, name)
    score, found = trained.label_score(data), trained.predict(data)
    if isinstance(score, NumberScore):
        assert score.rmse < 0.6 * score.rmse_of_mean
        assert score.mae < 0.6 * score.mae_of_mean
        right = np.asarray(labels.labeller_of(trained).read(data, told=True).labels)
        assert np.sqrt(np.mean((found.labels - right) ** 2)) == pytest.approx(score.rmse, rel=1e-4)
        return
    assert isinstance(score, ClassScore)
    assert score.accuracy > 0.5 + score.most_frequent[1] / 2
    assert found.probabilities.sum(axis=1) == pytest.approx(1)
    labelled = labels.labeller_of(trained).read(data, told=True)
    right = np.array([a == b for a, b in zip(found.labels, labelled.labels or [], strict=True)])
    assert right.mean() == pytest.approx(score.accuracy)
    path = tmp_path / f"told{Path(data).suffix}"
    path.write_bytes(found.labelled.table.written(found.columns()))
    again = read_table(path, sentences=name == "sentences")
    assert len(again) == len(read_table(data, sentences=name == "sentences"))
    added = [column for column in again.columns if column not in labelled.table.columns]
    if name == "walks":
        assert added == ["prediction", "p_down", "p_up"]
        by_walk = dict(zip(again.columns["walk"], again.columns["prediction"], strict=True))
        assert [by_walk[walk] for walk in again.columns["walk"]] == again.columns["prediction"]
    if name == "steps of walks":
        at = labelled.order.tolist().index(5)
        assert again.columns["prediction"][5] == found.labels[at]
    if name == "characters":
        assert all(map(len, again.columns["prediction"]))
        assert [*map(len, again.columns["prediction"])] == [*map(len, again.columns["sequence"])]


def test_the_validation_part_is_what_was_held_out(tmp_path: Path) -> None:
    data, trained = run_of(tmp_path, "classify")
    score = trained.label_score()
    assert score.count == 6
    best = min(
        line["valid_loss"]
        for line in Trainer.resume(tmp_path / "run").run.log.lines()
        if "valid_loss" in line
    )
    assert score.loss == pytest.approx(best, rel=1e-6)
    assert trained.label_score(data).count == 60


def test_of_a_file_that_only_the_run_names_nothing_is_said(tmp_path: Path) -> None:
    data, trained = run_of(tmp_path, "classify")
    Path(data).write_text("a secret\nand another, and more\n")
    with pytest.raises(
        DataError, match=r"names\.csv cannot be read as what the model was trained on"
    ) as told:
        trained.label_score()
    assert "secret" not in str(told.value)
    with pytest.raises(DataError, match="line 2 has 2 values"):
        trained.label_score(data)
    Path(data).unlink()
    with pytest.raises(DataError, match="no such file"):
        trained.label_score()


def test_columns_of_python_are_told(tmp_path: Path) -> None:
    _, trained = run_of(tmp_path, "classify")
    assert trained.predict({"name": ["aakov", "dishi"]}).labels == ["ru", "jp"]
    with pytest.raises(DataError, match="the columns: has no column 'name'; it has text"):
        trained.predict({"text": ["aakov"]})


def test_a_model_of_text_tells_no_labels(tmp_path: Path) -> None:
    tmp_path.joinpath("book.txt").write_text("one two three four " * 99)
    settings = Settings(data=str(tmp_path / "book.txt"), hidden=4, steps=1, batch=2, chunk=8)
    go(Trainer.start(settings, tmp_path / "run"))
    with pytest.raises(DataError, match="a model of one long text tells no labels"):
        Trained.load(tmp_path / "run").predict({"a": ["b"]})


CONFUSED = ClassScore(
    "x", 1.0, ["a", "b", "c", "d"], np.array([[4, 1, 0, 0], [2, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
)


def test_figures_of_classes_are_those_of_their_definition() -> None:
    assert CONFUSED.accuracy == 0.6
    assert CONFUSED.most_frequent == ("a", 0.5)
    np.testing.assert_allclose(CONFUSED.by_class[:, 0], [4 / 7, 2 / 3, 0, 0])
    np.testing.assert_allclose(CONFUSED.by_class[:, 1], [4 / 5, 2 / 4, 0, 0])
    f1 = [2 * p * r / (p + r) for p, r, _ in CONFUSED.by_class[:2]]
    assert CONFUSED.macro_f1 == pytest.approx(sum(f1) / 3)  # c is there, and never told; d is neither


def test_balanced_classes_count_alike(tmp_path: Path) -> None:
    """A rare label weighs more, all weights together as much as the labels are."""
    rows = ["a,x"] * 45 + ["b,y"] * 15
    tmp_path.joinpath("a.csv").write_text("t,l\n" + "\n".join(rows))
    told: dict[str, Any] = {"task": "classify", "text": "t", "label": "l", "class_weights": "balanced"}
    trainer = Trainer.start(Settings(data=str(tmp_path / "a.csv"), **SMALL_LABELS, **told), tmp_path / "run")
    weights = trainer.model.class_weights
    assert weights is not None
    assert weights[1] / weights[0] == pytest.approx(41 / 13)
    assert 41 * weights[0] + 13 * weights[1] == pytest.approx(54)


@pytest.mark.parametrize("pool", [None, "last", "mean"])
@pytest.mark.parametrize("tokens", [True, False], ids=["tokens", "numbers"])
@pytest.mark.parametrize("both", [False, True], ids=["", "both"])
def test_a_long_sequence_is_read_piece_by_piece(
    monkeypatch: pytest.MonkeyPatch, pool: Any, tokens: bool, both: bool
) -> None:
    model = Model(
        inputs=5,
        outputs=3,
        hidden=4,
        layers=2,
        pool=pool,
        token_inputs=tokens,
        bidirectional=both,
        embedding=3 if tokens else None,
    )
    rng = np.random.default_rng(0)
    params = model.init(rng)
    lengths = np.array([50, 7, 1, 33])
    inputs = rng.integers(5, size=91) if tokens else rng.normal(size=(91, 5)).astype(np.float32)
    sequences = Sequences(inputs, lengths, np.zeros(91, int))
    monkeypatch.setattr(reading, "steps_at_once", lambda model, rows=1: max(1, 12 // rows))
    seen = []
    for which in sequences.alike(12):
        out = reading.outputs(model, params, sequences.batch(which))
        seen += which.tolist()
        at = {int(k): n for n, k in enumerate(which)}
        for k, n in at.items():
            steps = 1 if pool else lengths[k]
            alone = model.forward(params, sequences.batch(np.array([k]))).outputs
            np.testing.assert_allclose(out[:steps, n], alone[:steps, 0], atol=1e-5)
    assert sorted(seen) == [0, 1, 2, 3]


def test_batches_of_long_sequences_have_fewer_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, told = written(tmp_path, "classify")
    monkeypatch.setattr(labels, "MOST_BYTES", 6 * 4 * 10 * 20)
    trainer = Trainer.start(Settings(data=data, **SMALL_LABELS, **told), tmp_path / "run")
    batches = [trainer.experiment.source.next() for _ in range(trainer.experiment.source.batches_per_epoch)]
    assert max(batch.inputs.size for batch in batches) <= 20
    assert sum(batch.inputs.shape[1] for batch in batches) == 54
    trainer.close()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({"task": "tag", "text": "name", "label": "name2", "tokens": "byte"}, "has no column 'name2'"),
    "weights": (
        {"task": "regress", "text": "name", "label": "size", "class_weights": "balanced"},
        "--class-weights are for labels that are names",
    ),
    "tokens": (
        {"task": "classify", "inputs": "size", "label": "language", "tokens": "word"},
        "inputs are numbers",
    ),
    "words": (
        {"task": "classify", "text": "name", "label": "language", "vocabulary": 9},
        "the tokens are chars",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_that_labels_cannot_have_are_told(tmp_path: Path, name: str) -> None:
    data, _ = written(tmp_path, "classify")
    told, message = WRONG[name]
    with pytest.raises((ConfigError, DataError), match=message):
        Trainer.start(Settings(data=data, **SMALL_LABELS, **told), tmp_path / "run")
    assert not tmp_path.joinpath("run").exists()


def test_labels_have_the_same_bits_with_any_number_of_threads(tmp_path: Path) -> None:
    data, told = written(tmp_path, "walks")
    how = SMALL_LABELS | told | {"hidden": 40, "bidirectional": True}
    code = (
        f"import sys, bptt\nsettings = bptt.Settings(data={data!r}, **{how!r})\n"
        "for _ in bptt.Trainer.start(settings, sys.argv[1]).reports(): pass"
    )
    for threads in ("1", "2", "3"):
        env = {**os.environ, "BPTT_THREADS": threads}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / threads)], env=env, check=True)
    assert left_by(tmp_path / "1") == left_by(tmp_path / "2") == left_by(tmp_path / "3")


def test_a_run_whose_columns_are_not_its_models_is_refused(tmp_path: Path) -> None:
    _, trained = run_of(tmp_path, "walks")
    columns = trained.facts["columns"]
    for odd in ({}, {"way": columns["way"]}, {**columns, "way": {"type": "category", "values": ["a"]}}):
        trained.facts["columns"] = odd
        with pytest.raises(RunError):
            trained.predict({"a": ["b"]})
