"""``bptt predict``: the table again, with what is told; and the figures of a run of labels."""

import gzip
import json
import lzma
import os
import re
from pathlib import Path

import pytest

from bptt.cli import run as bptt
from bptt.data.tables import read_table
from command import FAST_TASK, Capture, command, finish
from labelled_tables import texts, written

FASTEST = [*FAST_TASK, "--steps=40", "--eval-every=20"]
COLUMNS = ["--task=classify", "--text=name", "--label=language"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    data, _ = written(folder, "classify")
    assert bptt(["train", data, *COLUMNS, *FASTEST, "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_the_table_is_written_with_what_is_told(run: Path, here: Path, capsys: Capture) -> None:
    Path("a.csv").write_text('id;name\n1;"adov"\n2;bini\n')
    assert bptt(["predict", str(run), "a.csv"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "id;name;prediction;p_it;p_jp;p_ru"
    assert out.splitlines()[1].startswith("1;adov;")
    assert bptt(["predict", str(run), "a.csv", "--out=-"]) == 0
    assert capsys.readouterr().out == out
    assert bptt(["predict", str(run), "a.csv", "--out=told.csv.gz"]) == 0
    assert gzip.decompress(Path("told.csv.gz").read_bytes()).decode() == out
    assert capsys.readouterr().out == "2 rows with their predictions are in told.csv.gz\n"
    assert bptt(["predict", str(run), "a.csv", "--out=told.csv.xz"]) == 0
    assert lzma.decompress(Path("told.csv.xz").read_bytes()).decode() == out
    assert sorted(path.name for path in here.iterdir()) == ["a.csv", "told.csv.gz", "told.csv.xz"]


def test_the_end_of_a_name_says_in_which_form_a_table_is_written(run: Path, here: Path) -> None:
    Path("a.csv").write_text('id;name\n1;"adov"\n2;bini\n')
    columns = None
    for end in ("jsonl", "json", "tsv", "csv", "tsv.gz", "parquet", "feather"):
        if end in ("parquet", "feather"):
            pytest.importorskip("pyarrow")
        assert bptt(["predict", str(run), "a.csv", f"--out=b.{end}"]) == 0
        found = read_table(f"b.{end}").columns
        near = {name: [f"{float(x):.5f}" for x in found[name]] for name in ("p_it", "p_jp", "p_ru")}
        assert (columns := columns or found | near) == found | near
    assert [json.loads(line)["name"] for line in Path("b.jsonl").read_text().splitlines()] == ["adov", "bini"]
    assert json.loads(Path("b.json").read_text())[1]["id"] == 2  # a number, as it is where forms have such
    assert bptt(["predict", str(run), "a.csv", "--out=b.xlsx"]) == 2
    assert not Path("b.xlsx").exists()
    assert Path("b.csv").read_text().startswith("id;name;")
    assert Path("b.tsv").read_text().startswith("id\tname\t")


def test_figures_of_labels_are_shown(run: Path, here: Path, capsys: Capture) -> None:
    assert bptt(["eval", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("names.csv, validation: 6 labels told, " + lines[0].split(", ")[-1])
    assert "(always " in lines[1]
    assert "macro-F1" in lines[1]
    assert [line.split()[0] for line in lines[2:]] == ["is", "it", "jp", "ru"]
    Path("other.csv").write_text(texts(seed=1))
    assert bptt(["eval", str(run), "other.csv", "--json"]) == 0
    score = json.loads(capsys.readouterr().out)["score"]
    assert score["count"] == 60 == sum(map(sum, score["confusion"]))


def test_training_on_labels_ends_with_its_figures(here: Path, capsys: Capture) -> None:
    data, _ = written(here, "classify")
    assert bptt(["train", data, *COLUMNS, *FASTEST]) == 0
    out = capsys.readouterr().out
    assert "names.csv: 54 sequences to train on, 6 to validate, of " in out
    assert "accuracy " in out
    assert "bptt predict bptt-runs/names-lstm-1 FILE" in out
    assert "bptt sample" not in out
    assert bptt(["train", data, "--task=regress", "--text=name", "--label=size", *FASTEST]) == 0
    assert "always the mean" in capsys.readouterr().out


MISTAKES: dict[str, tuple[list[str], str]] = {
    "over": (["predict", "RUN", "a.csv", "--out=./a.csv"], "a.csv is what is read: choose another name"),
    "among the run's": (["predict", "RUN", "d.csv", "--out=RUN/config.json"], "among the run's own files"),
    "unknown": (
        ["predict", "RUN", "a.csv"],
        "line 3: 'ç' .U.00E7. is none of the characters .* --skip-unknown",
    ),
    "column": (["predict", "RUN", "b.csv"], "b.csv: has no column 'name'; it has x, y"),
    "taken": (["predict", "RUN", "c.csv"], "has a column 'prediction' already: rename it"),
    "gone": (["predict", "RUN", "none.csv"], "none.csv: no such file"),
    "label": (["eval", "RUN", "d.csv"], "line 2, column language: 'fr' is none of the 3 labels"),
    "no label": (["eval", "RUN", "a.csv"], "has no column 'language'; it has name"),
    "tagging": (["train", "a.csv", "--task=tag", "--series=name"], "--series goes with --inputs"),
    "pool": (
        ["train", "a.csv", "--task=tag", "--text=name", "--label=name", "--pool=mean"],
        "--pool goes with",
    ),
    "lines": (["train", "a.csv", "--lines", "--pool=mean"], "--pool has no meaning for sequences of text"),
    "input": (
        ["train", "-", "--task=classify", "--text=a", "--label=b"],
        "standard input: a table to train on is read again",
    ),
    "writing": (["sample", "RUN"], "tells labels, and writes no text: bptt predict"),
    "each line": (["eval", "RUN", "a.csv", "--each-line"], "a model of labelled sequences .* reads no text"),
    "flow": (["flow", "RUN"], "flow follows a model of one long text"),
    "each": (["eval", "RUN", "a.csv", "--tokens"], "go with --each-line"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_with_labels_is_told_in_a_line(name: str, run: Path, here: Path, capsys: Capture) -> None:
    Path("a.csv").write_text("name\nab\naç\n", "utf-8")
    Path("b.csv").write_text("x,y\nab,1\n")
    Path("c.csv").write_text("name,prediction\nab,1\n")
    Path("d.csv").write_text("name,language\nab,fr\n")
    arguments, message = MISTAKES[name]
    before = sorted(here.iterdir())
    assert bptt([word.replace("RUN", str(run)) for word in arguments]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert len(found.err.splitlines()) == 1

    assert re.search(message, found.err), found.err
    assert json.loads((run / "config.json").read_text())
    assert sorted(here.iterdir()) == before


def test_what_is_not_known_is_left_out_and_counted(run: Path, here: Path, capsys: Capture) -> None:
    Path("a.csv").write_text("name\nab\naç\n", "utf-8")
    assert bptt(["predict", str(run), "a.csv", "--skip-unknown"]) == 0
    assert "1 of 4 (25.0%) tokens are not known to the model" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
def test_what_is_no_file_is_not_replaced_by_one(run: Path, here: Path, capsys: Capture) -> None:
    Path("a.csv").write_text("name\nab\n")
    os.mkfifo("pipe")
    Path("link").symlink_to("pipe")
    for name in ("pipe", "link"):
        assert bptt(["predict", str(run), "a.csv", "--out", name]) == 2
        assert f"cannot write {name}: it is a FIFO, not a file" in capsys.readouterr().err
    assert Path("link").is_symlink()
    assert Path("pipe").is_fifo()
    assert sorted(path.name for path in here.iterdir()) == ["a.csv", "link", "pipe"]


def test_a_file_in_place_of_a_run_is_told(here: Path, capsys: Capture) -> None:
    Path("a.csv").write_text("name\nadov\n")
    assert bptt(["predict", "a.csv", "a.csv"]) == 2
    assert capsys.readouterr().err.startswith("bptt: a.csv is a file; wanted is a run's folder")


def test_numbers_of_one_step_are_told(here: Path, capsys: Capture) -> None:
    Path("a.csv").write_text("x,y,z\n" + "1,2,a\n3,4,b\n" * 10)
    columns = ["--task=classify", "--label=z", *FAST_TASK, "--steps=1"]
    assert bptt(["train", "a.csv", *columns, "--inputs=x,y", "--out=one"]) == 0
    assert "each sequence has one step: --series COLUMN" in capsys.readouterr().out
    assert bptt(["train", "a.csv", *columns, "--inputs=x:y", "--out=two"]) == 0
    assert "each sequence has one step" not in capsys.readouterr().out


def test_parquet_is_told_in_parquet(run: Path, here: Path, capsys: Capture) -> None:
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(
        pa.table({"name": ["ab", "ba"], "n": [1, 2]}), "a.parquet"
    )
    assert bptt(["predict", str(run), "a.parquet"]) == 2
    assert "name a file, --out FILE" in capsys.readouterr().err
    assert bptt(["predict", str(run), "a.parquet", "--out=b.parquet"]) == 0
    assert list(read_table("b.parquet").columns) == ["name", "n", "prediction", "p_it", "p_jp", "p_ru"]


def test_a_table_may_come_from_standard_input(run: Path, here: Path) -> None:
    Path("a.csv").write_text("name\nadov\nbini\n")
    with Path("a.csv").open("rb") as table:
        code, output, said = finish(command("predict", str(run), "-", stdin=table))
    assert (code, said) == (0, "")
    assert [line.split(",")[0] for line in output.splitlines()] == ["name", "adov", "bini"]
