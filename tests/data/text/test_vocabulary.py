"""Vocabularies: what the tokens are, that encoding loses nothing, and that bad input is named."""

import json
import os
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptt.data.text import Kind, Vocabulary, load, tokenizers
from bptt.data.text.tokenizers import EOS, UNK, Words
from bptt.errors import ConfigError, DataError
from processes import run
from spoiled import STRANGE, spoiled, taken

DATA = os.environ.get("BPTT_DATA", "")
BYTE = Vocabulary.build("", "byte")
WORD = Vocabulary.build("one rose is a rose\n", "word")

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
lines = st.lists(st.text("ab<unk> \t", max_size=12), max_size=6)


def real(path: str) -> str:
    if not (file := Path(DATA, path)).is_file() or not DATA:
        pytest.skip(f"BPTT_DATA has no {path}")
    return file.read_text(encoding="utf-8")


# What the tokens are.


def test_characters_are_sorted_and_distinct() -> None:
    assert Vocabulary.build("banana\n", "char").tokens == ("\n", "a", "b", "n")


def test_bytes_are_all_256_whatever_the_text() -> None:
    assert len(BYTE) == BYTE.size == 256
    assert Vocabulary.build(b"\xff\x00", "byte") == BYTE


def test_words_follow_from_the_most_frequent_and_ties_alphabetically() -> None:
    text = "d c b\nb c a\n"
    assert Vocabulary.build(text, "word").tokens == (EOS, UNK, "b", "c", "a", "d")
    assert Vocabulary.build(text, "word", max_size=5).tokens == (EOS, UNK, "b", "c", "a")
    assert Vocabulary.build(text, "word", max_size=50) == Vocabulary.build(text, "word")


def test_unk_is_one_token_whether_the_text_has_it_or_not() -> None:
    has = Vocabulary.build("<unk> <unk> a\n", "word")
    assert has.tokens == Vocabulary.build("a\n", "word").tokens == (EOS, UNK, "a")
    assert has.encode("<unk> a b").tolist() == [1, 2, 1]


@given(lines)
def test_words_are_those_of_the_conventional_reading(rows: list[str]) -> None:
    text = "".join(row + "\n" for row in rows)
    expected = [word for row in rows for word in [*row.split(), EOS]]
    vocabulary = Vocabulary("word", (EOS, UNK, *sorted(set(expected) - {EOS, UNK})))
    assert [vocabulary.tokens[i] for i in vocabulary.encode(text)] == expected


def test_a_line_ends_where_its_newline_is() -> None:
    rose, eos = WORD.encode("rose").item(), WORD.start
    assert WORD.encode("rose\n").tolist() == [rose, eos]
    assert WORD.encode("\n\nrose").tolist() == [eos, eos, rose]


@pytest.mark.parametrize(
    ("text", "kind", "start"),
    [("a b\n", "char", "\n"), ("a b", "char", " "), ("ab", "char", "a"), ("b a", "word", EOS)],
)
def test_start_is_what_ends_a_line(text: str, kind: Kind, start: str) -> None:
    vocabulary = Vocabulary.build(text, kind)
    assert vocabulary.tokens[vocabulary.start] == start


def test_start_of_bytes_is_the_newline() -> None:
    assert BYTE.decode([BYTE.start]) == "\n"


def test_a_vocabulary_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        WORD.tokens = ()  # type: ignore[misc]


# Encoding and decoding.


@given(texts)
def test_characters_round_trip(text: str) -> None:
    vocabulary = Vocabulary.build(text, "char")
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int32
    assert ids.tolist() == [sorted(set(text)).index(character) for character in text]
    assert vocabulary.decode(ids) == text


@pytest.mark.parametrize("kind", ["char", "word"])
def test_tokens_that_follow_an_end_have_their_own_places(kind: Kind) -> None:
    known = Vocabulary.build("b a", kind).with_end()
    grown = known.extended("c a d")
    assert grown.tokens[: len(known)] == known.tokens
    assert [grown.tokens[k] for k in grown.encode("d b c")] == (
        list("d b c") if kind == "char" else ["d", "b", "c"]
    )
    assert grown.end not in grown.encode("a b c d")


@given(texts)
def test_bytes_of_a_text_round_trip(text: str) -> None:
    assert BYTE.encode(text).tolist() == list(text.encode())
    assert BYTE.decode(BYTE.encode(text)) == text


@given(st.binary())
def test_any_bytes_are_tokens_and_decode_with_replacement(data: bytes) -> None:
    ids = BYTE.encode(data)
    assert ids.dtype == np.int32
    assert ids.tolist() == list(data)
    assert BYTE.decode(ids) == data.decode("utf-8", errors="replace")


@given(st.lists(st.integers(0, WORD.size - 1)))
def test_word_ids_round_trip(ids: list[int]) -> None:
    assert WORD.encode(WORD.decode(ids)).tolist() == ids


@given(lines)
def test_word_text_round_trips_up_to_its_spaces(rows: list[str]) -> None:
    text = "".join(row + "\n" for row in rows)
    vocabulary = Vocabulary.build("a\n" + text, "word")
    assert vocabulary.decode(vocabulary.encode(text)) == "".join(" ".join(row.split()) + "\n" for row in rows)


