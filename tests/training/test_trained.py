"""A trained model is measured on its own text, or on one that is named."""

import warnings
from pathlib import Path

import pytest

from bptt import DataError, Settings, Trained, Trainer
from bptt.errors import BpttWarning
from bptt.flow.positions import ids_of
from small_runs import SMALL, go
from small_runs import book as book


def test_a_run_says_nothing_of_a_folder_and_has_no_more_read_than_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    folder.joinpath("a.txt").write_text("some words to read\n" * 99)
    folder.joinpath("secret.bin").write_bytes(b"\0")
    with pytest.warns(BpttWarning, match="secret"):
        go(Trainer.start(Settings(data=str(folder), **SMALL), tmp_path / "run"), 8)
    trained = Trained.load(tmp_path / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trained.scores()
        assert ids_of(trained)
    folder.joinpath("b.txt").write_text("x" * trained.longest)
    monkeypatch.setattr("bptt.training.trained.digest", None)  # it does not come so far
    for measure in (trained.scores, lambda: ids_of(trained)):
        with pytest.raises(DataError, match="no longer the text that the model was trained on"):
            measure()


def test_a_model_is_not_measured_on_another_text_unasked(tmp_path: Path, book: str) -> None:
    """What is validation text now may have been trained on then."""
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"), 8)
    trained = Trained.load(tmp_path / "run")
    assert trained.scores()
    Path(book).write_text(Path(book).read_text()[::-1])
    with pytest.raises(DataError, match="no longer the text that the model was trained on"):
        trained.scores()
    assert trained.scores(book)
