"""Examples are written for a piece of a file: an object is made, its forward is called, and its backward.

Each call's holes are filled in turn (`search`); a backward may be given what its forward took and returned.
"""

import ast
import inspect
import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bptt.checking.example.options import Options, aligned, class_of, last_name, takes_arrays
from bptt.checking.example.pieces import Code, Piece, losses, parameters
from bptt.checking.example.roles import LAYOUTS, Sizes, is_cotangent, kinds, matrix_sizes, size_of
from bptt.checking.example.search import Call, Found, fill, fresh
from bptt.checking.example.trial import Trial, arrays, odd

SECONDS = 2.0
"""The calls of a piece get so much time each."""


class Writer:
    """Writes the examples of a piece of a file.

    Parameters
    ----------
    code : Code
    file : dict
        What the file defines.
    sizes : mapping
        Of the symbols, numbers or the file's own names for them.
    piece : Piece
    """

    def __init__(self, code: Code, file: dict[str, Any], sizes: Sizes, piece: Piece) -> None:
        self.code, self.file, self.sizes, self.piece = code, file, sizes, piece
        self.options = Options(code, sizes)
        self.deadline = time.process_time() + SECONDS
        self.made: dict[str, list[str]] = {}
        name = piece.owner.__name__.lower() if piece.owner else ""
        name = next((n for n in ("cell", "layer", "model") if n in name), "net")
        self.instance = fresh(name, set(file)) if piece.owner else ""

    def write(self) -> list[Found]:
        """Return the ways to show the piece, the best first; none if no way was found."""
        starts, first = [Found([], {}, Trial(names=self.file))], Call()
        if self.piece.owner:
            starts, first = self._objects(starts[0])
            self._adapt(starts[:1])
        found: list[Found] = []
        for start in starts[:3]:
            found += self._shown(start, first)
            if any(f.trial.score >= 1 and not f.trial.odd for f in found):
                break
        unique = {"\n".join(f.lines): f for f in found}
        return sorted(unique.values(), key=lambda f: (f.trial.odd > 0, -f.trial.score))

    def _fill(self, before: Found, call: Call, **more: Any) -> list[Found]:
        return fill(before.lines, call, self.file, self.code.suspects, self.deadline, self.sizes, **more)

    def _call(
        self, call: Call, target: str, function: Any, option: Callable[[Call, inspect.Parameter], str]
    ) -> None:
        """Add the line of a call; `option` gives what stands for a parameter, and the call its holes."""
        given = [(p, option(call, p)) for p in parameters(function)]
        inside = ", ".join(t if p.default is p.empty else f"{p.name}={t}" for p, t in given)
        call.lines.append(f"{target}({inside})")

    # --- the object

    def _objects(self, nothing: Found) -> tuple[list[Found], Call]:
        """Return how to make the object, or the call of its constructor, if it is given its weights."""
        owner = self.piece.owner
        assert owner is not None
        given = parameters(owner)
        symbols = [size_of(p.name) for p in given]
        self.options.wide = "V D" if "V" in symbols and "D" not in symbols else "D V"
        call = self._constructor(owner, f"{self.instance} = {owner.__name__}")
        if takes_arrays(given):
            return [nothing], call
        return self._fill(nothing, call, enough=3), Call()

    def _adapt(self, starts: list[Found]) -> None:
        """Take the sizes of the object's matrices where it has none of those that were asked for."""
        values = [a for f in starts for _, a in arrays(f.trial.names.get(self.instance))]
        sizes = matrix_sizes([a.shape for a in values if a.ndim == 2])
        if not sizes:
            return
        new: dict[str, int | str] = {}
        if str(sizes["H"]) != str(self.sizes["H"]):
            new["H"] = str(sizes["H"])
        if str(sizes["D"]) not in [str(self.sizes[symbol]) for symbol in "DVH"]:
            new |= {"D": str(sizes["D"]), "V": str(sizes["V"])}
        if str(self.sizes["T"]) in new.values():
            new["T"] = 6
        self.sizes = {**self.sizes, **new}
        self.options.sizes = self.sizes

    def _constructor(self, owner: type, target: str) -> Call:
        call, making = Call(), not takes_arrays(parameters(owner))
        self._call(call, target, owner, lambda call, p: self._argument(call, p, owner.__init__, making))  # type: ignore[misc]
        return call

    def _argument(self, call: Call, p: inspect.Parameter, function: Any, making: bool = False) -> str:
        """Return what stands for a parameter of which nothing but the function is known."""
        loops = not making and self.code.loops(function, self.piece.owner)
        name, empty = class_of(p, self.code.classes), p.default is p.empty
        if name and not making and takes_arrays(inner := parameters(self.code.classes[name])):
            return self._of_parts(call, p.name, [part.name for part in inner], name + "({})", "<{0}>", False)
        texts = self._of_class(name) if name else []
        sort, parts = ("", []) if making or texts or not empty else self._parts(function, p.name)
        if parts:
            texts = self.options.makers(p.name)
            if not texts and sort == "[]":
                return self._of_parts(call, p.name, parts, "{{{}}}", '"{0}": <{0}>', loops)
            if not texts and sort == ",":
                return self._of_parts(call, p.name, parts, "[{}]", "<{0}>", loops)
        call.holes[p.name] = aligned(texts or self.options.texts(p, loops, making))
        return f"<{p.name}>"

    def _parts(self, function: Any, name: str) -> tuple[str, list[str]]:
        sort, parts = self.code.parts(function, name, self.piece.owner)
        return sort, parts if sort != "," or len(parts) > 1 else []

    def _of_parts(self, call: Call, name: str, parts: list[str], whole: str, part: str, loops: bool) -> str:
        for key in parts:
            call.holes[key] = aligned(self.options.named(key, loops))
        free = fresh(name, {*self.file, *call.holes})
        call.lines.append(f"{free} = " + whole.format(", ".join(part.format(key) for key in parts)))
        return free

    def _of_class(self, name: str) -> list[str]:
        """Return how to make an object of a class in one line."""
        if name not in self.made:
            self.made[name] = [f"={name}"]
            call = self._constructor(self.code.classes[name], "made = " + name)
            found = self._fill(Found([], {}, Trial()), call)[:2]
            lines = [f.lines[0].removeprefix("made ") for f in found if len(f.lines) == 1]
            self.made[name] = [*(f"={line.removeprefix('= ')}" for line in lines), f"={name}"]
        return self.made[name]

    # --- the forward

    def _shown(self, start: Found, first: Call) -> list[Found]:
        *forwards, last = self.piece.calls
        self.start = {p: a.copy() for p, a in arrays(start.trial.names.get(self.instance), self.instance)}
        ways = [start]
        if not forwards and self._is_closure(last):
            forwards = [last]
        for forward in forwards:
            ways = [found for way in ways for found in self._forward(way, forward, first)]
        if forwards and forwards != [last]:
            ways = [found for way in ways for found in (*self._with_loss(way), way)]
        self.deadline = time.process_time() + SECONDS
        found: list[Found] = []
        for way in ways:
            backs = [n for n, v in way.outputs.items() if callable(v)] if forwards == [last] else [last]
            for name in backs:
                found += self._backward(way, name, first if way is start else Call(), alone=not forwards)
            if time.process_time() > self.deadline:
                break
        return found

    def _is_closure(self, name: str) -> bool:
        """Return whether a function returns the one that takes gradients back."""
        node = self.code.node(function := self._function(name))
        inner = {n.name for n in ast.walk(node) if isinstance(n, ast.FunctionDef)} if node else set()
        return bool(inner & set(self.code.returned(function)))

    def _function(self, name: str) -> Any:
        return getattr(self.piece.owner, name) if self.piece.owner else self.file[name]

    def _named(self, name: str) -> str:
        return f"{self.instance}.{name}" if self.instance else name

    def _forward(self, start: Found, name: str, first: Call) -> list[Found]:
        function, call = self._function(name), Call(list(first.lines), dict(first.holes))
        self._call(call, f"out = {self._named(name)}", function, lambda c, p: self._argument(c, p, function))
        known = {id(a) for n, v in start.trial.names.items() for _, a in arrays(v, n)}

        def watched(trial: Trial) -> None:
            given = {id(a) for n, v in trial.names.items() if n != "out" for _, a in arrays(v, n)}
            trial.odd += odd(trial.names.get("out"), known | given)
            trial.score = 1.0

        more = {"layouts": len(LAYOUTS), "varied": _varied(call), "watched": watched, "enough": 8}
        found = self._fill(start, call, **more)
        for one in found:
            self._bind(one, function)
        return found

    def _bind(self, found: Found, function: Any) -> None:
        """Name what a forward returned: by the text for it, each value."""
        value, names = found.trial.names.pop("out", None), self.code.returned(function)
        call = found.lines[-1].removeprefix("out = ")
        taken = {*self.file, *re.findall(r"\w+", "\n".join([*found.lines[:-1], call]))}
        if isinstance(value, tuple) and len(names) == len(value):
            found.outputs = dict(zip([fresh(n, taken) for n in names], value, strict=True))
            call = f"{', '.join(found.outputs)} = {call}"
        elif value is not None:
            name = fresh(names[0] if len(names) == 1 else "out", taken)
            inside = {f"{name}[{k}]": v for k, v in enumerate(value)} if isinstance(value, tuple) else {}
            found.outputs, call = {name: value, **inside}, f"{name} = {call}"
        found.lines[-1] = call
        found.trial.names |= found.outputs

    # --- the backward

    def _backward(self, way: Found, name: str, first: Call, alone: bool) -> list[Found]:
        function = way.outputs.get(name) or self._function(name)
        call = Call(list(first.lines), dict(first.holes))

        option = self._after(way)
        if alone:
            option = lambda call, p: self._argument(call, p, function)  # noqa: E731
        target = name if name in way.outputs else self._named(name)
        self._call(call, f"grads = {target}", function, option)
        more = {"layouts": len(LAYOUTS), "varied": _varied(call), "enough": 6} if alone else {"enough": 1}
        found = [f for f in self._fill(way, call, watched=self._scorer(), **more) if f.trial.score > 0]
        for f in found:
            f.chosen = way.chosen | f.chosen
            value, names = f.trial.names.get("grads"), self.code.returned(function)
            taken = {*self.file, *re.findall(r"\w+", "\n".join(f.lines)), "out"}
            if value is None:
                f.lines[-1] = f.lines[-1].removeprefix("grads = ")
            elif isinstance(value, tuple) and len(set(names)) == len(value) <= 12 and not taken & set(names):
                f.lines[-1] = f"{', '.join(names)} = " + f.lines[-1].removeprefix("grads = ")
        return found

    def _scorer(self) -> Callable[[Trial], None]:
        """Return what scores a trial by how many parameters have a gradient of their shape, or moved."""
        start, instance = self.start, self.instance
        weights = {path: a for path, a in start.items() if not is_cotangent(path.split(".")[-1])}
        functions = [self._function(f) for f in self.piece.calls]
        nodes = [node for f in functions for node in self.code.reached(f, self.piece.owner)]
        read = {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}
        held = {n: v for n, v in self.file.items() if n in read and isinstance(v, (np.ndarray, dict, list))}
        through_time = self.code.loops(functions[-1], self.piece.owner)

        def watched(trial: Trial) -> None:
            new = {n: v for n, v in trial.names.items() if n not in self.file and n != instance}
            own = {
                n
                for n in new
                if n != "grads" and (k := kinds(n)[:1]) and (k[0][0] in "Wb" or k[0] == "params")
            }
            wanted = {p: a for n in own for p, a in arrays(new[n], n)}
            wanted |= {p: a for n, v in held.items() for p, a in arrays(v, n) if not is_cotangent(n)}
            after = dict(arrays(trial.names.get(instance), instance)) if instance else {}
            moved = {p for p, a in weights.items() if p in after and not np.array_equal(after[p], a)}
            got = [a.shape for _, a in arrays(new.get("grads"))]
            got += [a.shape for p, a in after.items() if p not in weights and (p not in start or a.any())]
            got += [a.shape for n, v in new.items() for p, a in arrays(v, n) if is_cotangent(last_name(p))]
            count = 0
            for path, array in (wanted | weights).items():
                if path not in moved and array.shape in got:
                    got.remove(array.shape)
                    count += 1
                count += path in moved
            several = len(wanted | weights)
            trial.score = count / several if several else 0.5 * (bool(got) and through_time)

        return watched

    def _with_loss(self, way: Found) -> list[Found]:
        """Return an example with a line that asks for the loss, where the code says what it is."""
        taken = {*self.file, *re.findall(r"\w+", "\n".join(way.lines))}
        target = fresh("loss", taken)

        def watched(trial: Trial) -> None:
            value = trial.names.get(target)
            trial.score = float(isinstance(value, (float, np.floating)) and bool(np.isfinite(value)))

        for name in losses(self.code, self.piece):
            call = Call()
            self._call(call, f"{target} = {self._named(name)}", self._function(name), self._after(way))
            end, self.deadline = self.deadline, min(self.deadline, time.process_time() + SECONDS / 4)
            found = [f for f in self._fill(way, call, watched=watched, enough=2) if f.trial.score]
            self.deadline = end
            for f in found:
                f.outputs, f.chosen = way.outputs, way.chosen | f.chosen
            if found:
                return found
        return []

    def _after(self, way: Found) -> Callable[[Call, inspect.Parameter], str]:
        def option(call: Call, p: inspect.Parameter) -> str:
            call.holes[p.name] = aligned(self.options.handed(p, way, self.file, self.instance, self.start))
            return f"<{p.name}>"

        return option


def _varied(call: Call) -> str:
    """Return the hole that says most of how the sequences are laid out."""
    return next((h for h in call.holes if set(kinds(h)[:1]) & {"x", "tokens"}), next(iter(call.holes), ""))