def test_an_empty_text_has_no_tokens() -> None:
    for vocabulary in (BYTE, WORD, Vocabulary.build("a", "char")):
        ids = vocabulary.encode("")
        assert ids.shape == (0,)
        assert ids.dtype == np.int32
        assert vocabulary.decode(ids) == ""


def test_an_unknown_character_is_named_with_its_place_and_the_way_out() -> None:
    vocabulary = Vocabulary.build("abc\n", "char")
    with pytest.raises(
        DataError, match=r"'é' \(U\+00E9\) at line 2, column 3 is not among .* 4 .*--tokens byte"
    ):
        vocabulary.encode("abc\nabé\n")
    with pytest.raises(DataError, match=r"'\U0001f600' \(U\+1F600\) at line 1, column 1 "):
        vocabulary.encode("\U0001f600")


def test_half_a_character_is_an_error_not_a_crash() -> None:
    with pytest.raises(DataError, match=r"'\\udcff' at 1 is a lone surrogate"):
        BYTE.encode("a\udcff")
    with pytest.raises(DataError, match=r"U\+DCFF"):
        Vocabulary.build("a", "char").encode("a\udcff")


@pytest.mark.parametrize("vocabulary", [BYTE, WORD, Vocabulary.build("abc", "char")])
def test_an_id_out_of_range_is_named(vocabulary: Vocabulary) -> None:
    for wrong in (-1, vocabulary.size):
        with pytest.raises(DataError, match=f"0 to {vocabulary.size - 1}, got {wrong}"):
            vocabulary.decode([0, wrong])


# One token at a time.


def test_a_character_of_several_bytes_comes_when_it_is_whole() -> None:
    decoder = BYTE.decoder()
    assert [decoder.feed(byte) for byte in "a€b".encode()] == ["a", "", "", "€", "b"]
    assert decoder.finish() == ""


def test_bytes_that_break_off_end_in_a_replacement() -> None:
    decoder = BYTE.decoder()
    assert [decoder.feed(byte) for byte in "€".encode()[:2]] == ["", ""]
    assert decoder.finish() == "\ufffd"


def test_words_have_spaces_between_them_but_not_at_the_ends_of_lines() -> None:
    decoder = WORD.decoder()
    pieces = [decoder.feed(i) for i in WORD.encode("a rose\none\n\n")]
    assert pieces == ["a", " rose", "\n", "one", "\n", "\n"]


def test_decoders_do_not_share_their_place() -> None:
    first, second = WORD.decoder(), WORD.decoder()
    first.feed(2)
    assert second.feed(2) == WORD.tokens[2]


# Saving, and what is refused.


@pytest.mark.parametrize("vocabulary", [BYTE, WORD, Vocabulary.build('a"\n\u2028😀', "char")])
def test_json_round_trips(vocabulary: Vocabulary) -> None:
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "got None"),
        ({"kind": "char"}, "want"),
        ({"kind": "syllable", "tokens": ["a"]}, "char, byte, word, bpe, got 'syllable'"),
        ({"kind": ["char"], "tokens": ["a"]}, "kind"),
        ({"kind": "char", "tokens": "abc"}, "list of strings"),
        ({"kind": "char", "tokens": ["a", 1]}, "list of strings"),
        ({"kind": "char", "tokens": []}, "no char tokens"),
        ({"kind": "char", "tokens": ["a", "b", "a"]}, "'a' occurs more than once"),
        ({"kind": "char", "tokens": ["ab"]}, "one character"),
        ({"kind": "byte", "tokens": ["0x00"]}, "0x00 to 0xff"),
        ({"kind": "word", "tokens": [EOS, "a"]}, UNK),
        ({"kind": "word", "tokens": [EOS, UNK, "a b"]}, "white space"),
        ({"kind": "char", "tokens": [""]}, "no char tokens"),
    ],
)
def test_json_that_is_no_vocabulary_is_refused(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Vocabulary.from_json(data)


def test_any_json_is_a_vocabulary_or_refused_in_a_line() -> None:
    for vocabulary in (BYTE, WORD, Vocabulary.build("ab", "char")):
        good = vocabulary.to_json()
        for data in spoiled(good, np.random.default_rng(0)):
            if taken(Vocabulary.from_json, data, DataError):
                assert Vocabulary.from_json(data).to_json() == data
        for token in STRANGE:
            data = {**good, "tokens": [*good["tokens"], token]}
            if taken(Vocabulary.from_json, data, DataError):
                assert isinstance(token, str)


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ConfigError, match="one of char, byte, word, bpe, got 'morse'"):
        Vocabulary.build("a", "morse")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="max_size is for word and bpe tokens; got char"):
        Vocabulary.build("a", "char", max_size=10)
    with pytest.raises(ConfigError, match=r"at least 3 .* got 2"):
        Vocabulary.build("a", "word", max_size=2)
    with pytest.raises(DataError, match="no char tokens"):
        Vocabulary.build("", "char")
    with pytest.raises(DataError, match="nothing but white space"):
        Vocabulary.build(" \n\n", "word")
    with pytest.raises(DataError, match=r"got bytes.*--tokens byte"):
        Vocabulary.build(b"a", "word")
    with pytest.raises(DataError, match="got bytes"):
        WORD.encode(b"a")


