"""Each part of the data in turn is what a run is validated on; what is said of a run is of its own part."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import ConfigError, DataError, Settings, Trained, Trainer, report
from bptt.data.lists import Form, Parts
from bptt.data.sequences import split
from bptt.training.jobs.labels import Labels
from labelled_tables import SMALL_LABELS
from small_runs import go

HOW: dict[str, Any] = SMALL_LABELS | {"task": "classify", "text": "text", "label": "label", "steps": 4}


def written(folder: Path, count: int = 33) -> str:
    rows = [f"{'ab'[k % 3 // 2] * (k % 5 + 1)}{k},{'xy'[k % 3 // 2]}" for k in range(count)]
    (folder / "a.csv").write_text("text,label\n" + "\n".join(rows))
    return str(folder / "a.csv")


def test_the_parts_are_all_of_the_data_and_have_as_many_of_each_class(tmp_path: Path) -> None:
    data = written(tmp_path)
    found = [Labels.of(Settings(data=data, fold=f"{k}/3", **HOW)) for k in (1, 2, 3)]
    assert [len(each.valid) for each in found] == [11, 11, 11]
    assert [np.bincount(each.valid.targets).max() for each in found] == [8, 7, 7]
    held = [np.concatenate([split(10, (k, 4))[1] for k in (1, 2, 3, 4)]), split(10, (4, 4))[0]]
    assert (sorted(held[0].tolist()), len(held[1])) == (list(range(10)), 8)
    texts = [Parts.load(data, Form(text="text"), part=(k, 3)).valid.texts for k in (1, 2, 3)]
    whole = Parts.load(data, Form(text="text"))
    assert sorted(text for each in texts for text in each) == sorted([*whole.train.texts, *whole.valid.texts])


def test_a_run_is_measured_on_its_own_part_and_runs_are_told_together(tmp_path: Path) -> None:
    data = written(tmp_path)
    for k in (1, 2, 3):
        go(Trainer.start(Settings(data=data, fold=f"{k}/3", **HOW), tmp_path / "runs" / f"f{k}"))
    go(Trainer.start(Settings(data=data, text="text", fold="2/3", hidden=4, steps=4), tmp_path / "list"))
    scores = [Trained.load(tmp_path / "runs" / f"f{k}").label_score() for k in (1, 2, 3)]
    for name, other in (("tenth", None), ("half", "1/2")):  # no parts of three
        go(Trainer.start(Settings(data=data, fold=other, **HOW), tmp_path / "runs" / name))
    found = report(tmp_path / "runs", samples=False)
    (together,) = found.over_seeds
    assert (together.runs, together.what) == (["f1", "f2", "f3"], "folds")
    own = [score.figures["accuracy"] for score in scores]
    assert together.figures["accuracy"] == pytest.approx((np.mean(own), np.std(own, ddof=1)))
    assert found.runs[0].figures == pytest.approx(scores[0].figures)
    assert "over 3 folds: f1, f2, f3\naccuracy 0." in str(found)
    trained = Trained.load(tmp_path / "list")
    assert trained.scores()[0].nats == pytest.approx(report(tmp_path / "list", samples=False).runs[0].best[0])


@pytest.mark.parametrize("fold", ["0/3", "4/3", "1/1", "1", "a/b"])
def test_what_is_no_part_is_told(tmp_path: Path, fold: str) -> None:
    with pytest.raises(ConfigError, match="--fold is one of several parts"):
        Labels.of(Settings(data=written(tmp_path), fold=fold, **HOW))


def test_too_many_parts_and_two_ways_are_told(tmp_path: Path) -> None:
    data = written(tmp_path)
    with pytest.raises(DataError, match="33 sequences cannot be cut into 34 parts"):
        Labels.of(Settings(data=data, fold="1/34", **HOW))
    with pytest.raises(ConfigError, match="--fold and --valid are two ways"):
        Labels.of(Settings(data=data, fold="1/3", valid=data, **HOW))
    with pytest.raises(DataError, match="33 sequences cannot be cut"):
        Parts.load(data, Form(text="text"), part=(2, 50))


def test_no_part_has_the_smallest_of_each_few_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "\n".join(f"t{k},{k}" for k in range(200)))
    how = HOW | {"data": str(tmp_path / "a.csv"), "task": "regress"}
    found = [Labels.of(Settings(fold=f"{k}/4", **how)) for k in (1, 2, 3, 4)]
    assert [len(each.valid) for each in found] == [50] * 4
    own = [{*each.coding.target.decode(each.valid.targets[:, 0]).round().tolist()} for each in found]  # type: ignore[union-attr]
    assert len(set.union(*own)) == 200
    blocks = [[sorted(number // 4 for number in part)] for part in own]
    assert all(block == [[float(k) for k in range(50)]] for block in blocks)  # one of each four
    assert all({number % 4 for number in part} == {0, 1, 2, 3} for part in own)
