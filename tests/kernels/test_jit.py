"""Compiled code is kept, and whatever is wrong with where it is kept, the right code runs."""

import ctypes
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from bptt.errors import ConfigError
from bptt.kernels.llvm import jit
from bptt.kernels.llvm.host import host
from machine_code import load
from processes import run, start

TEXT = 'define i64 @"f"(i64 %x) {{ %y = add i64 %x, {0} \n ret i64 %y }}'

CODE = """
import ctypes
from bptt.kernels.llvm import jit
library = jit.build(lambda: 'define i64 @"f"(i64 %x) { %y = add i64 %x, 7 \\n ret i64 %y }')
print(library.function("f", ctypes.c_int64, returns=ctypes.c_int64)(1), library.was_cached)
"""


def call(library: jit.Library, x: int) -> int:
    return int(library.function("f", ctypes.c_int64, returns=ctypes.c_int64)(x))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder of compiled code; nothing is in memory."""
    monkeypatch.setenv("BPTT_CACHE", str(tmp_path / "kernels"))
    forget(monkeypatch)
    return tmp_path / "kernels"


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "_libraries", {})


def test_code_is_read_the_second_time(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(TEXT.format(1))
    assert (call(first, 41), first.was_cached) == (42, False)
    assert load(TEXT.format(1)) is first
    forget(monkeypatch)
    second = load(TEXT.format(1))
    assert (call(second, 41), second.was_cached) == (42, True)
    assert len(list(cache.iterdir())) == 1


def test_other_code_has_another_file(cache: Path) -> None:
    assert call(load(TEXT.format(1)), 1) == 2
    assert call(load(TEXT.format(2)), 1) == 3
    assert len(list(cache.iterdir())) == 2


def test_a_module_is_made_only_where_there_is_no_code(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make() -> str:
        made.append(1)
        return TEXT.format(5)

    assert call(jit.build(make, "five"), 1) == 6
    forget(monkeypatch)
    library = jit.build(make, "five")
    assert (call(library, 1), library.was_cached, len(made)) == (6, True, 1)
    jit.build(make, "six")
    assert len(made) == 2, "what it depends on has changed"


def test_code_is_made_anew_where_the_source_has_changed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jit.build(lambda: TEXT.format(5), "five")
    forget(monkeypatch)
    monkeypatch.setattr(jit, "_source", lambda: "edited")
    assert not jit.build(lambda: TEXT.format(5), "five").was_cached


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "flipped"])
def test_a_damaged_file_is_not_used_and_is_replaced(
    cache: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    load(TEXT.format(3))
    (path,) = cache.iterdir()
    data = path.read_bytes()
    flipped = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
    foreign = b"\x7fELF" * 200
    path.write_bytes({"cut": data[:-20], "empty": b"", "foreign": foreign, "flipped": flipped}[damage])
    forget(monkeypatch)
    library = load(TEXT.format(3))
    assert (call(library, 1), library.was_cached) == (4, False)
    assert path.read_bytes()[:50] == data[:50]
    forget(monkeypatch)
    assert load(TEXT.format(3)).was_cached


@pytest.mark.filterwarnings("ignore:.*is not used for compiled code:bptt.errors.BpttWarning")
@pytest.mark.parametrize("obstacle", ["file in the way", "folder in the way", "read-only"])
def test_where_nothing_can_be_written_code_runs(
    cache: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    if obstacle == "file in the way":
        cache.write_text("not a folder")
    elif obstacle == "folder in the way":
        load(TEXT.format(4))
        (path,) = cache.iterdir()
        path.unlink()
        path.mkdir()
        forget(monkeypatch)
    else:
        cache.mkdir()
        cache.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        library = load(TEXT.format(4))
        assert (call(library, 1), library.was_cached) == (5, False)
        assert not list(cache.parent.rglob(".*.new")), "nothing half-written stays"
    finally:
        if obstacle == "read-only":
            cache.chmod(stat.S_IRWXU)


def test_processes_at_once_on_an_empty_folder(tmp_path: Path) -> None:
    folder = {"BPTT_CACHE": str(tmp_path / "new")}
    processes = [start("-c", CODE, env=folder) for _ in range(4)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out.split()[0] == b"8"
    assert run(CODE, **folder).stdout.split() == ["8", "True"]
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="nothing"):
        load(TEXT.format(1)).function("nothing")


def test_target_narrows_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    here = host()
    monkeypatch.setenv("BPTT_TARGET", "baseline")
    assert host().bits == 128
    assert not host().avx512
    assert here.bits >= host().bits
    monkeypatch.setenv("BPTT_TARGET", "mmx")
    with pytest.raises(
        ConfigError, match="BPTT_TARGET must be avx512bf16, avx512, avx2 or baseline, got 'mmx'"
    ):
        host()


def test_address_of_any_array() -> None:
    a = np.arange(24.0).reshape(4, 6)
    fixed = a.copy()
    fixed.flags.writeable = False
    for array in (a, a.T, a[1:, 2:], a[::2, ::-1], a[:0], fixed, a > 3, np.broadcast_to(a[0], (3, 6))):
        assert jit.address(array) == array.ctypes.data


def test_a_cached_start_needs_no_computer_algebra(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np, bptt\n"
        "from bptt import optim\n"
        "model = bptt.Model(inputs=9, outputs=9, hidden=8, embedding=3, cell='gru', backend='cpu')\n"
        "params, tokens = model.init(np.random.default_rng(0)), np.zeros((4, 2), int)\n"
        "loss, grads, _ = model.loss_and_grads(params, tokens[:-1], tokens[1:])\n"
        "adam = optim.get('adam')\n"
        "adam.update(params, grads, adam.init(params), 0.1)\n"
        "print('sympy' in sys.modules)\n"
    )
    for first in (True, False):
        assert run(code, BPTT_CACHE=str(tmp_path)).stdout.strip() == str(first)


FAR = """
import ctypes, mmap
import llvmlite.binding
from bptt.kernels.llvm import jit

