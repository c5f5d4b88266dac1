"""Arrays of NumPy, lists in lists, and series of the Monash archive are tables."""

import json
from pathlib import Path

import numpy as np
import pytest

from bptt.data.labelled import Layout, read_labelled
from bptt.data.series import Columns, read_panel
from bptt.data.tables import Table, read_table
from bptt.data.tables.forms import Kept
from bptt.errors import ConfigError, DataError
from bptt.types import Array

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(4, 3, 2)), np.array(["a", "b", "a", "b"])
LAYOUT = Layout("classify", inputs=("x",), label="y")


def numbers(table: str | Table, layout: Layout = LAYOUT) -> Array:
    found = read_labelled(table, layout)
    assert found.numbers is not None
    assert found.lengths is not None
    assert found.lengths.tolist() == [3] * 4
    return found.numbers


def test_arrays_of_rows_steps_and_columns_are_sequences(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=Y, rate=250.0, first=X[:, :, 0])
    path = str(tmp_path / "a.npz")
    assert np.array_equal(numbers(path), X.reshape(12, 2))
    assert read_labelled(path, LAYOUT).labels == Y.tolist()
    assert np.array_equal(
        numbers(path, Layout("classify", inputs=("x.2", "first"), label="y"))[:, 1], X[..., 0].ravel()
    )
    told = read_table(path).written({"prediction": ["p"] * 4}, ".csv").decode().split()
    assert told[:2] == ["y,prediction", "a,p"]


def test_lists_in_lists_are_the_same_in_json_frames_and_dicts(tmp_path: Path) -> None:
    rows = [{"x": x.tolist(), "y": y} for x, y in zip(X, Y, strict=True)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "b.json").write_text(json.dumps({"x": X.tolist(), "y": Y.tolist()}))
    for table in (
        str(tmp_path / "a.jsonl"),
        str(tmp_path / "b.json"),
        Table.of({"x": [*X], "y": Y.tolist()}),
    ):
        assert np.array_equal(numbers(table), X.reshape(12, 2))
    rows[2]["x"] = [[1.0, 2.0], [3.0]]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match="line 3"):
        numbers(str(tmp_path / "a.jsonl"))


def test_an_array_alone_has_numbered_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X[:, :, 0])
    assert read_table(tmp_path / "a.npy").columns["3"] == [str(x) for x in X[:, 2, 0]]
    np.save(tmp_path / "a.npy", X)
    assert read_table(tmp_path / "a.npy").columns["2"][1] == " ".join(map(str, X[1, :, 1]))


def test_arrays_of_other_lengths_pickles_and_damage_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x_train=X, x_test=X[:3])
    with pytest.raises(DataError, match=r"4 rows \(x_train\) and 3 rows \(x_test\): save those"):
        read_table(path)
    np.savez(path, x=X, y=np.array([[1], "a", {}, None], object), z=X[..., None])
    with pytest.raises(DataError, match="array y: is a pickle of objects"):
        read_labelled(str(path), LAYOUT)
    with pytest.raises(DataError, match="array z: has 4 axes"):
        read_table(path).column("z")
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(DataError, match="cannot be unpacked; is it cut short"):
        read_table(path)


