"""Numbers and columns as people have them: thousands, columns parted by white space, archives of series."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from bptt.data.tables import Table, read_table
from bptt.errors import DataError


def of(folder: Path, text: str, name: str = "a.csv", **how: bool) -> dict[str, list[str]]:
    (folder / name).write_text(text)
    return read_table(folder / name, **how).columns  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('a,b\n"1,976.04",x\n"976.5",x\n', [1976.04, 976.5]),
        ('a,b\n"1,200,300",x\n"900",x\n', [1200300, 900]),
        ('a,b\n"1,215",x\n0,x\n"5,110",x\n"2,004",x\n', [1215, 0, 5110, 2004]),
        ("a;b\n1,215;x\n0;x\n5,110;x\n2,004;x\n", [1215, 0, 5110, 2004]),
        ("a;b\n1,215;x\n3;x\n5,111;x\n2,004;x\n", [1.215, 3, 5.111, 2.004]),
        ("a;b\n1,215;x\n0,250;x\n5,110;x\n2,004;x\n", [1.215, 0.25, 5.11, 2.004]),
        ("a;b\n1.976,04;x\n976,5;x\n", [1976.04, 976.5]),
        ("a;b\n1.234;x\n3;x\n", [1.234, 3]),
        ("a;b\n1.234;x\n976,5;x\n", [1234, 976.5]),
        ("a;b\n0.234;x\n976,5;x\n", [0.234, 976.5]),
    ],
)
def test_marks_between_thousands_are_none_of_a_number(tmp_path: Path, text: str, wanted: list[float]) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert read_table(tmp_path / "a.csv").numbers("a").tolist() == wanted


@pytest.mark.parametrize("text", ["a\tb\n1,200\tx\n3\tx\n", 'a,b\n"1,976.04",x\n"1,5",x\n'])
def test_what_may_be_decimals_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match="is no number"):
        read_table(tmp_path / "a.csv").numbers("a")


def test_columns_may_be_parted_by_white_space(tmp_path: Path) -> None:
    assert of(tmp_path, "year  month value\n1990   1   0.5\n1990  12  -1.5\n\n") == {
        "year": ["1990", "1990"],
        "month": ["1", "12"],
        "value": ["0.5", "-1.5"],
    }
    plain = "  1.0   2e-1\n  2.0   3e-1\n"
    assert of(tmp_path, plain, "a.txt", head=False) == {"1": ["1.0", "2.0"], "2": ["2e-1", "3e-1"]}
    assert of(tmp_path, "1 2\n3 4\n", "a.csv", head=False) == {"1": ["1 2", "3 4"]}  # a list a row
    assert of(tmp_path, "full name\nJohn Smith\nAnn Lee\n") == {"full name": ["John Smith", "Ann Lee"]}
    assert of(tmp_path, "a b\n1 2\n1 2 3\n") == {"a b": ["1 2", "1 2 3"]}


def test_archives_of_time_series_are_tables(tmp_path: Path) -> None:
    says = "#Of\n@problemName X\n@timeStamps false\n@classLabel true a b\n@data\n"
    found = of(tmp_path, says + "1,2,3:4,5,6:a\n7,8:9,0:b\n", "x.ts")
    assert found == {"1": ["1 2 3", "7 8"], "2": ["4 5 6", "9 0"], "label": ["a", "b"]}
    weka = "% Of\n@relation x\n@attribute 'a b' numeric\n@ATTRIBUTE c {p,q}\n\n@data\n1.5,'p'\n% no\n?,q\n"
    assert of(tmp_path, weka, "x.arff") == {"a b": ["1.5", ""], "c": ["p", "q"]}
    odd = "@relation x\n@attribute t string\n@attribute c{p,'q r'}\n@data\n"
    odd += "'it\\'s, so',p\n#tag,?\n\"o 'k'\",'q r'\n"
    assert of(tmp_path, odd, "x.arff") == {"t": ["it's, so", "#tag", "o 'k'"], "c": ["p", "", "q r"]}
    with pytest.raises(DataError, match="two columns are called 't'"):
        of(tmp_path, odd.replace("c{", "t {"), "x.arff")
    assert of(tmp_path, says + "1,,3:4,5,:a\n", "x.ts") == {"1": ["1 ? 3"], "2": ["4 5 ?"], "label": ["a"]}
    with pytest.raises(DataError, match="line 8 has 1 values, there are 2 attributes"):
        of(tmp_path, weka.replace("1.5,'p'\n", "1.5,'p'\n\n7\n").replace("\n\n@data", "\n@data"), "x.arff")
    with pytest.raises(DataError, match="line 7 has 1 parts between colons, others have 3"):
        of(tmp_path, says + "1,2:3,4:a\n1,2\n", "x.ts")


def test_signs_of_money_and_percent_are_no_part_of_numbers(tmp_path: Path) -> None:
    for values, wanted in (
        ("$1,200.50;-$3;", [1200.5, -3, np.nan]),
        ("5 %;7%;NA", [5, 7, np.nan]),
        ("12 €;€1,5;-", [12, 1.5, np.nan]),
    ):
        mark = ";" if "€" in values else "\t"  # with semicolons a comma is before decimals
        text = f"k{mark}v\n" + "".join(f"x{mark}{value}\n" for value in values.split(";"))
        (tmp_path / "a.csv").write_text(text)
        np.testing.assert_array_equal(read_table(tmp_path / "a.csv").numbers("v", absent=True), wanted)
    for odd in ("5%;7", "$5;€7", "$5$;$6", "5%7;5%"):
        (tmp_path / "a.csv").write_text("k;v\n" + "".join(f"x;{value}\n" for value in odd.split(";")))
        with pytest.raises(DataError, match="is no number"):
            read_table(tmp_path / "a.csv").numbers("v", absent=True)


def test_numbers_are_read_as_people_group_them_and_books_have_them(tmp_path: Path) -> None:
    for values, wanted in (
        ("1 000,5;2\u202f345,0;-1\xa0000", [1000.5, 2345, -1000]),
        ("1'000.5;12’345", [1000.5, 12345]),
        ("1,00,000;12,34,567.5", [100000, 1234567.5]),
        ("(1,234.50);7;(3)", [-1234.5, 7, -3]),
        ("\u22125;+5", [-5, 5]),
    ):
        mark = ";" if "000,5" in values else "\t"
        text = f"k{mark}v\n" + "".join(f"x{mark}{value}\n" for value in values.split(";"))
        (tmp_path / "a.csv").write_text(text)
        np.testing.assert_array_equal(read_table(tmp_path / "a.csv").numbers("v"), wanted)
    for odd in ("1 00", "1 0000", "(kW)", "1'00.5", "1,0,000"):
        (tmp_path / "a.csv").write_text(f"k\tv\nx\t{odd}\n")
        with pytest.raises(DataError, match="is no number"):
            read_table(tmp_path / "a.csv").numbers("v")


WHOLE = {
    "columns": '{"text": ["a", "b"], "label": ["x", "y"]}',
    "pandas": '{"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}',
    "pandas, index": '{"0": {"text": "a", "label": "x"}, "1": {"text": "b", "label": "y"}}',
    "pandas, split": '{"columns": ["text", "label"], "index": [0, 1], "data": [["a", "x"], ["b", "y"]]}',
    "beside": '{"v": 1, "rows": [\n{"text": "a", "label": "x"},\n{"text": "b", "label": "y"}], "t": ["u"]}',
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_object_is_a_table(tmp_path: Path, name: str) -> None:
    assert of(tmp_path, WHOLE[name], "a.json") == {"text": ["a", "b"], "label": ["x", "y"]}


def test_an_object_loses_no_column_and_no_row_of_its_table(tmp_path: Path) -> None:
    """Columns called by numbers stay columns, as pandas has them; rows have names, or are counted."""
    numbered = '{"0": {"0": 1, "1": 2, "2": 3}, "1": {"2": 6, "0": 4, "1": 5}}'
    assert of(tmp_path, numbered, "a.json") == {"0": ["1", "2", "3"], "1": ["4", "5", "6"]}
    named = {"index": ["2020-01", "2020-02"], "a": ["1", "2"]}
    assert of(tmp_path, '{"a": {"2020-01": 1, "2020-02": 2}}', "a.json") == named
    split = '{"columns": ["a"], "index": ["2020-01", "2020-02"], "data": [[1], [2]]}'
    assert of(tmp_path, split, "a.json") == named
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(split.encode()))
    assert read_table(tmp_path / "b.json.gz").columns == named
    with pytest.raises(DataError, match=r"a.json: row 2 is no list of 2 values, one for each"):
        of(tmp_path, '{"columns": ["a", "b"], "data": [[1, 2], [3]]}', "a.json")
    with pytest.raises(DataError, match=r"two columns are called 'a'"):
        of(tmp_path, '{"columns": ["a", "a"], "data": [[1, 2], [3, 4]]}', "a.json")


def test_an_object_that_is_a_row_stays_one(tmp_path: Path) -> None:
    assert of(tmp_path, '{"words": ["a", "b"], "tags": ["x", "y"]}', "a.jsonl")["words"] == ["a b"]
    assert of(tmp_path, '{"text": "a", "label": "x"}', "a.json") == {"text": ["a"], "label": ["x"]}


def test_what_is_no_text_is_called_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(9))
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    (tmp_path / "c.db").write_bytes(b"SQLite format 3\0" + bytes(99))
    for version in ("5.0", "7.3"):
        (tmp_path / f"{version}.mat").write_bytes(f"MATLAB {version} MAT-file".encode() + bytes(99))
    for file, what in (
        ("5.0.mat", "a file of MATLAB, which scipy.io.loadmat reads"),
        ("7.3.mat", "a file of MATLAB, which h5py.File reads"),
        ("a.h5", "HDF5, which h5py.File reads"),
        ("b.pdf", "a PDF"),
        ("c.db", "a database of SQLite"),
    ):
        with pytest.raises(DataError, match=f"{file}: is {what}, and no text: save .* a table as CSV"):
            read_table(tmp_path / file)


def test_columns_without_a_name_and_marks_that_nobody_sees(tmp_path: Path) -> None:
    assert [*of(tmp_path, ",,a\n1,2,3\n")] == ["column 1", "column 2", "a"]
    assert [*of(tmp_path, ",a\n1,2\n")] == ["", "a"]
    assert [*of(tmp_path, "\u200ba,b\n1,2\n")] == ["a", "b"]


def test_values_of_an_archive_that_have_times_are_rows(tmp_path: Path) -> None:
    says = "@problemName X\n@timeStamps true\n@classLabel true a b\n@data\n"
    rows = "(0,1),(0.5,?),(2,3):(0.5,7):a\n(2020-01-01 00:00:00,4),(2020-01-01 00:01:00,5):?:b\n"
    assert of(tmp_path, says + rows, "x.ts") == {
        "series": ["1", "1", "1", "2", "2"],
        "time": ["0", "0.5", "2", "2020-01-01 00:00:00", "2020-01-01 00:01:00"],
        "1": ["1", "", "3", "4", "5"],
        "2": ["", "7", "", "", ""],
        "label": ["a", "a", "a", "b", "b"],
    }
    assert of(tmp_path, says + "(0,1),(9,2):(10,5),(8,4):a\n", "x.ts")["time"] == ["0", "8", "9", "10"]
    with pytest.raises(DataError, match=r"line 5: '7' is no .time,value."):
        of(tmp_path, says + "(0,1),7:(1,2):a\n", "x.ts")
    days = "(31/01/2007,1),(01/02/2007,2),(02/02/2007,3):a\n"  # as text another order
    assert of(tmp_path, says + days, "x.ts")["1"] == ["1", "2", "3"]
    with pytest.raises(DataError, match="line 5: dimension 1 has time '0' twice"):
        of(tmp_path, says + "(0,1),(0,2):a\n", "x.ts")


def test_sparse_rows_of_an_archive_have_what_is_left_out(tmp_path: Path) -> None:
    says = "@relation x\n@attribute n numeric\n@attribute t string\n@attribute c {p, 'q, r'}\n@data\n"
    found = of(tmp_path, says + "{1 'a, b', 2 'q, r'}\n{}\n{ 0 1.5,2 ? }\n1,b,p\n", "x.arff")
    assert found == {"n": ["0", "0", "1.5", "1"], "t": ["a, b", "0", "0", "b"], "c": ["q, r", "p", "", "p"]}
    for odd in ("{3 1}", "{x}", "{0 1, 5}"):
        with pytest.raises(DataError, match="line 6: want an attribute's number, 0 to 2, and its value"):
            of(tmp_path, says + odd + "\n", "x.arff")


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["12 kg", "3.5 kg", ""], [12, 3.5, np.nan]),
        (["1,200.5 km/h", "900 km/h", "-"], [1200.5, 900, np.nan]),
        (["$1.2M", "$860K", "$12"], [1.2e6, 8.6e5, 12]),
        (["5 °C", "\u22122 °C", "+1 °C"], [5, -2, 1]),
        (["EUR 7", "EUR 8.5", "EUR 9"], [7, 8.5, 9]),
    ],
)
def test_a_unit_that_all_have_is_none_of_the_numbers(
    tmp_path: Path, texts: list[str], wanted: list[float]
) -> None:
    found = Table.of({"a": texts}).numbers("a", absent=True)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "texts", [["12 kg", "900 g"], ["5%", "7"], ["w1", "w2"], ["1A", "1B"], ["1 2 kg" * 20] * 2]
)
def test_unlike_units_are_refused(texts: list[str]) -> None:
    with pytest.raises(DataError, match="is no number"):
        Table.of({"a": texts}).numbers("a")
