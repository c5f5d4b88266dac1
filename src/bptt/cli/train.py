"""``bptt train``: train a model, and watch it learn."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from bptt.cells import Cell
from bptt.cli.output import misused
from bptt.errors import BpttError
from bptt.training.setting import Part, Setting, shown
from bptt.zoo import get


class Train(click.Command):
    """A command with an option for each setting; what declares them is loaded when they are asked for."""

    @cached_property
    def _settings(self) -> list[tuple[Part, click.Parameter]]:
        from bptt.training.presets import PRESETS
        from bptt.training.settings import SETTINGS

        of_text = PRESETS["default"].settings
        return [(s.part, _option(s, of_text.get(name, s.default))) for name, s in SETTINGS.items()]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return what it takes, in the order of its help."""
        preset, *rest = super().get_params(ctx)
        data = [option for part, option in self._settings if part == "data"]
        return [*data, preset, *(option for part, option in self._settings if part != "data"), *rest]


def _option(declared: Setting, taken: object) -> click.Parameter:
    """Return the option of a setting; in brackets what is taken for text when no preset is named."""
    if declared.argument:
        return click.Argument([declared.name], metavar=f"[{declared.metavar}]", required=False)
    help = declared.says + ("" if taken is None or isinstance(taken, bool) else f"  [{shown(taken)}]")
    kind: dict[str, Any] = {"type": declared.types[0], "metavar": declared.metavar}
    if bool in declared.types:
        kind = {"is_flag": True, "flag_value": not declared.default}
    elif not {int, float} & {*declared.types}:  # its check is that of the settings
        kind = {"type": str, "metavar": declared.metavar or "NAME"}
    return click.Option([declared.option, declared.name], default=None, help=help, **kind)


@click.command(cls=Train)
@click.option("--preset", metavar="NAME", help="Settings that have a name (see bptt presets).")
@click.option("--out", metavar="DIR", help="The run's folder; otherwise a new one in bptt-runs.")
@click.option("--resume", metavar="DIR", help="Go on with the run in DIR.")
@click.option("--samples/--no-samples", default=True, help="Show now and then what the model writes.  [show]")
def train(out: str | None, resume: str | None, preset: str | None, samples: bool, **asked: Any) -> int:
    """Train a recurrent network on a corpus, a text file, a folder of them, or a generated task.

    Without arguments: on the help texts that come with Python. `bptt corpora` lists what has a name.
    In brackets: what is taken for text when no preset is named; tasks and presets have their own.
    """
    from bptt.training.settings import Settings
    from bptt.training.trainer import Trainer

    given = {name: value for name, value in asked.items() if value is not None}
    if resume is not None and (out is not None or preset is not None):
        raise misused("--resume names the run's folder and goes on as it was set up")
    if "data" in given:
        given["data"] = _lasting(given["data"])
    if "valid" in given:
        given["valid"] = str(Path(given["valid"]).absolute())
    if resume is not None:
        cell = given.pop("cell", None)
        trainer = Trainer.resume(resume, **given)
        own = trainer.model.stack.cell
        if cell is not None and not _is(own, cell):
            click.echo(
                f"the run goes on with its own cell, {own.name} as it was when training began, not {cell}"
            )
    else:
        if "cell" in given:
            given["cell"] = get(given["cell"])  # once: a file is run by it
        trainer = Trainer.start(Settings.of(preset, **given), out)
    return watch(trainer, samples)


def _is(own: Cell, spec: str) -> bool:
    """Return whether `spec` still means the run's own cell."""
    from bptt.zoo import record

    try:
        return record.same(own, get(spec))
    except BpttError:  # as where the file is gone
        return False


def _lasting(data: str) -> str:
    """Return a name as it is and a path in full, so that a run can be resumed from any folder."""
    from bptt.data.tasks import TASKS
    from bptt.data.text import describe

    named = data in TASKS or data in [info.name for info in describe()]
    return data if named or not os.path.exists(data) else str(Path(data).absolute())  # noqa: PTH110  see load


def watch(trainer: Any, samples: bool = True) -> int:
    """Train with a display, with samples of text or without, and return the exit code."""
    from bptt.cli.display import Display
    from bptt.nets.losses import LOSSES
    from bptt.training.trainer import STOPPED

    vocabulary = trainer.experiment.vocabulary
    folder = trainer.run.folder
    unit = vocabulary.kind if vocabulary else "target"
    loss = LOSSES[trainer.model.loss].unit
    with stop_asked() as asked, Display(unit, loss) as display:
        for line in introduction(trainer):
            display.say(line)
        for report in trainer.reports(asked):
            display.report(report)
            if samples and display.wants_sample(report) and (text := trainer.sample()):
                display.sample(report.step, text)
    if trainer.end == STOPPED:
        display.say(f"stopped at step {trainer.step:,}; go on with: bptt train --resume {folder}")
        return 1
    display.say(f"{trainer.end}.")
    if trainer.best < float("inf"):
        how = " (cold windows of 256)" if vocabulary else ""
        display.say(f"best validation loss {trainer.best:.4f} {loss} per {unit}{how}; it is in {folder}")
    if vocabulary:
        display.say(f"read more of what it writes with: bptt sample {folder}")
    display.say(f"measure it with:                  bptt eval {folder}")
    return 0 if vocabulary or trainer.solved else 1


def introduction(trainer: Any) -> Iterator[str]:
    """Yield what is to be known before training."""
    from bptt.kernels.backends import running

    s, model, facts = trainer.settings, trainer.model, trainer.experiment.facts
    count = sum(array.size for array in trainer.params.values())
    if trainer.experiment.vocabulary:
        kind = facts["tokens"]
        yield (
            f"{s.data}: {facts['train_tokens']:,} {kind}s to train on, {facts['valid_tokens']:,} to "
            f"validate, {facts['vocabulary']:,} different ones"
        )
    else:
        yield f"{s.data}: {facts['source']}"
    runs = running(model.backend, model.stack.cell, model.precision)
    embedding = f", embedding {model.embedding}" if model.embedding else ""
    steps = f" of {s.chunk} steps" if trainer.experiment.vocabulary else ""
    yield (
        f"{model.stack.cell.name}: {model.layers} x {model.hidden} units{embedding}, {count:,} parameters; "
        f"{s.optimizer}, {s.batch} rows{steps}, seed {s.seed}; {runs}"
    )
    at = f", from step {trainer.step:,}" if trainer.step else ""
    yield f"{trainer.experiment.steps:,} steps{at}; the run is kept in {trainer.run.folder}"


@contextmanager
def stop_asked() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C (or SIGTERM) into a wish to stop; a second Ctrl-C interrupts at once."""
    import signal
    import threading

    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    if threading.current_thread() is not threading.main_thread():  # only the main one may set handlers
        yield lambda: asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # whoever starts it may have one ignored; None is a handler that Python cannot put back
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
