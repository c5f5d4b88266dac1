"""Ways in which a run's folder may not be what a run left: each changes one thing, and says what."""

import json
import os
import random
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hostile.seal import reseal
from hostile.tensors import WIDTHS, Tensors
from hostile.values import CANARY, changed

Mutation = Callable[[random.Random, Path, Path], str]
"""From a generator, the folder and another run's folder to what was done."""


def _file(rng: random.Random, folder: Path, *suffixes: str) -> Path:
    return rng.choice([p for p in sorted(folder.iterdir()) if p.suffix in (suffixes or p.suffix) and _own(p)])


def _own(path: Path) -> bool:
    return path.suffix in (".json", ".jsonl", ".safetensors")


def damaged(rng: random.Random, folder: Path, other: Path) -> str:
    """Bytes: flipped, cut, put in, doubled, gone; or another file's."""
    path = _file(rng, folder)
    data = path.read_bytes()
    at, many = rng.randrange(len(data)), rng.choice([1, 1, 2, 8, 100, 4096])
    noise = rng.randbytes(many)
    how = rng.choice(
        ["flip", "cut", "head", "insert", "double", "empty", "remove", "zero", "noise", "swap", "mix"]
    )
    if how == "flip":
        data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    elif how == "cut":
        data = data[:at]
    elif how == "head":
        data = data[at:]
    elif how == "insert":
        data = data[:at] + noise + data[at:]
    elif how == "double":
        data = data[:at] + data[at : at + many] + data[at:]
    elif how == "empty":
        data = b""
    elif how == "remove":
        data = data[:at] + data[at + many :]
    elif how == "zero":
        data = data[:at] + bytes(min(many, len(data) - at)) + data[at + many :]
    elif how == "noise":
        data = data[:at] + noise + data[at + many :]
    elif how == "swap":  # another run's, where it has such a file
        theirs = other / path.name
        data = theirs.read_bytes() if theirs.exists() else b"[]"
    else:  # another file of this run
        data = _file(rng, folder).read_bytes()
    path.write_bytes(data)
    return f"{how} in {path.name}"


def missing(rng: random.Random, folder: Path, other: Path) -> str:
    """Some files are gone."""
    names = []
    for _ in range(rng.randint(1, 3)):
        path = _file(rng, folder, ".json", ".jsonl", ".safetensors")
        names.append(path.name)
        path.unlink()
    return f"no {', '.join(names)}"


def valued(rng: random.Random, folder: Path, other: Path) -> str:
    """A value of the configuration, the vocabulary, the log or a checkpoint is another."""
    path = _file(rng, folder)
    data = path.read_bytes()
    if path.suffix == ".json":
        text, what = changed(rng, json.loads(data))
        path.write_bytes(_bytes(text, folder))
    elif path.suffix == ".jsonl":
        lines = data.splitlines()
        k = rng.randrange(len(lines))
        text, what = changed(rng, json.loads(lines[k]))
        lines[k] = _bytes(text, folder)
        path.write_bytes(b"\n".join(lines) + b"\n")
    else:
        tensors = Tensors.parse(data)
        key = rng.choice(list(tensors.metadata))
        try:
            value = json.loads(tensors.metadata[key])
        except ValueError:
            value = tensors.metadata[key]
        text, what = changed(rng, value)
        tensors.metadata[key] = _bytes(text, folder).decode("utf-8", "surrogatepass")
        path.write_bytes(tensors.bytes())
    reseal(folder)
    return f"{path.name}: {what}"


def _bytes(text: str, folder: Path) -> bytes:
    return text.replace(CANARY, str(canary(folder))).encode("utf-8", "surrogatepass")


def canary(folder: Path) -> Path:
    """Return the path of a Python file that leaves a mark if it is run."""
    path = folder.parent / "canary.py"
    if not path.exists():
        cell = folder.parent.parent.joinpath("cell.py").read_text()
        path.write_text(f"open({str(path) + '.ran'!r}, 'w').close()\n{cell}")
    return path


