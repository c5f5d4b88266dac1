"""Corpora: where each comes from, how a user's text is split, what is said when there is none."""

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bptt.data.text import Kind, load
from bptt.errors import ConfigError, DataError
from corpus_folder import cache as cache
from corpus_folder import write

DATA = os.environ.get("BPTT_DATA", "")


def test_pydoc_is_the_default_and_takes_no_network() -> None:
    corpus = load()
    assert corpus == load("pydoc")
    assert (corpus.name, corpus.kind, corpus.test) == ("pydoc", "char", None)
    assert "pydoc_data.topics of Python 3" in corpus.source
    assert len(corpus.train) + len(corpus.valid) > 300_000
    assert corpus.vocabulary().encode(corpus.valid).size == len(corpus.valid)


def test_pydoc_falls_back_to_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    corpus = load("pydoc")
    assert "class ArgumentParser" in str(corpus.train)
    assert corpus.source.startswith("the sources of argparse, ")


def test_pydoc_without_either_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(module: ModuleType) -> str:
        raise OSError("could not get source code")

    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    monkeypatch.setattr("inspect.getsource", none)
    with pytest.raises(DataError, match=r"neither its help topics nor .*; name a file or a corpus"):
        load()


def test_a_file_is_split_90_to_10(tmp_path: Path) -> None:
    text = "".join(chr(0x100 + i) for i in range(105))
    corpus = load(write(tmp_path / "a.txt", text))
    assert (corpus.train, corpus.valid, corpus.test) == (text[:94], text[94:], None)
    assert (corpus.kind, corpus.source) == ("char", str(tmp_path / "a.txt"))
    assert len(corpus.vocabulary()) == 105, "characters of the validation text are known too"


def test_words_are_not_cut_through(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one two three four seventeen")
    corpus = load(path, kind="word")
    assert (corpus.train, corpus.valid) == ("one two three four ", "seventeen")
    assert corpus.vocabulary().tokens[2:] == ("four", "one", "three", "two"), "of the training text only"
    assert corpus.vocabulary(max_size=4).size == 4


def test_any_file_can_be_read_as_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 2
    corpus = load(write(tmp_path / "a.bin", data), kind="byte")
    assert (corpus.train, corpus.valid) == (data[:460], data[460:])
    assert corpus.vocabulary().encode(corpus.train).tolist() == list(data[:460])


def test_a_named_corpus_can_be_read_as_bytes() -> None:
    as_bytes, as_text = load("pydoc", kind="byte"), load("pydoc")
    assert isinstance(as_bytes.train, bytes)
    assert isinstance(as_bytes.valid, bytes)
    assert (as_bytes.train + as_bytes.valid).decode() == str(as_text.train) + str(as_text.valid)


def test_a_validation_file_leaves_the_text_whole(tmp_path: Path) -> None:
    train, valid = write(tmp_path / "a.txt", "abcdefghij"), write(tmp_path / "b.txt", "xyz")
    corpus = load(train, valid=valid)
    assert (corpus.train, corpus.valid) == ("abcdefghij", "xyz")
    assert str(train) in corpus.source
    assert str(valid) in corpus.source
    assert load(train, valid=valid, kind="byte").valid == b"xyz"


def test_a_folder_is_a_text(tmp_path: Path) -> None:
    write(tmp_path / "f" / "b.txt", "b" * 5)
    write(tmp_path / "f" / "a.txt", "a" * 4)
    assert load(str(tmp_path / "f"), valid=tmp_path / "f" / "b.txt").train == "aaaa\nbbbbb"


def test_a_str_means_the_corpus_and_a_path_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "pydoc", "my own file")
    monkeypatch.chdir(tmp_path)
    assert "pydoc_data" in load("pydoc").source
    assert load("./pydoc").valid == "le"
    assert load(Path("pydoc")).valid == "le"


@pytest.mark.parametrize("name", ["nowhere.txt", "tiny shakespeare", "x" * 5000])
def test_what_is_neither_file_nor_corpus_is_told_the_names(name: str) -> None:
    with pytest.raises(
        DataError, match=r"no such file or corpus; the corpora are pydoc, tinyshakespeare, ptb$"
    ) as caught:
        load(name)
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"", {}, "is empty"),
        (b"", {"kind": "byte"}, "is empty"),
        (b"a", {}, "a single character, and nothing that follows it"),
        (b"a", {"kind": "byte"}, "a single byte"),
        (b"word", {"kind": "word"}, "too few words to split"),
        (b" word", {"kind": "word"}, "too few words to split"),
        (b"a\xff", {}, "--tokens byte"),
    ],
)
def test_a_file_that_is_no_corpus_is_named(
    tmp_path: Path, data: bytes, options: dict[str, Kind], message: str
) -> None:
    path = write(tmp_path / "a.txt", data)
    with pytest.raises(DataError, match=message) as caught:
        load(path, kind=options.get("kind"))
    assert str(path) in str(caught.value)


def test_a_validation_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: no such file"):
        load("pydoc", valid=tmp_path / "none.txt")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="got 'morse'"):
        load("pydoc", kind="morse")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::bptt.errors.BpttWarning")
def test_a_text_and_a_folder_have_the_limit_that_is_asked_for(tmp_path: Path) -> None:
    for name in ("f/a.txt", "f/b.txt", "g.txt"):
        write(tmp_path / name, "some words\n" * 100)
    write(tmp_path / "f" / "c.bin", b"\0" * 10_000)  # passed over, whatever its size
    for name, enough in (("f", 2200), ("g.txt", 1100)):
        assert load(tmp_path / name, limit=enough).train
        with pytest.raises(DataError, match="the most that is read"):
            load(tmp_path / name, limit=enough - 1)


def test_the_published_files_are_those_that_others_report_on(monkeypatch: pytest.MonkeyPatch) -> None:
    if not DATA or not Path(DATA, "tinyshakespeare/input.txt").is_file():
        pytest.skip("BPTT_DATA has no tinyshakespeare/input.txt")
    monkeypatch.setenv("BPTT_DATA", DATA)
    corpus = load("tinyshakespeare")
    assert (len(corpus.train), len(corpus.valid)) == (1_003_854, 111_540)
    assert corpus.vocabulary().size == 65


def test_ptb_comes_in_its_three_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    if not DATA or not Path(DATA, "ptb_word/ptb.train.txt").is_file():
        pytest.skip("BPTT_DATA has no ptb_word")
    monkeypatch.setenv("BPTT_DATA", DATA)
    corpus = load("ptb")
    assert corpus.test is not None
    vocabulary = corpus.vocabulary()
    assert vocabulary.size == 10_000
    assert [len(vocabulary.encode(part)) for part in (corpus.train, corpus.valid, corpus.test)] == [
        929_589,
        73_760,
        82_430,
    ]
