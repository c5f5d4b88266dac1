"""Sequences that may have several labels: read in every form, learnt by a yes or a no of each, and told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import BpttWarning, ConfigError, DataError, RunError, Settings, Trained, Trainer
from bptt.data.labelled import Layout, read_labelled
from bptt.data.labelled.several import parts_of, with_sets
from bptt.data.tables import Table, read_table
from bptt.training.jobs.labels import Labels
from bptt.training.label_sets import SetScore
from bptt.training.trainer import DONE
from labelled_tables import SMALL_LABELS
from small_runs import go, left_by

COLUMNS: dict[str, Any] = {"task": "multilabel", "text": "text", "label": "tags"}


def rows(count: int = 90, seed: int = 0) -> list[tuple[str, list[str]]]:
    """Return texts whose letters tell their labels, with none, one or several."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("abcxyz"), rng.integers(2, 7))) for _ in range(count)]
    return [(text, [f"has {letter}" for letter in "abc" if letter in text]) for text in texts]


def marked(folder: Path, **more: Any) -> tuple[str, dict[str, Any]]:
    (folder / "a.csv").write_text("text,tags\n" + "".join(f"{t},{'|'.join(own)}\n" for t, own in rows()))
    return str(folder / "a.csv"), SMALL_LABELS | COLUMNS | more


FORMS = {
    "a.csv": 'text,tags\nu,x y; b\nv,\nw,"b;"\n',
    "b.csv": "text,tags\nu,\"['b', 'x y']\"\nv,[]\nw,[b]\n",
    "c.csv": "text,b,x y\nu,1,True\nv,0,no\nw,yes,0.0\n",
    "d.jsonl": '{"text": "u", "tags": ["x y", "b"]}\n{"text": "v", "tags": []}\n{"text": "w", "tags": "b"}\n',
    "e.json": '[{"text": "u", "tags": ["b", "x y"]}, {"text": "v"}, {"text": "w", "tags": ["b", null]}]',
}


@pytest.mark.parametrize("name", FORMS)
def test_several_labels_are_read_in_every_form(tmp_path: Path, name: str) -> None:
    (path := tmp_path / name).write_text(FORMS[name])
    label, separator = ("b:x y", "|") if name == "c.csv" else ("tags", ";")
    found = read_labelled(str(path), Layout("multilabel", text="text", label=label, separator=separator))
    assert (found.names, found.sets) == (["b", "x y"], [["b", "x y"], [], ["b"]])
    assert (found.texts, found.left_out) == (["u", "v", "w"], 0)


def test_lists_of_parquet_are_read_and_rows_of_one_sequence_have_its_labels(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"text": ["u", "v", "w"], "tags": [["b", "x y"], None, ["b"]]})
    parquet.write_table(table, tmp_path / "a.parquet")
    found = read_labelled(str(tmp_path / "a.parquet"), Layout("multilabel", text="text", label="tags"))
    assert found.sets == [["b", "x y"], [], ["b"]]
    (path := tmp_path / "a.csv").write_text("s,v,tags\n1,3,a|b\n1,4,b|a\n2,5,\n")
    numbers = read_labelled(str(path), Layout("multilabel", inputs=("v",), series="s", label="tags"))
    assert (numbers.sets, numbers.counts.tolist()) == ([["a", "b"], []], [2, 1])


TEXTS = [
    ("['a b', \"c'd\"]", ["a b", "c'd"]),
    ('["caf\\u00e9", "x"]', ["café", "x"]),
    ("('a', 'b')", ["a", "b"]),
    ("{'a', None}", ["a"]),
    ("['a' 'b']", ["a", "b"]),
    ("[rock 'n' roll, pop]", ["rock 'n' roll", "pop"]),
    ("[1 2]", ["1", "2"]),
    ("(other)", ["(other)"]),
    ("[", ["["]),
]


@pytest.mark.parametrize(("text", "labels"), TEXTS)
def test_lists_are_read_as_json_python_and_numpy_write_them(text: str, labels: list[str]) -> None:
    assert parts_of(text, "|") == labels


@pytest.mark.parametrize("form", ["|".join, str, list])
def test_labels_of_several_words_need_no_other_mark(form: Any) -> None:
    """Where a mark stands between some, or lists say what labels are, spaces are parts of names."""
    rows = [["deep learning", "deep vision"], ["learning"], ["machine learning"], ["machine vision", "deep"]]
    table = Table.of({"text": ["u"] * 4, "tags": [form(own) for own in rows]})
    assert read_labelled(table, Layout("multilabel", text="text", label="tags")).sets == [
        sorted(own) for own in rows
    ]


