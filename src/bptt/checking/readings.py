"""All ways to read somebody's arrays as a cell's: positions in his arrays, for every canonical one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from bptt.checking.reference import Reference
from bptt.types import Array, Params


@dataclass(frozen=True)
class Link:
    """Where in the user's array `name` the entries of the canonical array `key` lie."""

    name: str
    key: str
    ids: Array


def gathered(links: Sequence[Link], at: Params) -> Params:
    """Return the canonical arrays, each the sum of what is linked to it."""
    arrays: Params = {}
    for link in links:
        piece = np.asarray(at[link.name]).ravel()[link.ids]
        arrays[link.key] = arrays[link.key] + piece if link.key in arrays else piece
    return arrays


def arranged(shape: Sequence[int], wanted: Sequence[int]) -> Iterator[Array]:
    """Yield positions in an array of one shape, arranged in another; axes of 1 do not matter."""
    ids = np.arange(int(np.prod(shape))).reshape([n for n in shape if n != 1])
    sizes = tuple(n for n in wanted if n != 1)
    if sorted(ids.shape) == sorted(sizes):
        for order in permutations(range(ids.ndim)):
            if tuple(ids.shape[k] for k in order) == sizes:
                yield ids.transpose(order).reshape(wanted)


@dataclass(frozen=True)
class Reader:
    """All readings of the arrays of a point, for given sizes."""

    at: Params
    roles: Mapping[str, str]
    T: int
    N: int
    D: int
    H: int
    V: int

    def readings(self, cell: Reference) -> Iterator[tuple[list[Link], str]]:
        """Yield links for all arrays of the point, and the gates' order."""
        families: dict[tuple[str, str, tuple[int, ...]], list[str]] = {}
        for name, array in self.at.items():
            families.setdefault((self._part(name), name[0].lower(), array.shape), []).append(name)
        options = [list(self._options(part, shape, len(cell.gates))) for part, _, shape in families]
        for chosen in product(*options):
            if len({way for _, way, _ in chosen if way}) > 1:
                continue  # some gates interleaved and some not
            slots: dict[str, list[tuple[str, Array]]] = {}
            for names, (kind, _, pieces) in zip(families.values(), chosen, strict=True):
                for name in names:
                    for piece_kind, ids in pieces or [(kind, np.empty(0))]:
                        slots.setdefault(piece_kind, []).extend(
                            (name, block) for block in _blocks(piece_kind, ids)
                        )
            yield from self._assigned(cell, slots)

    def _part(self, name: str) -> str:
        part, _, _ = self.roles.get(name, "").partition(":")
        return "state" if part in ("h0", "c0") else "k" if part == "c" else part

    def _options(
        self, part: str, shape: tuple[int, ...], G: int
    ) -> Iterator[tuple[str, str, list[tuple[str, Array]]]]:
        """Yield what an array may be: its kind, how the gates lie, and the pieces that it is made of."""
        T, N, D, H, V = self.T, self.N, self.D, self.H, self.V
        whole = {"x": (T, N, D), "state": (N, H), "V": (H, V), "k": (1, V)}
        for kind, wanted in whole.items():
            if part in ("", kind):
                for ids in arranged(shape, wanted):
                    yield kind, "", [(kind, ids)]
        stacks = {"W": [D], "U": [H], "WU": [D, H], "UW": [H, D], "b": [1], "bb": [1, 1]}
        for names in ("WU", "UW"):
            rows = stacks[names]
            stacks |= {f"b{names}": [1, *rows], f"{names}b": [*rows, 1]}
        for kind, rows in stacks.items():
            if part in ("", kind) or (part and kind in (f"b{part}", f"{part}b")):
                for way, ids in _gated(shape, sum(rows), H, G):
                    pieces = np.split(ids, np.cumsum(rows)[:-1])
                    yield kind, way, list(zip(kind, pieces, strict=True))

    def _assigned(
        self, cell: Reference, slots: dict[str, list[tuple[str, Array]]]
    ) -> Iterator[tuple[list[Link], str]]:
        """Yield the links for every order of the gates and of what else the shapes leave open."""
        G = len(cell.gates)
        count = {kind: len(slots.get(kind, [])) for kind in ("x", "state", "W", "U", "b", "V", "k")}
        biases = (0, G, 2 * G, G + 1) if cell.second_bias else (0, G, 2 * G)
        if (
            count["x"] > 1 or count["V"] > 1 or count["k"] > 1 or count["W"] != G or count["U"] != G
            or count["b"] not in biases or count["state"] > len(cell.states)
        ):  # fmt: skip
            return
        links = [Link(name, kind, ids) for kind in ("x", "V", "k") for name, ids in slots.get(kind, [])]
        first = [self._label(name) for name, _ in slots["W"]]
        aligned = {kind: _aligned(slots.get(kind, []), first, self._label) for kind in ("U", "b")}
        for states, keys in product(self._states(cell, slots.get("state", [])), _bias_keys(cell, count["b"])):
            for order in permutations(cell.gates):
                own = [Link(n, f"W_{g}", ids) for (n, ids), g in zip(slots["W"], order, strict=True)]
                own += [Link(n, f"U_{g}", ids) for (n, ids), g in zip(aligned["U"], order, strict=True)]
                for s, ((n, ids), key) in enumerate(zip(aligned["b"], keys, strict=True)):
                    alone = s == G and count["b"] == G + 1  # the candidate's second bias
                    own.append(Link(n, f"{key}_{cell.gates[-1] if alone else order[s % G]}", ids))
                yield [*links, *states, *own], "".join(order)

    def _states(self, cell: Reference, slots: list[tuple[str, Array]]) -> Iterator[list[Link]]:
        for keys in permutations([f"{s}0" for s in cell.states], len(slots)):
            if all(self.roles.get(n, k) == k for (n, _), k in zip(slots, keys, strict=True)):
                yield [Link(n, k, ids) for (n, ids), k in zip(slots, keys, strict=True)]

    def _label(self, name: str) -> str:
        """Return the letter of an array's gate, as its role has it, or as its name ends."""
        role = self.roles.get(name, "").partition(":")[2]
        return role or name[-1].lower()


