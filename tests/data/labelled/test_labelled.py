"""Rows of tables as labelled sequences: what each layout gives, and what is wrong with it in a line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt.data.labelled import Coding, Labelled, Layout, kind_of, read_labelled, split
from bptt.data.tables import Category, Number
from bptt.errors import ConfigError, DataError
from labelled_tables import sentences, steps


def write(folder: Path, text: str, name: str = "a.csv") -> str:
    folder.joinpath(name).write_text(text, encoding="utf-8")
    return str(folder / name)


NAMES = Layout("classify", text="name", label="language")


def coded(labelled: Labelled, names: tuple[str, ...] = (), **how: Any) -> Coding:
    return Coding.of(labelled, np.arange(len(labelled)), names, kind=how.pop("kind", "char"), **how)


def test_a_row_is_a_text(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path, "name,language\nabc,x\nca,y\n"), NAMES)
    sequences = coded(found).sequences(found)
    assert sequences.inputs.tolist() == [0, 1, 2, 2, 0]
    assert sequences.lengths.tolist() == [3, 2]
    assert sequences.targets.tolist() == [0, 1]
    batch = sequences.batch(np.array([1, 0]))
    assert batch.targets.tolist() == [[1, 0]]
    assert batch.counted is not None
    assert batch.counted.tolist() == [[True, True]]


def test_rows_of_one_name_are_a_sequence(tmp_path: Path) -> None:
    """However they stand among those of others."""
    text = "s,t,x,z\na,1,1,p\nb,5,10,q\na,2,2,p\na,3,3,p\nb,6,20,q\n"
    layout = Layout("classify", inputs=("x",), series="s", time="t", label="z")
    found = read_labelled(write(tmp_path, text), layout)
    coding = coded(found, ("x",))
    sequences = coding.sequences(found)
    assert sequences.lengths.tolist() == [3, 2]
    np.testing.assert_allclose(coding.inputs["x"].decode(sequences.inputs[:, 0]), [1, 2, 3, 10, 20], 1e-6)
    assert sequences.targets.tolist() == [0, 1]
    assert found.place(1).endswith("line 3")


def test_a_word_a_line_is_a_sequence_with_a_label_each(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path, "a X\nb Y\n\na X\n", "a.conll"), Layout("tag"))
    assert (found.words, found.labels) == (["a", "b", "a"], ["X", "Y", "X"])
    sequences = coded(found, kind="word").sequences(found)
    assert sequences.lengths.tolist() == [2, 1]
    unknown = coded(found, kind="word").sequences(found).inputs
    assert unknown.tolist() == [2, 1, 2]  # b stands there once: <unk>


def test_words_in_a_row_have_as_many_labels(tmp_path: Path) -> None:
    layout = Layout("tag", text="w", label="l")
    found = read_labelled(write(tmp_path, "w,l\na b  c,X Y Z\nd,X\n"), layout)
    assert (found.words, found.labels) == (["a", "b", "c", "d"], ["X", "Y", "Z", "X"])
    assert found.lengths is not None
    assert found.lengths.tolist() == [3, 1]
    with pytest.raises(DataError, match="line 3: 2 words and 1 labels: want a label for each"):
        read_labelled(write(tmp_path, "w,l\na,X\na b,X\n"), layout)


def test_numbers_in_rows_are_steps(tmp_path: Path) -> None:
    layout = Layout("classify", inputs=("x", "y"), label="z")
    found = read_labelled(write(tmp_path, 'x,y,z\n1 2,3 4,a\n"[5, 6]","7,8",b\n'), layout)
    assert found.numbers is not None
    assert found.numbers.tolist() == [[1, 3], [2, 4], [5, 7], [6, 8]]
    with pytest.raises(DataError, match="line 3: x, y hold 2, 1 numbers: want as many of each"):
        read_labelled(write(tmp_path, "x,y,z\n1,2,a\n1 2,3,b\n"), layout)
    with pytest.raises(DataError, match="line 2, column y: 'k' is no number"):
        read_labelled(write(tmp_path, "x,y,z\n1,k,a\n"), layout)


def test_a_word_a_line_without_labels_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one value a line, and no label behind it"):
        read_labelled(write(tmp_path, "a,b\nc,d\n"), Layout("tag"))


LONG = Layout("classify", inputs=("x",), series="s", time="t", label="z")

WRONG: dict[str, tuple[str, Layout, str]] = {
    "no column": ("name,b\nx,y\n", NAMES, "has no column 'language'; it has name, b"),
    "no texts": ("name,language\n,x\n,y\n", NAMES, "line 2, column name: is empty, as one more is"),
    "no labels": ("name,language\nx,\nz, \n", NAMES, "line 2, column language: is empty, as one more is"),
    "no number": ("s,t,x,z\na,1,1,p\na,2,?,p\n", LONG, "line 3, column x: '.' is no number"),
    "out of order": ("s,t,x,z\na,2,1,p\nb,1,1,p\na,1,2,p\n", LONG, "line 4: t 1 comes after 2 in one seq"),
    "twice": ("s,t,x,z\na,2,1,p\na,2,2,p\n", LONG, "line 3: t 2 stands twice in one sequence"),
    "two labels": (
        "s,t,x,z\na,1,1,p\na,2,2,q\n",
        LONG,
        "line 3: z is q, and was p before in the same sequence",
    ),
    "no name": ("s,t,x,z\n,1,1,p\n", LONG, "line 2, column s: is empty"),
    "regress": (
        "a,b\nx,1\ny,many\n",
        Layout("regress", text="a", label="b"),
        "line 3, column b: 'many' is no",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_row_that_cannot_be_used_is_told(tmp_path: Path, name: str) -> None:
    text, layout, message = WRONG[name]
    with pytest.raises(DataError, match=message) as error:
        read_labelled(write(tmp_path, text), layout)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"task": "classify", "label": "a"}, "--task classify reads --text COLUMN, or numbers"),
        ({"task": "classify", "text": "a", "label": "a"}, "a is what is to be told: it cannot be read, too"),
        ({"task": "classify", "text": "a", "inputs": ("b",), "label": "c"}, "two ways to say what is read"),
        ({"task": "classify", "text": "a", "time": "b", "label": "c"}, "--time goes with --series"),
        ({"task": "tag", "series": "a"}, "--series goes with --inputs, or with --text"),
    ],
)
def test_columns_that_do_not_go_together_are_told(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Layout(**columns)


def test_what_was_not_learnt_is_told(tmp_path: Path) -> None:
    coding = coded(read_labelled(write(tmp_path, "name,language\nab,x\nba,y\n"), NAMES))
    for text, message in {
        "name,language\nab,x\nab,z\n": "line 3, column language: 'z' is none of the 2 labels .* .x, y",
        "name,language\nab,x\na\u00e7,y\n": r"line 3: 'ç' .U\+00E7. is none of the .*; --skip",
    }.items():
        with pytest.raises(DataError, match=message):
            coding.sequences(read_labelled(write(tmp_path, text), NAMES))
    odd = read_labelled(write(tmp_path, "name,language\nçab,x\n"), NAMES)
    assert coding.sequences(odd, skip_unknown=True).inputs.tolist() == [0, 1]
    assert coding.unknown(odd) == (1, 3)
    none = read_labelled(write(tmp_path, "name,language\nçç,x\n"), NAMES)
    with pytest.raises(DataError, match="line 2: nothing of its text is known"):
        coding.sequences(none, skip_unknown=True)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["x"] * 60, "has one label alone, 'x'"),
        ([str(k) for k in range(60)], "60 different labels .* regress"),
    ],
)
def test_labels_that_are_no_classes_are_told(tmp_path: Path, labels: list[str], message: str) -> None:
    text = "name,language\n" + "".join(f"a,{label}\n" for label in labels)
    with pytest.raises(DataError, match=message):
        coded(read_labelled(write(tmp_path, text), NAMES))


def test_words_that_stand_there_once_are_unknown(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path, "name,language\nthe dog,x\nthe cat,y\n"), NAMES)
    coding = coded(found, kind="word")
    assert coding.vocabulary is not None
    assert coding.vocabulary.tokens == ("<eos>", "<unk>", "the")
    assert coding.unknown(found) == (2, 4)
    assert len(coded(found, kind="word", most=3).vocabulary or ()) == 3


def test_long_texts_are_read_as_words(tmp_path: Path) -> None:
    for text, kind in {"a word": "char", "many words " * 9: "word", "x" * 500: "char"}.items():
        found = read_labelled(write(tmp_path, f"name,language\n{text},x\n"), NAMES)
        assert kind_of(found) == kind


def test_a_tenth_of_each_label_is_held_out(tmp_path: Path) -> None:
    labels = ["a"] * 70 + ["b"] * 30
    text = "name,language\n" + "".join(
        f"x,{label}\n" for label in np.random.default_rng(0).permutation(labels)
    )
    found = read_labelled(write(tmp_path, text), NAMES)
    train, held = split(found)
    assert sorted([*train, *held]) == list(range(100))
    assert found.labels is not None
    assert sorted(found.labels[k] for k in held) == ["a"] * 7 + ["b"] * 3
    few = read_labelled(write(tmp_path, "name,language\nx,a\ny,b\nz,a\n"), NAMES)
    assert [len(part) for part in split(few)] == [2, 1]
    with pytest.raises(DataError, match="cannot be split"):
        split(read_labelled(write(tmp_path, "name,language\nx,a\n"), NAMES))


def test_a_coding_is_kept(tmp_path: Path) -> None:
    walks = read_labelled(
        write(tmp_path, steps()), Layout("classify", inputs=("x", "y"), series="walk", label="way")
    )
    coding = coded(walks, ("x", "y"))
    assert Coding.from_json(coding.to_json(), None) == coding
    assert isinstance(coding.target, Category)
    assert coding.inputs["y"] == Number(7.0, 1.0)  # a column that is always the same


def test_a_table_without_labels_is_read_where_none_are_wanted(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path, "name\nab\n"), NAMES, told=False)
    assert (found.texts, found.labels) == (["ab"], None)
    tags = read_labelled(write(tmp_path, sentences().replace(" ", "\t"), "a.txt"), Layout("tag"), told=False)
    assert tags.labels is None


@pytest.mark.parametrize("kind", ["char", "byte", "word"])
def test_texts_of_each_kind_are_their_tokens(tmp_path: Path, kind: Any) -> None:
    found = read_labelled(write(tmp_path, "name,language\nhé hé,x\nhé no no,y\n"), NAMES)
    coding = coded(found, kind=kind)
    assert coding.vocabulary is not None
    sequences, ends = coding.sequences(found), [0, *np.cumsum(coding.sequences(found).lengths)]
    for text, start, end in zip(found.texts or [], ends[:-1], ends[1:], strict=True):
        assert sequences.inputs[start:end].tolist() == coding.vocabulary.encode(text).tolist()
