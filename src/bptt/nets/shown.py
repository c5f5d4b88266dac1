"""A model as it shows itself: its sizes in words, its parameters as a table."""

from dataclasses import MISSING, fields
from math import prod
from typing import Any

from bptt.nets.model import Model
from bptt.shown import heading, paragraph, table


def text(described: Any) -> str:
    """Return a description as Python makes it, without what is as it is unless told."""
    told = ((f, getattr(described, f.name)) for f in fields(described))
    given = [f"{f.name}={value!r}" for f, value in told if f.default is MISSING or value != f.default]
    return f"{type(described).__name__}({', '.join(given)})"


def sizes(model: Model) -> str:
    """Return the model's sizes in a line."""
    cell = model.stack.cell.name
    embedding = f", embedding {model.embedding}" if model.embedding else ""
    both = ", in both directions" if model.bidirectional else ""
    count = sum(map(prod, model.shapes.values()))
    return f"{cell}: {model.layers} x {model.hidden} units{embedding}{both}, {count:,} parameters"


def html(model: Model) -> str:
    """Return the model as HTML."""
    shapes = ((name, " × ".join(map(str, shape)), f"{prod(shape):,}") for name, shape in model.shapes.items())
    return "\n".join(
        [
            heading(sizes(model)),
            paragraph(text(model), "faint"),
            table(shapes, ("parameter", "shape", "numbers")),
        ]
    )
