"""What ``bptt train`` shows: a live display in a terminal, plain lines elsewhere."""

import sys
import time

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from bptt.cli.output import visible
from bptt.training.report import Report

QUIET_SECONDS = 15.0
"""Without a terminal, how long nothing may be said."""

SAMPLES = 8
"""How many samples of the model's text a run shows."""


class Display:
    """Shows the reports of a run.

    Parameters
    ----------
    unit : str
        What a token is: "char", "word", "byte", or "target".
    loss : str
        What its loss is: "nats", or "half squared error".
    """

    def __init__(self, unit: str, loss: str = "nats") -> None:
        # it makes the terminal's sequences itself; the texts that it is given have none
        terminal = getattr(sys.stdout, "unfiltered", None)
        self.console = Console(file=terminal, highlight=False, emoji=False)
        if self.console.width < 1:  # COLUMNS=0: nothing would be shown
            self.console.width = 80
        self.live = self.console.is_terminal
        # the environment may tell rich that a terminal is none, and that a file is one
        self._shown = str if terminal is None and not self.live else visible
        self.unit, self.loss = unit, loss
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[now]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("training", total=None, now="")
        self._headed = False
        self._said = time.monotonic()
        self._samples_shown = 0

    def __enter__(self) -> "Display":
        if self.live:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self._progress.stop()

    def report(self, report: Report) -> None:
        """Show a report."""
        now = f"{report.train_loss:.4f} {self.loss}/{self.unit}  {report.rate:,.0f} {self.unit}s/s"
        self._progress.update(self._task, completed=report.step, total=report.steps, now=now)
        if report.valid_loss is not None or (not self.live and time.monotonic() - self._said > QUIET_SECONDS):
            self._line(report)

    def wants_sample(self, report: Report) -> bool:
        """Return whether it is time to show what the model writes."""
        if report.valid_loss is None:
            return False
        due = report.step >= report.steps * (self._samples_shown + 1) / SAMPLES
        if due:
            self._samples_shown = int(report.step / max(1, report.steps) * SAMPLES)
        return due or self._samples_shown == 0

    def has_sampled(self) -> None:
        """Count the sample that is shown."""
        self._samples_shown = max(1, self._samples_shown)

    def sample(self, step: int, text: str) -> None:
        """Show what the model writes."""
        self.has_sampled()
        if self.live:
            title = f"what it writes after {step:,} steps"
            self.console.print(
                Panel(Text(self._shown(text)), title=title, title_align="left", border_style="dim")
            )
        else:
            self.console.print(f"--- what it writes after {step:,} steps ---", markup=False)
            self.console.print(self._shown(text), markup=False, soft_wrap=True)
            self.console.print("---", markup=False)
        self._headed = False

    def say(self, text: str) -> None:
        """Show a line of text."""
        self.console.print(self._shown(text), markup=False, soft_wrap=True)

    def _line(self, report: Report) -> None:
        if not self._headed:
            self.say(
                f"{'step':>8} {'epoch':>7} {'train':>8} {'valid':>8} {self.unit + 's/s':>10} {'left':>8}"
            )
            self._headed = True
        valid = "" if report.valid_loss is None else f"{report.valid_loss:.4f}"
        per_step = report.seconds / max(1, report.step)
        left = clock(per_step * (report.steps - report.step))
        line = (
            f"{report.step:>8,} {report.epoch:>7.2f} {report.train_loss:>8.4f} {valid:>8} "
            f"{report.rate:>10,.0f} {left:>8}{' best' if report.best else ''}"
        )
        self.say(line)
        if report.figures:
            shown = (f"{name.replace('_', ' ')} {value:.4g}" for name, value in report.figures.items())
            self.say(f"{'':8} {', '.join(shown)}")
        if report.verdict is not None:
            self.say(f"{'':8} {report.verdict.says}")
        self._said = time.monotonic()


def clock(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