def test_from_one_to_another_are_columns_where_each_has_steps(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,label\n1 2 3,4 5 6,x\n1 2 3,4 5 7,y\n1 2 3,4 5 6,x\n1 2 3,4 5 6,x\n")
    found = numbers(str(path), Layout("classify", inputs=("a:b",)))  # the label is the column of that name
    assert found[:3].tolist() == [[1, 4], [2, 5], [3, 6]]
    path.write_text("a,b,c\n1,4,x\n1,4,y\n")
    assert read_labelled(str(path), Layout("classify", inputs=("a:b",), label="c")).numbers is not None
    long = read_labelled(str(path), Layout("tag", inputs=("a:b",), label="c", series="c")).numbers
    assert long is not None
    assert long.tolist() == [[1, 4], [1, 4]]
    with pytest.raises(ConfigError, match="wants --label COLUMN"):
        read_labelled(str(path), Layout("classify", inputs=("a:b",)))


HEAD = "# a comment\n@relation x\n@attribute series_name string\n{}@frequency {}\n@horizon 4\n@data\n"
TIMES = {
    "yearly": ("1979-03-31 00-00-00", "1980-03-31"),
    "monthly": ("1979-01-31 00-00-00", "1979-02-28"),
    "quarterly": ("1979-01-01 00-00-00", "1979-04-01"),
    "weekly": ("1979-01-01 00-00-00", "1979-01-08"),
    "daily": ("1979-01-31 00-00-00", "1979-02-01"),
    "hourly": ("1979-01-31 23-00-00", "1979-02-01 00:00:00"),
    "half_hourly": ("1979-01-31 23-00-01", "1979-01-31 23:30:01"),
    "10_minutes": ("1979-01-31 23-00-00", "1979-01-31 23:10:00"),
    "minutely": ("1979-01-31 23-00-00", "1979-01-31 23:01:00"),
    "4_seconds": ("1979-01-31 23-00-00", "1979-01-31 23:00:04"),
}


@pytest.mark.parametrize("frequency", TIMES)
def test_series_of_the_monash_archive_are_rows(tmp_path: Path, frequency: str) -> None:
    first, second = TIMES[frequency]
    head = HEAD.format("@attribute start_timestamp date\n", frequency)
    (tmp_path / "a.tsf").write_text(f"{head}T1:{first}:1,2.5,?,4\nT2:{first}:5,6\n")
    columns = read_table(tmp_path / "a.tsf").columns
    assert columns["time"][1] == columns["time"][5] == second
    panel = read_panel(str(tmp_path / "a.tsf"), Columns("value", "time", "series_name"))
    assert (panel.names, panel.lengths.tolist()) == (["T1", "T2"], [4, 2])
    assert panel.values[[0, 1, 3, 4, 5]].tolist() == [1, 2.5, 4, 5, 6]


def test_series_without_a_time_and_faults_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tsf"
    path.write_text(HEAD.format("", "yearly") + "T1:1,2\nT2:3\n")
    assert read_table(path).columns == {"series_name": ["T1", "T1", "T2"], "value": ["1", "2", "3"]}
    head = HEAD.format("@attribute start_timestamp date\n", "{}")
    for frequency, row, says in (
        ("yearly", "T1:1,2", "line 8 has 1 of 2 attributes"),
        ("yearly", "T1:now:1", "'now' is no time"),
        ("often", "T1:1979-01-01 00-00-00:1", "'often' means nothing"),
    ):
        path.write_text(head.format(frequency) + row)
        with pytest.raises(DataError, match=says):
            read_table(path)


def test_numbers_of_texts_are_numbers_where_a_form_has_such(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,n,x,word\n007,1,1010.3736922580679,a\n08,,2,4\n")
    table = read_table(tmp_path / "a.csv")
    added = {"prediction": [0.123456789, 2.0]}
    rows = [json.loads(line) for line in table.written(added, ".jsonl").splitlines()]
    assert rows[0] == {"id": "007", "n": 1, "x": 1010.3736922580679, "word": "a", "prediction": 0.1234568}
    assert rows[1] == {"id": "08", "n": None, "x": 2.0, "word": "4", "prediction": 2.0}
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "a.parquet").write_bytes(table.written(added, ".parquet"))
    found = parquet.read_table(tmp_path / "a.parquet")
    assert list(map(str, found.schema.types)) == ["string", "int64", "double", "string", "double"]
    assert found.column("n").to_pylist() == [1, None]
    told = {"p": [Kept(1600000123.25), Kept(3.0), Kept(np.nan)]}
    table = Table.of({"n": ["1e999", "1.00000000000000001", ""]})
    assert table.written(told, ".csv").decode().split() == [
        "n,p",
        "1e999,1600000123.25",
        "1.00000000000000001,3",
        ",",
    ]
    assert json.loads(table.written(told, ".json"))[1] == {"n": "1.00000000000000001", "p": 3.0}
