"""Examples that the tool writes, for the pieces of a file, one after the other."""

import ast
import itertools
import re
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from bptt.checking.example.infile import stated
from bptt.checking.example.made import Example
from bptt.checking.example.names import namespace, small_constants
from bptt.checking.example.pieces import Code, Piece, pieces
from bptt.checking.example.roles import SIZES, kinds, rendered, size_of
from bptt.checking.example.search import Found
from bptt.checking.example.writer import Writer
from bptt.checking.file import Source

_OF_A_PIECE = 3
_FORCED: tuple[dict[str, str], ...] = ({}, {"D": "H"}, {"D": "1", "V": "1"})
"""Some code has features as wide as the state, and some takes numbers."""


def candidates(
    source: Source, name: str | None = None, run: bool = False, seconds: float = 40.0
) -> Iterator[Example]:
    """Yield the examples there are for a file: its own, and then those that the tool writes, piece by piece.

    Parameters
    ----------
    source : Source
    name : str, optional
        Only what this function, method or class takes part in.
    run : bool
        Whether what the file does when it is run is an example, too. It then comes first.
    seconds : float
        After which no other piece is begun.

    Yields
    ------
    Example
        What is written ran, here: as many as four of a piece, the likeliest first. What goes through time
        comes before what does not.
    """
    end = time.monotonic() + seconds
    if name is None:
        yield from stated(source, run)
    small = small_constants(source)
    names = namespace(source, small)
    code = Code(source.tree, source.text, names)
    done: set[tuple[type | None, str]] = set()
    for forced, piece in itertools.product(_FORCED, pieces(code)):
        last = (piece.owner, piece.calls[-1])
        own = (piece.owner.__name__ if piece.owner else "", *piece.names, *piece.calls)
        if time.monotonic() > end:
            return
        if last in done or (name is not None and name not in own):
            continue
        sizes, first = _sizes_of(names, code, piece, small)
        sizes |= {s: int(size) if size.isdigit() else sizes[size] for s, size in forced.items()}
        writer = Writer(code, names, sizes, piece)
        found, sizes = writer.write(), dict(writer.sizes)
        done |= {last} if found else set()
        found = _unlike(found)[:_OF_A_PIECE]
        texts = ["\n".join([*first, *f.lines]) for f in found]
        texts += [_at_rest(f, text) for f, text in zip(found[:1], texts, strict=False)]
        for text, marked in {rendered(marked, sizes): marked for marked in texts}.items():
            yield Example(text, "written by bptt", piece.names, sizes, marked)


def _unlike(found: list[Found]) -> list[Found]:
    """Return what was found with the first of one sequence, or of several, next to the first of all."""
    several = [bool(re.search("«[^»]*N", "".join(f.lines))) for f in found]
    other = next((k for k, many in enumerate(several) if many != several[0]), len(found))
    return [*found[:1], *found[other : other + 1], *found[1:other], *found[other + 1 :]]


def _at_rest(found: Found, marked: str) -> str:
    """Return an example with states that start at zero, as some backwards take them to be."""
    for hole, text in found.chosen.items():
        if {"h", "c"} & set(kinds(hole)) and "H" in text and ":" not in text:
            marked = marked.replace(f"«{text}»", f"«zeros:{text}»")
    return marked


def _sizes_of(
    names: dict[str, Any], code: Code, piece: Piece, small: dict[str, int]
) -> tuple[dict[str, int | str], list[str]]:
    """Return the sizes for a piece, and lines that set them where it reads the module's arrays and sizes."""
    sizes: dict[str, int | str] = dict(SIZES)
    functions = code.of(piece.owner)
    nodes = [node for f in piece.calls for node in code.reached(functions[f], piece.owner)]
    read = {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}
    shapes = [a.shape for n in sorted(read) for a in _matrices(names.get(n), n)]
    if not shapes:
        return sizes, [f"{n} = {v}" for n, v in small.items() if n in read]
    ints = {n: v for n, v in names.items() if isinstance(v, int) and not isinstance(v, bool)}
    squares = [s[0] for s in shapes if s[0] == s[1]]
    known = {size_of(n): v for n, v in ints.items() if size_of(n) == "H"}
    H = max(set(squares), key=squares.count) if squares else known.get("H", SIZES["H"])
    others = [n for s in shapes for n in s if n not in (1, H, 3 * H, 4 * H)]
    V = max(set(others), key=others.count) if others else SIZES["V"]
    sizes["H"] = next((n for n, v in ints.items() if v == H and size_of(n) == "H"), H)
    sizes["V"] = next((n for n, v in ints.items() if v == V and size_of(n) in ("V", "D")), V)
    return sizes, [f"{n} = {v}" for n, v in small.items()]


def _matrices(value: Any, name: str) -> list[np.ndarray]:
    if isinstance(value, dict):
        return [a for k, v in value.items() for a in _matrices(v, str(k))]
    return [value] if isinstance(value, np.ndarray) and value.ndim == 2 and kinds(name)[:1] else []
