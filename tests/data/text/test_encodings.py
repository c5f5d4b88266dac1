"""Texts in other encodings: what a mark or the user says is read, and what is likely is named."""

from pathlib import Path

import pytest

from bptt.data.lists import Form
from bptt.data.tables import read_table
from bptt.data.text import load, read_text
from bptt.data.text.encodings import guessed, in_utf8, named
from bptt.errors import ConfigError, DataError

TEXTS = {
    "cp1252": "Müller, Jörg ist größer als François; señor Muñoz – “naïve” Élève",
    "cp1250": "Książka leży na stole, dziękuję bardzo; příliš žluťoučký kůň",
    "cp1254": "İstanbul'da güneşli bir gün, çocuklar oynuyor, ışık",
    "cp1251": "Привет, как дела? Всё хорошо.",
    "koi8_r": "Привет, как дела? Всё хорошо.",
    "cp1253": "Καλημέρα κόσμε, τι κάνεις;",
    "iso8859_5": "Привет, как дела? Всё хорошо.",
    "cp866": "Привет, как дела? Всё хорошо.",
    "cp1255": "שלום עולם, היום מזג האוויר יפה",
    "cp1256": "مرحبا بالعالم، اليوم الطقس جميل",
    "iso8859_6": "مرحبا بالعالم، اليوم الطقس جميل",
    "cp874": "วันนี้อากาศดีและเราจะไปเดินเล่นในสวน",
    "cp1257": "Šiandien gražus oras, einame į parką su draugais, žiūrėti",
    "gb18030": "你好，世界。今天天气很好，我们去公园玩。",
    "big5": "你好，世界。今天天氣很好，我們去公園玩。",
    "cp932": "今日は天気がいいですね。東京へ行きます。",
    "euc_jp": "今日は天気がいいですね。東京へ行きます。",
    "cp949": "안녕하세요 세계. 오늘은 날씨가 좋습니다.",
    "utf-16-le": "hello world, how are you",
    "utf-16-be": "hello world, how are you",
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_an_encoding_is_guessed_said_and_read(tmp_path: Path, encoding: str) -> None:
    text = TEXTS[encoding] + "\n"
    (path := tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert guessed(text.encode(encoding)) == encoding
    with pytest.raises(DataError, match=f"line 1 is not UTF-8 text .*--encoding {encoding}"):
        read_text(path)
    assert read_text(path, encoding) == text
    path.write_bytes(text.encode())
    assert encoding.startswith("utf-16") or read_text(path, encoding) == text  # what is UTF-8 is read so


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    (path := tmp_path / "a.csv").write_bytes("naïve,x\r\n1,2\r\n".encode(encoding))
    assert read_table(path).columns == {"naïve": ["1"], "x": ["2"]}
    assert read_text(path) == read_text(path, "cp1252") == "naïve,x\n1,2\n"


def test_tables_lists_and_corpora_take_an_encoding(tmp_path: Path) -> None:
    (path := tmp_path / "a.csv").write_bytes("name\nJörg\nZoë\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"line 2 is not UTF-8 text .byte 0xf6 at offset 6.*cp1252"):
        read_table(path)
    assert read_table(path, encoding="cp1252").columns == {"name": ["Jörg", "Zoë"]}
    assert Form(encoding="cp1252").read(str(path), "char").texts == ["name", "Jörg", "Zoë"]
    assert load(path, encoding="cp1252").train == "name\nJörg\nZo"
    (tmp_path / "b.txt").write_text("ä", "utf-8")
    assert read_text(tmp_path, "cp1252") == "name\nJörg\nZoë\nä"  # a folder may have both


def test_what_is_another_encoding_or_none_is_refused(tmp_path: Path) -> None:
    for odd in ("latin", "rot13", "idna", "nope", "\0", "../x", "unicode_escape"):
        if odd == "latin":
            assert named(odd) == "iso8859-1"
            continue
        with pytest.raises(ConfigError, match="no encoding is called"):
            named(odd)
    with pytest.raises(DataError, match=r"a.txt: line 2 is not shift_jis .*it may be cp1252"):
        in_utf8("a\nJörg größer".encode("cp1252"), "a.txt", "shift_jis")
    with pytest.raises(DataError, match="--encoding NAME says in which"):
        in_utf8(b"\x89QNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe", "a.txt")
    with pytest.raises(DataError, match=r"a\.txt: is a picture, and no text"):
        in_utf8(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe", "a.txt")
    assert guessed(b"SQLite format 3\0" + bytes(range(16)) * 8) is None
    assert guessed(b"\0\1\0\2\0\3\0\4" * 9) is None
    with pytest.raises(ConfigError, match="files of your own"):
        load("pydoc", encoding="cp1252")
    with pytest.raises(ConfigError, match="as they are"):
        load(tmp_path, kind="byte", encoding="cp1252")


def test_a_guess_reads_the_whole_file(tmp_path: Path) -> None:
    text = "naïve,x\n" + "café,1\n" * 10_000  # the odd byte is beyond what is looked at
    (path := tmp_path / "a.csv").write_bytes(text.encode("cp1252") + b"\x9d,2\n")
    with pytest.raises(DataError, match="it seems to be latin-1: --encoding latin-1"):
        read_table(path)
    with pytest.raises(DataError, match=r"line 10002 is not cp1252 .*; it may be latin-1"):
        read_table(path, encoding="cp1252")
    assert read_table(path, encoding="latin-1").columns["naïve"][-2:] == ["café", "\x9d"]
