"""Rows without a label or a text are left out, counted and said; a folder of folders is a table."""

from pathlib import Path

import pytest

import bptt
from bptt.data.labelled import Layout, read_labelled
from bptt.data.tables import Table, read_folder, read_table
from bptt.errors import BpttWarning, DataError
from bptt.training.jobs.labels import Labels
from bptt.training.settings import Settings

NAMES = "name,language\nrossi,it\nvidi,\n,it\nivanov,ru\norlando, \n" + "verdi,it\norlov,ru\n" * 5


def test_rows_without_a_label_or_a_text_are_left_out(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text(NAMES)
    found = read_labelled(str(path), Layout("classify", text="name", label="language"))
    assert (len(found), found.left_out, found.labels) == (12, 3, ["it", "ru", *["it", "ru"] * 5])
    assert found.place(1).endswith("a.csv: line 5")  # as it stands in the file
    told = read_labelled(str(path), Layout("classify", text="name", label="language"), told=False)
    assert (len(told), told.left_out) == (14, 1)  # no label is wanted to predict one
    (path := tmp_path / "b.csv").write_text("x,y\n1 2,1\n3 4,NA\n5 6,\n7 8,3\n")
    numbers = read_labelled(str(path), Layout("regress", inputs=("x",), label="y"))
    assert numbers.labels is not None
    assert (numbers.left_out, [*numbers.labels]) == (2, [1, 3])
    (path := tmp_path / "c.csv").write_text("s,x,y\na,1,p\na,2,p\nb,3,\nb,4,\nc,5,q\n")
    rows = read_labelled(str(path), Layout("classify", inputs=("x",), series="s", label="y"))
    assert (rows.left_out, rows.labels, rows.place(1)[-6:]) == (2, ["p", "q"], "line 6")
    with pytest.raises(DataError, match="line 4, column y: is empty, as one more is"):
        read_labelled(str(path), Layout("tag", inputs=("x",), series="s", label="y"))  # a step is a step


def test_a_number_that_means_none_is_no_label(tmp_path: Path) -> None:
    """Neither where it is said to, nor without a word where it is not."""
    rows = [f"{k},{k % 7},{'-999' if k % 5 == 0 else k / 10}" for k in range(40)]
    (path := tmp_path / "a.csv").write_text("\n".join(["x,z,y", *rows]) + "\n")
    how = {"inputs": ("x", "z"), "label": "y"}
    found = read_labelled(str(path), Layout("regress", absent="hold", missing=(-999,), **how))  # type: ignore[arg-type]
    assert (len(found), found.left_out) == (32, 8)
    asked = Settings.of(data=str(path), task="regress", inputs="x,z", label="y")
    assert any(
        "column y: -999 stands 8 times as what is to be told" in note for note in Labels.of(asked).notes
    )


def test_white_space_around_a_label_is_no_part_of_it(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text("text,label\nab,pos \ncd,pos\nef, neg\n")
    assert read_labelled(str(path), Layout("classify")).labels == ["pos", "pos", "neg"]


def test_a_run_says_how_many_are_left_out_and_predicts_for_each_row(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_text(NAMES)
    columns = {"task": "classify", "text": "name", "label": "language"}
    settings = Settings.of(data=str(path), hidden=4, steps=2, **columns)
    assert "3 rows have no label or text: left out" in Labels.of(settings).notes
    for _ in bptt.Trainer.start(settings, tmp_path / "run").reports():
        pass
    trained = bptt.Trained.load(tmp_path / "run")
    with pytest.warns(BpttWarning, match="3 rows have no label or text"):
        assert trained.label_score(str(path)).count == 12
    with pytest.warns(BpttWarning, match="1 row has no text, and no prediction"):
        found = trained.predict(str(path))
    assert (len(found.labels), len(found.columns()["prediction"])) == (14, 15)
    lines = found.labelled.table.written(found.columns()).decode().splitlines()
    assert len(lines) == 16
    assert lines[3] == ",it,,,"
    assert lines[2].startswith("vidi,,")
    assert not lines[2].endswith(",")


def test_a_folder_has_a_folder_for_each_label(tmp_path: Path) -> None:
    for name, text in {
        "train/ham/a.txt": "see you",
        "train/spam/b/c.txt": "b\u00fcy",
        "train/urls.txt": "u",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode("cp1252"))
    (tmp_path / "test" / "ham").mkdir(parents=True)
    (tmp_path / "test" / "ham" / "a.txt").write_text("later")
    table = read_folder(tmp_path / "train", "cp1252")
    assert table.columns == {
        "file": ["ham/a.txt", "spam/b/c.txt", "urls.txt"],
        "label": ["ham", "spam", ""],
        "text": ["see you", "b\u00fcy", "u"],
    }
    found = read_labelled(str(tmp_path / "train"), Layout("classify", encoding="cp1252"))
    assert (found.texts, found.labels, found.left_out) == (["see you", "b\u00fcy"], ["ham", "spam"], 1)
    assert found.place(1).endswith("train: spam/b/c.txt")
    assert table.written({"prediction": ["p", "q", "r"]}).decode().splitlines()[2] == "spam/b/c.txt,spam,q"
    with pytest.raises(DataError, match=r"test, train in it have .*: give .*train, and --valid .*test"):
        read_folder(tmp_path, "cp1252")


def test_columns_that_are_not_named_are_called_text_and_label(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_text('[{"text": "a b", "label": "x"},\n {"text": "c", "label": "y"}]')
    found = read_labelled(str(path), Layout("classify"))
    assert (found.texts, found.labels, found.place(1)[-8:]) == (["a b", "c"], ["x", "y"], "object 2")
    written = found.table.written({"prediction": ["x", "x"]})
    (tmp_path / "b.json").write_bytes(written)
    assert read_table(tmp_path / "b.json").columns["prediction"] == ["x", "x"]
    (tmp_path / "c.csv").write_text("a,b\nx,y\n")
    with pytest.raises(bptt.errors.ConfigError, match=r"--task classify reads .*without them columns text"):
        read_labelled(str(tmp_path / "c.csv"), Layout("classify"))


def test_a_prediction_stands_in_misc_of_conll_u(tmp_path: Path) -> None:
    rows = ["1\tIt\tit\tPRON\t_\t_\t2\tnsubj\t_\t_", "2\truns\trun\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No"]
    (path := tmp_path / "a.conllu").write_text("# text = It runs\n" + "\n".join(rows) + "\n\n")
    table = read_table(path, sentences=True)
    lines = table.written({"prediction": ["PRON", "A|B"]}).decode().splitlines()
    assert lines[0] == "# text = It runs"
    assert [line.split("\t")[9] for line in lines[1:]] == [
        "Prediction=PRON",
        r"SpaceAfter=No|Prediction=A\pB",
    ]
    (tmp_path / "b.conllu").write_text("\n".join(lines) + "\n")
    assert read_table(tmp_path / "b.conllu", sentences=True).columns["upos"] == ["PRON", "VERB"]


def test_what_one_row_of_a_sequence_knows_is_known_of_it() -> None:
    columns = {"id": [*"aabb"], "x": [1, 2, 3, 4], "p": ["", 0, "", ""], "q": [1, 1, 0, ""]}
    found = read_labelled(Table.of(columns), Layout("multilabel", inputs=("x",), series="id", label="p,q"))
    assert found.unknown is not None
    assert found.unknown.tolist() == [[False, False], [True, False]]
