"""A run that is stopped and taken up again ends in the bits of one never stopped; and what ends a run."""

import json
import math
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import PRESETS, DataError, DivergedError, Model, RunError, Settings, Trained, Trainer
from bptt.data.tasks import EmbeddedReber, Verdict
from bptt.data.text import TextStream
from bptt.errors import BpttWarning, ConfigError
from bptt.flow.positions import ids_of
from bptt.nets.output import Output
from bptt.training.trainer import DONE, STOPPED
from bptt.types import Array, Batch

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "nobody", "looks"]


def text(seed: int = 0, count: int = 250) -> str:
    drawn = np.random.default_rng(seed).choice(WORDS, count)
    return "".join(word + "\n"[: k % 9 == 0] + " "[: k % 9 != 0] for k, word in enumerate(drawn))


@pytest.fixture
def book(tmp_path: Path) -> str:
    tmp_path.joinpath("book.txt").write_text(text())
    return str(tmp_path / "book.txt")


SMALL: dict[str, Any] = {
    "hidden": 6,
    "embedding": 4,
    "batch": 3,
    "chunk": 8,
    "steps": 23,
    "report_every": 5,
    "eval_every": 7,
}


def go(trainer: Trainer, stop: float = math.inf) -> Trainer:
    for _ in trainer.reports(lambda: trainer.step >= stop):
        pass
    return trainer


