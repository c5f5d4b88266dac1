"""What other programs write that is odd: columns x and x.1, sheets that say a wrong size, archives."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.data.tables import Table, arrays, read_table, workbook
from bptt.data.tables.dates import Dates
from bptt.errors import DataError
from bptt.types import Array


def test_columns_that_are_called_x_and_x_1_are_two(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1, "a.1": 2}\n{"a.1": 4}\n')
    assert read_table(path).columns == {"a": ["1", ""], "a.1": ["2", "4"]}
    path.write_text(json.dumps({"x": [[1, 2], [3, 4]], "x.1": 9}))
    both: dict[str, Any] = {"x": np.ones((1, 2, 2)), "x.1": np.array([9])}
    np.savez(tmp_path / "a.npz", **both)
    for table in (Table.of({"x": [[[1, 2], [3, 4]]], "x.1": [9]}), read_table(path)):
        assert table.column("x.1") == ["9"]
        with pytest.raises(DataError, match="in a list"):
            table.column("x")
    with pytest.raises(DataError, match=r"x\.1 is an array, and a column of x, too"):
        read_table(tmp_path / "a.npz")


def test_a_list_in_a_list_that_is_absent_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"x": null}\n{"x": [[1, 2], [3, 4]]}\n')
    assert read_table(path).columns == {"x.1": ["", "1 3"], "x.2": ["", "2 4"]}
    path.write_text('{"x": [[1, 2], [3, 4]]}\n{"x": 5}\n')
    with pytest.raises(DataError, match="line 1, x: holds lists in a list, which others do not"):
        read_table(path).column("x")


def sheet(path: Path, cells: dict[str, object], says: str) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book, made = openpyxl.Workbook(), io.BytesIO()
    for at, value in cells.items():
        book.active[at] = value
    book.save(made)
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name.endswith("sheet1.xml"):
                before = f'<dimension ref="{book.active.dimensions}"'.encode()
                assert before in text
                text = text.replace(before, f'<dimension ref="{says}"'.encode())
            new.writestr(name, text)


def test_a_sheet_is_as_large_as_its_cells_whatever_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cells = tmp_path / "a.xlsx", {"A1": "a", "B1": "b", "A2": 1, "B2": 2, "A3": 3, "B3": 4}
    sheet(path, cells, "A1:A2")
    assert read_table(path).columns == {"a": ["1", "3"], "b": ["2", "4"]}
    monkeypatch.setattr(workbook, "MOST", 5)
    with pytest.raises(DataError, match="3 rows and 2 columns, more than 5 in all"):
        read_table(path)
    monkeypatch.setattr(workbook, "LIMIT", 99)
    with pytest.raises(DataError, match="holds more than"):
        read_table(path)


def headed(shape: tuple[int, ...]) -> bytes:
    made = io.BytesIO()
    np.lib.format.write_array_header_1_0(made, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return made.getvalue()


def test_arrays_that_say_what_they_are_not_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.float64(3))
    with pytest.raises(DataError, match="have no rows"):
        read_table(path)
    for shape in ((10**14,), (10**25,), (4,)):
        path.write_bytes(headed(shape))
        with pytest.raises(DataError, match="cannot be read as arrays"):
            read_table(path)
    np.savez(tmp_path / "b.npz", x=np.arange(3))
    with zipfile.ZipFile(tmp_path / "b.npz", "a") as archive:
        archive.writestr("readme.txt", "about")
    assert read_table(tmp_path / "b.npz").columns == {"x": ["0", "1", "2"]}
    monkeypatch.setattr(arrays, "LIMIT", 99)
    with pytest.raises(DataError, match="holds more than"):
        read_table(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (np.array(["2020-01-31", "NaT"], "M8[ns]"), ["2020-01-31", ""]),
        (np.array(["2020-01-31T05", "2020-02-01"], "M8[ns]"), ["2020-01-31T05:00:00", "2020-02-01T00:00:00"]),
        (np.array(["2020-01", "2020-02"], "M8[M]"), ["2020-01", "2020-02"]),
        (np.array([b"x", "ü".encode()]), ["x", "ü"]),
        (np.array([0.1, 1e-9], np.float32), ["0.1", "1e-09"]),
    ],
)
def test_values_of_arrays_are_texts(
    tmp_path: Path, array: Array, wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "SLICE", 1)
    np.savez(tmp_path / "a.npz", x=array)
    assert read_table(tmp_path / "a.npz").columns == {"x": wanted}


def test_the_fields_of_a_structured_array_are_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([(1, 2.5), (3, 4.5)], [("a", "i4"), ("b", "f8")]))
    assert read_table(tmp_path / "a.npy").columns == {"a": ["1", "3"], "b": ["2.5", "4.5"]}


@pytest.mark.parametrize(
    ("name", "data", "wanted"),
    [
        ("a.fasta", b">n one\nAC\n", {"id": ["n"], "description": ["one"], "sequence": ["AC"]}),
        ("d/a.json", b'{"a": [1, 2], "b": [3, 4]}', {"a": ["1", "2"], "b": ["3", "4"]}),
        ("a.tsv", b"a\n1,2\n", {"a": ["1,2"]}),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0), {"a": ["1"], "b": ["2"]}),
    ],
)
def test_what_lies_alone_in_an_archive_is_what_its_name_says(
    tmp_path: Path, name: str, data: bytes, wanted: dict[str, list[str]]
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, data)
    assert read_table(tmp_path / "a.zip").columns == wanted
    for k in range(4):  # archives in each other
        with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
            archive.write(tmp_path / "a.zip", "a.zip")
        (tmp_path / "b.zip").replace(tmp_path / "a.zip")
        if k < 2:
            assert read_table(tmp_path / "a.zip").columns == wanted
    with pytest.raises(DataError):
        read_table(tmp_path / "a.zip")


def test_a_day_beside_a_week_is_one_of_the_week() -> None:
    table = Table.of({"year": [2020, 2020], "week": [2, 3], "day": [7, 1]}).with_joined("year,week,day")
    dates = table.dates("year,week,day")
    assert [dates.iso(text) for text in table.column("year,week,day")] == ["2020-01-12", "2020-01-13"]
    assert isinstance(dates, Dates)
    assert dates.written("2020-01-14") == "2020 W3 2"
