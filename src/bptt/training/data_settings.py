"""The settings that say which data a run reads, and how they lie in their files."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from bptt.data.labelled import Absent
from bptt.data.series import Gaps, Scaling
from bptt.data.tables.numbers import as_number
from bptt.data.text.files import together
from bptt.data.text.tokenizers import Kind
from bptt.errors import ConfigError
from bptt.training.setting import Job, setting

MOST = 10**8
"""A size beyond it would be more than NumPy can count, let alone keep."""

READ: tuple[Job, ...] = ("stream", "lines", "labels")
"""The jobs that read text."""

Task: TypeAlias = Literal["classify", "multilabel", "regress", "tag", "track", "forecast"]
"""What is learnt of a table's rows."""

Error: TypeAlias = Literal["squared", "absolute", "quantile"]
"""What a forecast is learnt by."""

Weighing: TypeAlias = Literal["none", "balanced"]
"""How labels count in the loss."""

_KINDS = f"[{'|'.join(get_args(Kind))}]"


def paths_of(name: str, given: Any) -> str:
    """Return a path, or several, as Python has them, as the one text that settings have."""
    several = given if isinstance(given, (list, tuple)) else [given]
    is_paths = bool(several) and all(isinstance(path, (str, os.PathLike)) for path in several)
    if not is_paths and (isinstance(given, Mapping) or hasattr(given, "columns")):
        raise ConfigError(
            f"{name} must be a path, or several, not a {type(given).__name__}: a run that goes on reads it "
            "again, so write a file, as df.to_csv(PATH, index=False) does"
        )
    if not is_paths:
        raise ConfigError(f"{name} must be a path, or several; got {given!r:.60}")
    return together([os.fspath(path) for path in several])


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The part of :class:`bptt.Settings` that goes to the data."""

    data: str = setting(
        "pydoc", "A corpus, a task, or paths", "data", "CORPUS or PATH", argument=True, may_change=True
    )
    valid: str | None = setting(
        None, "What to validate on; otherwise a tenth", "data", "PATH", jobs=READ, may_change=True
    )
    valid_sample: int | None = setting(
        None, "The most tokens to validate on before the end", "data", "K", least=256, jobs=READ
    )
    tokens: Kind | None = setting(
        None, "What a token is; otherwise what suits the corpus", "data", _KINDS, jobs=READ
    )
    vocabulary: int | None = setting(
        None,
        "The most words or subwords to know; otherwise words that are there twice, or 2,000 subwords",
        "data",
        "V",
        least=1,
        jobs=READ,
    )
    lines: bool = setting(False, "Each line is a sequence of its own", "data", jobs=("lines",))
    documents: str | None = setting(
        None,
        "The line that stands between two documents; file: each file is one",
        "data",
        "LINE",
        jobs=("lines",),
    )
    encoding: str | None = setting(
        None,
        "How the text of files is encoded that are not UTF-8, as cp1252",
        "data",
        "NAME",
        jobs=("stream", "lines", "labels", "series"),
    )
    task: Task | None = setting(None, f"Of a table: {', '.join(get_args(Task))}", "data", "TASK")
    text: str | None = setting(None, "A table's column: the text", "data", "COLUMN", jobs=("lines", "labels"))
    head: bool = setting(
        True,
        "A table's first line has its columns' names; otherwise they are 1, 2, ...",
        "data",
        jobs=("lines", "labels", "series"),
    )
    condition: str | None = setting(
        None, "Columns that each sequence starts from", "data", "COLUMN,...", jobs=("lines",)
    )
    label: str | None = setting(
        None, "A table's column: what is to be told", "data", "COLUMN", jobs=("labels",)
    )
    separator: str = setting(
        "|",
        "What stands between the labels of a row that may have several",
        "data",
        "MARK",
        needs=("task", ("multilabel",)),
        jobs=("labels",),
    )
    inputs: str | None = setting(
        None,
        "Columns of numbers, read in place of a text; FIRST:LAST: a row's steps",
        "data",
        "COLUMN,...",
        jobs=("labels",),
    )
    beside: str | None = setting(
        None,
        "What the cell reads at each step beside its input: columns, numbers, or elapsed: "
        "the time since the row before",
        "data",
        "NAME=COLUMN,...",
    )
    absent: Absent = setting(
        "refuse",
        "Where inputs have no number: refuse; hold: the last one, whether it is there, how long ago it was",
        "data",
        jobs=("labels",),
    )
    series: str | None = setting(
        None, "A column: which sequence a row is of", "data", "COLUMN", jobs=("labels", "series")
    )
    time: str | None = setting(None, "A column: when a row is", "data", "COLUMN", jobs=("labels", "series"))
    date_format: str | None = setting(
        None,
        "How --time is written, as %d/%m/%Y; otherwise as the column tells",
        "data",
        "FORM",
        jobs=("labels", "series"),
    )
    class_weights: Weighing = setting(
        "none", "balanced: rare labels count as much as frequent ones", "data", jobs=("labels",)
    )
    value: str | None = setting(
        None, "A column, or one for each series: what is forecast", "data", "COLUMN,...", jobs=("series",)
    )
    missing: str | None = setting(
        None, "Numbers that mean there is no value, as -999", "data", "X,...", jobs=("labels", "series")
    )
    fold: str | None = setting(
        None,
        "Which of so many parts is validated on, as 2/5; otherwise a tenth",
        "data",
        "K/N",
        jobs=("labels", "lines"),
    )
    covariates: str | None = setting(
        None, "Columns that are known ahead of time", "data", "COLUMN,...", jobs=("series",)
    )
    horizon: int = setting(12, "Steps to forecast", "data", "H", least=1, most=MOST, jobs=("series",))
    window: int = setting(
        36, "Steps that a forecast reads", "data", "T", least=1, most=MOST, jobs=("series",)
    )
    season: int = setting(1, "Steps of a season", "data", "S", least=1, most=MOST, jobs=("series",))
    scaling: Scaling = setting(
        "window", f"Of what a level and scale are: {', '.join(get_args(Scaling))}", "data", jobs=("series",)
    )
    gaps: Gaps = setting(
        "refuse", f"Where rows are missing: {', '.join(get_args(Gaps))}", "data", jobs=("series",)
    )
    loss: Error = setting("squared", f"Of a forecast: {', '.join(get_args(Error))}", "data", jobs=("series",))
    quantiles: str = setting(
        "0.1,0.5,0.9",
        "Quantiles that are forecast",
        "data",
        "Q,...",
        needs=("loss", ("quantile",)),
        jobs=("series",),
    )

    @property
    def no_numbers(self) -> tuple[float, ...]:
        """The numbers that mean there is none; ConfigError where they are no list of numbers."""
        parts = [part for part in (self.missing or "").split(",") if part.strip()]
        if not np.isfinite(found := [as_number(part) for part in parts]).all():
            raise ConfigError(f"--missing is a list of numbers, as in -999,-9999; got {self.missing!r:.60}")
        return tuple(found)

    @property
    def part(self) -> tuple[int, int] | None:
        """Which part of how many is validated on; ConfigError where it is none."""
        if self.fold is None:
            return None
        found = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", self.fold)
        if found is None or not 1 <= int(found[1]) <= int(found[2]) or int(found[2]) < 2:
            raise ConfigError(f"--fold is one of several parts, as 1/5, 2/5, ..., 5/5; got {self.fold!r:.40}")
        if self.valid is not None:
            raise ConfigError("--fold and --valid are two ways to say what is validated on; give one")
        return int(found[1]), int(found[2])

    @property
    def read_beside(self) -> tuple[tuple[str, str], ...]:
        """What the cell reads at each step beside its input, by name, and the columns that have it."""
        return tuple((name, column) for name, column in self._beside if name not in self.fixed)

    @property
    def fixed(self) -> dict[str, float]:
        """What the cell reads that is the same number at each step, by name."""
        found = {name: as_number(text) for name, text in self._beside if self.head or not text.isdigit()}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    @property
    def _beside(self) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        for part in self.beside.split(",") if self.beside is not None else ():
            name, _, column = (text.strip() for text in part.partition("="))
            if not name or not column or name in dict(found):
                raise ConfigError(
                    f"--beside is NAME=COLUMN,... or NAME=NUMBER,... of what the cell reads; "
                    f"got {self.beside!r:.60}"
                )
            found.append((name, column))
        return tuple(found)