def _gated(shape: tuple[int, ...], rows: int, H: int, G: int) -> Iterator[tuple[str, Array]]:
    """Yield readings of an array as (rows, gates, H), for as many gates as fit."""
    for g in range(1, G + 1):
        for ids in arranged(shape, (rows, g * H)):
            yield "together" if g > 1 else "", ids.reshape(rows, g, H)
            if g > 1:
                yield "interleaved", ids.reshape(rows, H, g).transpose(0, 2, 1)
        if g > 1 and sum(n > 1 for n in shape) == 2 + (rows > 1):
            for ids in arranged(shape, (rows, g, H)):
                yield "", ids


def _blocks(kind: str, ids: Array) -> list[Array]:
    """Return an array's gates one by one; of what has none, the whole."""
    return [ids[:, g] for g in range(ids.shape[1])] if kind in ("W", "U", "b") else [ids]


def _aligned(
    slots: list[tuple[str, Array]], labels: list[str], label: Callable[[str], str]
) -> list[tuple[str, Array]]:
    """Return slots in the order of the labels, where they have the same ones."""
    own = [label(name) for name, _ in slots]
    if len(set(labels)) < len(labels) or set(own) != set(labels) or len(own) % len(labels):
        return slots
    times = [own[:k].count(own[k]) for k in range(len(own))]
    return [
        slot for _, slot in sorted(enumerate(slots), key=lambda s: (times[s[0]], labels.index(own[s[0]])))
    ]


def _bias_keys(cell: Reference, count: int) -> list[list[str]]:
    """Return which of the two biases each bias slot may be."""
    G = len(cell.gates)
    if count > G:
        both = [["b"] * G + ["b_h"] * (count - G)]
        return [*both, ["b_h"] * G + ["b"] * G] if cell.second_bias and count == 2 * G else both
    return [["b"] * count, *([["b_h"] * count] if cell.second_bias and count else [])]
