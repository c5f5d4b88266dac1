"""``bptt.watch``: train from Python, and watch it learn, in a notebook, a terminal or a file."""

import time
from typing import Any

from bptt.cli.display import Display, clock
from bptt.cli.train import ended, loss_unit, stop_asked, trained_with
from bptt.session import notebook_display
from bptt.shown import Markup, Shown, code, heading, paragraph
from bptt.training import shown
from bptt.training.report import Report
from bptt.training.trained import Trained
from bptt.training.trainer import Trainer

SECONDS = 0.5
"""Between two pictures of one run: a notebook's page is not drawn more often."""


def watch(trainer: Trainer, *, samples: bool = True) -> Trained:
    """Train to the end and show how it goes: in a notebook a curve that grows, elsewhere as the command does.

    An interruption (Ctrl-C, or a notebook's stop button) ends it after the step, and saves: what is returned
    is then the best so far, and :meth:`bptt.Trainer.resume` goes on.

    Parameters
    ----------
    trainer : Trainer
    samples : bool
        Show now and then what a model of text writes.

    Returns
    -------
    Trained
        The best weights; where none were measured yet, the last.

    Raises
    ------
    DivergedError, RunError
        As :meth:`bptt.Trainer.reports` has them.

    Examples
    --------
    >>> import tempfile, bptt
    >>> settings = bptt.Settings.of(hidden=8, steps=2, batch=4, chunk=8, report_every=1)
    >>> trained = bptt.watch(bptt.Trainer.start(settings, tempfile.mkdtemp() + "/run"), samples=False)
    pydoc: ...
    >>> trained.step
    2
    """
    show = notebook_display()
    display: Any = (
        Display(trainer.experiment.unit, loss_unit(trainer)) if show is None else Live(trainer, show)
    )
    with stop_asked() as asked, display:
        trained_with(trainer, display, asked, samples)
    for line in ended(trainer):
        display.say(line)
    return Trained.load(trainer.run.folder)


class Live(Shown, html="bptt.watching:_html", text="bptt.watching:_text"):
    """A run in a notebook: one picture, which becomes another as the run goes on."""

    def __init__(self, trainer: Trainer, show: Any) -> None:
        self.trainer = trainer
        self.now: Report | None = None
        self.best: Report | None = None
        self.said: list[str] = []
        self.text = ""
        self._show = show
        self._handle: Any = None
        self._drawn = 0.0
        self._plan = Display(trainer.experiment.unit)  # when a sample is due

    def __enter__(self) -> "Live":
        return self

    def __exit__(self, *_: object) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._handle is None:
            self._handle = self._show(self, display_id=True)
        else:
            self._handle.update(self)
        self._drawn = time.monotonic()

    def say(self, line: str) -> None:
        """Show a line of text."""
        self.said.append(line)
        if self.trainer.end is not None:
            self._draw()

    def report(self, report: Report) -> None:
        """Show a report."""
        self.now = report
        self.best = report if report.best else self.best
        if time.monotonic() - self._drawn > SECONDS:
            self._draw()

    def wants_sample(self, report: Report) -> bool:
        """Return whether it is time to show what the model writes."""
        return self._plan.wants_sample(report)

    def sample(self, step: int, text: str) -> None:
        """Show what the model writes."""
        self._plan.has_sampled()
        self.text = f"after {step:,} steps it writes:\n{text}"


def _html(live: Live) -> str:
    parts = [heading(shown.trainer_line(live.trainer)), shown.learnt(str(live.trainer.run.folder))]
    parts += [paragraph(_numbers(live)), code(live.text) if live.text else Markup()]
    parts += [paragraph(line, "faint") for line in live.said]
    return "\n".join(part for part in parts if part)


def _text(live: Live) -> str:
    return "\n".join([*live.said, _numbers(live), live.text])


def _numbers(live: Live) -> str:
    """Return the last report in a line."""
    report, unit = live.now, live.trainer.experiment.unit
    if report is None:
        return ""
    left = clock(report.seconds / max(1, report.step) * (report.steps - report.step))
    best = "" if live.best is None else f"; best validation loss {live.best.valid_loss:.4f}"
    return (
        f"step {report.step:,} of {report.steps:,}: training loss {report.train_loss:.4f}{best}; "
        f"{report.rate:,.0f} {unit}s/s, {left} left"
    )
