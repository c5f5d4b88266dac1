"""A run's folder: made once, and its files replaced in one piece or not at all."""

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from bptt import RunError
from bptt.files import claim_folder
from bptt.training.runs.folder import Run
from small_runs import assert_one_line, checkpoint
from small_runs import run as run


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupted(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def half_written(handle: int, data: bytes) -> int:
    if len(data) < 100:
        full()
    return REAL_WRITE(handle, data[: len(data) // 2 + 1])


REAL_WRITE = os.write


@pytest.mark.parametrize(
    ("place", "fault", "raised"),
    [
        ("os.open", full, RunError),
        ("os.write", half_written, RunError),
        ("os.fsync", full, RunError),
        ("os.fsync", interrupted, KeyboardInterrupt),
        ("os.replace", full, RunError),
        ("os.replace", interrupted, KeyboardInterrupt),
    ],
)
def test_a_write_that_fails_leaves_what_was_there(
    run: Run, monkeypatch: pytest.MonkeyPatch, place: str, fault: Callable[..., Any], raised: type[Exception]
) -> None:
    before = sorted(run.folder.iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(place, fault)
        with pytest.raises(raised) as error:
            run.save("last", checkpoint(2))
        if raised is RunError:
            assert "No space left on device; what was there is as it was" in str(error.value)
    assert sorted(run.folder.iterdir()) == before
    assert run.load("last").values["step"] == 1
    run.save("last", checkpoint(2))
    assert run.load("last").values["step"] == 2


def test_a_disk_that_is_really_full_leaves_what_was_there(run: Run) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = sorted(run.folder.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # no file may grow beyond it
    try:
        with pytest.raises(RunError, match="cannot write"):
            run.save("last", checkpoint(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(run.folder.iterdir()) == before
    assert run.load("last").values["step"] == 1


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_files_have_the_mode_that_the_umask_gives(run: Run) -> None:
    for mask in (0o022, 0o077, 0o002):
        before = os.umask(mask)
        run.save("last", checkpoint())
        run.log.add({"step": 1})
        os.umask(before)
        assert run.path("last.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask


def test_what_a_killed_process_left_is_swept_away(run: Run) -> None:
    run.path(".x.tmp").write_text("a user's own")
    run.path(".notes.json.0123456789ab.tmp").write_text("a user's own")
    mine = sorted(run.folder.iterdir())
    run.path(".last.safetensors.0123456789ab.tmp").write_text("half a checkpoint")
    run.path(".config.json.0123456789ab.tmp").write_text("half a configuration")
    run.sweep()
    assert sorted(run.folder.iterdir()) == mine


def test_a_folder_that_holds_a_run_is_not_taken(run: Run) -> None:
    before = {path: path.read_bytes() for path in run.folder.iterdir()}
    with pytest.raises(RunError, match=r"already holds a run; go on with --resume .*, or give another --out"):
        Run.create(run.folder, {"settings": {"other": 1}}, {"tokens": []})
    assert {path: path.read_bytes() for path in run.folder.iterdir()} == before


def test_of_many_that_make_a_run_at_once_one_has_it(tmp_path: Path) -> None:
    together = Barrier(8)

    def make(k: int) -> Run | None:
        together.wait()
        try:
            return Run.create(tmp_path / "run", {"k": k}, {"k": k})
        except RunError:
            return None

    with ThreadPoolExecutor(8) as pool:
        (made,) = [run for run in pool.map(make, range(8)) if run is not None]
    run = Run.open(tmp_path / "run")
    assert made.config()["k"] == run.config()["k"]
    assert run.vocabulary() == {"k": run.config()["k"]}
    assert {path.name for path in run.folder.iterdir()} == {".lock", "config.json", "vocabulary.json"}


def test_a_folder_that_cannot_be_made_or_read_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "beneath", tmp_path / ("x" * 300), tmp_path / "y" / ("x" * 300)):
        with pytest.raises(RunError, match="cannot make the folder") as error:
            Run.create(folder, {})
        assert_one_line(error)
        with pytest.raises(RunError, match="is a file" if folder == file else "is no such folder") as error:
            Run.open(folder)
        assert_one_line(error)
    with pytest.raises(RunError, match=r"holds no run: it has no config\.json"):
        Run.open(tmp_path)


@pytest.mark.skipif(
    os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_folder_that_must_not_be_written_is_said(run: Run) -> None:
    run.folder.chmod(0o555)
    try:
        with pytest.raises(RunError, match=r"cannot write .*: Permission denied"):
            run.save("last", checkpoint(2))
        with pytest.raises(RunError, match="cannot make the folder"):
            Run.create(run.folder / "inner", {})
    finally:
        run.folder.chmod(0o755)
    assert run.load("last").values["step"] == 1


def test_a_claimed_folder_is_ones_own(tmp_path: Path) -> None:
    assert claim_folder(tmp_path, "a") == tmp_path / "a-1"
    tmp_path.joinpath("a-2").write_text("")
    assert claim_folder(tmp_path, "a") == tmp_path / "a-3"
    with pytest.raises(RunError, match="cannot make the folder"):
        claim_folder(tmp_path, "x" * 300)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: claim_folder(tmp_path, "b"), range(40)))
    assert len(set(made)) == 40