def left_by(folder: Path) -> tuple[bytes, bytes, list[dict[str, Any]]]:
    """Return what must not depend on where a run was stopped: all but times."""
    lines = [json.loads(line) for line in folder.joinpath("log.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"], line["tokens_per_second"], line["crc32"]
    return (
        folder.joinpath("last.safetensors").read_bytes(),
        folder.joinpath("best.safetensors").read_bytes(),
        lines,
    )


CASES: dict[str, dict[str, Any]] = {
    "char": {},
    "word": {"tokens": "word", "vocabulary": 9, "cell": "gru"},
    "byte": {"tokens": "byte", "cell": "rnn"},
    "reber": {"data": "reber"},
    "ar2": {"data": "ar2", "eval_every": 100, "batch": 2},
    "dropout": {"dropout": 0.4, "layers": 2},
    "momentum": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9},
    "sgd": {"optimizer": "sgd", "lr": 0.1},
    "adagrad": {"optimizer": "adagrad"},
    "rmsprop": {"optimizer": "rmsprop"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "plateau": {"schedule": "plateau", "keep": 1, "lr": 0.5, "eval_every": 2, "factor": 0.3},
    "step": {"schedule": "step", "keep": 1, "steps": None, "epochs": 1.5},
    "warmup": {"warmup": 12},
    "orthogonal": {"init": "orthogonal", "tied": True, "embedding": 6, "cell": "gru-cho"},
    "two biases": {"bias": "two", "embedding": 0, "clip_norm": None, "clip_value": 0.01},
    "early stop": {"lr": 1e-30, "schedule": "constant", "patience": 2, "eval_every": 5},
    "vanilla": {
        **{key: value for key, value in PRESETS["vanilla"].settings.items() if key not in SMALL},
        "batch": 1,
        "chunk": 25,
        "steps": 150,
        "report_every": 20,
        "eval_every": 50,
    },
}


@pytest.mark.parametrize("name", CASES)
def test_a_run_stopped_and_resumed_ends_as_one_never_stopped(tmp_path: Path, book: str, name: str) -> None:
    settings = Settings(**{**SMALL, "data": book, **CASES[name]})
    whole = go(Trainer.start(settings, tmp_path / "whole"))
    trainer = Trainer.start(settings, tmp_path / "parts")
    stops = {0, 1, 3, 7, 10, 13, 14, 19, whole.step // 2, whole.step - 1}
    for stop in sorted(stop for stop in stops if stop < whole.step):
        assert go(trainer, stop).end == STOPPED
        assert trainer.step == stop
        trainer = Trainer.resume(tmp_path / "parts")
        assert trainer.step == stop
    assert go(trainer).end == whole.end
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")
    if name == "vanilla":  # the carried state was reset between epochs
        assert whole.epoch > 2
    if name == "early stop":
        assert (whole.step, whole.end) == (15, "no better validation loss in 2 evaluations")
    else:
        assert whole.end == DONE


def test_a_run_that_was_killed_goes_on_from_its_checkpoint(tmp_path: Path, book: str) -> None:
    """Killed: the checkpoint is old, the log and the best checkpoint are ahead of it."""
    settings = Settings(data=book, **SMALL)
    go(Trainer.start(settings, tmp_path / "whole"))
    go(Trainer.start(settings, tmp_path / "killed"), 6)
    old = tmp_path.joinpath("killed", "last.safetensors").read_bytes()
    go(Trainer.resume(tmp_path / "killed"), 18)
    tmp_path.joinpath("killed", "last.safetensors").write_bytes(old)
    trainer = Trainer.resume(tmp_path / "killed")
    assert trainer.step == 6
    assert [line["step"] for line in trainer.run.log.lines()] == [5]
    go(trainer)
    assert left_by(tmp_path / "killed") == left_by(tmp_path / "whole")


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path, book: str) -> None:
    settings = Settings(data=book, **SMALL)
    go(Trainer.start(settings, tmp_path / "whole"))
    Trainer.start(settings, tmp_path / "killed").close()
    tmp_path.joinpath("killed", "last.safetensors").unlink()
    go(Trainer.resume(tmp_path / "killed"))
    assert left_by(tmp_path / "killed") == left_by(tmp_path / "whole")


def test_a_run_can_be_made_longer(tmp_path: Path, book: str) -> None:
    asked: dict[str, Any] = {
        **SMALL,
        "data": book,
        "schedule": "constant",
        "report_every": 5,
        "eval_every": 5,
    }
    go(Trainer.start(Settings(**{**asked, "steps": 20}), tmp_path / "whole"))
    go(Trainer.start(Settings(**{**asked, "steps": 10}), tmp_path / "longer"))
    assert go(Trainer.resume(tmp_path / "longer")).step == 10  # it was done
    trainer = go(Trainer.resume(tmp_path / "longer", steps=20))
    assert (trainer.step, trainer.end) == (20, DONE)
    assert left_by(tmp_path / "longer") == left_by(tmp_path / "whole")
    assert trainer.run.config()["settings"]["steps"] == 20
    longest = go(Trainer.resume(tmp_path / "longer", epochs=1.0))
    assert (
        longest.step
        == longest.experiment.source.batches_per_epoch
        == Trainer.resume(tmp_path / "longer").step
    )
    with pytest.raises(ConfigError, match="--steps or --epochs, not both"):
        Trainer.resume(tmp_path / "longer", steps=30, epochs=2.0)


def test_a_run_cannot_end_before_where_it_is(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 8)
    before = tmp_path.joinpath("run", "config.json").read_bytes()
    with pytest.raises(ConfigError, match="at step 8 already: it cannot end at 7"):
        Trainer.resume(tmp_path / "run", steps=7)
    assert tmp_path.joinpath("run", "config.json").read_bytes() == before


def test_a_text_that_has_moved_is_told_on_resuming(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 8)
    moved = tmp_path / "moved.txt"
    Path(book).rename(moved)
    with pytest.raises(DataError, match="no such file"):
        Trainer.resume(tmp_path / "run")
    assert Trainer.resume(tmp_path / "run", data=str(moved)).step == 8
    assert Trainer.resume(tmp_path / "run").settings.data == str(moved)


def test_a_run_says_nothing_of_a_folder_and_has_no_more_read_than_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    folder.joinpath("a.txt").write_text("some words to read\n" * 99)
    folder.joinpath("secret.bin").write_bytes(b"\0")
    with pytest.warns(BpttWarning, match="secret"):
        go(Trainer.start(Settings(data=str(folder), **SMALL), tmp_path / "run"), 8)
    trained = Trained.load(tmp_path / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trained.scores()
        assert ids_of(trained)
    folder.joinpath("b.txt").write_text("x" * trained.longest)
    monkeypatch.setattr("bptt.training.trained.digest", None)  # it does not come so far
    for measure in (trained.scores, lambda: ids_of(trained)):
        with pytest.raises(DataError, match="no longer the text that the model was trained on"):
            measure()


def test_a_model_is_not_measured_on_another_text_unasked(tmp_path: Path, book: str) -> None:
    """What is validation text now may have been trained on then."""
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 8)
    trained = Trained.load(tmp_path / "run")
    assert trained.scores()
    Path(book).write_text(Path(book).read_text()[::-1])
    with pytest.raises(DataError, match="no longer the text that the model was trained on"):
        trained.scores()
    assert trained.scores(book)


@pytest.mark.parametrize("changed", ["book.txt", "valid.txt"])
def test_other_data_than_the_runs_own_are_refused(tmp_path: Path, book: str, changed: str) -> None:
    tmp_path.joinpath("valid.txt").write_text(text(1))
    go(Trainer.start(Settings(data=book, valid=str(tmp_path / "valid.txt"), **SMALL), tmp_path / "run"), 3)
    content = tmp_path.joinpath(changed).read_text()
    tmp_path.joinpath(changed).write_text(content[::-1])  # as long, and of the same characters
    with pytest.raises(RunError, match=r"is no longer what the run was trained on \(sha256 differs\)"):
        Trainer.resume(tmp_path / "run")
    tmp_path.joinpath(changed).unlink()
    with pytest.raises(DataError, match="no such file"):
        Trainer.resume(tmp_path / "run")
    tmp_path.joinpath(changed).write_text(content)
    assert go(Trainer.resume(tmp_path / "run")).end == DONE


def test_the_same_data_in_another_place_are_the_same_data(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 3)
    trainer = Trainer.resume(tmp_path / "run")
    config = trainer.run.config()
    config["data"]["source"] = "/another/cache/book.txt"
    trainer.run.write_config(config)
    trainer.close()
    assert go(Trainer.resume(tmp_path / "run")).end == DONE


# what ends a run


BLOWS_UP: dict[str, Any] = {
    "data": "ar2",
    "cell": "rnn-relu",
    "hidden": 4,
    "batch": 4,
    "clip_norm": None,
    "steps": 50,
}


def test_a_loss_that_is_not_finite_is_an_error_and_the_last_good_checkpoint_stays(tmp_path: Path) -> None:
    asked = {**BLOWS_UP, "optimizer": "sgd", "schedule": "constant"}
    settings = Settings(**asked, lr=3.0, eval_every=1)
    trainer = Trainer.start(settings, tmp_path / "run")
    with pytest.raises(
        DivergedError, match=r"loss is (nan|inf) at step .* keeps step .*; try a smaller --lr"
    ):
        go(trainer)
    kept = Trained.load(tmp_path / "run", "last")
    assert 0 < kept.step <= trainer.step
    assert all(np.isfinite(array).all() for array in kept.params.values())
    with pytest.raises(DivergedError):  # the same bits, so the same end
        go(Trainer.resume(tmp_path / "run"))
    assert Trained.load(tmp_path / "run", "last").step == kept.step


def test_a_run_that_diverges_at_once_keeps_its_start(tmp_path: Path) -> None:
    asked = {**BLOWS_UP, "optimizer": "sgd", "schedule": "constant"}
    settings = Settings(**asked, lr=1e38)
    with pytest.raises(DivergedError, match=r"^the loss is nan at step 1; .*last\.safetensors keeps step 0"):
        go(Trainer.start(settings, tmp_path / "run"))
    assert Trained.load(tmp_path / "run").step == 0


def test_a_parameter_that_is_not_finite_is_never_saved(tmp_path: Path, book: str) -> None:
    trainer = Trainer.start(Settings(data=book, tokens="byte", **SMALL), tmp_path / "run")
    go(trainer, 2)
    good = tmp_path.joinpath("run", "last.safetensors").read_bytes()
    trainer.params["embedding"][0] = np.nan  # of a byte that no text has: no loss tells
    with pytest.raises(DivergedError, match=r"a parameter is not finite at step 4; .* keeps step 2"):
        go(trainer, 4)
    assert tmp_path.joinpath("run", "last.safetensors").read_bytes() == good


def test_a_solved_task_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts = iter([Verdict(False, "not yet", 0.5), Verdict(True, "solved", 1.0)])
    monkeypatch.setattr(EmbeddedReber, "criterion", lambda self, predict: next(verdicts))
    trainer = Trainer.start(Settings(**{**SMALL, "data": "reber", "eval_every": 4}), tmp_path / "run")
    reports = list(trainer.reports())
    assert (trainer.step, trainer.end) == (8, "the task is solved")
    assert [(r.step, r.verdict.met) for r in reports if r.verdict] == [(4, False), (8, True)]
    assert go(Trainer.resume(tmp_path / "run")).step == 8


def test_early_stopping_waits_for_its_patience_and_keeps_the_best(tmp_path: Path, book: str) -> None:
    asked = {**SMALL, "data": book, "steps": 300, "eval_every": 5, "patience": 3}
    trainer = Trainer.start(Settings(**asked, lr=0.3, schedule="constant"), tmp_path / "run")
    losses = [report.valid_loss for report in trainer.reports() if report.valid_loss is not None]
    assert trainer.end == "no better validation loss in 3 evaluations"
    assert trainer.step < 300
    best = int(np.argmin(losses))
    assert best == len(losses) - 4
    kept = Trained.load(tmp_path / "run")
    assert kept.step == 5 * (best + 1)
    assert kept.scores()[0].nats == pytest.approx(losses[best], rel=1e-12)


# what is reported


def nats(logits: Array, targets: Array) -> Array:
    """Return -log softmax(logits)[target], the slow way."""
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return np.asarray(-np.log(np.take_along_axis(p, targets[..., None].astype(int), -1))[..., 0])


STILL: dict[str, Any] = {
    "lr": 1e-30,
    "schedule": "constant",
    "steps": None,
    "epochs": 3.0,
    "eval_every": 10**6,
}


@pytest.mark.parametrize(
    "reduction",
    [
        "mean_over_time_and_batch",
        "sum_over_time_and_batch",
        "sum_over_time_mean_over_batch",
        "mean_over_time_sum_over_batch",
    ],
)
def test_train_loss_is_the_mean_over_all_targets_with_the_state_carried(
    tmp_path: Path, book: str, reduction: Any
) -> None:
    settings = Settings(**{**SMALL, **STILL}, data=book, reduction=reduction)
    steps = Trainer.start(settings, tmp_path / "first").experiment.source.batches_per_epoch
    trainer = Trainer.start(replace(settings, report_every=steps), tmp_path / "run")
    source = trainer.experiment.source
    assert isinstance(source, TextStream)
    rows = TextStream(all_ids(trainer), batch=3, chunk=source._steps).next()
    assert source._steps % 8  # so that an epoch's last batch has fewer targets, which count less
    run = trainer.model.forward(trainer.params, rows.inputs)
    wanted = float(nats(run.outputs, rows.targets).mean())
    found = [report.train_loss for report in trainer.reports()]
    assert found == pytest.approx([wanted] * 3, rel=1e-6)  # each epoch starts from zero states


def all_ids(trainer: Trainer) -> Array:
    assert trainer.experiment.vocabulary is not None
    corpus = bptt.text.load(trainer.settings.data)
    return trainer.experiment.vocabulary.encode(corpus.train)


def test_a_state_that_is_not_carried_would_be_seen(
    tmp_path: Path, book: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(**{**SMALL, "data": book, "report_every": 4, "steps": 4})
    honest = list(Trainer.start(settings, tmp_path / "honest").reports())[-1].train_loss
    real = TextStream.next
    monkeypatch.setattr(TextStream, "next", lambda self: replace(real(self), carry=False))
    planted = list(Trainer.start(settings, tmp_path / "planted").reports())[-1].train_loss
    assert abs(honest - planted) > 1e-7


def test_train_loss_of_a_masked_task_counts_the_targets_that_count(tmp_path: Path) -> None:
    settings = replace(
        Settings(**{**SMALL, "data": "reber"}), lr=1e-30, report_every=4, steps=4, eval_every=100
    )
    trainer = Trainer.start(settings, tmp_path / "run")
    source = EmbeddedReber(batch=3, seed=0)
    batches: list[Batch] = [source.next() for _ in range(4)]
    each, counted = [], []
    for batch in batches:
        assert batch.mask is not None
        run = trainer.model.forward(trainer.params, batch.inputs, mask=batch.mask)
        each.append(nats(run.outputs, batch.targets)[batch.mask])
        counted.append(int(batch.mask.sum()))
    assert len(set(counted)) > 1
    (report,) = trainer.reports()
    assert report.train_loss == pytest.approx(np.concatenate(each).mean(), rel=1e-6)
    assert report.tokens == sum(counted)


def test_the_log_says_the_rate_of_the_update_before(tmp_path: Path, book: str) -> None:
    asked = {**SMALL, "data": book, "steps": 60, "report_every": 1, "lr": 1.0, "eval_every": 100}
    trainer = Trainer.start(Settings(**asked, schedule="step", keep=1), tmp_path / "run")
    steps = trainer.experiment.source.batches_per_epoch
    assert steps < 59
    rates = [report.lr for report in trainer.reports()]
    assert rates == [1.0] * steps + [0.5] * (60 - steps)


# bits


def test_the_same_seed_gives_the_same_bits_and_another_others(tmp_path: Path, book: str) -> None:
    for data in (book, "reber"):
        folder = tmp_path / Path(data).stem
        settings = Settings(**{**SMALL, "data": data})
        for name, seed in (("one", 0), ("again", 0), ("other", 1)):
            go(Trainer.start(replace(settings, seed=seed), folder / name))
        assert left_by(folder / "one") == left_by(folder / "again")
        for one, other in zip(left_by(folder / "one"), left_by(folder / "other"), strict=True):
            assert one != other


def test_a_compiled_step_never_holds_all_logits(
    tmp_path: Path, book: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer.start(Settings(**{**SMALL, "data": book, "backend": "cpu"}), tmp_path / "run")

    def outputs(*_: Any) -> None:
        raise AssertionError("the reference's output and loss")

    monkeypatch.setattr(Output, "forward", outputs)
    trainer._train_step()
    assert trainer.step == 1


def test_each_step_drops_others_and_each_seed_others_again(
    tmp_path: Path, book: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[float] = []
    real = Model.backprop

    def step(self: Model, *arguments: Any, **options: Any) -> Any:
        if options["rng"] is not None:
            drawn.append(options["rng"].random())
        return real(self, *arguments, **options)

    monkeypatch.setattr(Model, "backprop", step)
    for seed, where in ((0, "dropout"), (1, "input_dropout")):
        settings = Settings(**{**SMALL, "data": book, "seed": seed, where: 0.5})
        go(Trainer.start(settings, tmp_path / str(seed)))
    assert len(set(drawn)) == len(drawn) == 46


BITS = """
import sys, hashlib, bptt
settings = bptt.Settings(data=sys.argv[1], tokens="byte", hidden=128, batch=32, chunk=64, steps=2)
trainer = bptt.Trainer.start(settings, sys.argv[2])
list(trainer.reports())
print(hashlib.sha256(trainer.run.path("last.safetensors").read_bytes()).hexdigest())
"""


def test_the_bits_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text(text(count=1500))
    digests = set()
    for threads in "12":
        env = {**os.environ, "BPTT_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", BITS, str(book), str(tmp_path / threads)]
        digests.add(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)
    assert len(digests) == 1


# presets


FEW: dict[str, dict[str, Any]] = {
    "vanilla": {"steps": 300, "report_every": 50},
    "minibatch": {"steps": 20, "report_every": 4, "batch": 10},
    "shakespeare": {"steps": 20, "report_every": 4},
    "ptb": {"steps": 10, "report_every": 2},
    "forecast": {"steps": 60, "report_every": 10},
}


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_learns_its_own_kind_of_data(tmp_path: Path, preset: str) -> None:
    named = PRESETS[preset].settings.get("data")
    asked = FEW.get(preset, {"steps": 25, "report_every": 5}).copy()
    if named is None:
        asked["data"] = str(tmp_path / "long.txt")
        tmp_path.joinpath("long.txt").write_text(text(count=6000))
    elif named != "ar2":
        if not Path(os.environ.get("BPTT_DATA", "/nowhere"), {"ptb": "ptb_word"}.get(named, named)).is_dir():
            pytest.skip(f"{named} is not in the folder BPTT_DATA")
        tmp_path.joinpath("valid.txt").write_text(
            " the company said it will buy a share of the market \n" * 9
        )
        asked["valid"] = str(tmp_path / "valid.txt")
    settings = Settings.of(preset, **asked)
    trainer = Trainer.start(settings, tmp_path / "run")
    losses = [report.train_loss for report in trainer.reports()]
    assert trainer.end == DONE
    assert len(losses) >= 5
    if trainer.experiment.vocabulary is not None:
        assert losses[0] < 1.5 * math.log(len(trainer.experiment.vocabulary))
    assert losses[-1] < 0.97 * losses[0]
