"""Files with named columns: what each form holds, and what is wrong with it in a line."""

import gzip
import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.data.tables import Added, Number, Table, read_table
from bptt.errors import DataError

WANTED = {"name": ["Müller", 'a "b", c', "two\nlines", ""], "n": ["1", "2.5", "-3e2", "4"]}

FORMS = {
    "comma.csv": 'name,n\nMüller,1\n"a ""b"", c",2.5\n"two\nlines",-3e2\n,4\n',
    "semicolon.csv": 'name;n\nMüller;1\n"a ""b"", c";2.5\n\n"two\nlines";-3e2\n;4\n',
    "bar.txt": 'name|n\nMüller|1\n"a ""b"", c"|2.5\n"two\nlines"|-3e2\n|4\n',
    "tab.tsv": 'name\tn\nMüller\t1\n"a ""b"", c"\t2.5\n"two\nlines"\t-3e2\n\t4\n',
    "spaced.csv": 'name, n\nMüller, 1\n"a ""b"", c", 2.5\n"two\nlines", -3e2\n, 4\n',
    "rows.jsonl": '{"name": "Müller", "n": 1}\n{"name": "a \\"b\\", c", "n": 2.5}\n'
    '{"n": -3e2, "name": "two\\nlines"}\n{"name": null, "n": 4}\n',
}


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("way", ["plain", "marked", "carriage returns", "zipped"])
@pytest.mark.parametrize("name", FORMS)
def test_a_table_is_read_in_each_form(tmp_path: Path, name: str, way: str) -> None:
    data = FORMS[name].encode()
    if way == "marked":
        data = b"\xef\xbb\xbf" + data
    elif way == "carriage returns":
        data = data.replace(b"\n", b"\r\n")
    elif way == "zipped":
        data, name = gzip.compress(data), f"{name}.gz"
    table = read_table(write(tmp_path, name, data))
    assert table.columns == WANTED
    assert table.numbers("n").tolist() == [1, 2.5, -300, 4]


def test_a_rows_place_is_the_line_that_it_begins_at(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "a.csv", FORMS["comma.csv"])).lines == [2, 3, 4, 6]
    assert read_table(write(tmp_path, "a.tsv", "a\tb\n\n1\t2\n3\t4\n")).lines == [3, 4]
    assert read_table(write(tmp_path, "a.jsonl", '{"a": 1}\n\n{"a": 2}\n')).lines == [1, 3]


def test_quotes_that_quote_nothing_are_texts_where_tabs_stand_between(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.tsv", 'text\tlabel\n"Oh, he said\t1\n" no\t0\n5" pipe\t1\n'))
    assert table.columns == {"text": ['"Oh, he said', '" no', '5" pipe'], "label": ["1", "0", "1"]}


def test_a_value_may_be_longer_than_what_the_csv_module_takes(tmp_path: Path) -> None:
    long = "x" * 200_000
    assert read_table(write(tmp_path, "a.csv", f"a,b\n{long},1\n")).columns["a"] == [long]


def test_numbers_of_semicolons_may_have_a_decimal_comma(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "a.csv", "a;b\n1,5;x\n-0,25;y\n")).numbers("a").tolist() == [1.5, -0.25]


def test_lists_are_words(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.jsonl", '{"words": ["a", "b"], "x": [1, 2.50], "ok": true}\n'))
    assert table.columns == {"words": ["a b"], "x": ["1 2.50"], "ok": ["true"]}


def test_an_absent_number_is_none_where_it_may_be(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", "a,b\n1,x\n,x\nNA,x\n"))
    np.testing.assert_array_equal(table.numbers("a", absent=True), [1, np.nan, np.nan])
    with pytest.raises(DataError, match="line 3, column a: is empty; give it a value"):
        table.numbers("a")
    table = read_table(write(tmp_path, "b.csv", "a,b\n1,x\n,x\n ,x\n,x\n"))
    with pytest.raises(DataError, match="line 3, column a: is empty, as 2 more are; give it a value"):
        table.numbers("a")


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["1", "2.5"], np.array([1, 2.5])),
        (["2020-01", "2020-03"], np.array(["2020-01", "2020-03"], "M8[M]")),
        (["2020-01-01", "2020-01-02T03:00Z"], np.array(["2020-01-01T00", "2020-01-02T03:00"], "M8[m]")),
    ],
)
def test_times_are_numbers_or_dates(tmp_path: Path, texts: list[str], wanted: Any) -> None:
    times = read_table(write(tmp_path, "a.csv", "\n".join(["t,b", *(f"{text},1" for text in texts)]))).times(
        "t"
    )
    assert times.dtype == wanted.dtype
    np.testing.assert_array_equal(times, wanted)


