"""A run's folder while it is trained: held by one, never begun over, and told where something is lost."""

import copy
import os
from pathlib import Path

import pytest

from bptt import DataError, RunError, Settings, Trainer
from bptt.errors import BpttWarning
from bptt.training.trainer import DONE
from small_runs import SMALL, go
from small_runs import book as book


def test_a_run_whose_last_checkpoint_is_lost_is_not_begun_anew(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 12)
    last, best = (tmp_path / "run" / f"{name}.safetensors" for name in ("last", "best"))
    last.unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.joinpath("run").iterdir()}
    with pytest.raises(RunError, match=r"has no last\.safetensors, so it is not known where to go on"):
        Trainer.resume(tmp_path / "run")
    best.rename(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"has no last\.safetensors"):  # the log says that it has trained
        Trainer.resume(tmp_path / "run")
    tmp_path.joinpath("elsewhere").rename(best)
    after = {path.name: path.read_bytes() for path in tmp_path.joinpath("run").iterdir()}
    assert {**after, ".lock": b""} == {**before, ".lock": b""}
    last.write_bytes(best.read_bytes())  # the way out that the error names
    assert Trainer.resume(tmp_path / "run").step == 7


def test_a_log_that_has_lost_lines_is_told(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 12)
    log = tmp_path / "run" / "log.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.warns(BpttWarning, match=r"log\.jsonl: it has lost the line of step 5, and maybe others"):
        assert go(Trainer.resume(tmp_path / "run")).end == DONE


def test_a_folder_is_held_until_training_ends(tmp_path: Path, book: str) -> None:
    trainer = Trainer.start(Settings(data=book, **SMALL), tmp_path / "run")
    with pytest.raises(RunError, match="is in use by another Trainer of this process"):
        Trainer.resume(tmp_path / "run")
    go(trainer, 3)
    again = Trainer.resume(tmp_path / "run")
    again.close()
    Trainer.resume(tmp_path / "run").close()


def test_reports_that_are_asked_for_again_hold_the_folder_again(tmp_path: Path, book: str) -> None:
    trainer = Trainer.start(Settings(data=book, **SMALL), tmp_path / "run")
    for _ in trainer.reports():
        break
    again = trainer.reports()
    next(again)
    with pytest.raises(RunError, match="is in use by another Trainer of this process"):
        Trainer.resume(tmp_path / "run")
    del again
    go(Trainer.resume(tmp_path / "run"), 12)
    with pytest.raises(RunError, match="has been trained by another meanwhile"):
        next(trainer.reports())
    assert go(Trainer.resume(tmp_path / "run")).end == DONE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_trainer_does_not_write(tmp_path: Path, book: str) -> None:
    trainer = Trainer.start(Settings(data=book, backend="reference", **SMALL), tmp_path / "run")
    before = {path.name: path.read_bytes() for path in tmp_path.joinpath("run").iterdir()}
    if (child := os.fork()) == 0:
        try:
            go(trainer)
        except RunError as error:
            os._exit(0 if "this is a forked process" in str(error) else 1)
        except BaseException:
            os._exit(2)
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.joinpath("run").iterdir()} == before
    assert go(trainer).end == DONE


def test_a_run_whose_lock_is_taken_away_stops(tmp_path: Path, book: str) -> None:
    trainer = Trainer.start(Settings(data=book, **SMALL), tmp_path / "run")
    tmp_path.joinpath("run", ".lock").unlink()
    other = Trainer.resume(tmp_path / "run")
    with pytest.raises(RunError, match=r"is not held any more: .* \.lock was taken away"):
        go(trainer)
    assert go(other).end == DONE


def test_a_trainer_that_holds_a_folder_is_not_copied(tmp_path: Path, book: str) -> None:
    trainer = Trainer.start(Settings(data=book, **SMALL), tmp_path / "run")
    with pytest.raises(TypeError, match="held once"):
        copy.deepcopy(trainer)
    with pytest.raises(RunError, match="is in use"):
        Trainer.resume(tmp_path / "run")


def test_a_resumption_that_is_refused_changes_nothing(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 12)
    run = tmp_path / "run"
    for name in ("vocabulary.json", "log.jsonl"):
        run.joinpath(name).unlink()
    run.joinpath("log.jsonl").mkdir()
    run.joinpath(".log.jsonl.0123456789ab.tmp").mkdir()
    run.joinpath(".config.json.0123456789ab.tmp").touch()
    before = sorted(path.name for path in run.iterdir())
    with pytest.raises(RunError, match=r"log\.jsonl: it is a folder"):
        Trainer.resume(run)
    assert sorted(path.name for path in run.iterdir()) == before
    run.joinpath("log.jsonl").rmdir()
    with pytest.warns(BpttWarning, match="it has lost the line"):
        Trainer.resume(run).close()  # a folder with the name of a temporary file stops nobody


@pytest.mark.parametrize("name", ["log.jsonl", "best.safetensors", "vocabulary.json"])
def test_no_run_is_begun_over_what_another_left(tmp_path: Path, book: str, name: str) -> None:
    tmp_path.joinpath("outside").write_text("mine")
    tmp_path.joinpath("run").mkdir()
    tmp_path.joinpath("run", name).symlink_to(tmp_path / "outside")
    with pytest.raises(RunError, match=f"holds a {name}, which would be written over"):
        Trainer.start(Settings(data=book, **SMALL), tmp_path / "run")
    assert tmp_path.joinpath("outside").read_text() == "mine"


def test_a_run_goes_on_where_its_texts_have_moved(tmp_path: Path, book: str) -> None:
    valid = tmp_path / "valid.txt"
    valid.write_text(Path(book).read_text()[:300])
    go(Trainer.start(Settings(data=book, valid=str(valid), **SMALL), tmp_path / "run"), 3)
    valid.rename(tmp_path / "moved.txt")
    with pytest.raises(DataError, match="no such file"):
        Trainer.resume(tmp_path / "run")
    assert go(Trainer.resume(tmp_path / "run", valid=str(tmp_path / "moved.txt"))).end == DONE


def test_a_run_that_goes_on_by_other_code_says_so(
    tmp_path: Path, book: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bptt.training.opening.running", lambda *_: "compiled for another")
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 3)
    monkeypatch.undo()
    with pytest.warns(BpttWarning, match="was compiled for another and is now .*: its bits may differ"):
        Trainer.resume(tmp_path / "run").close()
