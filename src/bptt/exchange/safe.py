"""Files of safetensors, anybody's: arrays and texts, read within bounds."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct

from bptt.errors import DataError, RunError
from bptt.files import open_regular, read_regular
from bptt.training.runs import format as run_format
from bptt.types import Array

LIMIT = run_format.LIMITS["last.safetensors"]
"""The most bytes of a file."""

READ = ("F64", "F32", "F16", "BF16")
"""What arrays may be of; the last two become float32, which holds them exactly."""

COUNTS = ("I64", "I32")
"""Of what a single number is no weight, but how many steps or batches there have been: it is left out."""


SUFFIX = ".safetensors"
INDEX = f"{SUFFIX}.index.json"
"""What the name of a file ends in that says which files have the arrays of one model."""


class Index(Struct, frozen=True):
    """Which file has which array; what else the index holds is not read."""

    weight_map: Annotated[dict[str, str], Meta(min_length=1)]


_PART = re.compile(r"-\d{5}-of-(\d{5})$")
"""What the names of parts end in that are one model together, before their suffix."""


def read_tensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Return a file's arrays, float32 or float64, and its metadata; of parts and indices all files' together.

    Of a folder, that of the one model in it. DataError if it cannot be read, is none of safetensors, is not
    whole, or holds what is no finite number.
    """
    path = _within(path) if path.is_dir() else path
    if path.name.lower().endswith(INDEX):
        of = _index(path)
        arrays, metadata = _joined(path, dict.fromkeys(of.values()), of)
        if lacks := [name for name in of if name not in arrays]:
            raise DataError(f"{path}: {of[lacks[0]]} does not hold {lacks[0]:.100}")
        return arrays, metadata
    if part := _PART.search(path.stem):
        stem = path.stem.removesuffix(part[0])
        parts = (f"{stem}-{k:05}-of-{part[1]}{path.suffix}" for k in range(1, int(part[1]) + 1))
        return _joined(path, parts, {})
    return _read_file(path)


def _within(folder: Path) -> Path:
    """Return the file of a folder by which its model is read: an index, one of the parts, or the only one."""
    names = sorted(path.name for path in folder.iterdir() if path.name.lower().endswith((INDEX, SUFFIX)))
    models = {_PART.sub("", name.removesuffix(SUFFIX).removesuffix(INDEX)): name for name in names}
    if len(models) != 1:
        held = f"those of {len(models)} models: name one of {', '.join(names[:5])}" if models else "none"
        raise DataError(f"{folder} is a folder, and of files of safetensors it has {held}")
    return folder / next((name for name in names if name.lower().endswith(INDEX)), names[0])


def _index(path: Path) -> dict[str, str]:
    """Return which file has which array."""
    try:
        of = run_format.decode(read_regular(path, run_format.HEADER_LIMIT), Index).weight_map
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except RunError as error:
        raise DataError(f"{path} is no index of files of safetensors: {error}") from None
    for name in of.values():
        if Path(name).name != name or name in ("", "..") or {"\\", "\0"} & {*name}:
            raise DataError(f"{path}: names {name!r:.100}, which is no file beside it")
    return of


def _joined(
    path: Path, files: Iterable[str], of: Mapping[str, str]
) -> tuple[dict[str, Array], dict[str, str]]:
    """Return what files beside a path hold together; where it says `of` which file an array is, that one."""
    arrays: dict[str, Array] = {}
    metadata: dict[str, str] = {}
    for name in files:
        try:
            own, more = _read_file(path.parent / name)
        except DataError as error:
            raise DataError(f"{path}: {error}" if name != path.name else str(error)) from None
        own = {key: array for key, array in own.items() if (of.get(key) if of else name) == name}
        if twice := own.keys() & arrays.keys():
            raise DataError(f"{path}: {min(twice):.100} is in {name}, too, and in another of its files")
        arrays |= own
        metadata |= more
        if sum(array.nbytes for array in arrays.values()) > LIMIT:
            raise DataError(f"{path}: its files hold more than {LIMIT:,} bytes, the most that is read")
    return arrays, metadata


def _read_file(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    header = _header(path)
    try:
        with safe_open(path, framework="numpy") as file:
            arrays: dict[str, Array] = {}
            for name in file.keys():  # noqa: SIM118 not a dict
                here = file.get_slice(name)
                kind = here.get_dtype()
                if kind in COUNTS and math.prod(here.get_shape()) == 1:
                    continue
                if kind not in READ:
                    raise DataError(f"{path}: {name:.100} is of {kind}; what is read is {', '.join(READ)}")
                array = _bfloat16(path, header, name) if kind == "BF16" else file.get_tensor(name)
                arrays[name] = array.astype(np.float32) if kind == "F16" else array
                if not np.isfinite(arrays[name]).all():
                    raise DataError(f"{path}: {name:.100} holds what is no finite number")
            return arrays, dict(file.metadata() or {})
    except DataError:
        raise
    except (SafetensorError, RunError, OSError, ValueError, TypeError, KeyError) as error:
        why = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise DataError(f"{path} is not a whole file of safetensors: {why}") from None


def _header(path: Path) -> bytes:
    """Return the header; DataError where the file is another, or the header too long."""
    try:
        with open_regular(path, LIMIT) as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if length <= run_format.HEADER_LIMIT:
                return file.read(length)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    if start.startswith((b"PK\x03\x04", b"\x80")):
        within = '["state_dict"]' * (path.suffix == ".ckpt")  # where Lightning keeps it
        new = path.with_suffix(".weights.safetensors" if path.suffix == ".safetensors" else ".safetensors")
        raise DataError(
            f"{path} is a pickle, which is code, and is not read: in PyTorch, sd = torch.load({path.name!r}, "
            f"weights_only=True){within}; safetensors.torch.save_file({{k: v.clone() for k, v in sd.items()}}"
            f", {new.name!r}) writes what is read"
        )
    if start.startswith(b"\x89HDF"):
        raise DataError(f"{path} is HDF5, as Keras writes it: --from keras")
    raise DataError(f"{path} is not a file of safetensors: its header would be {length:,} bytes")


def _bfloat16(path: Path, header: bytes, name: str) -> Array:
    """Return an array of bfloat16, which NumPy does not have, as float32."""
    told: dict[str, Any] = run_format.decode(header, dict[str, Any])[name]
    first, end = told["data_offsets"]
    with open_regular(path, LIMIT) as file:
        file.seek(8 + len(header) + first)
        halves = np.frombuffer(file.read(end - first), "<u2")
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(told["shape"])
