"""What runs' folders say, read without changing them: a run that is being trained, too."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bptt.errors import BpttError, ConfigError, RunError
from bptt.files import write_atomically
from bptt.nets.losses import LOSSES
from bptt.nets.shown import sizes
from bptt.shown import Shown
from bptt.training.report import LINE
from bptt.training.runs.folder import RUNS, Run
from bptt.training.setting import shown
from bptt.training.settings import SETTINGS, Settings
from bptt.training.trained import Trained
from bptt.training.trainer import Trainer
from bptt.types import Array

SAMPLE = 300
"""Characters, or words, of what a run writes."""

TABLES = {".csv": "csv", ".tex": "latex", ".md": "markdown"}
"""How the names of files end that hold a table alone."""

AGAIN = ("seed", "fold")
"""Settings of runs that do the same again."""

LARGEST = 1e30
"""What is not below it is no measurement, and left out."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What is known of a run.

    Attributes
    ----------
    name : str
        Its folder's name; of two that are alike, their paths.
    folder : str
    problem : str
        Why it cannot be read; all else is then empty.
    about : str
        Cell, sizes and parameters, in words.
    parameters : int
    unit : str
        What the loss is: ``nats per char``.
    settings : Settings or None
    values : dict of str
        The settings that have an effect, as they are read.
    lines : list of dict
        The log, a dict a line.
    sample : str
        What its best weights write.
    """

    name: str
    folder: str
    problem: str = ""
    about: str = ""
    parameters: int = 0
    unit: str = ""
    settings: Settings | None = None
    values: dict[str, str] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    sample: str = ""

    def curve(self, key: str, against: str = "step") -> tuple[Array, Array]:
        """Return a number of the log against another, (P,) each; lines without them are left out."""
        points = [(line.get(against), line.get(key)) for line in self.lines]
        kept = [point for point in points if all(map(is_number, point))]
        x, y = np.array(kept, np.float64).reshape(-1, 2).T
        return x, y

    def last(self, key: str) -> float:
        """Return a number of the log's last line that has it; nan where none has."""
        _, y = self.curve(key)
        return float(y[-1]) if len(y) else math.nan

    @property
    def best(self) -> tuple[float, float]:
        """The lowest validation loss and its step; nan where there is none."""
        steps, losses = self.curve("valid_loss")
        if not len(losses):
            return math.nan, math.nan
        k = int(losses.argmin())
        return float(losses[k]), float(steps[k])

    @property
    def figures(self) -> dict[str, float]:
        """What is measured besides where the validation loss is lowest, as accuracy."""
        _, step = self.best
        line = next((line for line in self.lines if line.get("step") == step and "valid_loss" in line), {})
        return {name: float(x) for name, x in line.items() if name not in LINE and is_number(x)}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        if self.problem:
            return {"name": self.name, "folder": self.folder, "problem": self.problem}
        own = {key: getattr(self, key) for key in ("name", "folder", "about", "parameters", "unit", "sample")}
        loss, step = (None if math.isnan(value) else value for value in self.best)
        best = {"loss": loss, "step": step, **self.figures}
        return own | {"settings": self.values, "best": best, "log": self.lines}


class OverSeeds(NamedTuple):
    """Runs that differ by their seeds, or folds, alone.

    Attributes
    ----------
    runs : list of str
        Their names.
    settings : dict of str
        Their settings that others do not have.
    mean, deviation : float
        Of their best validation losses; the deviation is that of a sample.
    figures : dict of (float, float)
        These of what else is measured, where the loss is best.
    what : "seeds" or "folds"
    """

    runs: list[str]
    settings: dict[str, str]
    mean: float
    deviation: float
    figures: dict[str, tuple[float, float]]
    what: str


