"""Arguments are learned from their use: what a function does with a value says what the value must be.

A value that is not known yet ends the run at its first use, and the use leaves few things that it can be: an
index is a number, what is gone through is a sequence, what is multiplied with a matrix of five columns has
five rows. Each of these is tried, until nothing is unknown and the call runs.
"""

import contextlib
import heapq
import itertools
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from bptt.checking.example.mismatch import mended
from bptt.checking.example.roles import is_cotangent, size_of
from bptt.checking.example.texts import Sizes
from bptt.checking.example.trial import Trial, odd
from bptt.checking.example.unknown import Path, Use, Watch

Node: TypeAlias = Any
"""What is known of a value: None, Python text, or a list, a tuple, a dict or an array of such."""

_LITERAL = re.compile(r"[-\d.]+|'.*'|None|True|np\.tanh|")
_JOINED = ("vstack", "row_stack", "hstack", "column_stack", "concatenate", "concat", "append")
_PRODUCTS = ("matmul", "rmatmul", "dot", "inner")
_GENERAL = [
    f"«{' '.join(axes)}»"
    for count in (2, 1, 3)
    for axes in itertools.permutations("TNDHV1", count)
    if count < 3 or {"T", "N"} <= {*axes}
]


def put(node: Node, path: Path, new: Node) -> Node:
    """Return what is known, with something new at a place."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    match node:
        case ("rows", symbol, child):
            return ("rows", symbol, put(child, rest, new))
        case ("tuple", names, *children):
            return ("tuple", names, *(put(c, rest, new) if k == step else c for k, c in enumerate(children)))
        case ("dict" | "space" as kind, entries):
            return (kind, {k: put(c, rest, new) if k == step else c for k, c in entries.items()})
    return node


def at(node: Node, path: Path) -> Node:
    """Return what is known at a place."""
    for step in path:
        node = node[2] if node[0] == "rows" else node[2 + step] if node[0] == "tuple" else node[1][step]
    return node


def known(node: Node) -> bool:
    """Return whether nothing of it is unknown."""
    if node is None or isinstance(node, str):
        return node is not None
    parts = [*node[1].values()] if node[0] in ("dict", "space") else node[2:]
    return bool(parts) and all(map(known, parts))


def worded(node: Node, path: Path, plain: bool = False) -> str:
    """Return what is known as the text of an example; what is unknown is asked of ``_watch``.

    A dict of which no more keys are wanted is `plain`.
    """
    match node:
        case None:
            return f"_watch.unknown{path!r}" if len(path) > 1 else f"_watch.unknown({path[0]!r})"
        case ("rows", symbol, child):
            text = worded(child, (*path, "*"), plain)
            if not known(child):
                return f"_watch.rows({path!r}, [{text} for _ in range(«size {symbol}»)])"
            inner = re.fullmatch("«((?:onehot |zeros |tokens |labels |size )?)(.*)»", text)
            if inner and inner[1] != "size ":
                return f"«{inner[1]}{symbol} {inner[2]}»"
            if text in ("1", "2"):
                return f"«{'tokens' if text == '2' else 'labels'} {symbol}»"
            return f"[{text} for _ in range(«size {symbol}»)]"
        case ("tuple", _, *children):
            return "(" + ", ".join(worded(c, (*path, k), plain) for k, c in enumerate(children)) + ")"
        case ("dict" | "space" as kind, entries):
            inside = ", ".join(f"{k!r}: {worded(c, (*path, k), plain)}" for k, c in entries.items())
            if not plain:
                return f"_watch.{'entries' if kind == 'dict' else kind}({path!r}, {{{inside}}})"
            return f"{{{inside}}}" if kind == "dict" else f"type('', (), {{{inside}}})"
    return str(node)


@dataclass
class Learner:
    """Finds what the arguments of a call may be."""

    run: Callable[[Watch, dict[str, str]], Trial]  # the call, with a text for each argument
    names: dict[str, list[str]]  # by argument, texts that its name makes likely
    sizes: Sizes
    over: Callable[[], bool]  # whether there is no more time
    like: Callable[..., list[str]]  # texts that the key of a dict makes likely
    objects: Callable[[str], list[str]]  # texts that make what has an attribute
    script: Collection[str]  # names that the file sets, maybe where it is not run
    keys: Collection[str] = ()  # texts of keys that the file's own dicts have
    before: str = ""  # the lines of the example before the call
    unread: Collection[str] = ()  # of what was found last, the arguments that no line of the code has used

    def found(self, most: int = 600) -> Iterator[dict[str, str]]:
        """Yield texts for the arguments with which the call runs, the likelier first.

        Where none is found so, sizes that an error names are made one, and less is expected of the likeliest.
        """
        found = False
        for later, repair in ((None, None), (0.1, 0.25)):
            for texts in () if found else self._searched(2 * most if later else most, later, repair):
                found = True
                yield texts

    def _searched(self, most: int, later: float | None, repair: float | None) -> Iterator[dict[str, str]]:
        start: dict[str, Node] = {
            hole: texts[0] if not texts[0] or len({*texts}) == 1 else None
            for hole, texts in self.names.items()
        }
        start |= {hole: ("dict", {}) for hole, texts in self.names.items() if texts == ["{}"]}
        queue: list[tuple[Any, int, dict[str, Node]]] = [((0,), 0, start)]
        count = itertools.count(1)  # of those that were ever in the queue
        seen = set[str]()
        while queue and len(seen) < most and not self.over():
            (cost, *_), _, tree = heapq.heappop(queue)
            texts = {hole: worded(node, (hole,)) for hole, node in tree.items()}
            if str(texts) in seen:
                continue
            seen.add(str(texts))
            watch = Watch()
            trial, use = self.run(watch, texts), watch.use
            rank = tuple(-r for r in trial.rank)
            if use is None and trial.error is None:  # what was never used may be anything
                ends = {h: worded(node, (h,), True) for h, node in tree.items() if known(node)}
                self.unread = tree.keys() - ends.keys()
                yield {h: ends[h] if h in ends else self.names[h][0] for h in tree}
            elif use is None and repair and trial.error:
                for hole in [hole for hole, node in tree.items() if node == "" and len(self.names[hole]) > 1]:
                    heapq.heappush(queue, ((cost + 1, rank, 0), next(count), {**tree, hole: None}))
                for after in mended(tree, trial.error, self._symbol, list("TNDHV")):
                    heapq.heappush(queue, ((cost + repair, rank, 0), next(count), after))
            missing = getattr(trial.error, "name", "") if isinstance(trial.error, NameError) else ""
            if missing in self.script and missing not in tree:  # the example sets it
                self.names[missing] = self.like(missing) or ["0.1"]
                heapq.heappush(queue, ((cost, rank, 0), next(count), {**tree, missing: None}))
            if isinstance(trial.error, NotImplementedError):  # of a class from which others are made
                return
            for hole in [h for h in tree if "**" in h and not isinstance(tree[h], str)]:
                if isinstance(trial.error, KeyError):
                    wanted = {**tree[hole][1], str(trial.error.args[0]): None}
                    heapq.heappush(queue, ((cost, rank, 0), next(count), {**tree, hole: ("dict", wanted)}))
            if use is None:
                continue
            hole, *path = use.path
            likely = [*self._named(tree, hole, tuple(path)), "1", "2"]
            sums = [o for o in use.others if isinstance(o, np.ndarray)] if use.kind not in _PRODUCTS else []
            cost += 2 * (trial.odd + odd(sums))  # something was broadcast that should not
            for k, node in enumerate(self._all(tree, hole, tuple(path), use)):
                after = {**tree, hole: put(tree[hole], tuple(path), node)}
                free = isinstance(node, str) and (node == "0.1" or bool(_axes(node)))
                unlike = free and node not in likely if isinstance(node, str) else node[1] == "N"
                more = later * k if later else k / 2 if "." in hole else (k > 5) / 2
                more += 6 * (node == "'acba'")  # of a text much can be asked: where nothing else will do
                heapq.heappush(queue, ((cost + unlike + more, rank, k), next(count), after))

    def _all(self, tree: dict[str, Node], hole: str, path: Path, use: Use) -> list[Node]:
        """Return what a value may be: something that the example has, or what its use leaves possible."""
        texts, made = list(dict.fromkeys(self.names[hole])), self._options(tree, hole, path, use)
        if not any(map(_axes, texts)) and not (use.kind == "shape" and "." in hole):  # no data are wanted
            made = [node for node in made if not _axes(node) and (isinstance(node, str) or "." in hole)]
        if path or tree[hole]:
            return made
        fresh = next((k for k, text in enumerate(texts) if "«" in text), len(texts))
        there = [text for text in texts if "«" not in text and not _LITERAL.fullmatch(text)]
        # each is handed over once, mostly
        first = [text for text in there if text not in tree.values() and texts.index(text) < fresh]
        return [*first, *made, *(text for text in there if text not in first)]

    def _options(self, tree: dict[str, Node], hole: str, path: Path, use: Use) -> list[Node]:
        here, inside = at(tree[hole], path), self._named(tree, hole, path)
        first = inside[0] if inside else ""
        token = "1" if any("onehot" in text for text in self.names[hole][:4]) else "2"  # a label, or a word
        match use.kind, use.others:
            case "iter" | "len" | "getitem", _ if here and here[0] == "dict":
                return [("dict", {**here[1], use.others[0]: None})]
            case "beyond", (int(key),):
                return [("rows", str(key + 1), None)] if key < 20 else []
            case "getitem", (str(key),):
                return [("dict", {key: None})]
            case "getitem", (tuple(key),):
                return self._indexed(key, inside)
            case "iter", ([*names],):
                return [("tuple", names, *[None] * len(names))]
            case (("iter" | "len" | "getitem" | "contains"), _):
                sizes = [t for t in inside if t.startswith("«size") and use.kind in ("iter", "len")]
                sizes = [*(t for t in inside if re.match(r"\{c|dict\(", t)), *sizes]
                if "." in hole and not path:  # of layers, or of a sequence
                    of_data = size_of(hole.split(".")[-1]) or "shape" in hole
                    shape = ["[«size T», «size D»]"] * bool(of_data)
                    lists = [*shape, "[«size D», «size H», «size V»]", "[«size H»]", ("rows", "T", None)]
                    return [*sizes[:1], *lists, *sizes[1:]]
                symbols = ("T", "N") if "*" not in path else ("N",) if tree[hole][1] == "T" else ("T",)
                return [*sizes, *(("rows", s, None) for s in symbols), *([] if path else ["'acba'"])]
            case (("index" | "int"), _):
                own = size_of(path[-1] if path and isinstance(path[-1], str) else hole.split(".")[-1])
                sizes = [t for t in inside if t.startswith("«size")]
                if "." not in hole:
                    sizes = [*[f"«size {own}»"] * bool(own), *sizes]
                elif not own:  # of sizes that no name tells, each is one, and none that is another's
                    others = {
                        texts[0] for h, texts in self.names.items() if size_of(h.split(".")[-1]) and texts
                    }
                    sizes.sort(key=lambda t: t in str(tree) or t in others)
                more = [] if path else [f"np.array(«tokens {axes}»)" for axes in ("N T", "T N", "T")]
                if "*" in path:
                    return [token]
                none = [] if own and "." in hole else ["0"]
                return [*sizes[:3], token, "1", *none, "«size H»", "«size T»", *more]
            case (("shape" | "attribute" | "array" | "like"), _) if here and here[0] == "rows":
                return [*self._of(use, inside, tree), f"np.array({worded(put(here, ('*',), token), ())})"]
            case "array", _ if "*" in path:
                words = any("tokens" in t or "onehot" in t for t in self.names[hole][:4]) or len(path) > 1
                return [token, *inside] if words else [*inside, token]
            case "attribute", (str(name),) if here and here[0] == "space":
                return [("space", {**here[1], name: None})]
            case "attribute", (str(name),) if not hasattr(np.ndarray, name):
                builtin: Any = (str, "'net'"), (dict, ("dict", {})), (list, ("rows", "T", None))
                own_kinds: list[Node] = [node for kind, node in builtin if hasattr(kind, name)]
                return [*self.objects(name), *(own_kinds or [("space", {name: None})])]
            case "call", _:
                if is_cotangent(hole):  # the gradient of half a square
                    return ["lambda y, *_: y - (y > y.mean())"]
                return [t for t in inside if "np.tanh" in t] or ["np.tanh"]
            case "equal", (str(text),):
                return [repr(text)]
            case "equal", (np.ndarray() as row,) if row.dtype.kind == "i":
                return [token]
            case "float", _:
                return ["0.1"]
            case "bool", _:
                return ["True", "False"]
            case "hash", _:
                keys = [*[t for t in inside if t[0] == "'"], *self.keys]
                return [*keys[:4], "2", "'a'", *keys[4:]]
        numbers = [first] if first and re.fullmatch(r"[\d.]+|«size .*»", first) else []
        if any(isinstance(o, np.floating) for o in use.others):  # beside a number that was computed
            numbers = [*numbers, "0.5"]
        counts = [t for t in (*inside, "«size T»") if t.startswith("«size")]  # beside a whole number
        more = counts if use.others and all(type(o) is int for o in use.others) else []
        arrays = self._of(use, inside, tree)
        if (here or use.kind in _PRODUCTS) and arrays:  # what numbers are not made for
            return arrays
        return [*numbers, *arrays[:4], *more[:2], *arrays[4:], *([] if numbers else ["0.1"]), *more[2:4]]

    def _of(self, use: Use, inside: list[str], tree: dict[str, Node]) -> list[Node]:
        """Return the arrays that a use leaves possible."""
        shapes = [o.shape for o in use.others if isinstance(o, np.ndarray) and o.ndim]
        found = list[str]()
        if shapes and use.kind in _PRODUCTS:
            n = self._symbol(shapes[0][-2:][0] if use.place == 0 else shapes[0][-1])
            found = [t for t in inside if self._fits(t, shapes[0], use.place)]
            if "*" in use.path or not any(t in inside[:3] for t in found):
                sides = ("N", "", "1", "H", "V", "D", "4*H", "3*H")
                found += [f"«{side} {n}»" if use.place == 0 else f"«{n} {side}»" for side in sides]
        elif shapes and use.kind in _JOINED:
            found = [
                "«" + " ".join(self._symbol(n) if k != axis else new for k, n in enumerate(shapes[0])) + "»"
                for axis in range(len(shapes[0])) for new in ("H", "D", "V")
            ]  # fmt: skip
        elif shapes and use.kind == "like":
            found = [f"«{' '.join(map(self._symbol, shapes[0]))}»"]
        elif shapes:
            shape = max(shapes, key=len)
            found = [t for t in inside if self._fits(t, shape)]
            same = [self._symbol(n) for n in shape]
            found += [f"«{same[0]} 1»"] * (len(same) == 2 and any("1" in _axes(t)[1:] for t in inside[:4]))
            found += ["«" + " ".join("N" if s == "1" else s for s in same) + "»"] * (len(same) > 1)
            found += [f"«{' '.join(same)}»"]
            found += [f"«N {same[0]}»", f"«{same[0]} N»"] if len(same) == 1 else []
            if "1" in same and any("onehot" in t for t in inside[:4]):  # what is computed has all its axes
                found = [t for t in found if t.strip("«»").removeprefix("onehot ").split() == same]
        if found:
            found = [t.replace("« ", "«").replace(" »", "»") for t in found]
            texts = [self.before, *(worded(node, (h,)) for h, node in tree.items())]
            data = [{*axes.split()} for axes in re.findall("«(?!size)([^»]*)»", " ".join(texts))]
            data = [axes for axes in data if axes & {"T", "N"}]
            if data and not any("N" in axes for axes in data):  # one sequence
                found.sort(key=lambda t: "N" in _axes(t))
            if any("onehot" in t for t in inside[:1]):
                classes = [t for t in found if _axes(t).count("V") == 1 and "onehot" not in t]
                found = [*(t.replace("«", "«onehot ") for t in classes), *found]
            return list(dict.fromkeys(found))
        count = len(use.others[0]) if use.kind == "shape" and use.others[0] else None
        every = dict.fromkeys([*inside, *_GENERAL, "«N V H D»", "«N D V H»"])  # images are the last
        return [t for t in every if (axes := _axes(t)) and count in (None, len(axes))]

    def _indexed(self, key: tuple[Any, ...], inside: list[str]) -> list[Node]:
        """Return arrays that are indexed with numbers and slices."""
        indices = [one for one in key if one is not None and one is not Ellipsis]
        where, count = [k for k, one in enumerate(indices) if not isinstance(one, slice)], len(indices)
        every = [*inside, *_GENERAL]
        fits = [t for t in every if len(_axes(t)) >= count]
        fits = fits or [f"{t[:-1]} 1»" for t in every if len(_axes(t)) == count - 1]
        through = {t: any(_axes(t)[k] == "T" for k in where) for t in fits}
        return sorted(through, key=lambda t: (not through[t], len(_axes(t)) != count))

    def _named(self, tree: dict[str, Node], hole: str, path: Path) -> list[str]:
        """Return what a name makes likely, for an entry of it: without the axes that were gone through."""
        texts = list(dict.fromkeys(self.names[hole]))
        node = tree[hole]
        for step in path:
            if node[0] == "rows":
                through = re.compile(rf"(«(?:[a-z]+ )?){'T' if node[1].isdigit() else node[1]} ")
                texts = [through.sub(r"\1", t) for t in texts if through.search(t)]
            else:
                texts = self.like(step if isinstance(step, str) else node[1][step], making="." in hole)
            node = at(node, (step,))
        return [t for t in texts if t]

    def _fits(self, text: str, shape: tuple[int, ...], place: int | None = None) -> bool:
        """Return whether an array goes with one of a shape: in a product, at a place of it, or in a sum."""
        known = {symbol: int(size) for symbol, size in self.sizes.items()}
        own = tuple(int(eval(axis, {}, known)) for axis in _axes(text))
        if not own:
            return False
        if place is not None:
            one, other = (own, shape) if place == 0 else (shape, own)
            return one[-1] == other[-2:][0]
        with contextlib.suppress(ValueError):
            return np.broadcast_shapes(own, shape) in (own, shape)
        return False

    def _symbol(self, number: int) -> str:
        by_size = {int(n): s for s, n in self.sizes.items()}
        H, D = int(self.sizes["H"]), int(self.sizes["D"])
        more = {1: "1", 3 * H: "3*H", 4 * H: "4*H", 2 * H: "2*H", H + D: "H+D"}
        return by_size.get(number) or more.get(number) or str(number)


def _axes(text: Node) -> list[str]:
    """Return the axes of an array's mark."""
    inner = re.fullmatch(r"(?:np.array\()?«(?!size)(?:[a-z]+ )?([^«»]*)»(?:\)(?: % 2)?)?", str(text))
    return inner[1].split() if inner else []
