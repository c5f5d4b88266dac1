"""Examples that the tool writes, for the pieces of a file, one after the other."""

import re
import time
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from bptt.checking.example.code import Code
from bptt.checking.example.infile import stated
from bptt.checking.example.names import namespace, small_constants, unknown_sizes
from bptt.checking.example.pieces import pieces
from bptt.checking.example.roles import kinds, size_of
from bptt.checking.example.search import Found, mixed
from bptt.checking.example.texts import SIZES, Example, rendered
from bptt.checking.example.trial import arrays
from bptt.checking.example.wording import adapted
from bptt.checking.example.writer import Writer
from bptt.checking.file import Source

MOST = 6  # examples of a piece, of each of `SEVERAL`

SEVERAL: tuple[dict[str, int | str], ...] = ({}, {"N": "1"})  # some code takes one sequence only

WRITTEN = "written by bptt"


def candidates(
    source: Source,
    name: str | None = None,
    seconds: float = 40.0,
    settled: Collection[str] = (),
    begun: dict[str, tuple[Any, ...]] | None = None,
) -> Iterator[Example]:
    """Yield the examples there are for a file: its own, and then those that the tool writes, piece by piece.

    With a `name`, only what this function, method or class takes part in. After `seconds` nothing more is
    written. Of functions that the caller adds to `settled`, which take gradients back, no more are wanted.
    In `begun` is by function, in the end, what of the lines that were tried came furthest, and how it ended.
    What is written ran, here: as many as `MOST` of a piece, the likeliest first, and then those for one
    sequence. What goes through time comes before what does not.
    """
    end = time.monotonic() + seconds
    if name is None:
        yield from stated(source)
    small = small_constants(source)
    names = namespace(source, small)
    if absent := unknown_sizes(source, names):
        small |= absent
        names = namespace(source, small)
    code = Code(source.tree, names)
    objects: dict[Any, list[Found]] = {}  # of classes, by their sizes
    for piece in pieces(code):
        last = piece.names[-1]
        own = (piece.owner.__name__ if piece.owner else "", *piece.names, *piece.calls)
        if time.monotonic() > end:
            return
        if last in settled or (name not in (None, *own)):
            continue
        functions = [code.of(piece.owner).get(f) for f in piece.calls]
        functions += [f for n, f in code.of(piece.owner).items() if piece.owner and n == "__init__"]
        read = code.read(functions, piece.owner)
        data = {n: v for n in sorted(read) if isinstance(v := names.get(n), (np.ndarray, dict, list))}
        shapes = [a.shape for v in data.values() for _, a in arrays(v)]
        first = [f"{n} = {_sized(n, v)}" for n, v in small.items() if n in read or shapes]
        through_time = False
        for changed in SEVERAL:
            now = time.monotonic()
            until = now + (end - now) / 3  # where it is not to be had, others get theirs
            writer = Writer(code, names, adapted({**SIZES, **changed}, shapes), piece, until, objects)
            texts = dict[str, None]()
            for one in writer.write():
                if len(texts) >= MOST or last in settled:
                    break
                marked = "\n".join([*first, *one.lines])
                steps = bool(re.search(r"«(?!size)[^»]*\bT\b", marked))
                if (mixed(one.chosen) and not changed) or (texts and through_time and not steps):
                    continue
                through_time |= writer.through_time and steps
                for text in dict.fromkeys([marked, _at_rest(one, marked)]):
                    if text not in texts and last not in settled:
                        texts[text] = None
                        yield Example(rendered(text, writer.sizes), WRITTEN, piece.names, writer.sizes, text)
            if begun is not None:
                begun[last] = max(writer.furthest, begun.get(last, writer.furthest))


def _sized(name: str, value: Any) -> str:
    """Return the text of a constant that is a size, or of a dict that has some."""
    if isinstance(value, dict):
        inside = (f"{k!r}: {_sized(k, v) if type(v) is int else repr(v)}" for k, v in value.items())
        return f"{{{', '.join(inside)}}}"
    return f"«size {size_of(name)}»" if value == SIZES.get(size_of(name)) else repr(value)


def _at_rest(found: Found, marked: str) -> str:
    """Return an example with states that start at zero, as some backwards take them to be."""
    for hole, text in found.chosen.items():
        if "h" in kinds(hole) and re.fullmatch(r"«[^a-z]*H[^a-z]*»", text):
            marked = marked.replace(text, f"«zeros {text[1:-1]}»")
    return marked
