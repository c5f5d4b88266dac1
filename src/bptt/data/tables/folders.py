"""A folder with a folder for each label, and in that a file for each text."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bptt.data.tables.delimited import Delimited
from bptt.data.tables.files import Table
from bptt.data.tables.forms import Added, Columns
from bptt.data.text.files import read_each
from bptt.errors import DataError

PARTS = ("train", "training", "test", "testing", "valid", "validation", "val", "dev")
"""What folders are called that are parts of the data, and no labels."""


@dataclass(frozen=True)
class Folder(Delimited):
    """Files: what is written is a row for each, without its text."""

    row = "file"

    def at(self, columns: Columns, row: int) -> str:
        """Return the file."""
        return columns["file"][row]

    def written(self, columns: Columns, added: Added) -> bytes:
        """Return the files' names and labels with columns added."""
        return super().written({name: columns[name] for name in ("file", "label")}, added)


def read_folder(path: str | Path, encoding: str | None = None) -> Table:
    """Read a folder's files as a table with the columns `file`, `label` and `text`.

    The label is the name of the folder in `path` that a file lies in, however deep. A file that lies in none
    has no label.

    Raises
    ------
    DataError
        If there is no text, or the folders in `path` are parts of the data, each with labels of its own.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for label, text in (("ham", "see you"), ("spam", "buy now")):
    ...     (folder / label).mkdir()
    ...     _ = (folder / label / "1.txt").write_text(text)
    >>> read_folder(folder).columns
    {'file': ['ham/1.txt', 'spam/1.txt'], 'label': ['ham', 'spam'], 'text': ['see you', 'buy now']}
    """
    found = read_each(path, "char", encoding=encoding)
    names = [Path(file).relative_to(path) for file in found]
    deep = {name.parts[0] for name in names if len(name.parts) > 2}
    parts = sorted(part for part in deep if part.lower() in PARTS)
    if parts:
        first = next((part for part in parts if part.lower().startswith("train")), parts[0])
        other = next((part for part in parts if part != first), None)
        valid = f", and --valid {Path(path, other)}" if other else ""
        raise DataError(
            f"{path}: {', '.join(parts)} in it {'have' if other else 'has'} folders of labels: give "
            f"{Path(path, first)}{valid}"
        )
    columns: Columns = {
        "file": [name.as_posix() for name in names],
        "label": [name.parts[0] if len(name.parts) > 1 else "" for name in names],
        "text": [str(text) for text in found.values()],
    }
    summed = hashlib.sha256(repr((columns["file"], columns["text"])).encode())
    return Table(str(path), columns, list(range(1, len(names) + 1)), Folder(), summed.hexdigest())
