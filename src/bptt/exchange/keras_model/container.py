"""What holds a Keras model: ``.keras`` (a zip), ``.weights.h5``, and the ``.h5`` of earlier versions.

==================  =================================================================================
``.keras``          ``config.json``, ``metadata.json`` and ``model.weights.h5``, whose arrays are at
                    ``layers/lstm_1/cell/vars/0``: by the layer's class and its number of that class
``.weights.h5``     the last of these alone
``.h5``             attributes ``model_config`` and ``keras_version``, arrays by the layers' names
==================  =================================================================================
"""

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bptt.errors import BpttError, DataError
from bptt.exchange.keras_model.hdf5 import TEXT_LIMIT, TIMES, Tree, to_bytes
from bptt.files import open_regular
from bptt.training.runs.format import LIMITS
from bptt.types import Array

LIMIT = LIMITS["last.safetensors"]
"""The most bytes of a file."""

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

OLDEST = (1980, 1, 1, 0, 0, 0)
"""The time of each member: the same model gives the same bytes."""


@dataclass(frozen=True)
class Container:
    """An open file.

    Attributes
    ----------
    tree : Tree
        Its arrays.
    config : dict or None
        The model's configuration, where it is there.
    version : str
        Keras's that wrote it, or nothing.
    texts : dict of str
        What bptt left there.
    """

    tree: Tree
    config: dict[str, Any] | None
    version: str
    texts: dict[str, str]

    @property
    def is_old(self) -> bool:
        """Whether arrays are by the layers' names, as before Keras 3."""
        return self.tree.texts("layer_names", self.root) is not None

    @property
    def root(self) -> str:
        """Where an old file's arrays are."""
        return "model_weights" if "model_weights" in self.tree.names() else ""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Container]:
    """Open a file; what is raised while it is open says which it is.

    DataError if it cannot be read, is none of Keras's, is damaged, or its configuration is not as Keras
    writes it: that is JSON of any form, and where its form is another, what Python raises says so.
    """
    try:
        with open_regular(path, LIMIT) as file, contextlib.ExitStack() as stack:
            start = file.read(8)
            file.seek(0, io.SEEK_END)
            size = file.tell()
            file.seek(0)
            if start.startswith(b"PK\x03\x04"):
                yield stack.enter_context(_zipped(file, size))
            elif start == b"\x89HDF\r\n\x1a\n":
                yield _plain(stack.enter_context(Tree(file, size)))
            elif start == b"version ":
                raise DataError("it is a pointer of Git LFS, not the file: git lfs pull fetches that")
            else:
                raise DataError("it is neither a .keras file nor HDF5")
    except BpttError as error:
        raise type(error)(f"{path}: {error}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        why = f"{type(error).__name__} {error}".splitlines()[0][:200]
        raise DataError(f"{path}: its configuration is not as Keras writes it ({why})") from None


@contextlib.contextmanager
def _zipped(file: BinaryIO, size: int) -> Iterator[Container]:
    try:
        with zipfile.ZipFile(file) as archive:
            read = {name: _member(archive, name, size) for name in (CONFIG, METADATA, WEIGHTS)}
    except BpttError:
        raise
    except Exception as error:  # whatever zipfile and zlib raise of a damaged file
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(f"it is no whole .keras file ({why})") from None
    metadata = _json(read[METADATA], METADATA)
    with Tree(io.BytesIO(read[WEIGHTS]), len(read[WEIGHTS])) as tree:
        texts = _texts(metadata.get("bptt"))
        yield Container(tree, _json(read[CONFIG], CONFIG), str(metadata.get("keras_version")), texts)


def _member(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    if name not in archive.namelist():
        raise DataError(f"it is no .keras file: it has no {name}")
    said = archive.getinfo(name).file_size
    most = TEXT_LIMIT if name != WEIGHTS else max(TEXT_LIMIT, TIMES * size)
    if said > most:
        raise DataError(f"its {name} would have {said:,} bytes; at most {most:,} are read of such a file")
    with archive.open(name) as member:
        return member.read(said)


def _plain(tree: Tree) -> Container:
    told, compiled = tree.text("model_config"), tree.text("training_config")
    config = None if told is None else _json(told, "model_config")
    if config is not None and compiled is not None:
        config["compile_config"] = _json(compiled, "training_config")
    note, version = tree.note(), tree.text("keras_version") or tree.text("keras_version", "model_weights")
    texts = _texts(None if note is None else _json(note, "note"))
    if config is None and "config" in texts:
        config = _json(texts.pop("config"), "note")
    return Container(tree, config, version or "", texts)


def _json(data: bytes | str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"its {name} is no JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise DataError(f"its {name} is no JSON object")
    return value


def _texts(value: object) -> dict[str, str]:
    """Return what bptt left there; nothing where it is something else."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        return {}
    return value


def zip_bytes(
    config: dict[str, Any], arrays: dict[str, Array], names: dict[str, str], texts: dict[str, str]
) -> bytes:
    """Return a ``.keras`` file; the texts are in its metadata, of which Keras reads its own part."""
    metadata = {"keras_version": "3.0.0", "bptt": texts}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in (
            (METADATA, json.dumps(metadata).encode()),
            (CONFIG, json.dumps(config).encode()),
            (WEIGHTS, to_bytes(arrays, names)),
        ):
            archive.writestr(zipfile.ZipInfo(name, OLDEST), data)
    return file.getvalue()


def weights_bytes(
    config: dict[str, Any], arrays: dict[str, Array], names: dict[str, str], texts: dict[str, str]
) -> bytes:
    """Return a ``.weights.h5`` file; the configuration and the texts are a note, which Keras passes over."""
    return to_bytes(arrays, names, json.dumps(texts | {"config": json.dumps(config)}))
