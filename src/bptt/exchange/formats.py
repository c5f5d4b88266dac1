"""The systems, by the names that the command has for them, and what their files are called."""

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from bptt.errors import ConfigError
from bptt.exchange.content import Content


class FileModule(Protocol):
    """What a module has that writes and reads a system's files."""

    def write(self, content: Content, path: Path) -> None:
        """Write the file, in one piece; ConfigError where the system cannot hold the model."""

    def read(self, path: Path) -> Content:
        """Read the file; BpttError where it is none, or bptt has no such model."""


@dataclass(frozen=True)
class Format:
    """How a system keeps a model.

    Attributes
    ----------
    name : str
    title : str
        As the system is called.
    suffixes : tuple of str
        What the names of its files end in; a new one's in the first.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]

    @property
    def module(self) -> FileModule:
        """What writes and reads its files."""
        return cast(FileModule, import_module(f"bptt.exchange.{self.name}_file"))


FORMATS = {
    known.name: known
    for known in (
        Format(
            "torch", "PyTorch", (".safetensors", ".safetensors.index.json", ".pt", ".pth", ".bin", ".ckpt")
        ),
        Format("onnx", "ONNX", (".onnx",)),
        Format("keras", "Keras", (".weights.h5", ".keras", ".h5", ".hdf5")),
    )
}
"""By name."""


def format_of(name: str | None, path: str | os.PathLike[str] | None, option: str) -> Format:
    """Return the format that is named or, where none is, the one that a file's name ends in."""
    if name is not None and name not in FORMATS:
        raise ConfigError(f"{option} {name}: no system is called so; there are {', '.join(FORMATS)}")
    if name is not None:
        return FORMATS[name]
    if path is not None and option == "--from" and Path(path).is_dir():
        return FORMATS["torch"]  # whose models may lie in several files
    text = "" if path is None else os.fspath(path).lower()
    for known in FORMATS.values():
        if text.endswith(known.suffixes):
            return known
    what = "nothing says which system it is for" if path is None else f"{path}: its name says no system"
    raise ConfigError(f"{what}: give {option} {', '.join(FORMATS)}")