# The corpora that others report on.


def test_tinyshakespeare_has_65_characters() -> None:
    text = real("tinyshakespeare/input.txt")
    vocabulary = Vocabulary.build(text, "char")
    ids = vocabulary.encode(text)
    assert (vocabulary.size, len(ids)) == (65, 1_115_394)
    assert vocabulary.decode(ids) == text


def test_ptb_has_10000_words_and_the_known_numbers_of_tokens() -> None:
    vocabulary = Vocabulary.build(real("ptb_word/ptb.train.txt"), "word")
    assert vocabulary.size == 10_000
    tokens = {part: real(f"ptb_word/ptb.{part}.txt") for part in ("train", "valid", "test")}
    assert {part: len(vocabulary.encode(text)) for part, text in tokens.items()} == {
        "train": 929_589,
        "valid": 73_760,
        "test": 82_430,
    }


@settings(max_examples=20)
@given(st.integers(3, 12))
def test_the_rest_become_unk(size: int) -> None:
    text = " ".join("abcdefghij"[i] * 2 for i in range(10) for _ in range(10 - i)) + "\n"
    vocabulary = Vocabulary.build(text, "word", max_size=size)
    unknown = vocabulary.encode(text) == vocabulary.encode(UNK)
    assert vocabulary.size == size
    assert unknown.sum() == sum(10 - i for i in range(size - 2, 10))


def test_texts_are_taken_piece_by_piece_and_give_the_same_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        text = "".join(rng.choice(list("ab é😀\n\t\x1c\u2028"), size=rng.integers(1, 60)))
        for kind in ("char", "byte", "word"):
            if kind == "word" and not text.strip():
                continue
            monkeypatch.setattr(tokenizers, "PIECE", 1 << 20)
            whole = Vocabulary.build(text, kind)
            ids = whole.encode(text)
            monkeypatch.setattr(tokenizers, "PIECE", 7)
            assert Vocabulary.build(text, kind) == whole
            np.testing.assert_array_equal(whole.encode(text), ids)
            if kind == "word":
                assert list(Words.split(text)) == text.replace("\n", f" {EOS} ").split()


def test_an_unknown_character_in_a_later_piece_is_named_with_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokenizers, "PIECE", 4)
    with pytest.raises(DataError, match=r"'x' \(U\+0078\) at line 3, column 2"):
        Vocabulary.build("ab\n", "char").encode("ab\nab\nax")


def test_compact_ids_take_the_smallest_type_that_holds_them() -> None:
    for size, dtype in ((256, np.uint8), (257, np.uint16), (1 << 16, np.uint16), ((1 << 16) + 1, np.int32)):
        text = "".join(map(chr, range(size)))
        ids = Vocabulary.build(text, "char").encode(text, compact=True)
        assert ids.dtype == dtype
        np.testing.assert_array_equal(ids, np.arange(size))


def test_different_words_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizers, "MOST_WORDS", 3)
    assert Vocabulary.build("a b\n" * 9, "word").size == 4
    with pytest.raises(DataError, match="more than 3 different words; char and byte tokens"):
        Vocabulary.build("a b\n c", "word")


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize(("kind", "most"), [("char", 85), ("byte", 24), ("word", 180)])
def test_reading_and_encoding_a_text_takes_bounded_memory(tmp_path: Path, kind: Kind, most: int) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("a 😀\n".encode() + b"a b\n" * 2_000_000)  # 8 MB, that take 32 as str
    done = run(
        "from pathlib import Path\n"
        "from bptt.data.text import load\n"
        "def peak(): return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
        "first = peak()\n"
        f"corpus = load({str(path)!r}, kind={kind!r})\n"
        "vocabulary = corpus.vocabulary()\n"
        "ids = vocabulary.encode(corpus.train, compact=True)\n"
        "print(peak() - first, len(ids))\n"
    )
    assert done.returncode == 0, done.stderr
    taken, count = map(int, done.stdout.split())
    assert count > 5_000_000
    assert taken * 1024 < most * 10**6


class Lower(Words):
    """What a new kind of token takes: a class, and its line in the table."""

    @staticmethod
    def _words(text: str) -> list[str]:
        return text.lower().split()


def test_a_kind_of_token_is_a_class_and_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_args(Kind) == tuple(tokenizers.TOKENIZERS)
    lower: Any = "lower"
    monkeypatch.setitem(tokenizers.TOKENIZERS, lower, Lower)
    path = tmp_path / "a.txt"
    path.write_text("A Rose\nis a rose is A rose is a rose IS\n", encoding="utf-8")
    corpus = load(path, kind=lower)
    vocabulary = corpus.vocabulary(max_size=4)
    assert vocabulary.tokens == (EOS, UNK, "a", "is")
    assert corpus.train == "A Rose\nis a rose is A rose is a "
    assert vocabulary.decode(vocabulary.encode(corpus.train)) == "a <unk>\nis a <unk> is a <unk> is a"
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary
