"""Columns of numbers: one a row, or the steps of each row."""

from itertools import chain

import numpy as np

from bptt.data.labelled.layout import Layout
from bptt.data.tables import Table
from bptt.data.tables.numbers import ABSENT, no_number
from bptt.errors import DataError
from bptt.types import Array


def numbers_of(table: Table, name: str, layout: Layout) -> Array:
    """Return a column of inputs, with NaN where there may be no number."""
    try:
        values = table.numbers(name, absent=layout.absent == "hold")
        values[np.isin(values, layout.missing)] = np.nan
        return values
    except DataError as error:
        if layout.absent == "hold" or not any(text.strip().lower() in ABSENT for text in table.column(name)):
            raise
        raise DataError(f"{error}; --absent hold takes the last one that is there") from None


def numbers_in_rows(table: Table, layout: Layout) -> tuple[Array, Array]:
    """Return the numbers of each row as its steps, (S, D), and how many each row has."""
    names = layout.inputs
    columns = [_steps(table, name) for name in names]
    lengths = np.array([len(row) for row in columns[0]])
    for k, rows in enumerate(zip(*columns, strict=True)):
        if len({len(row) for row in rows}) > 1 or not rows[0]:
            raise DataError(
                f"{table.place(k)}: {', '.join(names)} hold {', '.join(str(len(row)) for row in rows)} "
                "numbers: want as many of each, at least one; where a row is a step, --series says of which "
                "sequence"
            )
    numbers = np.empty((lengths.sum(), len(names)))
    for d, column in enumerate(columns):
        at = 0
        for k, row in enumerate(column):
            for text in row:
                found = table.number(text)
                numbers[at, d] = np.nan if found in layout.missing else found
                if not np.isfinite(found) and not (
                    layout.absent == "hold" and text.strip().lower() in ABSENT
                ):
                    raise DataError(f"{table.place(k)}, column {names[d]}: {no_number(text)}")
                at += 1
    return numbers, lengths


def labels_in_rows(table: Table, label: str, layout: Layout) -> list[Array]:
    """Return the numbers to be told at each step of each row, (T,) or (T, K), NaN where none is known."""
    names = [label] if label in table.columns else table.across(label)
    found = list[Array]()
    for k, rows in enumerate(zip(*(_steps(table, name) for name in names), strict=True)):
        if len({len(row) for row in rows}) > 1:
            lengths = ", ".join(str(len(row)) for row in rows)
            raise DataError(f"{table.place(k)}: {label} hold {lengths} numbers: want as many of each")
        numbers = np.array([[table.number(text) for text in row] for row in rows]).T
        for text, number in zip(chain(*rows), numbers.T.flat, strict=True):
            if not np.isfinite(number) and text.strip().lower() not in ABSENT:
                raise DataError(f"{table.place(k)}, column {label}: {no_number(text)}")
        numbers[np.isin(numbers, layout.missing)] = np.nan
        found.append(numbers[:, 0] if label in table.columns else numbers)
    return found


def _steps(table: Table, name: str) -> list[list[str]]:
    """Return each row's numbers, as texts: those of a column, or one of each column from one to another."""
    if name not in table.columns and ":" in name:
        rows = [list(row) for row in zip(*map(table.column, table.across(name)), strict=True)]
        for row in rows:
            while row and row[-1].strip().lower() in ABSENT:  # a shorter sequence
                row.pop()
        return rows
    return [
        [part for text in value.strip("[]() ").split() for part in table.listed(text)]
        for value in table.column(name)
    ]
