"""Tables without a head, with two, with a spreadsheet's line above; and columns that are no file's."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bptt.data.labelled import Layout, read_labelled
from bptt.data.series import Columns, read_panel
from bptt.data.series.clock import read_time
from bptt.data.tables import Table, read_table
from bptt.errors import ConfigError, DataError


def write(folder: Path, text: str) -> Path:
    (folder / "a.csv").write_text(text)
    return folder / "a.csv"


def test_without_a_head_columns_are_counted_and_are_written_so(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "1;0,5\n1;0,5\n"), head=False)
    assert table.columns == {"1": ["1", "1"], "2": ["0,5", "0,5"]}
    assert table.lines == [1, 2]
    assert table.numbers("2").tolist() == [0.5, 0.5]
    assert table.written({"prediction": ["a", "b"]}) == b"1;0,5;a\n1;0,5;b\n"
    with pytest.raises(DataError, match="line 2 has 1 values, line 1 has 2"):
        read_table(write(tmp_path, "1,2\n3\n"), head=False)


def test_values_in_the_place_of_a_head_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="numbers alone, one of them twice: --no-head"):
        read_table(write(tmp_path, "0.5,0.5,2\n1,2,3\n"))


def test_what_parts_the_most_values_stands_between(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "+, S1,\t\tacgt\n-, S2,\t\tttga\n"), head=False)
    assert [text.strip() for text in table.columns["3"]] == ["acgt", "ttga"]
    assert table.columns["1"] == ["+", "-"]


def test_a_head_within_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3 is the head again: leave it out"):
        read_table(write(tmp_path, "a,b\n1,2\na, b\n3,4\n"))


def test_a_spreadsheets_line_says_what_stands_between(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, 'sep=;\na,b;c\n"1,5";2\n'))
    assert table.columns == {"a,b": ["1,5"], "c": ["2"]}
    assert table.lines == [3]


def test_many_columns_take_no_longer_than_their_number(tmp_path: Path) -> None:
    table = read_table(
        write(tmp_path, ",".join(f"c{k}" for k in range(50_000)) + "\n" + "1," * 49_999 + "1\n")
    )
    assert len(table.columns) == 50_000


@pytest.mark.parametrize(
    "absent", [None, float("nan"), np.float32("nan"), np.datetime64("NaT", "s"), np.ma.masked]
)
def test_what_is_absent_in_columns_is_no_text(absent: Any) -> None:
    table = Table.of({"a": ["x", absent], "b": [1, 2]})
    assert table.columns == {"a": ["x", ""], "b": ["1", "2"]}
    assert Table.of({"a": ["nan"]}).columns == {"a": ["nan"]}  # a name


def test_lists_in_columns_are_read_as_those_of_json() -> None:
    long = np.linspace(0, 1, 3000)
    table = Table.of({"x": [long, [1, 2]], "words": [("a", "b"), None], "odd": [["a b"], ["c"]]})
    assert [float(x) for x in table.column("x")[0].split()] == long.tolist()  # none is left out or cut
    assert (table.column("x")[1], table.column("words")) == ("1 2", ["a b", ""])
    with pytest.raises(DataError, match=r"the columns: row 1, odd: 'a b' in a list .* holds white space"):
        table.column("odd")


def test_a_data_frame_is_its_columns() -> None:
    class Frame(SimpleNamespace):
        def __getitem__(self, name: str) -> list[int]:
            return [len(name)]

    assert Table.of(Frame(columns=["a", "bc"])).columns == {"a": ["1"], "bc": ["2"]}
    index = SimpleNamespace(names=["t", None], get_level_values=lambda name: [f"of {name}"])
    assert Table.of(Frame(columns=["a"], index=index)).columns == {"t": ["of t"], "a": ["1"]}
    series = SimpleNamespace(to_frame=lambda: Frame(columns=["abc"]))
    assert Table.of(series).columns == {"abc": ["3"]}
    for wrong in ([1, 2], {"a": "text"}, {3: [1]}):
        with pytest.raises(DataError, match=r"want a path|columns are (called by texts|lists of values)"):
            Table.of(wrong)  # type: ignore[arg-type]


def test_columns_from_one_to_another_are_the_steps_of_a_row(tmp_path: Path) -> None:
    layout = Layout("classify", inputs=("x1:x3", "y1:y3"), label="z")
    text = "z,x1,x2,x3,y1,y2,y3\na,1,2,3,4,5,6\nb,7,8,,9,0,NaN\n"
    found = read_labelled(str(write(tmp_path, text)), layout)
    assert found.numbers is not None
    assert found.lengths is not None
    assert found.numbers.tolist() == [[1, 4], [2, 5], [3, 6], [7, 9], [8, 0]]
    assert found.lengths.tolist() == [3, 2]
    with pytest.raises(DataError, match="line 3, column x1:x3: there is no number"):
        read_labelled(str(write(tmp_path, text.replace("7,8,,9,0,NaN", "7,,8,9,0,1"))), layout)
    with pytest.raises(DataError, match="has no column 'x4'"):
        read_labelled(str(write(tmp_path, text)), Layout("classify", inputs=("x1:x4",), label="z"))


def test_a_decimal_comma_is_no_list(tmp_path: Path) -> None:
    text = 'x;z\n1,5;a\n"1,5 2,5";b\n"[1, 2]";a\n1,2,3;b\n'
    found = read_labelled(str(write(tmp_path, text)), Layout("classify", inputs=("x",), label="z"))
    assert found.numbers is not None
    assert found.lengths is not None
    assert found.lengths.tolist() == [1, 2, 2, 3]
    assert found.numbers.ravel().tolist() == [1.5, 1.5, 2.5, 1, 2, 1, 2, 3]


def test_steps_from_one_column_to_another_hold_no_label(tmp_path: Path) -> None:
    path = str(write(tmp_path, "x1,z,x2\n1,1,0\n"))
    for task in ("classify", "regress", "tag"):
        with pytest.raises(ConfigError, match="z is what is to be told: it cannot be read, too"):
            read_labelled(path, Layout(task, inputs=("x1:x2",), label="z"))
    read: list[dict[str, Any]] = [
        {"text": "x1,z"},
        {"inputs": ("x2",), "series": "x1", "beside": (("t", "z"),)},
    ]
    for more in read:
        with pytest.raises(ConfigError, match="z is what is to be told: it cannot be read, too"):
            read_labelled(path, Layout("classify", label="z", **more))
    for label in ("z:x2", "z,x2"):
        with pytest.raises(ConfigError, match="z is what is to be told: it cannot be read, too"):
            read_labelled(path, Layout("multilabel", inputs=("x1:x2",), label=label))


def test_a_column_that_is_named_twice_is_told() -> None:
    with pytest.raises(DataError, match="a:b,a names column a twice"):
        Table.of({"a": [1], "b": [2]}).across("a:b,a")


def test_a_number_in_place_of_a_name_wants_no_head(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "1,0.5\n2,0.7\n"))
    with pytest.raises(
        DataError, match=r"no column '2'; it has 1, 0.5; --no-head, if its first line has none"
    ):
        table.column("2")


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_times_of_a_data_frame_are_read(unit: str) -> None:
    days = np.array(["2020-01-31T09:00", "2020-02-01T09:00"], f"M8[{unit}]")
    panel = read_panel(Table.of({"day": [*days], "x": [1, 2]}), Columns("x", "day"))
    assert read_time(panel.time(0, 2))[1] == np.datetime64("2020-02-02T09:00", "us").astype(int)


def test_what_is_no_column_of_values_is_told() -> None:
    for odd in (5, None, "ab", {1: 2}, {3, 1}):
        with pytest.raises(
            DataError, match=f"lists of values by their names; got a {type(odd).__name__} for"
        ):
            Table.of({"a": [1], "x": odd})  # type: ignore[dict-item]
    masked: Any = np.ma.masked_array([1, 2], [False, True])
    assert Table.of({"x": masked}).columns["x"] == ["1", ""]


def test_objects_in_objects_are_not_lost_where_another_form_is_written(tmp_path: Path) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"a": 1, "b": {"x": [2]}}\n{"a": 3}\n')
    written = read_table(path).written({"p": ["u", "v"]}, ".csv").decode()
    assert written == 'a,b,p\n1,"{""x"": [2]}",u\n3,null,v\n'


def test_empty_rows_at_the_end_are_none_and_others_keep_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a;b;;\n1;2;;\n;;;\n3;4;;\n;;;\n ;;;\n")
    table = read_table(tmp_path / "a.csv")
    assert (table.columns["a"], table.lines) == (["1", "", "3"], [2, 3, 4])
    (tmp_path / "a.csv").write_text("a,b\n,\n")
    with pytest.raises(DataError, match="has a head and no rows"):
        read_table(tmp_path / "a.csv")
