"""Weights that are used again: a run that begins with another's, and one made of weights from Python."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import BpttWarning, ConfigError, DataError, RunError, Settings, ShapeError, Trained, Trainer
from bptt.cli import run as command
from bptt.training.again import settings_from
from bptt.training.runs.verify import verify
from small_runs import SMALL, go, left_by, text
from small_runs import book as book

SHAPES: dict[str, dict[str, Any]] = {
    "embedding": {},
    "one-hot": {"embedding": 0, "layers": 2},
    "tied": {"embedding": 6, "tied": True, "bias": "two"},
    "projected": {"embedding": 5, "tied": True, "projection": 5},
    "words": {"tokens": "word", "cell": "gru"},
    "own cell": {"cell": "ugrnn"},
}
LOOP: dict[str, Any] = {"batch": 2, "chunk": 8, "steps": 9, "eval_every": 4, "report_every": 3}


@pytest.fixture
def other(tmp_path: Path) -> str:
    """Return another text, with a word and some characters that the first has not."""
    tmp_path.joinpath("other.txt").write_text(text(5).replace("dog", "ÄRGER") + "ÄRGER ")
    return str(tmp_path / "other.txt")


@pytest.mark.parametrize("name", SHAPES)
def test_a_run_begins_with_anothers_weights_and_draws_what_is_new(
    tmp_path: Path, book: str, other: str, name: str
) -> None:
    go(Trainer.start(Settings(**SMALL | {"data": book} | SHAPES[name]), tmp_path / "first"))
    weights = Trained.load(tmp_path / "first", "last")
    begun: dict[int, Trainer] = {}
    for seed in (0, 0, 1):
        settings = settings_from(weights, data=other, seed=seed, **LOOP)
        with pytest.warns(BpttWarning, match="new to the weights.*: .*(Ä|ÄRGER)"):
            trainer = Trainer.start(settings, tmp_path / str(len(begun)), weights)
        begun[len(begun)] = trainer
    one, again, differs = begun.values()
    assert weights.vocabulary is not None
    assert one.experiment.vocabulary is not None
    V = len(weights.vocabulary)
    assert one.experiment.vocabulary.tokens[:V] == weights.vocabulary.tokens
    assert len(one.experiment.vocabulary) > V
    for key, had in weights.params.items():
        corner = tuple(map(slice, had.shape))
        assert all(np.array_equal(trainer.params[key][corner], had) for trainer in begun.values())
        assert np.array_equal(one.params[key], again.params[key])
        if one.params[key].ndim > 1 and one.params[key].shape != had.shape:
            assert not np.array_equal(one.params[key], differs.params[key])
    assert weights.params.keys() == one.params.keys()
    reports = list(one.reports())
    assert one.step == reports[-1].step == 9
    assert {finding.state for finding in verify(one.run.folder)} == {"whole"}


@pytest.mark.parametrize("name", ["one-hot", "words", "own cell"])
@pytest.mark.filterwarnings("ignore::bptt.BpttWarning")
def test_a_run_from_another_resumes_to_the_same_bits_without_it(
    tmp_path: Path, book: str, other: str, name: str
) -> None:
    go(Trainer.start(Settings(**SMALL | {"data": book} | SHAPES[name]), tmp_path / "first"))
    weights = Trained.load(tmp_path / "first")
    settings = settings_from(weights, data=other, **LOOP)
    go(Trainer.start(settings, tmp_path / "whole", weights))
    trainer = Trainer.start(settings, tmp_path / "parts", weights)
    for file in tmp_path.joinpath("first").iterdir():
        file.unlink()
    for stop in (0, 2, 3, 6):
        go(trainer, stop)
        trainer = Trainer.resume(tmp_path / "parts")
    go(trainer)
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")
    longer = Trainer.resume(tmp_path / "parts", steps=12)
    assert longer.run.config()["from"]["step"] == weights.step
    longer.close()
    tmp_path.joinpath("parts", "last.safetensors").unlink()
    with pytest.raises(RunError, match=r"has no last\.safetensors"):
        Trainer.resume(tmp_path / "parts")


def test_weights_keep_their_zoneout_unless_it_is_given_anew(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(**SMALL | {"data": book, "zoneout": 0.2}), tmp_path / "first"))
    weights = Trained.load(tmp_path / "first")
    assert weights.model.stack.cell.name == "lstm-zoneout"
    assert settings_from(weights, data=book, zoneout_cell=0.3).zoneout == 0.2
    assert settings_from(weights, data=book, zoneout=0.0).zoneout == 0.0


def test_the_same_settings_with_other_weights_are_another_run(tmp_path: Path, book: str) -> None:
    names = set()
    for steps in (1, 2):
        go(Trainer.start(Settings(**SMALL | {"data": book, "steps": steps}), tmp_path / str(steps)))
        weights = Trained.load(tmp_path / str(steps))
        trainer = Trainer.start(settings_from(weights, **LOOP), tmp_path / f"from {steps}", weights)
        assert (trainer.settings.data, trainer.settings.hidden) == (book, 6)
        config = trainer.run.config()
        assert config["from"]["step"] == weights.step == steps
        names.add(config["id"])
    assert len(names) == 2


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"hidden": 7}, "--hidden 7 does not fit the weights of .*, which have 6: leave it out"),
        ({"cell": "gru"}, "--cell gru does not fit the weights of .*, which have lstm"),
        ({"tied": True}, "--tied yes does not fit the weights of .*, which have no"),
        ({"tokens": "word"}, "--tokens word does not fit the weights of .*, which have char"),
        ({"data": "adding"}, "adding asks for another model than that of"),
        ({"heads": 3}, "no setting is called heads"),
    ],
)
def test_what_does_not_fit_the_weights_is_a_line_and_writes_nothing(
    tmp_path: Path, book: str, asked: dict[str, Any], message: str
) -> None:
    go(Trainer.start(Settings(**SMALL | {"data": book, "steps": 1}), tmp_path / "first"))
    weights = Trained.load(tmp_path / "first")
    with pytest.raises(ConfigError, match=message):
        Trainer.start(settings_from(weights, **asked), tmp_path / "new", weights)
    assert not tmp_path.joinpath("new").exists()
    same = settings_from(weights, hidden=6, cell="lstm", tokens="char", lr=0.25)
    assert (same.hidden, same.lr, same.data) == (6, 0.25, book)


def test_a_task_goes_on_from_its_weights(tmp_path: Path) -> None:
    go(Trainer.start(Settings(**SMALL | {"data": "reber", "steps": 3}), tmp_path / "first"))
    weights = Trained.load(tmp_path / "first")
    trainer = Trainer.start(settings_from(weights, steps=4, seed=3), tmp_path / "new", weights)
    assert all(np.array_equal(array, weights.params[name]) for name, array in trainer.params.items())
    with pytest.raises(ConfigError, match="pydoc asks for another model"):
        Trainer.start(settings_from(weights, data="pydoc"), tmp_path / "text", weights)


def test_a_model_of_series_goes_on_from_its_weights_with_other_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, add in (("a.csv", 0), ("b.csv", 3)):
        rows = "".join(f"{t},{(t + add) % 7}\n" for t in range(40))
        (tmp_path / name).write_text("day,sold\n" + rows)
    asked = ["--task=forecast", "--time=day", "--value=sold", "--horizon=3", "--window=9", "--hidden=4"]
    first, more = str(tmp_path / "run"), str(tmp_path / "more")
    assert command(["train", str(tmp_path / "a.csv"), *asked, "--steps=2", "--out", first]) == 0
    assert command(["train", str(tmp_path / "b.csv"), "--from", first, "--steps=2", "--out", more]) == 0
    settings = Trained.load(more).settings
    assert (settings.value, settings.horizon, settings.data) == ("sold", 3, str(tmp_path / "b.csv"))


def test_labels_go_on_whatever_their_column_is_called(tmp_path: Path) -> None:
    for name, head, classes in (
        ("a", "x,z", "no yes"),
        ("b", "words,label", "no yes"),
        ("c", "x,z", "no maybe"),
    ):
        rows = [f"{'abc'[k % 3] * 3},{classes.split()[k % 2]}" for k in range(30)]
        tmp_path.joinpath(name).write_text("\n".join([head, *rows]))
    asked: dict[str, Any] = {"task": "classify", "hidden": 3, "batch": 4, "steps": 1}
    go(Trainer.start(Settings.of(data=str(tmp_path / "a"), text="x", label="z", **asked), tmp_path / "run"))
    weights = Trained.load(tmp_path / "run")
    columns = {"task": "classify", "text": "words", "label": "label"}
    other = settings_from(weights, data=str(tmp_path / "b"), **columns)
    assert Trainer.start(other, tmp_path / "new", weights).settings.label == "label"
    renamed = settings_from(weights, data=str(tmp_path / "b"), text="words", label="label")
    assert (renamed.task, renamed.text) == ("classify", "words")  # another column, and no other job
    with pytest.raises(ConfigError, match="c: column z has other names than"):
        Trainer.start(settings_from(weights, data=str(tmp_path / "c")), tmp_path / "more", weights)


def test_the_command_trains_from_a_run(tmp_path: Path, book: str, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--batch=2", "--chunk=8", "--eval-every=2", "--no-samples"]
    first, new = str(tmp_path / "first"), str(tmp_path / "new")
    assert command(["train", book, *small, "--hidden=5", "--steps=4", "--out", first]) == 0
    capsys.readouterr()
    assert command(["train", "--from", first, "--from-last", *small, "--steps=2", "--out", new]) == 0
    assert f"it begins with the weights of {first} after 4 steps" in capsys.readouterr().out
    assert Trained.load(new).model.hidden == 5
    for wrong in (["--from-last"], ["--resume", new, "--from", first]):
        assert command(["train", *wrong]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_list_follows_a_text(tmp_path: Path, book: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, new = str(tmp_path / "first"), str(tmp_path / "new")
    assert (
        command(["train", book, "--chunk=8", "--hidden=5", "--steps=1", "--no-samples", "--out", first]) == 0
    )
    (tmp_path / "list.txt").write_text("".join(f"{k}\n" for k in (1, 11) * 15))
    asked = ["--lines", "--from", first, "--steps=1", "--no-samples", "--out", new]
    capsys.readouterr()
    assert command(["train", str(tmp_path / "list.txt"), *asked]) == 0
    assert capsys.readouterr().err.rstrip().endswith(": 1, what ends a sequence")


# from Python


def saved(folder: Path, **sizes: Any) -> tuple[bptt.Model, dict[str, Any], bptt.text.Vocabulary]:
    vocabulary = bptt.text.Vocabulary.build(text(), "char")
    model = bptt.Model(inputs=len(vocabulary), outputs=len(vocabulary), hidden=5, **sizes)
    params = model.init(np.random.default_rng(0))
    bptt.save_run(folder, model, params, vocabulary, step=7)
    return model, params, vocabulary


@pytest.mark.parametrize("sizes", [{}, {"embedding": 3, "cell": "ugrnn", "dropout": 0.5}])
def test_what_was_trained_in_python_is_read_as_a_run(
    tmp_path: Path, book: str, sizes: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    model, params, vocabulary = saved(folder, **sizes)
    found = Trained.load(folder)
    assert (found.vocabulary, found.step, found.model.shapes) == (vocabulary, 7, model.shapes)
    assert all(np.array_equal(found.params[name], array) for name, array in params.items())
    assert {finding.state for finding in verify(folder)} == {"whole"}
    assert command(["sample", str(folder), "--length=9", "--seed=1"]) == 0
    wanted = bptt.sample(model, params, vocabulary, rng=np.random.default_rng(1), length=9)
    assert capsys.readouterr().out == "".join(wanted) + "\n"
    assert found.scores(book)[0].nats == pytest.approx(np.log(len(vocabulary)), rel=0.2)
    with pytest.raises(DataError, match="was saved from Python and names no text: give the PATH"):
        found.scores()
    with pytest.raises(RunError, match=r"saved from Python.*bptt train TEXT --from .* begins a run"):
        Trainer.resume(folder)
    with pytest.raises(ConfigError, match="saved from Python and names no data"):
        settings_from(found)
    settings = settings_from(found, data=book, **LOOP)
    assert go(Trainer.start(settings, tmp_path / "new", found)).step == 9


def test_a_model_without_tokens_is_kept_too(tmp_path: Path) -> None:
    model = bptt.Model(inputs=3, outputs=2, hidden=4, token_inputs=False, loss="squared_error")
    params = model.init(np.random.default_rng(0), np.float64)
    found = Trained.load(bptt.save_run(tmp_path / "run", model, params))
    assert found.vocabulary is None
    assert found.model == replace(model, cell=found.model.cell)
    assert found.params["output.W"].dtype == np.float64
    assert {finding.state for finding in verify(tmp_path / "run")} == {"whole"}


def test_what_is_no_model_is_not_kept(tmp_path: Path) -> None:
    model, params, vocabulary = saved(tmp_path / "run")
    with pytest.raises(RunError, match="already holds a run"):
        bptt.save_run(tmp_path / "run", model, params, vocabulary)
    new = tmp_path / "new"
    with pytest.raises(ShapeError, match=r"has no 'output\.b'"):
        bptt.save_run(new, model, {k: a for k, a in params.items() if k != "output.b"}, vocabulary)
    with pytest.raises(ShapeError, match=r"output\.b must be finite"):
        bptt.save_run(new, model, params | {"output.b": params["output.b"] * np.nan}, vocabulary)
    with pytest.raises(ShapeError, match="a vocabulary of 2 tokens is for a model of as many"):
        bptt.save_run(new, model, params, bptt.text.Vocabulary.build("ab", "char"))
    assert not new.exists()