if hasattr(mmap, "MAP_ANONYMOUS"):  # free places of one page each, 3 GB from one another
    kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    larger = [mmap.mmap(-1, 1 << 17, flags=kind, prot=mmap.PROT_READ) for _ in range(2000)]
    pages, walls = [], []
    for _ in range(40):
        pages.append(mmap.mmap(-1, mmap.PAGESIZE, flags=kind))
        walls.append(mmap.mmap(-1, 3 << 30, flags=kind, prot=mmap.PROT_READ))
    for page in pages:
        page.close()
numbers = ", ".join(f"i64 {i}" for i in range(1 << 14))
text = '''@"c" = private constant [16384 x i64] [%s]
define i64 @"f"(i64 %%x) {
    %%p = getelementptr [16384 x i64], [16384 x i64]* @"c", i64 0, i64 %%x
    %%y = load i64, i64* %%p
    ret i64 %%y
}'''
for more in range(3):
    library = jit.build(lambda: text % numbers, more)
    print(library.function("f", ctypes.c_int64, returns=ctypes.c_int64)(41 + more))
"""


def test_code_and_its_constants_reach_each_other_where_much_memory_is_mapped(cache: Path) -> None:
    assert run(FAR).stdout.split() == ["41", "42", "43"]


FORK = """
import ctypes, os, signal, threading
from bptt.kernels.llvm import jit

def built(n):
    text = 'define i64 @"f"(i64 %x) { %y = add i64 %x, ' + str(n) + ' \\n ret i64 %y }'
    return jit.build(lambda: text, n).function("f", ctypes.c_int64, returns=ctypes.c_int64)(0)

built(0)
on = threading.Event()
thread = threading.Thread(target=lambda: [built(n) for n in range(1, 2000) if not on.is_set()])
thread.start()
for k in range(20):
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(built(10000 + k) != 10000 + k)
    assert os.waitpid(child, 0)[1] == 0, k
on.set()
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_process_that_forks_while_another_thread_compiles_can_compile(tmp_path: Path) -> None:
    result = run(FORK, BPTT_CACHE=str(tmp_path / "kernels"))
    assert result.returncode == 0, result.stderr
