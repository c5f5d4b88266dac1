"""What ends a run, what it reports, and that the same seed gives the same bits."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import bptt
from bptt import DivergedError, Settings, Step, Trained, Trainer
from bptt.data.tasks import EmbeddedReber, Verdict
from bptt.data.text import TextStream
from bptt.nets.output import Output
from bptt.types import Array, Batch, Reduction
from small_runs import SMALL, go, left_by, text
from small_runs import book as book

# what ends a run


BLOWS_UP: dict[str, Any] = {"data": "ar2", "cell": "rnn-relu", "hidden": 4, "batch": 4, "clip_norm": None}
BLOWS_UP |= {"steps": 50, "optimizer": "sgd", "schedule": "constant"}


def test_a_loss_that_is_not_finite_is_an_error_and_the_last_good_checkpoint_stays(tmp_path: Path) -> None:
    settings = Settings(**BLOWS_UP, lr=3.0, eval_every=1)
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
    settings = Settings(**BLOWS_UP, lr=1e38)
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
    monkeypatch.setattr(EmbeddedReber, "criterion", lambda *_: next(verdicts))
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


@pytest.mark.parametrize("reduction", get_args(Reduction))
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
    real = Step.__call__

    def step(self: Step, *arguments: Any, **options: Any) -> Any:
        if options["rng"] is not None:
            drawn.append(options["rng"].random())
        return real(self, *arguments, **options)

    monkeypatch.setattr(Step, "__call__", step)
    everywhere = ("dropout", "input_dropout", "embedding_dropout", "weight_dropout", "recurrent_dropout")
    for seed, where in enumerate((*everywhere, "zoneout", "zoneout_cell")):
        settings = Settings(**{**SMALL, "data": book, "seed": seed, where: 0.5})
        go(Trainer.start(settings, tmp_path / str(seed)))
    assert len(set(drawn)) == len(drawn) == 23 * (seed + 1)


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
