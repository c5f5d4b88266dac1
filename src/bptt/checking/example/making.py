"""Objects are made: of the class whose methods are shown, and those that calls want."""

import ast
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bptt.checking.example.code import Code, keywords, makers, parameters
from bptt.checking.example.pieces import Piece
from bptt.checking.example.roles import kinds, size_of
from bptt.checking.example.search import LEFT_OUT, Call, Found, fill, fresh
from bptt.checking.example.texts import Sizes
from bptt.checking.example.trial import Trial
from bptt.checking.example.unknown import NeedError
from bptt.checking.example.wording import SAID, likely, said


class _Open(ast.NodeTransformer):
    """Puts ``...`` where something is unknown."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        head = ast.unparse(node.func)
        self.generic_visit(node)
        return ast.Constant(...) if head.startswith("_watch.") else node


class Maker:
    """Writes how objects are made, until an end in terms of `time.monotonic`."""

    def __init__(
        self,
        code: Code,
        file: dict[str, Any],
        sizes: Sizes,
        piece: Piece,
        end: float,
        objects: dict[Any, list[Found]],
    ) -> None:
        self.code, self.file, self.sizes, self.piece, self.end = code, file, sizes, piece, end
        self.objects = objects
        self.owner = piece.scene.owner if piece.scene else piece.owner
        name = self.owner.__name__.lower() if self.owner else ""
        name = next((n for n in ("cell", "layer", "model") if n in name), "net")
        self.instance = fresh(name, set(file)) if self.owner else ""
        self.first: set[str] = set()
        last = self._function(piece.calls[-1])
        self.through_time = last is None or code.loops(last, piece.owner)
        read = code.read(list(map(self._function, piece.calls)), piece.owner)
        self.held = tuple(n for n, v in file.items() if n in read and isinstance(v, (np.ndarray, dict, list)))
        self.made: dict[str, list[str]] = {}
        self.furthest: tuple[tuple[int, ...], str, str] = ((), "", "")  # of what was tried

    def _noted(self, calls: int, text: str, trial: Trial) -> None:
        """Keep the lines that came furthest: of several calls, and of what they execute."""
        rank = (calls, trial.done, trial.lines)
        if rank > self.furthest[0]:
            error = trial.error
            why = "no gradient was found" if error is None else f"{type(error).__name__}: {error}"
            why = "what stands as ... was not found" if isinstance(error, NeedError) else why
            self.furthest = (rank, ast.unparse(_Open().visit(ast.parse(text))), " ".join(why.split())[:120])

    def _own(self, nothing: Found, making: Call) -> list[Found]:
        """Return how an object of the class is made and made ready, which is looked for once."""

        def made() -> list[Found]:
            key = (str(making.lines), str(making.holes), str(self.sizes))
            if key not in self.objects:
                self.objects[key] = [*itertools.islice(self._fill(nothing, making), bool(making.lines))]
            return self.objects[key]

        def lacks(ways: list[Found]) -> int:
            return self.code.lacks(ways[0].trial.names.get(self.instance)) if ways else 1000

        found = made()
        if found and lacks(found):  # what has a default may have to be given
            before = dict(making.holes)
            making.holes |= {h: texts[1:] for h, texts in before.items() if texts[0] == LEFT_OUT}
            if lacks(given := made()) < lacks(found):
                found = given
            else:
                making.holes = before
        if found and (own := found[0].trial.names.get(self.instance)) is not None:
            shown = self.piece.calls
            if self.piece.scene:
                text = " ".join(self.piece.scene.lines)
                shown = tuple(name for name in self.code.of(self.owner) if f"__self__.{name}(" in text)
            for name in self.code.unready(own, [*shown]):
                method = getattr(self.owner, name)
                self._call(making, f"{self.instance}.{name}", method, functools.partial(self._ready, method))
            if not (ready := made()):
                del making.lines[1:]
            found = ready or found
        return found

    def _fill(self, before: Found, call: Call, **more: Any) -> Iterator[Found]:
        like = functools.partial(likely, self.code, through_time=self.through_time)
        noted = functools.partial(self._noted, len(before.lines) + len(call.lines))
        more |= {"like": like, "objects": self._objects, "script": self.code.script, "noted": noted}
        return fill(before, call, self.file, self.end, self.sizes, **more)

    def _function(self, name: str) -> Any:
        return getattr(self.piece.owner, name) if self.piece.owner else self.file.get(name)

    def _named(self, name: str) -> str:
        return f"{self.instance}.{name}" if self.instance else name

    def _call(
        self, call: Call, target: str, function: Any, option: Callable[[Call, inspect.Parameter], str]
    ) -> None:
        """Add the line of a call; `option` gives what stands for a parameter, and the call its holes."""
        given = [(p, option(call, p)) for p in parameters(function)]
        parts = [t if p.default is p.empty else f"{p.name}={t}" for p, t in given]
        if isinstance(function, type) and (name := keywords(function)):
            parts.append("**" + call.hole(f"{self.instance}.**{name}", ["{}"]))
        inside = ", ".join(parts)
        call.lines.append(f"{target}({inside})")

    def _make(self, call: Call, target: str, owner: type) -> None:
        init = owner.__init__  # type: ignore[misc]
        self._call(call, f"{target} = {owner.__name__}", owner, lambda c, p: self._argument(c, p, init, True))

    def _ready(self, function: Any, call: Call, p: inspect.Parameter) -> str:
        return self._argument(call, p, function, bool(size_of(p.name)) or "shape" in p.name)

    def _argument(self, call: Call, p: inspect.Parameter, function: Any, making: bool = False) -> str:
        """Return what stands for a parameter of which nothing but the function is known."""
        loops = not making and self.code.loops(function, self.piece.owner)
        found = self._texts(p, loops, making) or ["None"]
        if p.default is p.empty and kinds(p.name)[:1] == ("params",):
            found = makers(self.code, self.owner, self.instance, p.name) or found
        return call.hole(f"{self.instance}.{p.name}" if making else p.name, found)

    def _texts(self, p: inspect.Parameter, through_time: bool, making: bool) -> list[str]:
        size = size_of(p.name)
        found = likely(self.code, p.name, through_time, making)
        if kinds(p.name)[:1] == ("once",):
            return ["1"]
        if type(p.default) is int and (size in (*"DHV",) or (making and p.default > 12)):
            return [f"«size {size if size in (*'TDHV',) else 'H'}»", *found[:3], LEFT_OUT]
        if not kinds(p.name):
            found = [*SAID.get(said(p), found)]
        return found if p.default is p.empty else [LEFT_OUT, *dict.fromkeys(found[:4])]

    def _made(self, name: str) -> list[str]:
        """Return how to make an object of a class."""
        if name not in self.made:
            self.made[name], call, owner = [name], Call(), self.code.made[name]
            self._make(call, "made", owner)
            found = itertools.islice(self._fill(Found([], {}, Trial(names=self.file)), call), 1)
            lines = [f.lines[0].removeprefix("made = ") for f in found if len(f.lines) == 1]
            self.made[name] = [*lines, name]
        return self.made[name]

    def _objects(self, attribute: str) -> list[str]:
        """Return how to make the objects that have an attribute."""
        named = [n for n, c in self.code.made.items() if attribute in self.code.attributes(c)]
        return [text for name in named[:3] for text in self._made(name)[:1]]
