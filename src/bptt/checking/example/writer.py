"""Examples are written for a piece of a file: an object is made, its forward is called, and its backward.

Each call's holes are filled in turn (`search`); a backward may be given what its forward took and returned.
"""

import ast
import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from bptt.checking.example.code import LOSS, is_closure
from bptt.checking.example.making import Maker
from bptt.checking.example.roles import is_cotangent, kinds, size_of, texts, without_d
from bptt.checking.example.scenes import Scene
from bptt.checking.example.score import scorer
from bptt.checking.example.search import HOLE, LEFT_OUT, Call, Found, fresh
from bptt.checking.example.texts import rendered
from bptt.checking.example.trial import Trial, arrays, odd, run
from bptt.checking.example.wording import (
    BEFORE,
    UNKNOWN,
    adapted,
    cotangent,
    last_name,
    likely,
    nearness,
    required,
    state_size,
)
from bptt.checking.file import bound


def _swapped(text: str, other: str) -> str:
    """Return a text in which the size of the state is another's, and that one's the state's."""
    return re.sub(f"(?<=«size )[H{other}](?=»)", lambda m: other if m[0] == "H" else "H", text)


class Writer(Maker):
    """Writes the examples of a piece of a file, until an end in terms of `time.monotonic`."""

    def write(self) -> Iterator[Found]:
        """Yield ways to show the piece, the likelier first; some may call the code wrongly."""
        *forwards, last = self.piece.calls
        nothing, making = Found([], {}, Trial(names=self.file)), Call()
        if self.owner is not None:
            self._make(making, self.instance, self.owner)
        for made in self._own(nothing, making):
            first = dict(arrays(made.trial.names.get(self.instance), self.instance))
            shapes, self.first = [a.shape for a in first.values()], {*first}
            chosen = dict(made.chosen)
            if other := state_size(self.sizes, shapes):  # it is the state's that was taken for another's
                chosen = {hole: _swapped(text, other) for hole, text in chosen.items()}
            else:  # sizes may be its own
                self.sizes = adapted(self.sizes, shapes)
            for hole, text in chosen.items():
                making.holes[hole] = [text, *making.holes[hole]]
                if hole not in made.unread and not re.search("«(?!size)", text):
                    making.fixed.add(hole)  # of an array other axes may be read
        if self.piece.scene:
            yield from self._as_shown(self.piece.scene, making)
            return
        node = self.code.node(self._function(last))
        if not forwards and node and is_closure(node):
            forwards = [last]
        ways: Iterable[Found] = [nothing]
        several = forwards != [last] and (self.through_time or len(required(self._function(last))) == 1)
        for forward in forwards:
            ways = self._forward(forward, making)
            if several:
                ways = (one for way in ways for one in self._steps(way, forward) or [way])
        for way in ways:
            backs = [n for n, v in way.outputs.items() if callable(v)] if forwards == [last] else [last]
            for name in backs:
                if not forwards:
                    yield from self._backward(way, name, making, alone=True)
                    continue
                for way.unlike in (False, True):
                    found = [*itertools.islice(self._backward(way, name, Call(), alone=False), 1)]
                    yield from found
                    handed = [(n, t) for one in found for n, t in one.chosen.items() if t in way.outputs]
                    same = any(
                        isinstance(way.outputs[t], np.ndarray) and nearness(n, t) < 3 for n, t in handed
                    )
                    if found and not same:  # or what it gave may stand where a gradient belongs
                        break

    def _as_shown(self, scene: Scene, making: Call) -> Iterator[Found]:
        """Yield ways to call a backward as the file itself does."""
        call = making.copy()
        for name in scene.open:
            own = self._made(scene.objects[name]) if name in scene.objects else []
            names = [name, scene.handed.get(name, name)]
            names.sort(key=lambda n: kinds(n)[:1] != ("target",))
            texts = [text for n in names if kinds(n) for text in likely(self.code, n, self.through_time)]
            call.hole(name, own or texts or likely(self.code, name, self.through_time) or ["None"])
        call.lines += [line.replace("__self__", self.instance) for line in scene.lines]
        *lead, last = (ast.parse(re.sub("«.*?»", "0", HOLE.sub(r"\1", line))) for line in scene.lines)
        results, set_before = {*bound(last)}, {name for line in lead for name in bound(line)}
        self.first |= {without_d(name) for name in results | set_before} & set_before - results
        roots = (*[self.instance] * bool(self.instance), *scene.open, *self.held, *set_before - results)
        watched = scorer(roots, self.file, self.first, self.through_time, results)
        nothing = Found([], {}, Trial(names=self.file))
        for found in self._fill(nothing, call, watched=watched, roots=roots):
            if found.trial.score or not scene.open:  # all of it is the file's own
                self._add_loss(found, {p: name for name, p in scene.handed.items() if name.isidentifier()})
                yield found

    # --- the calls

    def _forward(self, name: str, making: Call) -> Iterator[Found]:
        function, call = self._function(name), making.copy()
        self._call(call, f"out = {self._named(name)}", function, lambda c, p: self._argument(c, p, function))
        started = {id(v) for v in self.file.values()}

        def watched(trial: Trial) -> None:
            given = {id(a) for n, v in trial.names.items() if n != "out" for _, a in arrays(v, n)}
            trial.odd += odd(trial.names.get("out"), started | given)
            trial.score = 1.0

        nothing = Found([], {}, Trial(names=self.file))
        for one in self._fill(nothing, call, watched=watched):
            self._bind(one, function)
            yield one

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

    def _steps(self, way: Found, name: str) -> list[Found]:
        """Return an example of several steps, where a method does one and its object keeps the state."""
        function, outputs = self._function(name), [*way.outputs]
        given = required(function)
        loops = self.code.loops(function, self.piece.owner)
        if loops or not self.instance or len(given) != 1 or len(outputs) != 1:
            return []
        x, out = given[0], f"{outputs[0]}s"
        lines = [line for line in way.lines[:-1] if not line.startswith(f"{x} = ")]
        lines += [f"{x}s = [{way.chosen[x]} for _ in range(«size T»)]"]
        call = f"{out} = [{self._named(name)}({x}) for {x} in {x}s]"
        trials = [
            run(rendered("\n".join([*lines, *more, call]), self.sizes), self.file)
            for more in ([], [], [f"{x}s[0] = -{x}s[0]"])  # the same twice: it may draw
        ]
        if any(one.error for one in trials):
            return []
        first, again, other = (one.names[out][-1] for one in trials)
        if np.array_equal(first, other) or not np.array_equal(first, again):
            return []
        return [Found([*lines, call], way.chosen, trials[0], {out: trials[0].names[out]}, True)]

    def _backward(self, way: Found, name: str, making: Call, alone: bool) -> Iterator[Found]:
        function = way.outputs.get(name) or self._function(name)
        call = making.copy()
        each = required(function)
        option = (lambda c, p: self._argument(c, p, function)) if alone else self._after(way, len(each) == 1)
        if way.steps and len(each) == 1 and not self.code.loops(function, self.piece.owner):
            call.lines += [f"{each[0]}s = [np.random.randn(*v.shape) for v in {next(iter(way.outputs))}]"]
            call.lines += [f"grads = [{self._named(name)}({each[0]}) for {each[0]} in {each[0]}s[::-1]]"]
        else:
            target = "grads = " + (name if name in way.outputs else self._named(name))
            self._call(call, target, function, option)
        roots = (*[self.instance] * bool(self.instance), *self.held)
        watched = scorer(roots, self.file, self.first, self.through_time)
        unnamed = [n for n in each if not is_cotangent(n)]
        for f in self._fill(way, call, watched=watched, roots=roots):
            made = [n for n in unnamed if f.chosen.get(n, "").startswith("np.random.randn(*")]
            if not f.trial.score or (len(made) > (len(unnamed) == len(each)) and not alone):
                continue  # it wants what the forward keeps for itself
            f.chosen |= way.chosen
            value, names = f.trial.names.get("grads"), self.code.returned(function)
            taken = {*self.file, *re.findall(r"\w+", "\n".join(f.lines)), "out"}
            line = f.lines[-1].removeprefix("grads = ")
            if value is None:
                f.lines[-1] = line
            elif isinstance(value, tuple) and len(set(names)) == len(value) <= 12 and not taken & set(names):
                f.lines[-1] = f"{', '.join(names)} = {line}"
            self._add_loss(f)
            yield f

    def _add_loss(self, found: Found, more: dict[str, str] | None = None) -> None:
        """Have the code's own loss called before the backward, if it takes what the example has, by name.

        `more` has names of the example by parameters to which they were handed.
        """
        there = found.chosen | {n: n for n in found.trial.names if n not in self.file}
        there |= {p: name for p, name in (more or {}).items() if name in there}
        for name, function in self.code.of(self.piece.owner).items():
            given, is_loss = required(function), LOSS.search(name) and name not in self.piece.calls
            if not is_loss or not given or not there.keys() >= {*given} or "loss" in there:
                continue
            call = f"loss = {self._named(name)}({', '.join(there[n] for n in given)})"
            lines = [*found.lines[:-1], call, found.lines[-1]]
            trial = run(rendered("\n".join(lines), self.sizes), self.file)
            if not trial.error and isinstance(trial.names["loss"], float):
                found.lines = lines
                return

    # --- what a backward is handed

    def _after(self, way: Found, only: bool) -> Callable[[Call, inspect.Parameter], str]:
        return lambda call, p: call.hole(p.name, self._handed(p, way, only) or ["None"])

    def _handed(self, p: inspect.Parameter, way: Found, only: bool) -> list[str]:
        """Return what to try for a backward's parameter: what the forward took or returned, or a gradient."""
        outputs, names = way.outputs, way.trial.names
        given = {n: v for n, v in names.items() if n not in (*self.file, *outputs, self.instance, "_watch")}
        pool = {**outputs, **given}
        own = [p.name] * (p.name in pool) + [n for n in (f"{p.name}_", f"{p.name}__") if n in given]
        own += [text for hole, text in way.chosen.items() if text and hole == p.name]
        if own:
            return own[:1]
        if p.default is not p.empty:
            return ["1" if kinds(p.name)[:1] == ("once",) else LEFT_OUT]
        held = dict(arrays(names.get(self.instance), self.instance)) if self.instance else {}
        floats = {n: v for n, v in pool.items() if isinstance(v, float) or next(arrays(v), None)}
        states = [n for n in floats if n in outputs or (kinds(n)[:1] == ("h",) and nearness(p.name, n) >= 3)]
        states.sort(key=lambda n: -nearness(p.name, n) - (3.2 if re.fullmatch("out_*", n) else n in outputs))
        held = {q: a for q, a in held.items() if q not in self.first and not is_cotangent(last_name(q))}
        changed = sorted(held, key=lambda q: -nearness(p.name, q))[:6]
        gradients = [cotangent(n, floats[n]) for n in states] + [cotangent(n, held[n]) for n in changed]
        stacks = [f"np.array({n}){t}" for n in outputs if way.steps for t in ("", ".T")]
        gradients = [*(f"np.random.randn(*{stack}.shape)" for stack in stacks), *gradients]
        before = bool(BEFORE.search(p.name))

        def likeness(n: str) -> float:
            when = (n not in outputs and bool(BEFORE.search(n))) == before
            unnamed = 2.5 * (n in outputs and n.startswith("out") and not before)
            return max(unnamed, nearness(p.name, n)) + 0.9 * when

        passed = sorted(pool, key=lambda n: -likeness(n))
        kind = (kinds(p.name) or ("",))[0]
        if "target" in kinds(p.name):
            like = [f"np.random.rand(*{n}.shape)" for n in outputs if isinstance(floats.get(n), np.ndarray)]
            labels = [n for n in passed if n in given and "target" in kinds(n)]
            return [*labels, *texts("target"), *like, *gradients, *(t for t in passed if t in given)]
        is_other = bool(gradients) and all(nearness(p.name, n) < 3 for n in passed)
        if is_other and way.unlike and not only and not is_cotangent(p.name):
            return [*gradients, *passed]
        if is_cotangent(p.name) or (only and is_other):
            unlike = [f"«{axes}»" for axes in ("T N H", "T H", "T H 1", "N H", "H", "H 1")]
            return unlike if way.unlike else [*gradients, "1.0"] if gradients else passed
        if kind == "cache":
            made = [n for n, v in outputs.items() if not isinstance(v, np.ndarray)]
            return [*made[::-1], *passed, *gradients]
        if kind in ("rate", "layers") or (size_of(p.name) and all("size:" in k for k in kinds(p.name))):
            return [*likely(self.code, p.name, True, True)[:3], *passed]
        # fresh data would not be what the forward was given, and right code would seem wrong
        return [*passed, *gradients, *UNKNOWN] if pool else likely(self.code, p.name, True)
