"""``bptt train``: train a model, and watch it learn."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bptt.cells import Cell
from bptt.data.text.vocabulary import KINDS
from bptt.errors import BpttError
from bptt.zoo import get


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command(context_settings={"show_default": False})
@click.argument("data", metavar="[CORPUS or PATH]", required=False)
@_options(
    click.option("--valid", metavar="PATH", help="Text to validate on; otherwise the last tenth."),
    click.option(
        "--tokens", type=click.Choice(KINDS), help="What a token is; otherwise what suits the corpus."
    ),
    click.option("--vocabulary", type=int, metavar="V", help="The most words to know."),
    click.option("--preset", metavar="NAME", help="Settings that have a name (see bptt presets)."),
)
@_options(
    click.option(
        "--cell",
        metavar="NAME",
        help="The recurrent cell, or FILE.py:NAME or MODULE:NAME of your own.  [lstm]",
    ),
    click.option("--hidden", type=int, metavar="H", help="Hidden units in a layer.  [128]"),
    click.option("--layers", type=int, metavar="L", help="Layers.  [1]"),
    click.option("--embedding", type=int, metavar="E", help="Embedding size; 0 is one-hot input.  [64]"),
    click.option("--tied", is_flag=True, default=None, help="Output matrix = embedding transposed."),
    click.option("--dropout", type=float, metavar="P", help="Part dropped of each layer's output.  [0.1]"),
    click.option("--input-dropout", type=float, metavar="P", help="Part dropped of the embedding.  [0]"),
    click.option("--bias", metavar="NAME", help="none, one, or two as PyTorch has them.  [one]"),
    click.option("--init", metavar="NAME", help="uniform, normal, fan-in, scaled, orthogonal.  [orthogonal]"),
    click.option("--init-scale", type=float, help="For uniform and normal."),
    click.option("--backend", metavar="NAME", help="auto, reference (NumPy) or cpu (compiled).  [auto]"),
    click.option("--precision", metavar="NAME", help="Of products: float32 or bfloat16.  [float32]"),
    click.option("--forget-bias", type=float, help="Where a forget gate's bias starts.  [1]"),
)
@_options(
    click.option("--batch", type=int, metavar="N", help="Rows in a training step.  [32]"),
    click.option("--chunk", type=int, metavar="T", help="Time steps in a training step.  [64]"),
    click.option("--steps", type=int, metavar="S", help="Training steps.  [3000]"),
    click.option("--epochs", type=float, metavar="E", help="Passes over the text, instead of steps."),
    click.option("--optimizer", metavar="NAME", help="sgd, adagrad, rmsprop, adam or adamw.  [adamw]"),
    click.option("--lr", type=float, metavar="X", help="Learning rate.  [0.01]"),
    click.option("--momentum", type=float, help="For sgd.  [0]"),
    click.option("--beta2", type=float, help="For adam and adamw.  [0.99]"),
    click.option("--weight-decay", type=float, help="For adamw.  [0.1]"),
    click.option("--schedule", metavar="NAME", help="constant, step, plateau or cosine.  [cosine]"),
    click.option("--warmup", type=int, metavar="S", help="Steps of linear warm-up.  [100]"),
    click.option("--keep", type=int, help="step: epochs, plateau: evaluations, before the rate falls.  [4]"),
    click.option("--factor", type=float, help="What step and plateau multiply the rate by.  [0.5]"),
    click.option("--reduction", metavar="NAME", help="The loss differentiated.  [mean_over_time_and_batch]"),
    click.option("--clip-norm", type=float, help="The most the gradient's norm may be.  [1]"),
    click.option("--clip-value", type=float, help="The most an entry of the gradient may be."),
    click.option("--patience", type=int, help="Evaluations without a better one before stopping early."),
    click.option("--seed", type=int, metavar="K", help="Same seed, same bits.  [0]"),
    click.option("--report-every", type=int, metavar="S", help="Steps between lines of the log.  [50]"),
    click.option("--eval-every", type=int, metavar="S", help="Steps between evaluations.  [500]"),
)
@click.option("--out", metavar="DIR", help="The run's folder; otherwise a new one in bptt-runs.")
@click.option("--resume", metavar="DIR", help="Go on with the run in DIR.")
@click.option("--samples/--no-samples", default=True, help="Show now and then what the model writes.  [show]")
@click.pass_context
def train(
    ctx: click.Context,
    /,
    out: str | None,
    resume: str | None,
    preset: str | None,
    samples: bool,
    **asked: Any,
) -> int:
    """Train a recurrent network on a corpus, a text file, a folder of them, or a generated task.

    Without arguments: on the help texts that come with Python. `bptt corpora` lists what has a name.
    In brackets: what is taken for text when no preset is named; tasks and presets have their own.
    """
    from bptt.training.settings import Settings
    from bptt.training.trainer import Trainer

    given = {name: value for name, value in asked.items() if value is not None}
    if resume is not None:
        if strange := [name for name in given if name not in ("data", "valid", "steps", "epochs", "cell")]:
            raise click.UsageError(
                "--resume goes on as the run was set up; only --steps or --epochs can go with it, and the "
                "PATH of its text and --valid where these have moved, "
                f"not {', '.join('--' + name.replace('_', '-') for name in strange)}",
                ctx,
            )
        if out is not None or preset is not None:
            raise click.UsageError("--resume names the run's folder and goes on as it was set up", ctx)
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
    from bptt.training.trainer import STOPPED

    vocabulary = trainer.experiment.vocabulary
    folder = trainer.run.folder
    unit = vocabulary.kind if vocabulary else "target"
    loss = "half squared error" if trainer.model.loss == "squared_error" else "nats"
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
