"""The training loop, and how a run is left and taken up again to the same bits.

::

    (1)  batch, and the state where the batch before ended
    (2)  forward, loss, backward; the state to carry
    (3)  clip
    (4)  lr = schedule(step);  optimiser moves the parameters
    now and then: a line of the log; a loss on validation data; a checkpoint

Whatever decides a later step is in the checkpoint: parameters, the optimiser's slots, the carried state,
the place in the data, the schedule's memory, and the running sums of the next report. Dropout draws
from a generator of its own for each step, so that it has no state to save. Times are in the log and not
in the checkpoint, which therefore depends on the settings and the step alone.
"""

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from bptt import __version__
from bptt.data.tasks import TASKS, Verdict
from bptt.data.text import describe
from bptt.errors import BpttWarning, ConfigError, DivergedError, RunError
from bptt.kernels.backends import running
from bptt.layer import threads
from bptt.training import optim
from bptt.training.experiment import Experiment
from bptt.training.runs.folder import RUNS, Checkpoint, Run
from bptt.training.runs.format import FORMAT, Progress, convert, due
from bptt.training.schedules import EarlyStopping
from bptt.training.settings import Settings
from bptt.types import Params
from bptt.zoo import record

SAVE_SECONDS = 30.0
"""A checkpoint is written at least this often."""

DONE = "all steps are done"
STOPPED = "stopped"


@dataclass(frozen=True)
class Report:
    """What training has to say at a step.

    Attributes
    ----------
    step, steps : int
        Training steps done, and to do in all.
    epoch : float
        Passes over the data.
    tokens : int
        Targets trained on so far.
    seconds : float
        Of training, those before a resumption included.
    rate : float
        Tokens per second since the report before.
    train_loss : float
        Mean per target since the report before; nats for cross-entropies.
    lr : float
    valid_loss : float or None
        Where one was taken.
    best : bool
        Whether it is the lowest so far.
    verdict : Verdict or None
        On a generated task.
    """

    step: int
    steps: int
    epoch: float
    tokens: int
    seconds: float
    rate: float
    train_loss: float
    lr: float
    valid_loss: float | None = None
    best: bool = False
    verdict: Verdict | None = None

    def line(self) -> dict[str, Any]:
        """Return the line of the log."""
        line: dict[str, Any] = {
            "step": self.step,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
            "train_loss": self.train_loss,
            "lr": self.lr,
            "tokens_per_second": round(self.rate),
        }
        if self.valid_loss is not None:
            line["valid_loss"] = self.valid_loss
        if self.verdict is not None:
            line["solved"] = self.verdict.met
        return line


