"""A model's description as the text that a file's metadata has."""

import json
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import Any, get_type_hints

import msgspec

from bptt.cells import CELLS, Cell
from bptt.derive import EquationCell, read
from bptt.errors import BpttError, DataError
from bptt.nets.model import Model
from bptt.training.runs import format as run_format
from bptt.zoo import get, record


def to_text(model: Model) -> str:
    """Return a model's description as JSON; its cell as a run keeps it.

    Examples
    --------
    >>> from_text(to_text(Model(inputs=3, outputs=2, hidden=4))).outputs
    2
    """
    own = {field.name: getattr(model, field.name) for field in fields(model)}
    return json.dumps(own | {"cell": record.to_json(get(model.cell))}, allow_nan=False)


def from_text(text: str) -> Model:
    """Return the model that `to_text` wrote: the cell's equations are read, nothing is run.

    DataError where the text is another's.
    """
    try:
        kept = run_format.decode(text.encode(), _kept())
        values = {field.name: getattr(kept, field.name) for field in fields(Model)}
        return Model(**values | {"cell": _cell(kept.cell)})
    except (BpttError, UnicodeError) as error:
        raise DataError(f"its metadata describe no model: {error}") from None


def _cell(kept: run_format.CellRecord) -> str | Cell:
    if kept.equations is not None:
        return EquationCell(read(kept.equations, name=kept.name, file="its equations"))
    if kept.name not in CELLS:
        raise DataError(f"no cell of bptt is called {kept.name!r:.80}")
    return kept.name


@lru_cache
def _kept() -> Any:
    """Return the text's type: a model's fields with their types and defaults."""
    hints = get_type_hints(Model) | {"cell": run_format.CellRecord}
    own = [
        (f.name, hints[f.name])
        if f.default is MISSING or f.name == "cell"
        else (f.name, hints[f.name], f.default)
        for f in fields(Model)
    ]
    return msgspec.defstruct("Kept", own, kw_only=True, forbid_unknown_fields=True)
