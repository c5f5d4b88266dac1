"""The training loop, and how a run is left and taken up again to the same bits.

::

    (1)  batch, and the state where the batch before ended
    (2)  forward, loss, backward; the state to carry
    (3)  clip
    (4)  lr = schedule(step);  optimiser moves the parameters
    (5)  their mean, where one is wanted, takes them in
    now and then: a line of the log; a loss on validation data; a checkpoint

Whatever decides a later step is in the checkpoint: parameters, their mean, the optimiser's slots, the
carried state, the place in the data, the schedule's memory, and the running sums of the next report. Dropout
draws from a generator of its own for each step, so that it has no state to save. Times are in the log and
not in the checkpoint, which therefore depends on the settings and the step alone.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bptt.data.tasks import Verdict
from bptt.errors import DivergedError, RunError
from bptt.shown import Shown
from bptt.training import divergence, measure
from bptt.training.experiment import Validation
from bptt.training.kept import Kept
from bptt.training.opening import begin, find, go_on, meet
from bptt.training.report import Report
from bptt.training.runs.folder import Run
from bptt.training.settings import Settings
from bptt.training.shards import Sharded
from bptt.training.step import Step
from bptt.training.trained import Trained
from bptt.training.workers import LostError, StoppedError, Workers
from bptt.types import Params

SAVE_SECONDS = 30.0
"""A checkpoint is written at least this often."""

DONE, STOPPED = "all steps are done", "stopped"


class Trainer(Kept, Shown, html="bptt.training.shown:trainer_html", text="bptt.training.shown:trainer_text"):
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

    @classmethod
    def start(
        cls,
        settings: Settings,
        folder: str | Path | None = None,
        weights: Trained | None = None,
        workers: Workers | None = None,
    ) -> "Trainer":
        """Begin a run in a new folder, and hold it: no other process writes there until training ends.

        Parameters
        ----------
        settings : Settings
        folder : path, optional
            By default a new one in ``bptt-runs``, named for the data and the cell.
        weights : Trained, optional
            What it begins with (see :func:`bptt.settings_from`): its tokens keep their ids,
            and what is new to it is drawn. By default all parameters are drawn.
        workers : Workers, optional
            The processes that share the run's shards, of which this is one (see :func:`bptt.workers.joined`).

        Raises
        ------
        BpttError
            If the settings, the data or the folder cannot be used.
        """
        trainer = cls(*begin(settings, folder, weights, w := workers or Workers()), w)
        trainer._save("last")  # where a cell's parameters start may be code, which a run does not keep
        return trainer

    @classmethod
    def resume(cls, folder: str | Path, workers: Workers | None = None, **changed: Any) -> "Trainer":
        """Take up a run where its last checkpoint is, and hold its folder until training ends.

        Where it is refused, every file is as it was.

        Parameters
        ----------
        folder : path
        workers : Workers, optional
            As many as divide the run's shards: not those that began it, if need be.
        **changed
            What may change (see :meth:`bptt.Settings.changed`). ``steps`` or ``epochs``: a new, later end
            (the schedule then stretches to it, and a cosine's rate rises again); ``data``, ``valid``: where
            the same texts lie now.

        Raises
        ------
        BpttError
            If the run or its checkpoint cannot be read, its data are not what they were, or another process
            holds it.
        """
        w = workers or Workers()
        run = w.each(lambda: Run.open(folder))
        try:
            w.once(run.hold)
            experiment, kept = w.each(lambda: find(run, changed))
            w.expect_to_share(experiment.settings.shards)
            trainer = cls(experiment, run, kept.arrays["params"] if kept else experiment.drawn(), w)
            if kept is not None:
                trainer._restore(kept)
            meet(w, experiment, trainer.params, trainer.slots)
            is_changed = bool(changed)
            told = run, experiment, trainer.progress
            trainer._seconds = w.once(lambda: go_on(*told, is_changed=is_changed), float)
        except BaseException:
            run.release()
            raise
        return trainer

    def close(self) -> None:
        """Let go of the run's folder, which happens by itself when training ends."""
        self.run.release()

    @property
    def weights(self) -> Params:
        """What is measured, sampled and kept as the best: a mean of the parameters, where one is wanted."""
        return self.average.weights(self.params)

    @property
    def step(self) -> int:
        """Training steps done."""
        return self.progress.step

    @property
    def best(self) -> float:
        """The lowest validation loss so far; infinity where there is none."""
        return math.inf if self.progress.best is None else self.progress.best

    @property
    def whole(self) -> float | None:
        """What the best parameters reach on the whole validation text, where they were chosen on a sample."""
        return self.progress.whole

    @property
    def solved(self) -> bool:
        """Whether the task is solved."""
        return self.progress.solved

    @property
    def epoch(self) -> float:
        """Passes over the text; of a generated task, thousands of steps."""
        return self.step / self.experiment.source.batches_per_epoch

    def reports(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Report]:
        """Train, and yield a report now and then; `end` says afterwards why training ended.

        Parameters
        ----------
        should_stop : callable
            Asked after each step, and between the pieces of an evaluation, which is then made after resuming;
            True saves and ends.

        Raises
        ------
        DivergedError
            If the loss is not finite; the last good checkpoint is kept.
        RunError
            If a file cannot be written.
        """
        # somebody has asked for reports before, and not for all of them
        if self.run.lock is None and self.workers.is_first:
            self.run.hold()
            if self.run.load("last").values["step"] != self._saved_at:
                self.close()
                where = self.run.folder
                raise RunError(f"{where} has been trained by another meanwhile: Trainer.resume takes it up")
        try:
            yield from self._reports(should_stop)
        except LostError as error:
            kept = divergence.kept(self.run, self._saved_at)
            raise RunError(f"{error}; {kept}, and bptt train --resume goes on from there") from None
        finally:
            self.close()

    def _reports(self, should_stop: Callable[[], bool]) -> Iterator[Report]:
        s, p = self.settings, self.progress
        begun = time.perf_counter() - self._seconds
        last_tokens, last_seconds = p.tokens, self._seconds
        saved = time.perf_counter()
        self.workers.asks = lambda: (should_stop(), time.perf_counter() - saved > SAVE_SECONDS)
        while True:
            stop, late = self.workers.heard
            self.end = self._why_end(stop)
            report = None
            due = p.step % s.report_every == 0 or p.step % s.eval_every == 0
            # a stop leaves the sums as they are: the report that it comes before is made after resuming
            if p.count and (due or self.end not in (None, STOPPED)):
                seconds = time.perf_counter() - begun
                rate = (p.tokens - last_tokens) / max(seconds - last_seconds, 1e-9)
                try:
                    turns = measure.Shared(should_stop, self.workers)
                    report = self._report(seconds, rate, turns)
                except StoppedError:  # all is as it was before
                    self.end = STOPPED
            if report is not None:
                self.workers.once(partial(self.run.add, report.line()))
                last_tokens, last_seconds = p.tokens, report.seconds
                self.end = self._why_end(self.end == STOPPED)
            due = late or (report is not None and report.valid_loss is not None)
            # while the loss is far above its start, what was before is kept
            if (report or self._saved_at != p.step) and (self.end is not None or (due and not p.far)):
                self._save("last")
                saved = time.perf_counter()
            if report is not None:
                yield report
            if self.end is not None:
                return
            self._train_step()

    def sample(self) -> str | None:
        """Return some of what the model writes now; None where it writes nothing."""
        return self.experiment.sample(self.weights)

    def _why_end(self, stop: bool) -> str | None:
        if self.progress.solved:
            return "the task is solved"
        if self.progress.stopped_early:
            return f"no better validation loss in {self.settings.patience} evaluations"
        return DONE if self.step >= self.experiment.steps else STOPPED if stop else None

    def _train_step(self) -> None:
        s, model = self.settings, self.model
        if self._take is None or self._take.params is not self.params or self._take.slots is not self.slots:
            clips = {"clip_value": s.clip_value, "clip_norm": s.clip_norm}
            if s.shards == 1:
                self._take = Step(model, self.params, self.optimizer, self.slots, **clips)
            else:
                self._take = Sharded(
                    model, self.params, self.optimizer, self.slots, s.shards, self.workers, **clips
                )
        take, batch = self._take, self.experiment.source.next()  # (1)
        rng = np.random.default_rng([s.seed, 1, self.step]) if model.draws else None
        state = self.carried if batch.carry else None
        with np.errstate(all="ignore"):  # what is no longer finite is said once, as an error
            lr = self.schedule.lr(self.step, self.epoch) * s.rate_of(len(batch.inputs))
            loss = take(batch, lr, state, rng=rng)  # (2) (3) (4)
        if not math.isfinite(loss):
            raise self._diverged(f"the loss is {loss}")
        self.average.update(self.params, backend=model.backend)  # (5)
        self.carried, total = take.state, take.total
        shape = batch.targets.shape[:2]
        targets = math.prod(shape) if batch.counted is None else int(batch.counted.sum())
        self.progress.add(total, targets, take.norm)
        of_nothing = partial(divergence.of_nothing, model, batch)
        if why := divergence.seen(self.progress, total / targets, of_nothing):
            raise self._diverged(why)

    def _report(self, seconds: float, rate: float, turns: measure.Shared) -> Report:
        p = self.progress
        valid, best, verdict = None, False, None
        last = max(0, p.step - 1)  # update's
        lr = self.schedule.lr(last, last / self.experiment.source.batches_per_epoch)
        if p.step % self.settings.eval_every == 0 or self.end == DONE:
            valid, verdict = self._evaluate(turns)
            best = valid.loss < self.best
        train_loss = p.mean()
        if best and valid is not None:
            p.best = valid.loss
            self._save("best")
        return Report(
            step=p.step,
            steps=self.experiment.steps,
            epoch=self.epoch,
            tokens=p.tokens,
            seconds=seconds,
            rate=rate,
            train_loss=train_loss,
            lr=lr,
            grad_norm=p.norm,
            valid_loss=valid and valid.loss,
            figures=valid.figures | self.average.figures if valid else {},
            best=best,
            verdict=verdict,
            sampled=valid and self.experiment.sampled,
            whole_loss=valid and p.whole,
        )

    def _evaluate(self, turns: measure.Shared) -> tuple[Validation, Verdict | None]:
        """Measure the model; what `turns` raise leaves all as it was."""
        try:
            valid, verdict = measure.measured(self.experiment, self.weights, turns)
        except DivergedError as error:
            raise self._diverged(str(error)) from None
        stopping = copy.deepcopy(self.stopping)
        stops, whole = stopping is not None and stopping.observe(valid.loss), None
        if stops or self.end == DONE:
            is_best = valid.loss < self.best
            whole = measure.on_all(self.experiment, self.run, self.weights, is_best, turns)
        self.stopping, self.progress.stopped_early, self.progress.whole = stopping, stops, whole
        self.schedule.observe(valid.loss)
        self.average.observe(valid.loss, self.params)
        self.progress.solved = verdict is not None and verdict.met
        return valid, verdict
