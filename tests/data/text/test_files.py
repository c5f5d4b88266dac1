"""Reading files and folders: what is made of their bytes, and a clear word for each that cannot be used."""

import bz2
import gzip
import lzma
import os
import socket
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bptt.data.text import Kind, files, load, read_bytes, read_text
from bptt.data.text.packed import TooLongError, packed, plain_name, unpacked
from bptt.errors import BpttWarning, DataError
from corpus_folder import write

pytestmark = pytest.mark.filterwarnings("ignore:.*passed over:bptt.errors.BpttWarning")


def test_utf8_is_read_without_its_byte_order_mark(tmp_path: Path) -> None:
    assert read_text(write(tmp_path / "a", b"\xef\xbb\xbf" + "hé😀\n".encode())) == "hé😀\n"


def test_every_form_of_a_line_end_becomes_a_newline_and_nothing_else_changes(tmp_path: Path) -> None:
    data = b" a\r\n\r\nb\rc\r\r\nd\r\re\t\n\n"
    assert read_text(write(tmp_path / "a", data)) == " a\n\nb\nc\nd\n\ne\t\n\n"
    assert load(tmp_path / "a", kind="byte").train == data[:-2]


def test_bytes_are_left_as_they_are(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbfa\r\n\x00\xff"
    assert read_bytes(write(tmp_path / "a", data)) == data


def test_a_path_may_be_a_str(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a", b"abc"))
    assert (read_text(path), read_bytes(path)) == ("abc", b"abc")


# Folders.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "b.txt", b"second")
    write(tmp_path / "a" / "z.txt", b"first\r\n")
    write(tmp_path / "a.txt", b"after the folder a\n")
    write(tmp_path / "b" / "c" / "deep.md", b"deep")
    write(tmp_path / ".hidden", b"no")
    write(tmp_path / ".git" / "config", b"no")
    write(tmp_path / "b" / ".DS_Store", b"no")
    write(tmp_path / "empty.txt", b"")
    return tmp_path


def test_a_folder_is_its_visible_files_in_the_order_of_their_paths(folder: Path) -> None:
    assert read_text(folder) == "first\nafter the folder a\ndeep\nsecond"
    assert read_bytes(folder) == b"first\r\nafter the folder a\ndeepsecond"


def test_a_folders_files_that_are_not_text_are_passed_over(folder: Path) -> None:
    write(folder / "0.png", b"\x89PNG")
    write(folder / "0.bin", b"abc\x00")
    assert read_text(folder) == "first\nafter the folder a\ndeep\nsecond"
    assert read_bytes(folder).startswith(b"abc\x00\x89PNGfirst")


def test_a_hidden_folder_can_itself_be_named(tmp_path: Path) -> None:
    write(tmp_path / ".notes" / "a", b"abc")
    assert read_text(tmp_path / ".notes") == "abc"


def test_a_folder_with_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder without files"):
        read_text(tmp_path)
    write(tmp_path / "a.png", b"\x89PNG")
    write(tmp_path / "b", b"")
    with pytest.raises(
        DataError,
        match=r"none of its 2 files is UTF-8 text: 1 not UTF-8 .a.png.; 1 empty .b.; --tokens byte",
    ):
        read_text(tmp_path)
    write(tmp_path / "a.png", b"")
    with pytest.raises(DataError, match="is empty"):
        read_bytes(tmp_path)


def test_a_folder_that_cannot_be_listed_is_an_error_not_a_gap(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    def scandir(path: str) -> Any:
        if Path(path).name == "c":
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"c: cannot be read: Permission denied"):
        read_text(folder)


# Files that cannot be used.


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"abc\xff\xfe", r"not UTF-8 text \(byte 0xff at offset 3\).*--tokens byte"),
        (b"\xef\xbb\xbfab\xe9", r"byte 0xe9 at offset 5"),
        ("hello\n".encode("utf-16-be"), "not UTF-8 text.*--encoding utf-16-be"),
        (b"ab\x00c", r"a NUL byte at offset 2.*--tokens byte"),
    ],
)
def test_what_is_not_text_is_said_to_be_not_text(tmp_path: Path, data: bytes, message: str) -> None:
    path = write(tmp_path / "file.txt", data)
    with pytest.raises(DataError, match=message) as caught:
        read_text(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_empty_file_has_no_bytes_to_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is empty"):
        read_bytes(write(tmp_path / "a", b""))


@pytest.fixture(params=[read_text, read_bytes])
def read(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_missing_file_is_named(tmp_path: Path, read: Any) -> None:
    with pytest.raises(DataError, match=r"nowhere\.txt: no such file"):
        read(tmp_path / "nowhere.txt")


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Any
) -> None:
    def denied(path: Path, limit: int) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = write(tmp_path / "secret.txt", b"abc")
    monkeypatch.setattr(files, "read_regular", denied)
    for given in (path, tmp_path):
        with pytest.raises(DataError, match=r"secret\.txt: cannot be read: Permission denied"):
            read(given)


# What is passed over is told; what would block, or is too large, is an error.


@pytest.mark.parametrize("kind", ["char", "word", "byte"])
def test_what_a_folder_drops_is_told_and_kept_on_the_corpus(folder: Path, kind: Kind) -> None:
    write(folder / "0.png", b"\x89PNG")
    write(folder / "b" / "0.bin", b"abc\x00")
    for k in range(5):
        write(folder / f"latin{k}\n.txt", b"caf\xe9")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
        (folder / "linked").symlink_to(folder / "b")
        (folder / "circle").symlink_to("circle")
    with pytest.warns(BpttWarning) as notes:
        passed_over = load(folder, kind=kind).passed_over
    wanted = {".hidden": "hidden", ".git": "hidden", "b/.DS_Store": "hidden", "empty.txt": "empty"}
    if hasattr(os, "mkfifo"):
        wanted |= {
            "pipe": "not a regular file",
            "linked": "a link to a folder",
            "circle": "a link to no file",
        }
    if kind != "byte":
        wanted |= {"0.png": "not UTF-8", "b/0.bin": "binary"}
        wanted |= {f"latin{k}\n.txt": "not UTF-8 but perhaps cp1252: --encoding" for k in range(5)}
    assert passed_over == wanted
    (message,) = {str(note.message) for note in notes}
    assert "\n" not in message
    assert f"{len(wanted)} passed over: " in message
    if kind != "byte":
        assert "4 files read" in message
        assert "1 not UTF-8 (0.png)" in message
        assert r"5 not UTF-8 but perhaps cp1252: --encoding ('latin0\n.txt', " in message


def test_a_folder_of_texts_alone_says_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", b"abc")
    assert load(tmp_path).passed_over == {}


def test_a_text_has_a_limit_and_a_sparse_file_is_not_read(
    tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with write(tmp_path / "f" / "sparse", b"a").open("r+b") as file:
        file.truncate(10 << 30)
    for given in (tmp_path / "f" / "sparse", tmp_path / "f"):
        with pytest.raises(DataError, match=r"sparse: .*holds more than 1,024 MiB"):
            read(given)
    monkeypatch.setattr(files, "LIMIT", 10)
    for name in "ab":
        write(tmp_path / "g" / name, b"12345678")
    with pytest.raises(DataError, match=r"b: with it .*g holds more than 0 MiB"):
        read(tmp_path / "g")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes that have a name")
def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path, read: Any) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "circle").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket")[:100])
        for name in ("pipe", "zero", "socket"):
            with pytest.raises(DataError, match=f"{name}: not a regular file"):
                read(tmp_path / name)
    with pytest.raises(DataError, match="circle: cannot be read: "):
        read(tmp_path / "circle")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="a system that shows itself as files")
