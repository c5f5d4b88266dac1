"""A notebook, run cell by cell in a real kernel, and what each of its cells shows."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Output(NamedTuple):
    """What a cell shows: its last display by kind, all that it printed, and its error."""

    data: dict[str, str]
    printed: str
    error: str


def run(book: Any, folder: Path, seconds: int = 120) -> list[Output]:
    """Execute a notebook's code cells and return what each shows; an error ends nothing."""
    pytest.importorskip("ipykernel")
    NotebookClient: Any = pytest.importorskip("nbclient").NotebookClient
    how = {"kernel_name": "python3", "allow_errors": True, "timeout": seconds}
    NotebookClient(book, resources={"metadata": {"path": str(folder)}}, **how).execute()
    return [_output(cell) for cell in book.cells if cell.cell_type == "code"]


def run_cells(cells: list[str], folder: Path) -> list[Output]:
    """Execute some cells."""
    v4: Any = pytest.importorskip("nbformat").v4
    return run(v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells]), folder)


def _output(cell: Any) -> Output:
    data, printed, error = dict[str, str](), "", ""
    for one in cell.outputs:
        if one.output_type == "error":
            error = f"{one.ename}: {one.evalue}"
        elif one.output_type == "stream":
            printed += one.text
        else:
            data = dict(one.data)
    return Output(data, printed, error)
