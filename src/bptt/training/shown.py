"""Runs, settings, optimisers and schedules as they show themselves."""

import numpy as np

from bptt.data.text.files import named
from bptt.errors import BpttError
from bptt.nets import shown
from bptt.shown import Markup, code, heading, paragraph, table
from bptt.shown.curves import Curve, curves, legend
from bptt.training.optim import Optimizer
from bptt.training.runs.folder import Run
from bptt.training.schedules import Schedule
from bptt.training.setting import shown as as_read
from bptt.training.settings import SETTINGS, Settings
from bptt.training.trained import Trained
from bptt.training.trainer import Trainer


def trained_text(trained: Trained) -> str:
    """Return a trained model in a line."""
    return f"<trained {shown.sizes(trained.model)}; {trained.step:,} steps, {_of(trained)}>"


def trained_html(trained: Trained) -> str:
    """Return a trained model: what it is, what it was trained on, and how the loss fell."""
    facts = [("data", named(trained.settings.data)), ("steps", f"{trained.step:,}"), ("from", trained.source)]
    if trained.vocabulary is not None:
        facts.insert(1, ("tokens", f"{len(trained.vocabulary):,} ({trained.vocabulary.kind})"))
    return "\n".join([heading(shown.sizes(trained.model)), table(facts), learnt(trained.source)])


def learnt(folder: str) -> Markup:
    """Return the losses of a run's log as a picture; nothing where there is none."""
    try:
        lines = Run.open(folder).log.lines()
    except (BpttError, OSError):
        return Markup()
    found = []
    for k, (name, key) in enumerate({"training": "train_loss", "validation": "valid_loss"}.items()):
        points = [(line["step"], line[key]) for line in lines if isinstance(line.get(key), float)]
        if points:
            steps, losses = np.array(points).T
            found.append(Curve(name, steps, losses, k, thin=k == 0, dots=k == 1))
    if not found:
        return Markup()
    picture = curves(found, x="steps", y="loss", width=560, height=260)
    return Markup(f"{picture}\n{legend([line.name for line in found])}")


def trainer_line(trainer: Trainer) -> str:
    """Return what is trained, and how far it is."""
    return f"{shown.sizes(trainer.model)}; {_how_far(trainer)}"


def _how_far(trainer: Trainer) -> str:
    return trainer.end or f"step {trainer.step:,} of {trainer.experiment.steps:,}"


def trainer_text(trainer: Trainer) -> str:
    """Return a run in progress in a line."""
    return f"<training of {trainer_line(trainer)}, in {trainer.run.folder}>"


def trainer_html(trainer: Trainer) -> str:
    """Return a run in progress: what it is and how the loss falls."""
    facts = [("data", trainer.experiment.summary), ("now", _how_far(trainer)), ("folder", trainer.run.folder)]
    return "\n".join([heading(shown.sizes(trainer.model)), table(facts), learnt(str(trainer.run.folder))])


def settings_html(settings: Settings) -> str:
    """Return the settings that have an effect and are not neutral, as a table."""
    told = ((name, getattr(settings, name)) for name in SETTINGS if settings.means(name))
    rows = [
        (name, as_read(value), SETTINGS[name].says) for name, value in told if value != SETTINGS[name].default
    ]
    return "\n".join([table(rows, ("setting", "value", "")), paragraph("All others are neutral.", "faint")])


def optimizer_html(optimizer: Optimizer) -> str:
    """Return an optimiser: its numbers and its equations."""
    return heading(repr(optimizer)) + "\n" + code("\n".join(optimizer.equations))


def schedule_html(schedule: Schedule) -> str:
    """Return a schedule: its numbers, and the rate over the steps where they have an end."""
    head = heading(repr(schedule))
    if not schedule.total_steps or type(schedule).observe is not Schedule.observe:
        return head  # what it does is seen in training alone
    steps = np.unique(np.linspace(0, schedule.total_steps - 1, 200).astype(int))
    rates, later = (np.array([schedule.lr(int(step), epoch) for step in steps]) for epoch in (0.0, 1e6))
    if not np.array_equal(rates, later):  # it goes by the passes over the data
        return head
    return head + "\n" + curves([Curve("lr", steps, rates)], x="steps", y="lr", width=480, height=200)


def _of(trained: Trained) -> str:
    return f"on {named(trained.settings.data)}, from {trained.source}"