class Trainer:
    """A training run in progress.

    Parameters
    ----------
    experiment : Experiment
    run : Run
        Where checkpoints and the log go.

    Attributes
    ----------
    params : dict of arrays
    end : str or None
        Why training has ended.

    Examples
    --------
    >>> import tempfile, bptt
    >>> settings = bptt.Settings.of(hidden=8, steps=2, batch=4, chunk=8, report_every=1)
    >>> trainer = bptt.Trainer.start(settings, tempfile.mkdtemp() + "/run")
    >>> [report.step for report in trainer.reports()], trainer.end
    ([1, 2], 'all steps are done')
    """

    def __init__(self, experiment: Experiment, run: Run, params: Params) -> None:
        self.experiment, self.run, self.settings = experiment, run, experiment.settings
        self.model, self.optimizer = experiment.model, experiment.optimizer()
        self.schedule = experiment.schedule()
        patience = self.settings.patience
        self.stopping = EarlyStopping(patience) if patience else None
        self.params = params
        self.slots = self.optimizer.init(params)
        self.carried: Params | None = None
        self.step = self.tokens = 0
        self.best = math.inf
        self.solved = self.stopped_early = False
        self._sum, self._count = 0.0, 0  # of the loss since the last report
        self._seconds = 0.0
        self._saved_at = -1
        self.end: str | None = None

    @classmethod
    def start(cls, settings: Settings, folder: str | Path | None = None) -> "Trainer":
        """Begin a run in a new folder, and hold it: no other process writes there until training ends.

        Parameters
        ----------
        settings : Settings
        folder : path, optional
            By default a new one in ``bptt-runs``, named for the data and the cell.

        Raises
        ------
        BpttError
            If the settings, the data or the folder cannot be used.
        """
        _keep_apart(settings, RUNS if folder is None else Path(folder))
        threads.count()  # a BPTT_THREADS that means nothing is said now
        experiment = Experiment.of(settings)
        config = _config(experiment)
        params = _drawn(experiment)  # what takes too much memory leaves no folder behind
        vocabulary = None if experiment.vocabulary is None else experiment.vocabulary.to_json()
        name = f"{Path(settings.data).stem or 'text'}-{experiment.model.stack.cell.name}"
        trainer = cls(experiment, Run.create(folder, config, vocabulary, name=name), params)
        trainer._save("last")  # where a cell's parameters start may be code, which a run does not keep
        return trainer

    @classmethod
    def resume(cls, folder: str | Path, **changed: Any) -> "Trainer":
        """Take up a run where its last checkpoint is, and hold its folder until training ends.

        Where it is refused, every file is as it was.

        Parameters
        ----------
        folder : path
        **changed
            ``steps`` or ``epochs``: a new, later end (the schedule then stretches to it, and a cosine's
            rate rises again); ``data``, ``valid``: where the same texts lie now.

        Raises
        ------
        BpttError
            If the run or its checkpoint cannot be read, its data are not what they were, or another process
            holds it.
        """
        if "steps" in changed and "epochs" in changed:
            raise ConfigError("give --steps or --epochs, not both")
        run = Run.open(folder)
        run.hold()
        try:
            return cls._resumed(run, changed)
        except BaseException:
            run.release()
            raise

    @classmethod
    def _resumed(cls, run: Run, changed: dict[str, Any]) -> "Trainer":
        config = run.config()
        kept = run.describe()
        if "epochs" in changed:
            changed = {"steps": None, **changed}
        found = run.load("last", kept.model.shapes) if run.has("last.safetensors") else None
        experiment = Experiment.of(replace(kept.settings, **changed), facts=kept.facts)
        own_cell = "equations" in record.to_json(experiment.model.stack.cell)
        if found is None and (own_cell or run.has("best.safetensors") or run.log.lines()):
            raise RunError(  # before anything is drawn
                f"{run.folder} has no last.safetensors, so it is not known where to go on: put it back, "
                "or copy best.safetensors to that name to go on from the best step"
            )
        trainer = cls(experiment, run, _drawn(experiment) if found is None else found.arrays["params"])
        if found is not None:
            trainer._restore(found)
        if changed and experiment.steps < trainer.step:
            raise ConfigError(
                f"the run is at step {trainer.step:,} already: it cannot end at {experiment.steps:,}"
            )
        new = _config(experiment)
        if (before := config.get("runs_on", new["runs_on"])) != new["runs_on"]:
            warnings.warn(
                f"the run was {before} and is now {new['runs_on']}: its bits may differ from here on",
                BpttWarning,
                stacklevel=3,
            )
        s = experiment.settings
        run.log.read()  # what cannot be read is told before anything is written
        run.sweep()
        if experiment.vocabulary is not None:
            run.restore_vocabulary(experiment.vocabulary.to_json())
        trainer._seconds = run.log.rewind(trainer.step, *due(s, trainer.step, trainer._count))
        if changed or config["format"] < FORMAT:
            run.write_config(new)
        return trainer

    def close(self) -> None:
        """Let go of the run's folder, which happens by itself when training ends."""
        self.run.release()

    @property
    def epoch(self) -> float:
        """Passes over the text; of a generated task, thousands of steps."""
        return self.step / self.experiment.source.batches_per_epoch

    def reports(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Report]:
        """Train, and yield a report now and then; `end` says afterwards why training ended.

        Parameters
        ----------
        should_stop : callable
            Asked after each step; True saves and ends.

        Raises
        ------
        DivergedError
            If the loss is not finite; the last good checkpoint is kept.
        RunError
            If a file cannot be written.
        """
        if not self.run.is_held:  # somebody has asked for reports before, and not for all of them
            self.run.hold()
            if self.run.load("last").values["step"] != self._saved_at:
                self.close()
                raise RunError(
                    f"{self.run.folder} has been trained by another meanwhile: Trainer.resume takes it up"
                )
        try:
            yield from self._reports(should_stop)
        finally:
            self.close()

    def _reports(self, should_stop: Callable[[], bool]) -> Iterator[Report]:
        s = self.settings
        begun = time.perf_counter() - self._seconds
        last_tokens, last_seconds = self.tokens, self._seconds
        saved = time.perf_counter()
        while True:
            self.end = self._why_end(should_stop())
            report = None
            due = self.step % s.report_every == 0 or self.step % s.eval_every == 0
            # a stop leaves the sums as they are: the report that it comes before is made after resuming
            if self._count and (due or self.end not in (None, STOPPED)):
                seconds = time.perf_counter() - begun
                rate = (self.tokens - last_tokens) / max(seconds - last_seconds, 1e-9)
                report = self._report(seconds, rate)
                self.run.expect_held()
                self.run.log.add(report.line())
                last_tokens, last_seconds = self.tokens, seconds
                self.end = self._why_end(self.end == STOPPED)
            late = time.perf_counter() - saved > SAVE_SECONDS
            evaluated = report is not None and report.valid_loss is not None
            if self._saved_at != self.step and (self.end is not None or evaluated or late):
                self._save("last")
                saved = time.perf_counter()
            if report is not None:
                yield report
            if self.end is not None:
                return
            self._train_step()

    def sample(self, length: int = 200) -> str | None:
        """Return some of what the model writes now; None where the data are not text."""
        return self.experiment.sample(self.params, self.settings.seed, length)

    def _why_end(self, stop: bool) -> str | None:
        if self.solved:
            return "the task is solved"
        if self.stopped_early:
            return f"no better validation loss in {self.settings.patience} evaluations"
        if self.step >= self.experiment.steps:
            return DONE
        return STOPPED if stop else None

    def _train_step(self) -> None:
        s, model = self.settings, self.model
        batch = self.experiment.source.next()  # (1)
        drops = s.dropout or s.input_dropout
        rng = np.random.default_rng([s.seed, 1, self.step]) if drops else None
        state = self.carried if batch.carry else None
        with _quiet():
            loss, each, (grads, *_), self.carried = model.backprop(self.params, batch, state, rng=rng)  # (2)
        if not math.isfinite(loss):
            raise self._diverged(f"the loss is {loss}")
        if s.clip_value is not None:  # (3)
            optim.clip_values(grads, s.clip_value)
        if s.clip_norm is not None:
            optim.clip_norm(grads, s.clip_norm, backend=model.backend)
        lr = self.schedule.lr(self.step, self.epoch)
        self.optimizer.update(self.params, grads, self.slots, lr, backend=model.backend)  # (4)
        targets = each.size if batch.counted is None else int(batch.counted.sum())
        self._sum += float(each.sum(dtype=np.float64))
        self._count += targets
        self.tokens += targets
        self.step += 1

    def _report(self, seconds: float, rate: float) -> Report:
        train_loss, self._sum, self._count = self._sum / self._count, 0.0, 0
        valid_loss, best, verdict = None, False, None
        before = max(0, self.step - 1)
        lr = self.schedule.lr(
            before, before / self.experiment.source.batches_per_epoch
        )  # that of the last update
        if self.step % self.settings.eval_every == 0 or self.end == DONE:
            valid_loss, verdict = self._evaluate()
            best = valid_loss < self.best
            if best:
                self.best = valid_loss
                self._save("best")
        return Report(
            step=self.step,
            steps=self.experiment.steps,
            epoch=self.epoch,
            tokens=self.tokens,
            seconds=seconds,
            rate=rate,
            train_loss=train_loss,
            lr=lr,
            valid_loss=valid_loss,
            best=best,
            verdict=verdict,
        )

    def _evaluate(self) -> tuple[float, Verdict | None]:
        with _quiet():
            loss = self.experiment.validate(self.params)
            verdict = self.experiment.verdict(self.params)
        if not math.isfinite(loss):
            raise self._diverged(f"the validation loss is {loss}")
        self.schedule.observe(loss)
        self.stopped_early = self.stopping is not None and self.stopping.observe(loss)
        self.solved = verdict is not None and verdict.met
        return loss, verdict

    def _save(self, name: str) -> None:
        arrays = {"params": self.params, "optimizer": self.slots, "state": self.carried or {}}
        whats = {"params": "parameter", "optimizer": "slot of the optimiser", "state": "state"}
        for group, what in whats.items():
            if not all(np.isfinite(array).all() for array in arrays[group].values()):
                raise self._diverged(f"a {what} is not finite")
        values = {
            "step": self.step,
            "tokens": self.tokens,
            "best": None if math.isinf(self.best) else self.best,
            "solved": self.solved,
            "stopped_early": self.stopped_early,
            "sum": self._sum,
            "count": self._count,
            "source": self.experiment.source.state(),
            "schedule": self.schedule.state(),
            "stopping": self.stopping.state() if self.stopping else None,
        }
        self.run.save(name, Checkpoint(arrays, values))
        if name == "last":
            self._saved_at = self.step

    def _restore(self, checkpoint: Checkpoint) -> None:
        values = convert(checkpoint.values, Progress, str(self.run.path("last.safetensors")))
        slots, state = (checkpoint.arrays.get(name, {}) for name in ("optimizer", "state"))
        zeros = self.model.zero_state(self.settings.batch) if state else {}
        for what, found, own in (("optimiser", slots, self.slots), ("states", state, zeros)):
            if _kinds(found) != _kinds(own):
                raise RunError(
                    f"the checkpoint in {self.run.folder} does not hold the {what} of its config.json"
                )
        if any(array.dtype != np.float32 for array in self.params.values()):
            raise RunError(f"the checkpoint in {self.run.folder} has parameters that are not float32")
        self.params = {name: self.params[name] for name in self.model.shapes}
        self.slots = {name: slots[name] for name in self.slots}
        self.carried = state or None
        self.step, self.tokens = values.step, values.tokens
        self.best = math.inf if values.best is None else values.best
        self.solved, self.stopped_early = values.solved, values.stopped_early
        self._sum, self._count = values.sum, values.count
        self.experiment.source.restore(values.source)
        self.schedule.restore(values.schedule)
        if self.stopping is not None and values.stopping is not None:
            self.stopping.restore(values.stopping)
        self._saved_at = self.step

    def _diverged(self, what: str) -> DivergedError:
        kept = "no checkpoint was written yet"
        if self._saved_at >= 0:
            kept = f"{self.run.path('last.safetensors')} keeps step {self._saved_at}"
        return DivergedError(f"{what} at step {self.step}; {kept}; try a smaller --lr, or --clip-norm 1")