def _over(each: Sequence[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Return the mean and the deviation of what all of some runs have."""
    names = [name for name in each[0] if all(name in own for own in each)]
    found = {name: [own[name] for own in each] for name in names}
    return {name: (float(np.mean(own)), float(np.std(own, ddof=1))) for name, own in found.items()}


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(
    Shown,
    html="bptt.reporting.page:body",
    text="bptt.reporting.words:text",
    page="bptt.reporting.page:page",
    latex="bptt.reporting.tables:latex_table",
    csv="bptt.reporting.tables:csv_table",
    markdown="bptt.reporting.tables:markdown_table",
):
    """Runs beside each other.

    Attributes
    ----------
    runs : list of Kept
        Those that can be read.
    broken : list of Kept
        The others.
    """

    runs: list[Kept]
    broken: list[Kept]

    @property
    def differ(self) -> list[tuple[str, list[str]]]:
        """The settings that are not the same in all runs, each with every run's value."""
        rows = [(name, [run.values.get(name, "") for run in self.runs]) for name in SETTINGS]
        return [(name, values) for name, values in rows if len(set(values)) > 1]

    @property
    def notes(self) -> list[str]:
        """What is to be known before losses are compared."""
        notes = []
        units = {run.unit: run.name for run in self.runs}
        if len(units) > 1:
            told = ", ".join(f"{unit} ({name})" for unit, name in units.items())
            notes.append(f"the losses are of different units, and not to be compared: {told}")
        elif len({run.values.get("data") for run in self.runs}) > 1:
            notes.append("the runs have different data: a loss is compared with those on the same alone")
        if lacking := [run.name for run in self.runs if run.lines and not len(run.curve("grad_norm")[0])]:
            notes.append(f"without gradient norms, which earlier versions did not log: {', '.join(lacking)}")
        return notes

    @property
    def over_seeds(self) -> list[OverSeeds]:
        """The runs that differ by their seeds, or folds, alone, together; none that is alone."""
        groups: dict[tuple[tuple[str, str], ...], list[Kept]] = {}
        for run in self.runs:
            own = tuple((name, value) for name, value in sorted(run.values.items()) if name not in AGAIN)
            own += (("parts", run.values.get("fold", "").partition("/")[2].strip()),)
            if not math.isnan(run.best[0]):
                groups.setdefault(own, []).append(run)
        names = [name for name, _ in self.differ if name not in AGAIN]
        return [
            OverSeeds(
                [run.name for run in some],
                {name: some[0].values.get(name, "") for name in names},
                float(np.mean(best := [run.best[0] for run in some])),
                float(np.std(best, ddof=1)),
                _over([run.figures for run in some]),
                "seeds" if len({run.values.get("fold") for run in some}) == 1 else "folds",
            )
            for some in groups.values()
            if len({tuple(map(run.values.get, AGAIN)) for run in some}) == len(some) > 1
        ]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it and return its path: by the end of its name a table as CSV, .tex or .md, or else a page.

        A page is one HTML file that asks for nothing.
        """
        form = TABLES.get(Path(path).suffix.lower(), "page")
        write_atomically(Path(path), (self._shown(form) or "").encode())
        return Path(path)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "runs": [run.to_json() for run in (*self.runs, *self.broken)],
            "over_seeds": [together._asdict() for together in self.over_seeds],
            "notes": self.notes,
        }


def report(
    runs: str | os.PathLike[str] | Trainer | Trained | Iterable[Any] = RUNS, *, samples: bool = True
) -> Comparison:
    """Compare runs: losses against steps, tokens and seconds, settings that differ, samples, gradient norms.

    Nothing of a run is changed, and one that is being trained is read as far as it is.

    Parameters
    ----------
    runs : path, Trainer or Trained, or several of these
        Runs' folders; a folder that is none stands for all runs in it.
    samples : bool
        Have those that write text write some.

    Returns
    -------
    Comparison
        Which shows itself in a notebook, and as a table of text elsewhere; ``save(path)`` writes a page.

    Raises
    ------
    RunError
        If none of them can be read.

    Examples
    --------
    >>> import tempfile, bptt
    >>> folder = tempfile.mkdtemp()
    >>> for hidden in (4, 8):
    ...     settings = bptt.Settings.of(hidden=hidden, steps=2, batch=4, chunk=8, report_every=1)
    ...     _ = list(bptt.Trainer.start(settings, f"{folder}/{hidden}").reports())
    >>> bptt.report(folder, samples=False).differ
    [('hidden', ['4', '8'])]
    """
    several = [runs] if isinstance(runs, str | os.PathLike | Trainer | Trained) else list(runs)
    folders = [folder for one in several for folder in _folders(one)]
    if not folders or (runs is RUNS and not RUNS.is_dir()):
        raise ConfigError("there are no runs to report: name a run's folder")
    folders = list({os.path.abspath(folder): folder for folder in folders}.values())  # noqa: PTH100
    names = _names(folders)
    kept = [_kept(name, folder, samples) for name, folder in zip(names, folders, strict=True)]
    readable = [run for run in kept if not run.problem]
    if not readable:
        raise RunError(kept[0].problem)
    return Comparison(readable, [run for run in kept if run.problem])


def _folders(run: Any) -> list[str]:
    """Return the folder of a run, or the runs' in a folder."""
    if isinstance(run, Trainer):
        return [str(run.run.folder)]
    folder = run.source if isinstance(run, Trained) else os.fspath(run)
    if not Run(folder).has("config.json") and os.path.isdir(folder):  # noqa: PTH112  as in Run.open
        inside = [str(path.parent) for path in sorted(Path(folder).glob("*/config.json"))]
        return inside or [folder]
    return [folder]


def _names(folders: Sequence[str]) -> list[str]:
    """Return short names of folders: their own, with as much of their paths as tells them apart."""
    parts = [Path(os.path.abspath(folder)).parts[1:] for folder in folders]  # noqa: PTH100  without ..
    for count in range(1, max(map(len, parts)) + 1):
        names = [str(Path(*own[-count:])) for own in parts]
        if len(set(names)) == len(names):
            break
    return names


def _kept(name: str, folder: str, samples: bool) -> Kept:
    try:
        run = Run.open(folder)
        found = run.describe()
        vocabulary = run.vocabulary_of(found)
        lines = run.log.lines()
    except (BpttError, OSError) as error:
        return Kept(name, folder, problem=str(error))
    settings, model = found.settings, found.model
    is_text = vocabulary is not None and settings.job in ("stream", "lines")
    per = vocabulary.kind if vocabulary is not None and is_text else "target"
    values = {key: shown(getattr(settings, key)) for key in SETTINGS if settings.means(key)}
    if (equations := getattr(model.stack.cell, "equations", None)) is not None:
        values["cell"] = f"{model.stack.cell.name}: {_in_line(equations.text)}"
    else:
        values["cell"] = model.stack.cell.name
    return Kept(
        name,
        folder,
        about=sizes(model),
        parameters=sum(map(prod, model.shapes.values())),
        unit=f"{LOSSES[model.loss].unit} per {per}",
        settings=settings,
        values=values,
        lines=lines,
        sample=_sample(folder) if samples and is_text else "",
    )


def _sample(folder: str) -> str:
    """Return what a run's best weights write; nothing where there are none, or they cannot."""
    try:
        trained = Trained.load(folder)
        count = 8 if trained.settings.job == "lines" else 1
        texts = [written.text for written in islice(trained.write(count, length=SAMPLE), count)]
    except (BpttError, OSError):
        return ""
    return "\n".join(texts)


def _in_line(equations: str) -> str:
    return "; ".join(line.strip() for line in equations.splitlines()[2:])


def is_number(value: object) -> bool:
    """Return whether a value of a log can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
