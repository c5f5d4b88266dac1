"""Which columns of a table are what."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bptt.data.tables import Table, read_folder, read_table
from bptt.data.text.packed import plain_name
from bptt.errors import ConfigError, DataError

Task: TypeAlias = Literal["classify", "multilabel", "regress", "tag", "track"]

NUMBERS: tuple[Task, ...] = ("regress", "track")
"""The tasks that tell numbers."""

STEPWISE: tuple[Task, ...] = ("tag", "track")
"""The tasks that tell something at each step."""

Absent: TypeAlias = Literal["refuse", "hold"]
"""What becomes of inputs that have no number: an error; or the last one in its place, with how old it is."""

ELAPSED = "elapsed"
"""What stands for a column: the time since the row before."""

TEXT, LABEL = "text", "label"
"""The columns of a folder of texts, and of a table of which none is named."""

SENTENCES = (".conll", ".conllu", ".iob", ".iob2", ".bio")
"""What the name of a file ends in that has a word a line."""


@dataclass(frozen=True)
class Layout:
    """Which columns of a table are what.

    Parameters
    ----------
    task : "classify", "multilabel", "regress", "tag" or "track"
    text : str, optional
        The column of the texts; with `series` of the words.
    inputs : tuple of str
        Columns of numbers, in place of a text; ``a:c``, where a row is a sequence, are its steps.
    series, time : str, optional
        The columns that say which sequence a row is of, and when it is.
    label : str, optional
        The column of what is to be told; of several labels of a row also one for each, as ``a,b`` or ``a:c``.
        Only files of sentences go without.
    beside : tuple of (str, str)
        What the cell reads at each step beside its input, by name, and the columns that have it; of
        `ELAPSED` the time since the row before, by `time`.
    head : bool
        Whether a file of delimited values says the columns' names; otherwise they are 1, 2, ...
    absent : "refuse" or "hold"
        What becomes of inputs that have no number.
    encoding : str, optional
        Of files that are not UTF-8.
    dates : str, optional
        How times are written.
    separator : str
        What stands between the labels of a row.
    missing : tuple of float
        Numbers that mean there is none.

    Raises
    ------
    ConfigError
        If they do not go together.
    """

    task: Task
    text: str | None = None
    inputs: tuple[str, ...] = ()
    series: str | None = None
    time: str | None = None
    label: str | None = None
    beside: tuple[tuple[str, str], ...] = ()
    head: bool = True
    absent: Absent = "refuse"
    encoding: str | None = None
    dates: str | None = None
    separator: str = "|"
    missing: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.text is not None and self.inputs:
            raise ConfigError("--text and --inputs are two ways to say what is read; give one")
        if self.is_sentences(""):
            if self.series is not None or self.time is not None:
                raise ConfigError("--series goes with --inputs, or with --text, the column of the words")
        elif self.is_usual:
            pass
        elif self.text is None and not self.inputs:
            raise ConfigError(f"--task {self.task} reads --text COLUMN, or numbers: --inputs COLUMN,...")
        if self.beside and self.series is None:
            raise ConfigError("--beside goes with --series: columns with a number for each step")
        if self.absent == "hold" and not self.inputs:
            raise ConfigError("--absent hold is of numbers: it goes with --inputs COLUMN,...")
        of_labels = not self.inputs and self.task in ("multilabel", *NUMBERS)
        if self.missing and self.absent != "hold" and not of_labels:
            raise ConfigError(
                "--missing says which numbers mean that there is none; of inputs it goes with --absent hold, "
                "which takes the last one that is there; a label that is not known may be empty"
            )
        if not self.separator:
            raise ConfigError("--separator must be what stands between labels, as '|'; got an empty text")
        if ELAPSED in dict(self.beside).values() and self.time is None:
            raise ConfigError(
                f"{ELAPSED} is the time since the row before: say with --time COLUMN when a row is"
            )
        if self.time is not None and self.series is None:
            raise ConfigError("--time goes with --series: the order of a sequence's rows")
        if self.label is not None:
            self.expect_apart((self.text, *self.inputs), (self.label,))

    def expect_apart(self, read: Sequence[str | None], labels: Sequence[str]) -> None:
        """Raise a ConfigError where a label is among the columns that are read."""
        if both := [name for name in labels if name in read]:
            raise ConfigError(f"{both[0]} is what is to be told: it cannot be read, too")

    @property
    def is_usual(self) -> bool:
        """Whether no column is named: then they are called `text` and `label`, as a folder's are."""
        named = (self.text, self.label, self.series, self.time, *self.inputs)
        return self.task not in STEPWISE and not any(name is not None for name in named)

    def table(self, path: str) -> Table:
        """Read a file, or a folder, as one of these columns."""
        if os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises where a name is too long
            if self.text not in (None, TEXT) or self.inputs or self.series is not None:
                raise DataError(f"{path}: is a folder, whose files are texts: leave --text and --inputs out")
            return read_folder(path, self.encoding)
        table = read_table(path, sentences=self.is_sentences(path), head=self.head, encoding=self.encoding)
        if self.is_usual and TEXT not in table.columns:
            few = [*list(table.columns)[:10], *(["..."] if len(table.columns) > 10 else [])]
            raise ConfigError(
                f"--task {self.task} reads --text COLUMN, or numbers: --inputs COLUMN,..., and tells --label "
                f"COLUMN; without them columns text and label, and {path} has {', '.join(few)}"
            )
        return table

    def within(self, table: Table) -> "Layout":
        """Return which columns of a table these are; ConfigError where none is said to be told.

        From one to another, ``a:c``, are a row's steps; where each of these holds several numbers, or a row
        is a step, they are as many columns.
        """
        inputs = [each for name in self.inputs for each in self._columns(table, name)]
        return replace(self, inputs=tuple(inputs))

    def _columns(self, table: Table, name: str) -> list[str]:
        if name in table.columns:
            return [name]
        own = table.across(name)
        is_long = self.series is not None or ":" not in name
        return own if is_long or any(len(table.columns[each][0].split()) > 1 for each in own) else [name]

    def label_of(self, table: Table) -> str:
        """Return the column of what is to be told; ConfigError where it is not said."""
        if self.label is None and LABEL not in table.columns:
            raise ConfigError(f"--task {self.task} wants --label COLUMN: what is to be told")
        return self.label or LABEL

    def is_sentences(self, path: str) -> bool:
        """Return whether a file has a word a line, as CoNLL's have."""
        is_alone = self.text is None and not self.inputs
        return self.task == "tag" and (is_alone or plain_name(path).endswith(SENTENCES))
