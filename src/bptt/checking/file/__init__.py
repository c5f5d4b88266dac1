"""A file of any kind, read: what stands in it, what it defines, and how it is written back. Nothing runs."""

from bptt.checking.file.defining import (
    bound,
    definitions,
    leading_constants,
    overridden,
    root,
    without_unread,
)
from bptt.checking.file.imports import SubjectError, define, importers, modules, neighbours, stand_ins
from bptt.checking.file.meaning import guards, in_double, unguarded
from bptt.checking.file.source import Source, read, session

__all__ = [
    "Source",
    "SubjectError",
    "bound",
    "define",
    "definitions",
    "guards",
    "importers",
    "in_double",
    "leading_constants",
    "modules",
    "neighbours",
    "overridden",
    "read",
    "root",
    "session",
    "stand_ins",
    "unguarded",
    "without_unread",
]
