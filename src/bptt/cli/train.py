"""``bptt train``: train a model, and watch it learn."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from bptt.cells import Cell
from bptt.cli.output import code_of, misused, quoted
from bptt.errors import BpttError, ConfigError, RunError
from bptt.training.setting import Setting, shown
from bptt.zoo import get

GROUPS = {
    "data": "Data",
    "lines": "Texts by themselves",
    "tables": "Tables",
    "labels": "Labels (--task classify, multilabel, regress, tag, track)",
    "series": "Series (--task forecast)",
    "model": "Model",
    "loop": "Training",
    "optimizer": "Optimiser",
    "schedule": "Learning rate",
    "run": "The run",
}
"""The parts of the help, by what a setting goes to: one of a single job to that, or else to its own part."""

TABLES = ("task", "text", "series", "time")
"""Settings that go to tables, whatever is learnt of them."""


class Train(click.Command):
    """A command with an option for each setting; what declares them is loaded when they are asked for."""

    @cached_property
    def _settings(self) -> list[tuple[str, click.Parameter]]:
        from bptt.training.presets import JOB_SETTINGS, PRESETS
        from bptt.training.settings import SETTINGS

        found: list[tuple[str, click.Parameter]] = []
        for name, s in SETTINGS.items():
            own = s.jobs[0] if len(s.jobs) == 1 and s.jobs[0] in GROUPS else s.part
            group = "tables" if name in TABLES else own
            taken = JOB_SETTINGS.get(group, {}) if group in s.jobs else PRESETS["default"].settings
            found.append((group, _option(s, taken.get(name, s.default))))
        return found

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return what it takes."""
        return [*(option for _, option in self._settings), *super().get_params(ctx)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, those that go together under a heading."""
        groups = {id(option): group for group, option in self._settings}
        for key, title in GROUPS.items():
            own = [option for option in self.get_params(ctx) if groups.get(id(option), "run") == key]
            records = [option.get_help_record(ctx) for option in own if isinstance(option, click.Option)]
            with formatter.section(title):
                formatter.write_dl([record for record in records if record is not None])


def _option(declared: Setting, taken: object) -> click.Parameter:
    """Return the option of a setting; in brackets what is taken when no preset is named."""
    if declared.argument:
        return click.Argument([declared.name], metavar=f"[{declared.metavar}]...", nargs=-1)
    help = declared.says + ("" if taken is None or isinstance(taken, bool) else f"  [{shown(taken)}]")
    kind: dict[str, Any] = {"type": declared.types[0], "metavar": declared.metavar}
    if bool in declared.types:  # both ways: a job or a preset may have set it
        name = declared.name.replace("_", "-")
        help = f"{declared.help}.{'  [yes]' * (taken is True)}"
        return click.Option([f"--{name}/--no-{name}", declared.name], default=None, help=help)
    if not {int, float} & {*declared.types}:  # its check is that of the settings
        kind = {"type": str, "metavar": declared.metavar or "NAME"}
    return click.Option([declared.option, declared.name], default=None, help=help, **kind)


@click.command(cls=Train)
@click.option("--out", metavar="DIR", help="The run's folder; otherwise a new one in bptt-runs.")
@click.option("--preset", metavar="NAME", help="Settings that have a name (see bptt presets).")
@click.option("--resume", metavar="DIR", help="Go on with the run in DIR.")
@click.option(
    "--from", "source", metavar="DIR", help="Begin a new run with the best weights of the one in DIR."
)
@click.option("--from-last", is_flag=True, help="With --from: with its last weights.")
@click.option("--samples/--no-samples", default=True, help="Show now and then what the model writes.  [show]")
def train(
    out: str | None,
    resume: str | None,
    source: str | None,
    from_last: bool,
    preset: str | None,
    samples: bool,
    **asked: Any,
) -> int:
    """Train a recurrent network on a corpus, text files, folders of them, a table, or a generated task.

    \b
    bptt train TEXT                                    one long text
    bptt train LIST --lines                            each line by itself
    bptt train TABLE --task classify --text COLUMN --label COLUMN
    bptt train TABLE --task forecast --time COLUMN --value COLUMN --season 12

    Several paths are one text; - is standard input, which the run keeps.
    Without arguments: on the help texts that come with Python. `bptt corpora` lists what has a name.
    In brackets: what is taken for one long text, or by an option's own job, when no preset is named; jobs,
    tasks and presets have their own. A run --from another has its sizes, cell and tokens; the rest is as for
    any new run.
    """  # noqa: D301  click's mark for lines that are not to be filled
    from bptt.training.engines import is_first
    from bptt.training.workers import joined

    try:
        workers = joined()
    except BpttError as error:
        if is_first() or isinstance(error, RunError):  # the others, to whom the first may not come
            raise
        return 2  # the first says it
    try:
        return _train(workers, out, resume, source, from_last, preset, samples, asked)
    except BpttError as error:
        if workers.says(error):
            raise
        return code_of(error)


def _train(
    workers: Any,
    out: str | None,
    resume: str | None,
    source: str | None,
    from_last: bool,
    preset: str | None,
    samples: bool,
    asked: dict[str, Any],
) -> int:
    from bptt.data.text.files import INPUT, together
    from bptt.training.again import settings_from
    from bptt.training.runs.folder import Run
    from bptt.training.settings import SETTINGS, Settings
    from bptt.training.trained import Trained
    from bptt.training.trainer import Trainer

    given = {name: value for name, value in asked.items() if value not in (None, ())}
    if resume is not None and (out, preset, source) != (None, None, None):
        raise misused("--resume names the run's folder and goes on as it was set up")
    if from_last and source is None:
        raise misused("--from-last goes with --from DIR")
    if workers.may_restart and resume is None:
        if out is None:
            raise misused("--max-restarts begins again in the run's folder, which is to be named: --out DIR")
        if workers.restarts and Run(out).has("config.json"):
            resume, given = out, {name: x for name, x in given.items() if SETTINGS[name].may_change}
    if workers.size > 1 and INPUT in given.get("data", ()):
        raise ConfigError("standard input is read by one process: give several workers a file")
    if "data" in given:
        given["data"] = together([_lasting(data) for data in given["data"]])
    if given.get("valid", INPUT) != INPUT:
        given["valid"] = str(Path(given["valid"]).absolute())
    if resume is not None:
        cell = given.pop("cell", None)
        trainer = Trainer.resume(resume, workers, **given)
        own = trainer.model.stack.cell
        if cell is not None and not _is(own, cell):
            click.echo(
                f"the run goes on with its own cell, {own.name} as it was when training began, not {cell}"
            )
    else:
        if "cell" in given:
            given["cell"] = get(given["cell"])  # once: a file is run by it
        weights = None if source is None else Trained.load(source, "last" if from_last else "best")
        settings = settings_from(weights, preset, **given) if weights else Settings.of(preset, **given)
        trainer = Trainer.start(settings, out, weights, workers)
    code = watch(trainer, samples) if workers.is_first else follow(trainer)
    workers.close()
    return 0 if workers.may_restart else code  # what has ended well is not to be begun again


def follow(trainer: Any) -> int:
    """Train beside the worker that has the display, and return the exit code."""
    with stop_asked() as asked:
        for _ in trainer.reports(asked):
            pass
    return 0


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
    from bptt.data.text.files import INPUT

    named = data in TASKS or data in [info.name for info in describe()]
    if named or data == INPUT or not os.path.exists(data):  # noqa: PTH110  see load
        return data
    return str(Path(data).absolute())


def watch(trainer: Any, samples: bool = True) -> int:
    """Train with a display, with samples of text or without, and return the exit code."""
    from bptt.cli.display import Display
    from bptt.training.trainer import STOPPED

    vocabulary, folder = trainer.experiment.vocabulary, trainer.run.folder
    named = quoted(folder)
    with stop_asked() as asked, Display(trainer.experiment.unit, loss_unit(trainer)) as display:
        trained_with(trainer, display, asked, samples)
    for line in ended(trainer):
        display.say(line)
    if trainer.end == STOPPED:
        return 1
    if trainer.settings.job == "labels":
        from bptt.cli.predict import shown
        from bptt.training.trained import Trained

        display.say(shown(Trained.load(folder).label_score()))
        display.say(f"tell the labels of other rows with: bptt predict {named} FILE")
        return 0
    if vocabulary:
        display.say(f"read more of what it writes with: bptt sample {named}")
    if trainer.settings.job == "series":
        from bptt.training.forecasting import Forecaster

        display.say(f"of the part that was held out: {Forecaster.load(folder).backtest().says}")
        display.say(f"see how the series go on with:    bptt forecast {named}")
    display.say(f"measure it with:                  bptt eval {named}")
    return 0 if trainer.settings.job != "generated" or trainer.solved else 1


def loss_unit(trainer: Any) -> str:
    """Return what the loss is counted in."""
    from bptt.nets.losses import LOSSES

    return LOSSES[trainer.model.loss].unit


def trained_with(trainer: Any, display: Any, asked: Callable[[], bool], samples: bool) -> None:
    """Train, and have a display show each report, and now and then what the model writes."""
    for line in introduction(trainer):
        display.say(line)
    for report in trainer.reports(asked):
        display.report(report)
        if samples and display.wants_sample(report) and (text := trainer.sample()):
            display.sample(report.step, text)


def ended(trainer: Any) -> Iterator[str]:
    """Yield why training has ended, and what it has reached."""
    from bptt.training.trainer import STOPPED

    folder, unit = trainer.run.folder, trainer.experiment.unit
    if trainer.end == STOPPED:
        yield f"stopped at step {trainer.step:,}; go on with: bptt train --resume {quoted(folder)}"
        return
    yield f"{trainer.end}."
    if trainer.best < float("inf"):
        how = f" ({trainer.experiment.measured})" if trainer.experiment.measured else ""
        sampled = "" if trainer.whole is None else f" on the sample, {trainer.whole:.4f} on all"
        loss = loss_unit(trainer)
        yield f"best validation loss {trainer.best:.4f} {loss} per {unit}{sampled}{how}; it is in {folder}"


def introduction(trainer: Any) -> Iterator[str]:
    """Yield what is to be known before training."""
    from bptt.kernels.backends import running

    s, model = trainer.settings, trainer.model
    count = sum(array.size for array in trainer.params.values())
    yield trainer.experiment.summary
    yield from trainer.experiment.notes
    if (some := trainer.experiment.sampled) is not None:
        said = f"{some:,} of these, drawn by the seed"
        yield f"validated on {said}, and at the end on all; --valid-sample K takes K"
    runs = running(model.backend, model.stack.cell, model.precision)
    embedding = f", embedding {model.embedding}" if model.embedding else ""
    steps = f" of {s.chunk} steps" if s.job in ("stream", "lines") else ""
    yield (
        f"{model.stack.cell.name}: {model.layers} x {model.hidden} units{embedding}, {count:,} parameters; "
        f"{s.optimizer}, {s.batch} rows{steps}, seed {s.seed}; {runs}"
    )
    at = f", from step {trainer.step:,}" if trainer.step else ""
    if (begun := trainer.run.config().get("from")) and not trainer.step:
        yield f"it begins with the weights of {begun['source']} after {begun['step']:,} steps"
    yield f"{trainer.experiment.steps:,} steps{at}; the run is kept in {trainer.run.folder}"


@contextmanager
def stop_asked() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C (or SIGTERM) into a wish to stop; a second says so, a third interrupts."""
    import signal
    import threading

    asked = 0

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        if asked > 1:
            raise KeyboardInterrupt
        if asked == 1:  # os.write, because a print may be what is interrupted
            os.write(
                2, b"\nbptt: it stops after this step and saves; once more, and what is not saved is lost\n"
            )
        asked += 1

    if threading.current_thread() is not threading.main_thread():  # only the main one may set handlers
        yield lambda: bool(asked)
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # whoever starts it may have one ignored; None is a handler that Python cannot put back
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
