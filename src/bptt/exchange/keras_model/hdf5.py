"""HDF5, anybody's: arrays by their paths, read within bounds; and arrays written by their paths.

Nothing is opened that a file names elsewhere: links other than its own, arrays whose bytes lie in another
file, and filters that HDF5 would load as a library are refused. Memory is bounded by the file's size.
"""

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from bptt.errors import BpttError, ConfigError, DataError
from bptt.types import Array

MOST = 1 << 28
"""Bytes that the arrays of a file may have, however small it is: what is compressed may become larger."""

TIMES = 20
"""How many times as large as the file they may be, where that is more."""

TEXT_LIMIT = 16 << 20
"""The most bytes of a text."""

FILTERS = {1, 2, 3, 32000}
"""What arrays may be compressed by: gzip, shuffle, fletcher32 and lzf, which h5py brings."""

NAMES = 10_000
"""The most names of a group that are looked at."""


def library() -> Any:
    """Return the library that reads and writes HDF5; ConfigError where it is not installed."""
    try:
        import h5py
    except ImportError:
        raise ConfigError("Keras's files are HDF5, which wants h5py: pip install 'bptt[keras]'") from None
    return h5py


class Tree:
    """A file's groups and arrays.

    Parameters
    ----------
    file : binary file
        At its start.
    size : int
        Its bytes.

    Raises
    ------
    DataError
        Here and in all that is read: it is not HDF5, is damaged, or wants what is not given.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        h5py = library()
        self._left = max(MOST, TIMES * size)
        with _damaged():
            self._file = h5py.File(file, "r")
            # Keras on Windows once joined a path's parts so, and made one name of what stands before "vars"
            self._joined = [name for name in self._file if "\\" in name]

    def __enter__(self) -> "Tree":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):  # of a damaged file; what was wrong has been told
            self._file.close()

    def names(self, path: str = "") -> list[str]:
        """Return the names in a group, in the alphabet's order; none where there is no such group."""
        with _damaged():
            if self._joined and "vars" not in path.split("/"):
                return self._inside(path)
            group = self._at(path)
            if group is None or isinstance(group, library().Dataset):
                return []
            if len(group) > NAMES:
                raise DataError(f"{path or 'its root'} has {len(group):,} names; at most {NAMES:,} are read")
            return sorted(group)

    def _inside(self, path: str) -> list[str]:
        """Return the names in a group of which there are such joined ones."""
        head = path.replace("/", "\\") + "\\" * bool(path)
        names = {name.removeprefix(head).partition("\\")[0] for name in self._joined if name.startswith(head)}
        own = self._at(path)
        return sorted(names | set(() if own is None or not path else own))

    def array(self, path: str) -> Array:
        """Return an array as float32 or float64, which hold what is of fewer bits."""
        with _damaged():
            found = self._at(path)
            if found is None or not isinstance(found, library().Dataset):
                raise DataError(f"it has no array {path}")
            return self._numbers(path, found)

    def shape(self, path: str) -> tuple[int, ...]:
        """Return an array's shape."""
        with _damaged():
            found = self._at(path)
            if found is None or not isinstance(found, library().Dataset):
                raise DataError(f"it has no array {path}")
            return tuple(found.shape)

    def text(self, name: str, path: str = "") -> str | None:
        """Return an attribute that is text; None where there is none."""
        texts = self.texts(name, path)
        return None if texts is None else "".join(texts)

    def texts(self, name: str, path: str = "") -> list[str] | None:
        """Return an attribute that is a list of texts, in one piece or in numbered ones; None for none."""
        with _damaged():
            group = self._at(path)
            if group is None:
                return None
            if name in group.attrs:
                return self._texts(group, name)
            found: list[str] = []
            while f"{name}{len(found)}" in group.attrs and len(found) < NAMES:
                found.append("")
            pieces = [self._texts(group, f"{name}{k}") for k in range(len(found))]
            return [text for piece in pieces for text in piece] if pieces else None

    def note(self) -> str | None:
        """Return the text that `to_bytes` left there; None where there is none."""
        with _damaged():
            found = self._at("bptt")
            if not isinstance(found, library().Dataset) or found.dtype != np.uint8:
                return None
            if found.external or found.is_virtual or found.size > TEXT_LIMIT:
                raise DataError(f"its note has {found.size:,} bytes; at most {TEXT_LIMIT:,} are read")
            return np.asarray(found[()]).tobytes().decode()

    def _texts(self, group: Any, name: str) -> list[str]:
        told = group.attrs.get_id(name)
        count, size = int(np.prod([float(n) for n in told.shape])), told.dtype.itemsize
        if count > NAMES or count * size > TEXT_LIMIT:
            raise DataError(f"its {name} would have {count:,} texts of {size:,} bytes, which are not read")
        with _within(MOST):
            values = np.atleast_1d(group.attrs[name]).ravel().tolist()
        if not all(isinstance(value, str | bytes) for value in values):
            raise DataError(f"its {name} is no text")
        return [value.decode() if isinstance(value, bytes) else value for value in values]

    def _at(self, path: str) -> Any:
        """Return what is there, by the file's own links alone; None for nothing."""
        h5py, here, parts = library(), self._file, path.split("/") if path else []
        if self._joined:
            last = parts.index("vars") if "vars" in parts else len(parts)
            parts = ["\\".join(parts[:last])] * bool(last) + parts[last:]
        for name in parts:
            if not isinstance(here, h5py.Group) or name not in here:
                return None
            link = here.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise DataError(f"{path} is a {type(link).__name__}; what it names is not read")
            here = here[name]
        return here

    def _numbers(self, path: str, found: Any) -> Array:
        if found.is_virtual or found.external:
            raise DataError(f"{path} lies in another file, which is not read")
        half = found.dtype.kind == "V" and found.dtype.itemsize == 2 and _said(found) == "bfloat16"
        if not half and (found.dtype.kind != "f" or found.dtype.itemsize > 8):
            raise DataError(
                f"{path} is of {found.dtype}; what is read is float64, float32, float16 and bfloat16"
            )
        made = found.id.get_create_plist()
        if {made.get_filter(k)[0] for k in range(made.get_nfilters())} - FILTERS:
            raise DataError(f"{path} is compressed in a way that is not read: gzip is")
        size = int(found.size) * max(4, found.dtype.itemsize)
        chunk = 1 if found.chunks is None else int(np.prod([float(n) for n in found.chunks]))
        if max(size, chunk * found.dtype.itemsize) > self._left or len(found.shape) > 4:
            raise DataError(f"{path} says that it is {found.shape}, which a file of its size does not hold")
        self._left -= size
        with _within(MOST + 2 * size):
            array = np.asarray(found[()])
        if half:
            array = (array.view("<u2").astype(np.uint32) << 16).view(np.float32)
        array = array.astype(np.float64 if array.dtype.itemsize == 8 else np.float32)
        if not np.isfinite(array).all():
            raise DataError(f"{path} holds what is no finite number")
        return array