@pytest.mark.parametrize("name", ["status", "pagemap", "mem", "environ"])
def test_what_only_looks_like_a_file_is_refused(name: str, read: Any) -> None:
    with pytest.raises(DataError, match=f"{name}: (not a regular file|cannot be read)"):
        read(Path("/proc/self", name))


def test_a_file_that_shrinks_or_goes_while_it_is_read_is_an_error(
    tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fstat = write(tmp_path / "a", b"abcd"), os.fstat

    def longer(number: int) -> os.stat_result:
        values = list(fstat(number))
        values[6] += 1
        return os.stat_result(values)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", longer)
        with pytest.raises(DataError, match="it became shorter while it was read"):
            read(path)
    listed = files._files

    def gone(folder: Path) -> Any:
        found = listed(folder)
        path.unlink()
        return found

    monkeypatch.setattr(files, "_files", gone)
    with pytest.raises(DataError, match="a: no such file"):
        read(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="paths have other lengths there, and links take a right")
def test_a_folder_of_many_files_and_of_many_levels(tmp_path: Path) -> None:
    levels = [str(tmp_path) + "/d" * level for level in range(1, 700)]
    for level in levels:
        Path(level).mkdir()
    deepest = write(Path(levels[-1], "a"), b"abc")
    for k in range(500):
        write(tmp_path / "many" / f"{k:05}", b"x")
    link = tmp_path / "d" / "up"
    link.symlink_to(tmp_path)
    text = read_text(tmp_path)
    link.unlink()
    deepest.unlink()  # before anybody removes the folders level by level, calls within calls
    for level in reversed(levels):
        Path(level).rmdir()
    assert text == "abc\n" + "x\n" * 499 + "x"


def test_a_name_that_is_not_utf8_is_refused_in_a_line(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")
    with pytest.raises(DataError, match="its name is not UTF-8"):
        load(name)
    with pytest.raises(DataError, match="standard input is for the text to train on"):
        load("pydoc", valid="-")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_text_is_read_as_what_it_holds(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(b"one\r\ntwo\n" * 50)
    (tmp_path / "a.txt.z").write_bytes(packed)
    assert read_text(tmp_path / "a.txt.z") == "one\ntwo\n" * 50
    assert read_bytes(tmp_path / "a.txt.z") == packed
    with pytest.raises(TooLongError, match="holds more than 0 MiB"):
        files.read(tmp_path / "a.txt.z", "char", 449)
    (tmp_path / "a.txt.z").write_bytes(packed[:-9])
    with pytest.raises(DataError, match="cannot be unpacked; is it cut short"):
        read_text(tmp_path / "a.txt.z")


def test_a_text_that_begins_like_a_packed_one_is_a_text(tmp_path: Path) -> None:
    assert read_text(write(tmp_path / "a", b"BZhang and PK\n")) == "BZhang and PK\n"


def test_an_archive_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/a.txt", "one\n")
        archive.writestr("__MACOSX/a.txt", "no")
    assert read_text(tmp_path / "a.zip") == "one\n"
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("b.txt", "two\n")
        archive.writestr("c.txt", "three\n")
    with pytest.raises(DataError, match="is a zip archive of 3 files, or a document or table that is one"):
        read_text(tmp_path / "a.zip")
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:60])
    with pytest.raises(DataError, match="cannot be unpacked; is it cut short"):
        read_text(tmp_path / "a.zip")
    (tmp_path / "a.zip").rename(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match="is a table, and no text: --task says"):
        read_text(tmp_path / "a.xlsx")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_texts_of_a_folder_and_of_standard_input_are_read(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", b"one\n")
    write(tmp_path / "b.z", pack(b"two\n"))
    write(tmp_path / "c.z", pack(b"three\n")[:-9])
    with pytest.warns(BpttWarning, match=r"2 files read, 1 passed over: 1 packed, and not readable \(c.z\)"):
        assert read_text(tmp_path) == "one\ntwo\n"
    monkeypatch.setattr(files, "standard_input", lambda: pack(b"three\n"))
    assert read_text("-") == "three\n"
    assert read_bytes("-") == pack(b"three\n")
    monkeypatch.setattr(files, "LIMIT", 7)
    with pytest.raises(TooLongError, match=r"with it .* holds more than"):
        read_text(tmp_path)


def test_what_is_packed_by_the_end_of_its_name_is_read_again() -> None:
    for name in ("a.csv.gz", "a.csv.BZ2", "a.csv.xz", "a.csv"):
        assert unpacked(packed(b"one\n" * 9, name), name, 99) == b"one\n" * 9
        assert (packed(b"one\n" * 9, name) == b"one\n" * 9) == (name == "a.csv")
        assert plain_name(name) == "a.csv"
