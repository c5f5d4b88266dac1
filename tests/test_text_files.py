"""Reading files and folders: what is made of their bytes, and a clear word for each that cannot be used."""

import os
from pathlib import Path
from typing import Any

import pytest

from bptt.errors import DataError
from bptt.text import read_bytes, read_text


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_utf8_is_read_without_its_byte_order_mark(tmp_path: Path) -> None:
    assert read_text(write(tmp_path / "a", b"\xef\xbb\xbf" + "hé😀\n".encode())) == "hé😀\n"


def test_windows_line_ends_become_newlines_and_nothing_else_changes(tmp_path: Path) -> None:
    assert read_text(write(tmp_path / "a", b" a\r\n\r\nb\rc\t\n\n")) == " a\n\nb\rc\t\n\n"


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
    with pytest.raises(DataError, match="none of its 2 files is UTF-8 text; --tokens byte"):
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
        ("hello\n".encode("utf-16"), "not UTF-8"),
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
    def denied(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    path = write(tmp_path / "secret.txt", b"abc")
    monkeypatch.setattr(Path, "read_bytes", denied)
    for given in (path, tmp_path):
        with pytest.raises(DataError, match=r"secret\.txt: cannot be read: Permission denied"):
            read(given)