def headed(rng: random.Random, folder: Path, other: Path) -> str:
    """The header of a checkpoint is another: any value at any place, or a wrong length."""
    path = _file(rng, folder, ".safetensors")
    tensors = Tensors.parse(path.read_bytes())
    if rng.random() < 0.5:
        text, what = changed(rng, tensors.header)
        path.write_bytes(tensors.bytes(header=text))
    else:
        size = len(path.read_bytes())
        length = rng.choice(
            [0, 1, 7, size - 8, size, size - 9, 10**8, 2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 1]
        )
        path.write_bytes(tensors.bytes(length=length))
        what = f"its length is {length}"
    reseal(folder)
    return f"{path.name}: header: {what}"


def shaped(rng: random.Random, folder: Path, other: Path) -> str:
    """A tensor has another type, shape or number, or lies elsewhere in the file."""
    path = _file(rng, folder, ".safetensors")
    tensors = Tensors.parse(path.read_bytes())
    name = rng.choice(tensors.names)
    entry = tensors.header[name]
    dtype, shape, data = entry["dtype"], entry["shape"], tensors.data(name)
    count = len(data) // WIDTHS[dtype]
    how = rng.choice(_SHAPED)
    what = how
    if how == "dtype":
        to = rng.choice(sorted(WIDTHS))
        tensors.replace(name, to, shape, rng.randbytes(count * WIDTHS[to]) if to != "BOOL" else bytes(count))
        what = f"dtype {to}"
    elif how == "shape":
        more = [
            [],
            [count],
            [1, count],
            [*shape, 1],
            [1, *shape],
            shape[::-1],
            [0],
            [count + 1],
            [2**62, 4],
            [0, 2**62],
        ]
        new = rng.choice(more)
        whole = int(np.prod(new, dtype=object)) * WIDTHS[dtype]
        tensors.replace(name, dtype, new, (data * 2)[:whole] if whole < 1 << 20 else data)
        what = f"shape {new}"
    elif how == "number":
        bad = rng.choice([float("nan"), float("inf"), -float("inf"), 1e30, -0.0, 1e-40])
        wide = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}[dtype]
        values = np.frombuffer(data, wide).copy()
        if values.size and dtype != "I64":
            values[slice(None) if rng.random() < 0.3 else rng.randrange(values.size)] = bad
        elif values.size:
            values[...] = rng.choice([-1, 2**62, -(2**63), 0])
        tensors.replace(name, dtype, shape, values.tobytes())
        what = f"number {bad}"
    elif how == "gone":
        tensors.remove(name)
    elif how == "extra":
        extra = rng.choice(
            [
                "params.x",
                "optimizer.x",
                "state.x",
                "x",
                "",
                ".",
                "params.",
                "a" * 5000,
                "\x1b[2J",
                "state.9.c",
            ]
        )
        tensors.replace(extra, dtype, shape, data)
        what = f"extra {extra[:20]!r}"
    elif how == "renamed":
        tensors.replace(name + "_", dtype, shape, data)
        tensors.remove(name)
    elif how == "exchanged":
        second = rng.choice(tensors.names)
        tensors.header[name]["data_offsets"], tensors.header[second]["data_offsets"] = (
            tensors.header[second]["data_offsets"],
            tensors.header[name]["data_offsets"],
        )
    elif how == "offsets":
        begin, end = entry["data_offsets"]
        entry["data_offsets"] = rng.choice(
            [
                [end, begin],
                [begin, end + 4],
                [begin - 4, end],
                [0, 0],
                [0, 2**63],
                [2**63, 2**64],
                [-1, 3],
                [begin + 2**40, end + 2**40],
            ]
        )
        what = f"offsets {entry['data_offsets']}"
    elif how == "vast":  # a file of 8 GB on a few blocks of the disk, with a tensor over it
        size = (8 << 30) - (8 << 30) % WIDTHS[dtype]
        begin = len(tensors.body)
        tensors.header[rng.choice([name, "params.x"])] = {
            "dtype": dtype,
            "shape": [size // WIDTHS[dtype]],
            "data_offsets": [begin, begin + size],
        }
    elif how == "long":  # bytes that no tensor has
        tensors.body += rng.randbytes(rng.choice([1, 4, 4096]))
    path.write_bytes(tensors.bytes())
    if how == "vast":
        os.truncate(path, path.stat().st_size + (8 << 30))
    else:
        reseal(folder)
    return f"{path.name}: {name}: {what}"


_SHAPED = ["dtype", "dtype", "shape", "shape", "number", "number", "gone", "extra", "renamed", "exchanged"]
_SHAPED += ["offsets", "vast", "long"]


def vast(rng: random.Random, folder: Path, other: Path) -> str:
    """A file of 8 GB that has few blocks."""
    path = _file(rng, folder)
    size = path.stat().st_size
    if rng.random() < 0.5:
        os.truncate(path, 8 << 30)
        return f"{path.name} is followed by 8 GB of zeros"
    path.write_bytes(struct.pack("<Q", rng.choice([8 << 30, size])) if path.suffix == ".safetensors" else b"")
    os.truncate(path, 8 << 30)
    return f"{path.name} is 8 GB of zeros"


def placed(rng: random.Random, folder: Path, other: Path) -> str:
    """Under a file's name there is no file: a folder, a link, a FIFO, a socket, a device."""
    names = ["config.json", "vocabulary.json", "log.jsonl", "last.safetensors", "best.safetensors", ".lock"]
    path = folder / rng.choice(names)
    existed = path.exists()
    kept = folder.parent / "kept"
    if existed:
        path.replace(kept)
    how = rng.choice(
        ["folder", "dangling", "loop", "zero", "null", "other", "kept", "fifo", "socket", "device"]
    )
    if how == "folder":
        path.mkdir()
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            home = Path.cwd()
            os.chdir(folder)  # the name of a socket is short
            server.bind(path.name)
            os.chdir(home)
    elif how == "device" and os.geteuid() == 0:
        os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))  # another /dev/zero
    else:
        to = {"dangling": "nowhere", "loop": path.name, "zero": "/dev/zero", "null": "/dev/null"}
        path.symlink_to(to.get(how, str(kept if how == "kept" else other / path.name)))
    return f"{path.name} is {how}"


