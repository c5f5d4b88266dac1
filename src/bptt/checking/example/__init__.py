"""Examples: a few lines that call the code under judgement once, as its author would in a notebook."""

from bptt.checking.example.found import candidates
from bptt.checking.example.infile import main_program, stated
from bptt.checking.example.pieces import backwards, equations, sibling
from bptt.checking.example.texts import Example, given, other_sizes

__all__ = [
    "Example",
    "backwards",
    "candidates",
    "equations",
    "given",
    "main_program",
    "other_sizes",
    "sibling",
    "stated",
]
