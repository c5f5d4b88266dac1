"""The first sheet of a workbook is a table."""

from datetime import datetime
from pathlib import Path

import pytest

from bptt.data.series import Columns, read_panel
from bptt.data.tables import read_table
from bptt.errors import BpttWarning, DataError

openpyxl = pytest.importorskip("openpyxl")


def test_a_sheet_is_read_without_what_is_empty_around_it(tmp_path: Path) -> None:
    book, path = openpyxl.Workbook(), tmp_path / "a.xlsx"
    for row in (
        ["day", "sold", "name"],
        [datetime(2020, 1, 30), 3.0, "a,b"],
        [datetime(2020, 1, 31), 4.25, None],
    ):
        book.active.append([None, *row])
    book.active.insert_rows(1)
    book.active["E5"] = ""
    book.save(path)
    table = read_table(path)
    assert table.columns == {"day": ["2020-01-30", "2020-01-31"], "sold": ["3", "4.25"], "name": ["a,b", ""]}
    assert table.place(1) == f"{path}: row 4"
    assert table.written({"prediction": [0.5, 1.0]}).decode().splitlines()[1] == '2020-01-30,3,"a,b",0.5'
    assert read_panel(str(path), Columns("sold", "day")).time(0, 2) == "2020-02-01"
    assert read_table(path, head=False).columns["2"][0] == "sold"


def test_which_sheet_is_read_and_what_is_none_are_told(tmp_path: Path) -> None:
    book, path = openpyxl.Workbook(), tmp_path / "a.xlsx"
    book.active.append(["a", "b"])
    book.active.append([datetime(2020, 1, 30, 7), 1])
    book.create_sheet("Notes").append(["no"])
    book.save(path)
    with pytest.warns(BpttWarning, match="its first sheet is read, 'Sheet', and not Notes"):
        assert read_table(path).columns == {"a": ["2020-01-30T07:00:00"], "b": ["1"]}
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="cannot be unpacked; is it cut short"):
        read_table(path)
    openpyxl.Workbook().save(path)
    with pytest.raises(DataError, match=r"a\.xlsx: is empty"):
        read_table(path)