def _keep_apart(settings: Settings, folder: Path) -> None:
    """Refuse to write among the files that are read: the data would not be the same when resumed."""
    named = {*TASKS, *(info.name for info in describe())}
    for data in {settings.data, settings.valid or settings.data} - named:
        # os.path, because Path.resolve raises where links go in a circle
        source, place = Path(os.path.realpath(data)), Path(os.path.realpath(folder))
        if not os.path.isdir(source) or not place.is_relative_to(source):  # noqa: PTH112  as in Run.open
            continue
        if not any(part.startswith(".") for part in place.relative_to(source).parts):  # hidden: not read
            raise ConfigError(f"{folder} lies in {data}, and would become data; give an --out elsewhere")


def _kinds(arrays: Params) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (array.shape, array.dtype.str) for name, array in arrays.items()}


def _drawn(experiment: Experiment) -> Params:
    return experiment.model.init(np.random.default_rng([experiment.settings.seed, 0]))


def _quiet() -> np.errstate:
    """Return a context without NumPy's warnings: what is no longer finite is said once, as an error."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def _config(experiment: Experiment) -> dict[str, Any]:
    model = experiment.model
    kept = record.to_json(model.stack.cell)
    name = {"cell": kept["name"]}
    return {
        "bptt": __version__,
        "settings": experiment.settings.to_json() | name,
        "model": {field.name: getattr(model, field.name) for field in fields(model)} | name,
        "cell": kept,
        "data": experiment.facts,
        "runs_on": running(model.backend, model.stack.cell, model.precision),
    }