@contextlib.contextmanager
def _within(size: int) -> Iterator[None]:
    """Have no more than so many bytes of memory be taken, where the system can see to it.

    HDF5 takes the 4 GB that a text says it has, or what a compressed piece becomes, before it sees that this
    cannot be.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (ImportError, OSError):
        pages = None
    if pages is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (most if soft < 0 else min(soft, most), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _said(found: Any) -> object:
    """Return what Keras says of an array that HDF5 has no type for."""
    said = found.attrs.get("dtype")
    return said.decode() if isinstance(said, bytes) else said


@contextlib.contextmanager
def _damaged() -> Iterator[None]:
    """Have whatever the library raises be one line."""
    try:
        yield
    except BpttError:
        raise
    except MemoryError:
        raise DataError("it is damaged, or takes more memory than there is") from None
    except Exception as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(f"it is no whole file of HDF5 ({why})") from None


def to_bytes(arrays: Mapping[str, Array], names: Mapping[str, str], note: str | None = None) -> bytes:
    """Return a file of arrays by their paths.

    Parameters
    ----------
    arrays : dict of arrays
    names : dict of str
        By a group's path what its attribute ``name`` says; the group is made.
    note : str, optional
        What `Tree.note` gives.
    """
    h5py, file = library(), io.BytesIO()
    with h5py.File(file, "w") as root:
        for path, name in names.items():
            root.create_group(path).attrs["name"] = name
        for path, array in arrays.items():
            root.create_dataset(path, data=array)
        if note is not None:  # no attribute: of these HDF5 keeps few bytes
            root.create_dataset("bptt", data=np.frombuffer(note.encode(), np.uint8))
    return file.getvalue()
