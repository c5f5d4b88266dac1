"""A disk that loses power: what it may show of the calls that were made.

What a file got after its last fsync may be there, half there, zeros, or not at all; what a folder got after
its last fsync, names and their changes, may be there in part, in any order.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hostile.calls import Call

Tree = dict[str, bytes | None]
"""Paths to contents; of a folder None."""


@dataclass
class File:
    """What a file holds: on the disk for certain, and now."""

    durable: bytes = b""
    now: bytes = b""

    def versions(self) -> list[bytes]:
        """Return what it may hold: what is new is there, not there, cut, or zeros in part or in all."""
        old, new = self.durable, self.now
        if old == new:
            return [new]
        if not new.startswith(old):  # cut, or written over
            return [new, old]
        more = new[len(old) :]
        half = len(more) // 2
        kinds = (
            more,
            b"",
            more[:half],
            bytes(len(more)),
            bytes(half) + more[half:],
            more[:half] + bytes(len(more) - half),
        )
        return list(dict.fromkeys(old + kind for kind in kinds))


@dataclass
class Folder:
    """Its names, on the disk for certain, and what was done to them since: a name, and what it then was."""

    durable: dict[str, "File | Folder"] = field(default_factory=dict)
    pending: list[dict[str, "File | Folder | None"]] = field(default_factory=list)

    def names(self, chosen: tuple[bool, ...] | None = None) -> dict[str, "File | Folder"]:
        """Return what it holds where the chosen changes, or all, were made."""
        found = dict(self.durable)
        for k, change in enumerate(self.pending):
            if chosen is None or chosen[k]:
                for name, node in change.items():
                    if node is None:
                        found.pop(name, None)
                    else:
                        found[name] = node
        return found


class Disk:
    """Follows the calls, and says what may be left of them."""

    def __init__(self) -> None:
        self.root = Folder()

    def take(self, folder: Path, name: str) -> None:
        """Begin with a folder that has been on the disk, under a name, for long."""
        files = {path.name: File(data, data) for path in folder.iterdir() for data in [path.read_bytes()]}
        self.root.durable[name] = Folder(dict(files))

    def do(self, call: Call) -> None:
        """Take up a call."""
        folder, name = self._place(call.path)
        node = self._node(call.path)
        if call.name == "mkdir":
            folder.pending.append({name: Folder()})
        elif call.name == "open":
            if node is None and call.creates:
                folder.pending.append({name: File()})
        elif call.name == "unlink":
            folder.pending.append({name: None})
        elif call.name in ("replace", "link"):
            to, new = self._place(call.to)
            assert to is folder
            folder.pending.append({new: node} if call.name == "link" else {new: node, name: None})
        elif call.name == "fsync":
            if isinstance(node, Folder):
                node.durable, node.pending = node.names(), []
            else:
                assert isinstance(node, File)
                node.durable = node.now
        else:
            assert isinstance(node, File)
            node.now = node.now[: call.size] if call.name == "ftruncate" else node.now + call.data

    def _place(self, path: str) -> tuple[Folder, str]:
        parent, name = str(Path(path).parent), Path(path).name
        folder = self.root if parent == "." else self._node(parent)
        assert isinstance(folder, Folder)
        return folder, name

    def _node(self, path: str) -> File | Folder | None:
        node: File | Folder | None = self.root
        for part in Path(path).parts:
            node = node.names().get(part) if isinstance(node, Folder) else None
        return node

    def shown(self, rng: random.Random, most: int) -> Iterator[Tree]:
        """Yield what the disk may show after a loss of power now: all, where that is no more than `most`."""
        yield from self._shown(self.root, "", rng, most)

    def _shown(self, folder: Folder, at: str, rng: random.Random, most: int) -> Iterator[Tree]:
        count = len(folder.pending)
        if 2**count <= most:
            choices = list(itertools.product((True, False), repeat=count))
        else:
            choices = [(True,) * count, (False,) * count]
            choices += [tuple(rng.random() < 0.5 for _ in range(count)) for _ in range(most)]
        for chosen in choices:
            options: list[list[Tree]] = []
            for name, node in folder.names(chosen).items():
                path = f"{at}{name}"
                if isinstance(node, File):
                    options.append([{path: data} for data in node.versions()])
                else:
                    within = list(self._shown(node, f"{path}/", rng, most))
                    options.append([{path: None, **tree} for tree in within])
            yield from _products(options, rng, most)


def _products(options: list[list[Tree]], rng: random.Random, most: int) -> Iterator[Tree]:
    total = 1
    for each in options:
        total *= len(each)
    if total <= most:
        picked = list(itertools.product(*options))
    else:
        picked = [tuple(rng.choice(each) for each in options) for _ in range(most)]
    for parts in picked:
        yield {path: data for part in parts for path, data in part.items()}


def put(tree: Tree, root: Path) -> None:
    """Make what the disk shows in an empty folder."""
    for path, data in tree.items():
        if data is None:
            root.joinpath(path).mkdir()
        else:
            root.joinpath(path).write_bytes(data)