WRONG = {
    "another mark": ("tags", 'a;b\nb;c\na;c\nc;a;b', r"'a;b' seems to be several labels .*--separator ';'"),
    "white space": ("tags", "a b\nb c\na c\nc a b", r"--separator ' '"),
    "no mark": ("x,y", "1\n2", r"a.csv: has no column 'x'"),
    "no label": ("tags", '""\n""', "no row has a label"),
    "no yes or no": ("tags,text", "1\n2", r"line 3, column tags: '2' is none of 1, 0, true"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_are_no_labels_is_said(tmp_path: Path, name: str) -> None:
    label, values, message = WRONG[name]
    text = "\n".join(f"{value},1" for value in values.split("\n"))
    (path := tmp_path / "a.csv").write_text(f"tags,text\n{text}\n")
    with pytest.raises(DataError, match=message):
        read_labelled(str(path), Layout("multilabel", text="other", label=label))


def test_a_label_that_is_read_or_holds_the_mark_is_refused(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text("a|b,c,d\n1,0,1\n")
    with pytest.raises(DataError, match=r"the label 'a\|b' holds '\|', .*--separator"):
        read_labelled(str(path), Layout("multilabel", text="d", label="a|b,c"))
    with pytest.raises(ConfigError, match="c is what is to be told"):
        read_labelled(str(path), Layout("multilabel", text="c", label="a|b,c", separator=";"))
    with pytest.raises(ConfigError, match="--separator must be"):
        Layout("multilabel", text="d", label="c", separator="")


def test_several_labels_are_learnt_told_and_gone_on_with(tmp_path: Path) -> None:
    data, how = marked(tmp_path, steps=250, hidden=12, eval_every=50, lr=0.02, embedding=8)
    trainer = go(Trainer.start(Settings(data=data, **how), tmp_path / "parts"), 120)
    assert go(Trainer.resume(tmp_path / "parts")).end == DONE
    assert go(Trainer.start(Settings(data=data, **how), tmp_path / "run")).end == DONE
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "run")
    trained = Trained.load(tmp_path / "run")
    score, found = trained.label_score(data), trained.predict(data)
    assert isinstance(score, SetScore)
    assert score.micro[2] > 0.9 > score.most_frequent[1]
    are = np.array([[name in own for name in found.classes] for _, own in rows()])
    told = found.probabilities > 0.5
    assert found.labels == [
        "|".join(f"has {x}" for x, own in zip("abc", row, strict=True) if own) for row in told
    ]
    right = (are & told).sum()
    assert score.micro == pytest.approx(
        (right / told.sum(), right / are.sum(), 2 * right / (told.sum() + are.sum()))
    )
    assert score.exact == (are == told).all(axis=1).mean()
    assert score.loss == pytest.approx(
        -np.log(np.where(are, found.probabilities, 1 - found.probabilities)).sum(1).mean()
    )
    last = trainer.run.log.lines()[-1]
    assert {"micro_f1", "macro_f1", "exact"} <= {*last}
    assert trained.predict({"text": ["zzza", "yyy"]}).labels == ["has a", ""]
    (tmp_path / "b.csv").write_text("text,tags\na,has d\n")
    with pytest.raises(DataError, match="line 2, column tags: 'has d' is none of the 3 labels"):
        trained.label_score(str(tmp_path / "b.csv"))
    trained.facts["columns"]["tags"] = {"type": "number", "mean": 0.0, "scale": 1.0}
    with pytest.raises(RunError):
        trained.predict(data)


def test_a_prediction_has_a_column_for_each_label(tmp_path: Path) -> None:
    data, how = marked(tmp_path, steps=1)
    go(Trainer.start(Settings(data=data, **how), tmp_path / "run"))
    found = Trained.load(tmp_path / "run").predict(data)
    (tmp_path / "b.csv").write_bytes(found.labelled.table.written(found.columns()))
    assert [*read_table(tmp_path / "b.csv").columns][2:] == ["prediction", "p_has a", "p_has b", "p_has c"]


def test_figures_of_several_labels_are_those_of_their_definition() -> None:
    are = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0]], bool)
    told = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]], bool)
    score = SetScore.of("x", 0.5, ["a", "b", "c", "d"], told, are, np.ones((4, 4), bool))
    assert score.micro == pytest.approx((3 / 4, 3 / 5, 6 / 9))
    wanted = np.array([[1, 2 / 3, 4 / 5], [0, 0, 0], [1, 1, 1], [0, 0, 0]])
    np.testing.assert_allclose(score.by_class, wanted)
    assert score.macro_f1 == pytest.approx((4 / 5 + 0 + 1) / 3)  # d is neither there nor told
    assert (score.exact, score.most_frequent[0]) == (0.25, "a")
    assert score.most_frequent[1] == pytest.approx(6 / 9)
    assert score.to_json()["classes"]["a"] == {
        "precision": 1,
        "recall": 2 / 3,
        "f1": 0.8,
        "there": 3,
        "told": 2,
    }