CONLL = """-DOCSTART- -X- O

EU NNP B-ORG
# SYM O

rejects VBZ O
"""
UNIVERSAL = """# text = im Haus
1-2\tim\t_\t_\t_\t_\t_\t_\t_\t_
1\tin\tin\tADP\t_\t_\t_\t_\t_\t_
2\tdem\tder\tDET\t_\t_\t_\t_\t_\t_

# sent_id = 2
1\tHaus\tHaus\tNOUN\t_\t_\t_\t_\t_\t_
1.1\tx\t_\t_\t_\t_\t_\t_\t_\t_
"""


def test_sentences_are_read_a_word_a_line(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.txt", CONLL), sentences=True)
    assert table.columns == {
        "sentence": ["1", "1", "2"],
        "1": ["EU", "#", "rejects"],
        "2": ["NNP", "SYM", "VBZ"],
        "3": ["B-ORG", "O", "O"],
    }
    assert table.lines == [3, 4, 6]
    table = read_table(write(tmp_path, "a.conllu", UNIVERSAL), sentences=True)
    assert (table.columns["form"], table.columns["upos"]) == (["in", "dem", "Haus"], ["ADP", "DET", "NOUN"])
    assert table.columns["sentence"] == ["1", "1", "2"]
    table = read_table(write(tmp_path, "a.txt", "# text\na\tB\n#\tC\n# x\n"), sentences=True)
    assert (table.columns["1"], table.lines) == (["a", "#"], [2, 3])  # a comment has no tab
    with pytest.raises(DataError, match="line 3 has 3 values, others have 2"):
        read_table(write(tmp_path, "a.txt", "a B\nc D\ne F G\n"), sentences=True)


WRONG: dict[str, tuple[str | bytes, str]] = {
    "empty.csv": ("", "is empty"),
    "blank.csv": ("\n \n", "is empty"),
    "head.csv": ("a,b\n", "has a head and no rows"),
    "ragged.csv": ('a,b\n"x\ny",1\n1,2,3\n', "line 4 has 3 values, the head has 2"),
    "short.csv": ("a,b\n1,2\n1\n", "line 3 has 1 values, the head has 2"),
    "ragged.tsv": ("a\tb\n1\t2\n1\n", "line 3 has 1 values, the head has 2"),
    "open.csv": ('a,b\n1,2\n"x,1\n', "row that begins at line 3 has a double quote that is not closed"),
    "twice.csv": ("a,b,a\n1,2,3\n", "two columns are called 'a': rename one"),
    "utf16le.csv": ("a,b\n1,2\n".encode("utf-16-le"), "line 1 is not UTF-8 .*--encoding utf-16-le"),
    "latin1.csv": (
        "a,b\n1,2\nMüller,1\n".encode("latin-1"),
        "line 3 is not UTF-8 text .byte 0xfc.*--encoding cp1252",
    ),
    "nul.csv": ("a,b\n1,2\n1,\0\n", "line 3 has a NUL"),
    "bad.jsonl": ('{"a": 1}\n{"a": 1\n', "line 2: not a JSON object"),
    "list.json": ("[1]\n", "object 1: not a JSON object: want one a line, or a list of them"),
    "open.json": ('[{"a": 1},\n{"a": 2}\n', "line 3 is no JSON: Expecting ',' delimiter"),
    "two.json": ('[{"a": 1}][{"a": 2}]\n', "line 1 is no JSON: Extra data at character 11"),
    "twice.jsonl": ('{"a": 1, "a": 2}\n', "line 1: a key stands twice"),
    "cut.csv.gz": (gzip.compress(b"a,b\n" + b"1,2\n" * 999)[:-9], "cannot be unpacked; is it cut short"),
    "fake.parquet": (b"PAR1" + b"x" * 99, "cannot be read as Parquet|is read by pyarrow, an extra"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_table_that_cannot_be_used_is_told_in_a_line(tmp_path: Path, name: str) -> None:
    text, message = WRONG[name]
    with pytest.raises(DataError, match=message) as error:
        read_table(write(tmp_path, name, text))
    assert len(str(error.value).splitlines()) == 1
    assert name in str(error.value)


ODD = {
    '["x y"]': "line 2, a: 'x y' in a list is empty or holds white space",
    "[[1, 2]]": "line 2, a: holds lists in a list, which others do not",
    '{"x": 1}': "line 2, a: holds an object: want a text, a number",
    r'"\ud800"': "line 2, a: holds half a character",
}


@pytest.mark.parametrize("value", ODD)
def test_a_value_that_is_no_text_is_told_where_its_column_is_read(tmp_path: Path, value: str) -> None:
    table = read_table(write(tmp_path, "a.jsonl", f'{{"a": 1, "b": 2}}\n{{"a": {value}, "b": 3}}\n'))
    assert table.column("b") == ["2", "3"]
    with pytest.raises(DataError, match=ODD[value]):
        table.column("a")


@pytest.mark.parametrize("text", ["1e308", "-1e151"])
def test_a_number_whose_square_is_none_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    table = read_table(write(tmp_path, "a.csv", f"n,b\n1e150,1\n{text},2\n"))
    with pytest.raises(DataError, match=r"line 3, column n: .* is beyond 1e\+150"):
        table.numbers("n")
    with pytest.raises(DataError, match=r"n: 1e\+60 is too far from the numbers that were learnt"):
        Number.of(np.array([1.0, 2.0])).encode(np.array([1e60]), "n")


@pytest.mark.parametrize("text", ["x", "", "nan", "inf", "1_000", "1,5"])
def test_what_is_no_number_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    table = read_table(write(tmp_path, "a.csv", f'n,b\n1,1\n"{text}",2\n'))
    with pytest.raises(DataError, match=r"line 3, column n: (.* no number|is empty)"):
        table.numbers("n")


def test_a_missing_column_is_told_with_those_there_are(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", "name,language\na,b\n"))
    with pytest.raises(DataError, match="has no column 'label'; it has name, language"):
        table.column("label")
    with pytest.raises(DataError, match="line 2, column name: 'a' is no time"):
        table.times("name")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "2020-01-01T10:00+02:00",
            "has another time zone than '2020-01-01T09:00Z': write all times in one",
        ),
        ("2020-01-01T10:00", "has another time zone"),
        ("today", "'today' is no time"),
        ("2020-02-31", "'2020-02-31' is no time"),
    ],
)
def test_times_of_two_zones_or_of_today_are_told(tmp_path: Path, text: str, said: str) -> None:
    table = read_table(write(tmp_path, "a.csv", f"when,b\n2020-01-01T09:00Z,1\n{text},2\n"))
    with pytest.raises(DataError, match=f"line 3, column when: .*{re.escape(said)}"):
        table.times("when")
    table = read_table(
        write(tmp_path, "a.csv", "when,b\n2020-01-01T09:00+02:00,1\n2020-01-01T11:00+02:00,2\n")
    )
    assert np.diff(table.times("when")) == np.timedelta64(2, "h")


ADDED: Added = {"prediction": ["a,b", "c", "d", "e"], "p": [0.123456789, 1.0, 2.0, 3.0]}


@pytest.mark.parametrize("name", [name for name in FORMS if name != "spaced.csv"])
def test_columns_are_added_in_the_form_that_was_read(tmp_path: Path, name: str) -> None:
    table = read_table(write(tmp_path, name, FORMS[name]))
    again = read_table(write(tmp_path, f"again-{name}", table.written(ADDED)))
    assert again.form == table.form or name.endswith("jsonl")
    wanted = WANTED | {"prediction": [*ADDED["prediction"]]}
    assert {key: values for key, values in again.columns.items() if key != "p"} == wanted
    assert again.numbers("p").tolist() == pytest.approx([0.123456789, 1, 2, 3], rel=1e-5)
    with pytest.raises(DataError, match="has a column 'prediction' already: rename it"):
        again.written(ADDED)


def test_words_are_written_again_with_what_stands_between_them(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.txt", CONLL), sentences=True)
    wanted = (
        CONLL.replace("B-ORG\n", "B-ORG X\n").replace("SYM O\n", "SYM O Y\n").replace("VBZ O\n", "VBZ O Z\n")
    )
    assert table.written({"prediction": ["X", "Y", "Z"]}).decode() == wanted


def parquet(columns: dict[str, Any]) -> bytes:
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pa.table(columns), out := io.BytesIO())
    return out.getvalue()


def test_parquet_is_read_and_written_with_its_types(tmp_path: Path) -> None:
    data = parquet(
        {
            "name": ["Müller", None],
            "n": [1, 2],
            "x": [0.5, None],
            "when": np.array(["2020-01-01", "2020-01-02"], "M8[ns]"),
            "words": [["a", "b"], ["c"]],
        }
    )
    table = read_table(write(tmp_path, "a.parquet", data))
    assert {name: values for name, values in table.columns.items() if name != "when"} == {
        "name": ["Müller", ""],
        "n": ["1", "2"],
        "x": ["0.5", ""],
        "words": ["a b", "c"],
    }
    assert np.diff(table.times("when")) == np.timedelta64(1, "D")
    assert table.place(1).endswith("row 2")
    again = read_table(write(tmp_path, "b.parquet", table.written({"p": [0.25, 0.5]})))
    assert again.columns == table.columns | {"p": ["0.25", "0.5"]}


def test_what_of_a_parquet_file_is_no_text_is_told_where_its_column_is_read(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    late = pa.array([2**62], pa.timestamp("us"))
    odd = {"late": late, "raw": [b"\xff"], "many": [{"x": 1}], "towns": [["New York"]]}
    table = read_table(write(tmp_path, "a.parquet", parquet({"a": [1], "text": ["ü".encode()], **odd})))
    assert (table.column("a"), table.column("text")) == (["1"], ["ü"])
    for name in odd:
        with pytest.raises(DataError, match=f"a.parquet.*{name}"):
            table.column(name)


def test_a_parquet_file_that_is_cut_short_is_told(tmp_path: Path) -> None:
    data = parquet({"a": list(range(1000))})
    for cut in (len(data) // 2, len(data) - 1, 8):
        with pytest.raises(DataError, match="cannot be read as Parquet; is it cut short"):
            read_table(write(tmp_path, "a.parquet", data[:cut]))


def test_a_table_carries_the_sum_of_its_file(tmp_path: Path) -> None:
    tables: list[Table] = [read_table(write(tmp_path, "a.csv", f"a,b\n1,{k}\n")) for k in (1, 2, 1)]
    assert tables[0].sha256 == tables[2].sha256 != tables[1].sha256


def test_a_table_is_one_file() -> None:
    with pytest.raises(DataError, match=r"^a.csv and 1 more: a table is read from one file"):
        read_table("a.csv\nb.csv")


def test_feather_is_read_and_written_as_such(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    feather = pytest.importorskip("pyarrow.feather")
    feather.write_feather(pa.table({"a": ["x", None], "n": [1, 2]}), str(tmp_path / "a.feather"))
    table = read_table(tmp_path / "a.feather")
    assert table.columns == {"a": ["x", ""], "n": ["1", "2"]}
    (tmp_path / "b.feather").write_bytes(table.written({"p": [0.5, float("nan")]}))
    assert read_table(tmp_path / "b.feather").columns["p"][0] == "0.5"
    assert feather.read_table(str(tmp_path / "b.feather")).column_names == ["a", "n", "p"]
    with pytest.raises(DataError, match="cannot be read as Feather; is it cut short"):
        read_table(write(tmp_path, "a.feather", (tmp_path / "a.feather").read_bytes()[:90]))


def test_without_the_extra_parquet_is_told_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r"a.parquet: .* an extra: pip install 'bptt\[tables\]'"):
        read_table(write(tmp_path, "a.parquet", b"PAR1" * 9))
