"""Texts by themselves: cut out of files, split by sequence, and read from an end to an end."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bptt import DataError
from bptt.data.conditions import Conditions
from bptt.data.lists import Form, Parts, looks_like_list, sequences
from bptt.data.text import Kind, Vocabulary

NAMES = [f"{a}{b}" for a in ("an", "ber", "cla") for b in ("na", "ta", "ra", "do", "ne", "li", "as")]


def written(folder: Path, text: str, name: str = "list.txt") -> str:
    folder.joinpath(name).write_text(text, encoding="utf-8", newline="")
    return str(folder / name)


def test_lines_are_as_they_stand_and_know_where_they_stood() -> None:
    cut = Form().cut(" one \n\ntwo\x0b\u2028three\n")
    assert cut.texts == [" one ", "", "two\x0b\u2028three"]  # what ends a line elsewhere does not here
    assert list(cut.lines) == [1, 2, 3]
    kept = cut.without_empty()
    assert (kept.texts, kept.lines, kept.empty) == ([" one ", "two\x0b\u2028three"], [1, 3], 1)
    assert Form().cut(b"\xff \xa0\r\n\x85\nlast").texts == [b"\xff \xa0", b"\x85", b"last"]


@pytest.mark.parametrize("between", ["", "---", "é"])
def test_documents_are_what_stands_between(between: str) -> None:
    text = f"{between} \n\none\n  two\n{between}\n{between}\nthree\n"
    if not between:
        text = text[1:]
    wanted = ["one\n  two", "three"]
    found = Form(documents=between).cut(text)
    assert found.texts == wanted
    assert Form(documents=between).cut(text.encode()).texts == [text.encode() for text in wanted]
    assert found.lines[-1] == text.split("\n").index("three") + 1


def test_a_text_without_the_line_between_documents_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "one\ntwo\n" * 9)
    with pytest.raises(DataError, match="no line is '---', which is to stand between two documents"):
        Parts.load(path, Form(documents="---"))
    with pytest.raises(DataError, match="is no folder, whose files are a document each"):
        Parts.load(path, Form(documents="file"))


def test_the_files_of_a_folder_are_documents(tmp_path: Path) -> None:
    for k, text in enumerate(["one\ntwo\n", "three", "four\n"]):
        written(tmp_path, text, f"{k}.txt")
    parts = Parts.load(str(tmp_path), Form(documents="file"))
    assert sorted([*parts.train.texts, *parts.valid.texts]) == ["four\n", "one\ntwo\n", "three"]


@pytest.mark.parametrize("kind", ["char", "byte"])
def test_a_split_is_by_sequence_and_loses_nothing_but_what_is_empty(tmp_path: Path, kind: Kind) -> None:
    path = written(tmp_path, "\n".join([*NAMES, "", " ", NAMES[0]]))
    parts, again = (Parts.load(path, Form(), kind=kind) for _ in range(2))
    texts = [*parts.train.texts, *parts.valid.texts]
    assert Counter(t.decode() if isinstance(t, bytes) else t for t in texts) == Counter([*NAMES, NAMES[0]])
    assert len(parts.valid) == 2
    assert parts.train.empty + parts.valid.empty == 2
    assert parts.repeated[0] == 1
    assert parts.digest() == again.digest()
    own = Parts.load(path, Form(), valid=written(tmp_path, "zoe\n\nanna\n", "valid.txt"), kind=kind)
    assert (len(own.train), len(own.valid), own.valid.empty) == (22, 2, 1)
    assert own.repeated == (2, 1)  # anna is in both
    assert own.digest() != parts.digest()
    with pytest.raises(DataError, match=r"valid.txt: holds no line that is not empty"):
        Parts.load(path, Form(), valid=written(tmp_path, " \n \n", "valid.txt"))


def test_what_is_trained_on_and_what_is_validated_on_are_two_things_to_the_digest(tmp_path: Path) -> None:
    one, two = written(tmp_path, "ab\nc\n", "one.txt"), written(tmp_path, "a\nbc\n", "two.txt")
    digests = {Parts.load(a, Form(), valid=b).digest() for a in (one, two) for b in (one, two)}
    assert len(digests) == 4


@pytest.mark.parametrize("kind", ["char", "byte", "word"])
def test_a_sequence_goes_from_an_end_to_an_end(kind: Kind) -> None:
    texts = ["one two", "b\nc", "two"]
    vocabulary = Vocabulary.build(texts, kind).with_end()
    end = vocabulary.end
    assert end == len(vocabulary) - 1 == vocabulary.start
    assert vocabulary == Vocabulary.from_json(vocabulary.to_json()) == vocabulary.with_end()
    found = sequences(texts, vocabulary)
    for k, text in enumerate(texts):
        batch = found.batch(np.array([k]))
        ids = vocabulary.encode(text).tolist()
        assert batch.inputs[:, 0].tolist() == [end, *ids]
        assert batch.targets[:, 0].tolist() == [*ids, end]
        assert vocabulary.decode([*batch.targets[:, 0], *batch.targets[:, 0]]) == text + text


def test_no_text_holds_the_end() -> None:
    for kind in ("char", "byte", "word"):
        vocabulary = Vocabulary.build("a <eos> <end> \n", kind).with_end()
        assert vocabulary.end not in vocabulary.encode("a <eos> \n <end>" if kind != "char" else "a <eos> \n")


def test_the_end_breaks_off_a_character_and_begins_a_new_text() -> None:
    of_bytes, of_words = (Vocabulary.build("a b", kind).with_end() for kind in ("byte", "word"))
    assert of_bytes.end is not None
    assert of_words.end is not None
    assert of_bytes.decode([195, of_bytes.end, 169, 97]) == "\ufffd\ufffda"
    a = of_words.tokens.index("a")
    assert of_words.decode([a, a, of_words.end, a]) == "a aa"  # no space before the first


TABLE = "name,language,year\nrossi,it,1990\n,it,\nmartin,fr,2010\nbianchi,it,2000\n"


def test_a_row_of_a_table_starts_from_its_columns(tmp_path: Path) -> None:
    form = Form(text="name", condition=("language", "year"))
    texts = form.read(written(tmp_path, TABLE, "t.csv"), "char").without_empty()
    assert texts.texts == ["rossi", "martin", "bianchi"]
    assert texts.lines == [2, 4, 5]
    assert texts.columns == {"language": ["it", "fr", "it"], "year": ["1990", "2010", "2000"]}
    with pytest.raises(DataError, match=r"line 4, column language: has no value"):
        form.read(written(tmp_path, TABLE.replace("fr", ""), "t.csv"), "char")
    decimal = written(tmp_path, "name;language;year\na;it;1,5\nb;fr;2\n", "t.csv")
    assert form.read(decimal, "byte").columns["year"] == ["1.5", "2.0"]


def test_conditions_are_learnt_of_training_rows_but_names_of_all() -> None:
    train = {"language": ["it", "it"], "year": ["1990", "2010"]}
    every = {"language": ["it", "it", "fr"], "year": ["1990", "2010", "9999"]}
    conditions = Conditions.of(train, every)
    assert conditions.size == 3
    wanted = [[0, 1, -1], [1, 0, 1]]
    assert conditions.features({"year": ["1990", "2010"], "language": ["it", "fr"]}).tolist() == wanted
    again = Conditions.from_json(conditions.to_json())
    assert again == conditions


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"language": "it"}, "starts from year, which is missing: give year=..., a number"),
        ({"year": "1"}, "starts from language, which is missing: give language=..., one of fr, it"),
        ({"language": "xx", "year": "1"}, "language: 'xx' is none of the 2 that the run knows"),
        ({"language": "it", "year": "late"}, "year: 'late' is no number"),
        ({"language": "it", "year": "nan"}, "year: 'nan' is no number"),
        ({"language": "it", "year": "1", "town": "x"}, "town: the model starts from language, year, not"),
    ],
)
def test_a_condition_that_is_wrong_is_told(told: dict[str, str], message: str) -> None:
    columns = {"language": ["it", "fr"], "year": ["1990", "2010"]}
    with pytest.raises(DataError, match=message):
        Conditions.of(columns, columns).features({name: [value] for name, value in told.items()})


def test_a_column_that_is_no_condition_is_told() -> None:
    numbers = {"n": [*map(str, range(30)), "thirty"]}
    with pytest.raises(DataError, match="n: 'thirty' is no number, as 30 of the 31 values are"):
        Conditions.of(numbers, numbers)
    names = {"n": [f"name {k}" for k in range(1001)]}
    with pytest.raises(DataError, match="n: 1,001 different values"):
        Conditions.of(names, names)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("emma\nolivia\nava\n" * 20, True),
        ("New York\nLos Angeles\nRome\nSan Francisco de Macoris\n" * 20, True),
        ("emma\nolivia\nava\n" * 10, False),  # too short to tell
        ("\n".join("a" * (60 + k % 9) for k in range(200)) + "\n", False),  # wrapped
        ("First Citizen:\nBefore we proceed\n\n" * 50, False),
        ("def f(x):\n    return x\n" * 50, False),
        ("word " * 3000, False),
        (("A paragraph. " * 40 + "\n") * 60, False),
    ],
)
def test_a_list_is_told_from_a_text(text: str, is_one: bool) -> None:
    assert looks_like_list(text) == is_one
