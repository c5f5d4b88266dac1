"""Planted and damaged code is neither run nor waited for, and the right code runs in its place."""

import contextlib
import ctypes
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bptt.errors import BpttWarning
from bptt.kernels.llvm import diskcache, jit
from bptt.kernels.llvm.host import host
from machine_code import load

posix = pytest.mark.skipif(os.name != "posix", reason="this system has no owners and modes of this kind")
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files to others"
)
TEXT = 'define i64 @"f"(i64 %x) {{ %y = add i64 %x, {0} \n ret i64 %y }}'
NOBODY = 65534


def run(monkeypatch: pytest.MonkeyPatch) -> tuple[int, bool]:
    """Return what code gives, as in a new process, that should give 42, and whether it was read."""
    monkeypatch.setattr(jit, "_libraries", {})
    library = load(TEXT.format(1))
    return library.function("f", ctypes.c_int64, returns=ctypes.c_int64)(41), library.was_cached


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file with a right digest that gives 99: code that somebody else wants to be run."""
    monkeypatch.setenv("BPTT_CACHE", str(tmp_path / "above" / "kernels"))
    assert run(monkeypatch) == (42, False)
    (path,) = (tmp_path / "above" / "kernels").iterdir()
    diskcache.write(path.parent, path.stem, jit._compile(TEXT.format(58), host()))
    assert run(monkeypatch) == (99, True), "it would be run"
    return path


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def link_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.symlink_to("elsewhere")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero, without an end


def in_sticky(path: Path) -> None:
    path.parent.parent.chmod(0o1777)
    os.chown(path.parent, NOBODY, -1)


FILES: dict[str, Callable[[Path], object]] = {
    "writable by the group": lambda path: path.chmod(0o620),
    "writable by all": lambda path: path.chmod(0o602),
    "a link": link,
    "a pipe": fifo,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "empty": lambda path: path.write_bytes(b""),
    "half a head": lambda path: path.write_bytes(path.read_bytes()[:20]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "sparse": lambda path: os.truncate(path, 1 << 40),
    "under another name": lambda path: path.write_bytes(
        diskcache._head("0" * 64, code := path.read_bytes()[diskcache._HEAD :]) + code
    ),
}
FILES_OF_ROOT = {"a device": device, "somebody else's": lambda path: os.chown(path, NOBODY, -1)}


@posix
@pytest.mark.parametrize(
    "harm",
    [*FILES.values(), *[pytest.param(harm, marks=as_root) for harm in FILES_OF_ROOT.values()]],
    ids=[*FILES, *FILES_OF_ROOT],
)
def test_a_file_that_is_not_to_be_trusted_is_replaced(
    planted: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], object]
) -> None:
    harm(planted)
    begun = time.perf_counter()
    assert run(monkeypatch) == (42, False)
    assert run(monkeypatch) == (42, True)
    assert time.perf_counter() - begun < 20, "nothing is waited for"
    state = planted.lstat()
    assert (stat.S_ISREG(state.st_mode), stat.S_IMODE(state.st_mode)) == (True, 0o600)


FOLDERS: dict[str, Callable[[Path], object]] = {
    "writable by the group": lambda path: path.parent.chmod(0o770),
    "writable by all": lambda path: path.parent.chmod(0o1777),
    "a link": link_folder,
    "the one above is writable by the group": lambda path: path.parent.parent.chmod(0o775),
    "the one above is writable by all": lambda path: path.parent.parent.chmod(0o777),
}
FOLDERS_OF_ROOT: dict[str, Callable[[Path], object]] = {
    "somebody else's": lambda path: os.chown(path.parent, NOBODY, -1),
    "the one above is somebody else's": lambda path: os.chown(path.parent.parent, NOBODY, -1),
    "somebody else's in a shared one": in_sticky,
}


@posix
@pytest.mark.parametrize(
    "harm",
    [*FOLDERS.values(), *[pytest.param(harm, marks=as_root) for harm in FOLDERS_OF_ROOT.values()]],
    ids=[*FOLDERS, *FOLDERS_OF_ROOT],
)
def test_in_a_folder_that_is_not_to_be_trusted_nothing_is_read_or_written(
    planted: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], object]
) -> None:
    data = planted.read_bytes()
    harm(planted)
    with pytest.warns(BpttWarning, match=r"is not used for compiled code.*\(chmod 700\)") as notes:
        assert [run(monkeypatch) for _ in range(2)] == [(42, False)] * 2
    assert len(notes) == 1
    assert [path.read_bytes() for path in planted.parent.iterdir()] == [data]


def test_every_flipped_bit_is_noticed(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = planted.read_bytes()
    for at in range(0, len(data), 5):
        planted.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        assert diskcache.read(planted.parent, planted.stem) is None, at


@posix
def test_folders_are_made_for_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTT_CACHE", str(tmp_path / "a" / "b" / "kernels"))
    before = os.umask(0)
    try:
        run(monkeypatch)
    finally:
        os.umask(before)
    made = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "kernels"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700] * 3
    assert [stat.S_IMODE(path.stat().st_mode) for path in made[-1].iterdir()] == [0o600]


@posix
def test_a_shared_folder_above_may_hold_the_users_own(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.parent.parent.chmod(0o1777)
    assert run(monkeypatch) == (99, True)


def test_a_home_is_meant_by_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME" if os.name == "posix" else "USERPROFILE", str(tmp_path))
    monkeypatch.setenv("BPTT_CACHE", "~/kernels")
    assert jit.folder() == tmp_path / "kernels"


@posix
@pytest.mark.parametrize("given", ["", "~", "~nobody-of-this-name/x", "x" * 5000, "a/../../b\n"])
def test_without_a_place_code_is_made_in_memory(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No home, no entry for the user, and no current folder."""
    import pwd

    def nobody(_: object) -> None:
        raise KeyError("no such user")

    monkeypatch.setenv("BPTT_CACHE", given)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run(monkeypatch) == (42, False)
    assert run(monkeypatch) == (42, False)
    monkeypatch.chdir(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing_half_written(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.unlink()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert run(monkeypatch) == (42, False)
    monkeypatch.setattr(Path, "replace", interrupt)
    with contextlib.suppress(KeyboardInterrupt):
        run(monkeypatch)
    assert not list(planted.parent.iterdir())


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_was_used_longest_ago_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diskcache, "MOST", 4000)
    keys = [f"{k:064x}" for k in range(6)]
    others = [tmp_path / "mine.o", tmp_path / f".{keys[0]}.{'0' * 16}.new"]
    for path in others:
        path.write_bytes(bytes(9000))
    tmp_path.chmod(0o700)
    now = time.time()
    for k, key in enumerate(keys[:5]):
        diskcache.write(tmp_path, key, bytes(900))
        os.utime(tmp_path / f"{key}.o", (now - (9 - k) * diskcache.DAY,) * 2)
    assert diskcache.read(tmp_path, keys[1]) == bytes(900), "a use is noted"
    diskcache.write(tmp_path, keys[5], bytes(900))
    left = [key for key in keys if (tmp_path / f"{key}.o").exists()]
    assert left == [keys[k] for k in (1, 3, 4, 5)]
    assert all(path.exists() for path in others), "somebody else's, and one that is being written"
    os.utime(others[1], (0, 0))
    diskcache.write(tmp_path, keys[5], bytes(900))
    assert [path.exists() for path in others] == [True, False], "one that was never finished"
    shutil.rmtree(tmp_path)
    diskcache.write(tmp_path, keys[0], bytes(900))
    assert diskcache.read(tmp_path, keys[0]) == bytes(900)