SIZES: dict[str, list[Any]] = {
    "hidden": [10**7, 10**8, 10**9, 2**62],
    "layers": [10**4, 10**6, 10**8],
    "embedding": [10**7, 10**8],
    "batch": [10**6, 10**8],
    "chunk": [10**6, 10**8],
    "inputs": [10**7, 10**9],
    "outputs": [10**7, 10**9],
    "vocabulary": [10**7, 10**12],
    "steps": [10**15],
    "epochs": [1e18],
    "warmup": [10**15],
    "seed": [10**30],
    "report_every": [10**15],
    "keep": [10**15],
    "patience": [10**15],
}


def sized(rng: random.Random, folder: Path, other: Path) -> str:
    """Sizes that the configuration names are enormous, the files as small as ever."""
    path = folder / "config.json"
    config = json.loads(path.read_bytes())
    name = rng.choice(sorted(SIZES))
    value = rng.choice(SIZES[name])
    for part in ("settings", "model", "data"):
        if name in config[part] and rng.random() < 0.8:
            config[part][name] = value
    if rng.random() < 0.3:  # no checkpoint holds another size against it
        for checkpoint in folder.glob("*.safetensors"):
            checkpoint.unlink()
    path.write_text(json.dumps(config))
    reseal(folder)
    return f"{name} = {value}"


MUTATIONS: list[Mutation] = [damaged, missing, valued, valued, valued, headed, shaped, vast, placed, sized]
"""With as many shares as each has room for surprises."""
