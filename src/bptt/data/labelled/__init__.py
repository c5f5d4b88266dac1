"""Labelled sequences: rows of tables as sequences of words or numbers, and what is to be told of them."""

from bptt.data.labelled.coding import Coding, kind_of, split
from bptt.data.labelled.layout import ELAPSED, NUMBERS, STEPWISE, Absent, Layout
from bptt.data.labelled.rows import Labelled, has_label_each, read_labelled
from bptt.data.labelled.several import mark_within, together

__all__ = [
    "ELAPSED",
    "NUMBERS",
    "STEPWISE",
    "Absent",
    "Coding",
    "Labelled",
    "Layout",
    "has_label_each",
    "kind_of",
    "mark_within",
    "read_labelled",
    "split",
    "together",
]