def test_what_is_to_be_known_of_several_labels_is_said(tmp_path: Path) -> None:
    data, how = marked(tmp_path)
    said = " ".join(Labels.of(Settings(data=data, **how)).notes)
    assert f"{sum(not own for _, own in rows())} of 90 sequences have no label" in said
    one = Labels.of(Settings(data=data, **(how | {"task": "classify"})))
    assert any("'|' seems to stand between labels: --task multilabel" in note for note in one.notes)
    weights = Labels.of(Settings(data=data, **how, class_weights="balanced")).model.class_weights
    trained_on = Labels.of(Settings(data=data, **how)).source._sequences.targets  # type: ignore[attr-defined]
    assert weights == pytest.approx((len(trained_on) - trained_on.sum(axis=0)) / trained_on.sum(axis=0))


def test_labels_that_are_not_known_count_for_nothing(tmp_path: Path) -> None:
    own = [(t, [int(f"has {letter}" in each) for letter in "abc"]) for t, each in rows()]
    some = np.random.default_rng(1).random((len(own), 3)) < 0.7
    some[4] = False  # of which nothing is known: left out
    lines = [
        ",".join([t, *(str(m) if s else "" for m, s in zip(ms, k, strict=True))])
        for (t, ms), k in zip(own, some, strict=True)
    ]
    (tmp_path / "a.csv").write_text("text,a,b,c\n" + "\n".join(lines))
    minus = [line.replace(",,", ",-1,").replace(",,", ",-1,") for line in lines]
    (tmp_path / "b.csv").write_text("text,a,b,c\n" + "\n".join(x + "-1" * x.endswith(",") for x in minus))
    how = SMALL_LABELS | {"task": "multilabel", "text": "text", "label": "a:c", "class_weights": "balanced"}
    settings = Settings(data=str(tmp_path / "a.csv"), **how)
    labels = Labels.of(settings)
    there = some[some.any(axis=1)]
    assert f"{(~there).sum()} of {there.size} labels are not known, and count for nothing" in labels.notes
    with pytest.raises(DataError, match="'-1' is none of 1, 0, true, false, yes, no; --missing -1"):
        Labels.of(Settings(data=str(tmp_path / "b.csv"), **how))
    other = Labels.of(Settings(data=str(tmp_path / "b.csv"), missing="-1", **how))
    np.testing.assert_array_equal(other.valid.targets, labels.valid.targets)
    marks = np.array([ms for _, ms in own], float)
    marks[~some] = np.nan
    keep = np.isfinite(marks).any(axis=1)
    go(Trainer.start(settings, tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    told = trained.predict({"text": [t for t, _ in own]}).probabilities[keep]
    with pytest.warns(BpttWarning, match="2 rows have no label or text: left out"):
        score, marks = trained.label_score(str(tmp_path / "a.csv")), marks[keep]
    assert isinstance(score, SetScore)
    right = ((told > 0.5) & (marks == 1)).sum(axis=0)
    assert score.right.tolist() == right.tolist()
    assert score.told.tolist() == ((told > 0.5) & np.isfinite(marks)).sum(axis=0).tolist()
    assert score.are.tolist() == np.nansum(marks, axis=0).tolist()
    assert score.whole == (((told > 0.5) == marks) | np.isnan(marks)).all(axis=1).sum()


def test_crosses_alone_mark_a_yes_and_nothing_a_no() -> None:
    table = Table.of({"a": ["x", "", "X", ""], "b": ["", "", "\u2713", ""], "c": ["1", "", "0", "1"]})
    found = with_sets(table, "a:c", "|")
    assert found.table.columns["a:c"] == ["a|c", "", "a|b", "c"]
    assert found.unknown.sum(axis=0).tolist() == [0, 0, 1]
