"""A vocabulary in somebody's file, in the forms in which programs write them."""

import json
from pathlib import Path

import pytest

from bptt import DataError
from bptt.data.text import Vocabulary
from bptt.exchange.vocabularies import read_vocabulary

CHARACTERS = ("\n", " ", "a", "é", "☃")


@pytest.mark.parametrize(
    "value",
    [
        list(CHARACTERS),
        {token: k for k, token in reversed(list(enumerate(CHARACTERS)))},
        {str(k): token for k, token in enumerate(CHARACTERS)},
        {"kind": "char", "tokens": list(CHARACTERS)},
    ],
)
def test_json_in_each_form(value: object, tmp_path: Path) -> None:
    for ascii_alone in (True, False):
        path = tmp_path / "v.json"
        path.write_text(json.dumps(value, ensure_ascii=ascii_alone, indent=1), "utf-8")
        assert read_vocabulary(path) == Vocabulary("char", CHARACTERS)


def test_digits_that_are_tokens_are_no_numbers_of_them(tmp_path: Path) -> None:
    path = tmp_path / "v.json"
    path.write_text(json.dumps({"1": 0, "0": 1, "2": 2}), "utf-8")
    assert read_vocabulary(path).tokens == ("1", "0", "2")


@pytest.mark.parametrize(
    ("text", "kind", "tokens"),
    [
        ("a\nb\nc\n", "char", ("a", "b", "c")),
        ("a\r\n \r\nc", "char", ("a", " ", "c")),
        ("a\nb\nc\n<pad>\n<bos>\n", "char", ("a", "b", "c", "\ue000", "\ue001")),
        ("the\n<eos>\n<unk>\nof\n", "word", ("the", "<eos>", "<unk>", "of")),
        ("<pad>\n<UNK>\n</s>\nthe\n<EOS>\n", "word", ("<pad>", "<unk>", "<eos>", "the", "<EOS>")),
        ("\n".join(f"0x{k:02x}" for k in range(256)), "byte", tuple(f"0x{k:02x}" for k in range(256))),
    ],
)
def test_a_token_a_line(text: str, kind: str, tokens: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(text.encode())
    found = read_vocabulary(path)
    assert (found.kind, found.tokens) == (kind, tokens)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("the\nof\n", "word tokens must hold <eos> and <unk>"),
        ("a\nb\na\n", "token 'a' occurs more than once"),
        ("[1, 2]", "a vocabulary is a list of tokens, or an object that gives each its number from 0 on"),
        ('{"a": 0, "b": 2}', "a vocabulary is a list"),
        ('{"a": 0.5}', "a vocabulary is a list"),
        ('{"a": true, "b": 0}', "a vocabulary is a list"),
        ('{"a": {"b": 0}}', "a vocabulary is a list"),
        ("{}", "the text has none"),
        ('["a",', "truncated"),
        ("[" * 100_000, "nested too deeply"),
        ("", "is empty"),
        ("\x80\x04}", "not UTF-8|binary|pickle"),
    ],
)
def test_what_is_none_is_told_in_a_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=says) as error:
        read_vocabulary(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
