"""Machine code from LLVM's intermediate representation, kept on disk for the next process.

The folder is ``BPTT_CACHE`` in the environment or else the user's cache folder. A file there is named by the
hash of all that the code depends on. :mod:`bptt.kernels.llvm.diskcache` says which folders and files are
used; where none can be, code is made anew in each process.
"""

import ctypes
import hashlib
import itertools
import os
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from bptt.files import user_cache
from bptt.kernels.llvm import diskcache
from bptt.kernels.llvm.host import Host, host


class Library:
    """Machine code in memory: LLVM's linker owns it, and it was read from the disk or made anew."""

    def __init__(self, code: bytes, was_cached: bool) -> None:
        import llvmlite.binding as llvm

        self._name = str(next(_numbers))
        parts = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        self._held = [parts.link(_linker(), self._name)]  # code lies in memory as long as one of these lives
        self.was_cached = was_cached

    def function(self, name: str, *arguments: Any, returns: Any = None) -> Any:
        """Return a function of the module by its types, to call from Python; other threads run meanwhile."""
        return ctypes.CFUNCTYPE(returns, *arguments)(self.address(name))

    def address(self, name: str) -> int:
        """Return where a function of the module lies, for other code to call."""
        with _lock:
            try:
                found = _linker().lookup(self._name, name)
            except RuntimeError as error:
                raise KeyError(name) from error
            self._held.append(found)
            return int(found[name])


def address(array: Any) -> int:
    """Return where an array's numbers begin; several times as quick as ``array.ctypes.data`` for most."""
    flags = array.flags
    if array.size and flags.writeable and flags.forc:
        return ctypes.addressof(ctypes.c_char.from_buffer(array.T if flags.fnc else array))
    return int(array.ctypes.data)


def quick_address(array: Any) -> int:
    """Return the same of an array without gaps, for most in half the time."""
    try:
        return ctypes.addressof(_char_from(array))
    except (TypeError, ValueError):  # nobody may write to it, or it is empty
        return int(array.ctypes.data)


_char_from = ctypes.c_char.from_buffer
_numbers = itertools.count()
_libraries: dict[str, Library] = {}
_lock = threading.RLock()

if hasattr(os, "register_at_fork"):
    # a process is not copied in the midst of LLVM's work: its own locks would stay closed in the copy
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def build(make: Callable[[], Any], *depends: object, target: Host | None = None) -> Library:
    """Return the machine code of the module, or its text, that a function makes where there is none.

    Parameters
    ----------
    make : function
    *depends : str, numbers, dtypes
        All that the module depends on, but for the processor and the source of bptt, which are seen to.
    target : Host, optional
        Default: this processor.
    """
    import llvmlite
    import llvmlite.binding as llvm

    target = target or host()
    made_by = llvmlite.__version__, llvm.llvm_version_info, target
    known = *made_by, make.__module__, make.__qualname__, *map(repr, depends), _source()
    key = hashlib.sha256("\n".join(map(str, known)).encode()).hexdigest()
    with _lock:
        if key not in _libraries:
            where = folder()
            code = None if where is None else diskcache.read(where, key)
            was_cached = code is not None
            if code is None:
                code = _compile(str(make()), target)
                if where is not None:
                    diskcache.write(where, key, code)
            _libraries[key] = Library(code, was_cached)
        return _libraries[key]


@cache
def _source() -> str:
    """Return the hash of the source that makes modules."""
    package = Path(__file__).parents[2]
    files = sorted([*package.glob("kernels/**/*.py"), *package.glob("derive/**/*.py")])
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def folder() -> Path | None:
    """Return the folder of compiled kernels, which need not exist; None where it names none."""
    given = os.environ.get("BPTT_CACHE", "")
    if not given:
        cache = user_cache()
        return None if cache is None else cache / "kernels"
    try:
        return Path(given).expanduser().absolute()
    except (OSError, RuntimeError, LookupError):  # without a home there is no ~, nor always a current folder
        return None


def _machine(target: Host) -> Any:
    """Return a new one: an engine takes the one that it is given for its own."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple = llvm.Target.from_triple(target.triple)
    return triple.create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", codemodel="small"
    )


def _compile(text: str, target: Host) -> bytes:
    import llvmlite.binding as llvm

    machine = _machine(target)
    module = llvm.parse_assembly(text)
    module.triple = target.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    builder = llvm.create_pass_builder(machine, llvm.PipelineTuningOptions(speed_level=3))
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


@cache
def _linker() -> Any:
    """Return LLVM's linker, which lays the parts of a library side by side.

    They reach each other over no more than 2 GB. LLVM's older one asks the system for each part alone, and
    ends the process where too much lies between them, as in one that maps a lot of memory. The new one is
    not LLVM's own choice on Windows.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.create_lljit_compiler(_machine(host()), use_jit_link=os.name != "nt")
