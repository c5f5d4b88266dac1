"""Corpora that are fetched: once, the right files only, and one line where they are not to be had."""

import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pooch
import pytest

from bptt.data.text import corpora, describe, load
from bptt.data.text.corpora import Corpus
from bptt.errors import DataError
from corpus_folder import cache as cache
from corpus_folder import write

PARTS = {"train": b"a b\nb c\n" * 30, "valid": b"a d\n" * 5, "test": b"c e\n" * 5}


def everything_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}


class Server(ThreadingHTTPServer):
    """Serves what `answers` holds by path, and counts; it may promise more bytes than it sends."""

    answers: dict[str, bytes]
    missing = 0
    requests = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        data = self.server.answers.get(self.path)
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Length", str(len(data or b"") + self.server.missing))
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A small "ptb" that is published on this machine."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.answers = {f"/ptb.{part}.txt": data for part, data in PARTS.items()}
        publish(monkeypatch, server.server_port)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def publish(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    files = tuple(
        corpora._File(
            f"ptb_word/ptb.{part}.txt",
            hashlib.sha256(data).hexdigest(),
            f"http://127.0.0.1:{port}/ptb.{part}.txt",
        )
        for part, data in PARTS.items()
    )
    monkeypatch.setitem(corpora._REGISTRY, "ptb", replace(corpora._REGISTRY["ptb"], files=files))


def check_ptb(corpus: Corpus) -> None:
    assert [corpus.train, corpus.valid, corpus.test] == [data.decode() for data in PARTS.values()]
    assert corpus.kind == "word"


def test_a_corpus_is_fetched_once(server: Server, cache: Path) -> None:
    check_ptb(load("ptb"))
    assert everything_in(cache) == {f"ptb.{part}.txt": data for part, data in PARTS.items()}
    corpus = load("ptb")
    check_ptb(corpus)
    assert server.requests == 3
    assert str(cache) in corpus.source


def test_fetching_says_nothing_and_leaves_the_log_as_it_was(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    log = pooch.get_logger()
    log.addHandler(caplog.handler)
    try:
        load("ptb")
        assert caplog.messages == []
        log.info("heard")
        assert caplog.messages == ["heard"]
    finally:
        log.removeHandler(caplog.handler)


def test_a_validation_file_takes_the_place_of_the_corpuss_own(server: Server, tmp_path: Path) -> None:
    corpus = load("ptb", valid=write(tmp_path / "mine.txt", "my words\n"))
    assert [corpus.train, corpus.valid, corpus.test] == [
        PARTS["train"].decode(),
        "my words\n",
        PARTS["test"].decode(),
    ]


def test_the_data_folder_goes_before_the_cache(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BPTT_DATA", str(tmp_path / "data"))
    for part, data in PARTS.items():
        write(tmp_path / "data" / "ptb_word" / f"ptb.{part}.txt", data)
        write(cache / f"ptb.{part}.txt", b"something else")
    check_ptb(load("ptb"))
    assert server.requests == 0


def test_what_the_data_folder_lacks_is_fetched(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BPTT_DATA", str(tmp_path / "data"))
    write(tmp_path / "data" / "ptb_word" / "ptb.train.txt", PARTS["train"])
    check_ptb(load("ptb"))
    assert sorted(everything_in(cache)) == ["ptb.test.txt", "ptb.valid.txt"]
    assert everything_in(tmp_path / "data" / "ptb_word").keys() == {"ptb.train.txt"}


def test_what_is_not_here_is_not_fetched_unasked(server: Server, cache: Path) -> None:
    with pytest.raises(DataError, match=r"is not fetched unasked: put http.* or set BPTT_DATA"):
        load("ptb", fetch=False)
    assert server.requests == 0
    for part, data in PARTS.items():
        write(cache / f"ptb.{part}.txt", data)
    check_ptb(load("ptb", fetch=False))


def test_a_changed_file_in_the_data_folder_is_refused_with_both_sums(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BPTT_DATA", str(tmp_path / "data"))
    path = write(tmp_path / "data" / "ptb_word" / "ptb.train.txt", b"changed")
    with pytest.raises(DataError) as caught:
        load("ptb")
    for named in (
        str(path),
        hashlib.sha256(b"changed").hexdigest(),
        hashlib.sha256(PARTS["train"]).hexdigest(),
    ):
        assert named in str(caught.value)
    assert path.read_bytes() == b"changed", "a user's own file stays as it is"


@pytest.mark.parametrize("broken", [b"", PARTS["train"][:50]])
def test_a_broken_file_in_the_cache_is_fetched_anew(server: Server, cache: Path, broken: bytes) -> None:
    write(cache / "ptb.train.txt", broken)
    check_ptb(load("ptb"))


def test_a_file_that_arrives_changed_is_not_kept(server: Server, cache: Path) -> None:
    server.answers["/ptb.train.txt"] = b"<html>Welcome to the hotel's network</html>"
    with pytest.raises(DataError, match="what came has another sha256"):
        load("ptb")
    assert everything_in(cache) == {}


def test_a_download_that_breaks_off_leaves_nothing(server: Server, cache: Path) -> None:
    server.missing = 10
    with pytest.raises(DataError, match=r"ptb\.train\.txt: could not be fetched"):
        load("ptb")
    assert everything_in(cache) == {}


def test_an_interrupted_download_leaves_nothing(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object, **options: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("pooch.core.hash_matches", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load("ptb")
    assert server.requests == 1
    assert everything_in(cache) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not replace a file that is being read")
def test_several_may_fetch_at_once(server: Server, cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        for corpus in pool.map(load, ["ptb"] * 4):
            check_ptb(corpus)
    assert everything_in(cache) == {f"ptb.{part}.txt": data for part, data in PARTS.items()}


def test_without_a_network_one_line_says_what_to_put_where(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        publish(monkeypatch, unused.getsockname()[1])
        with pytest.raises(DataError) as caught:
            load("ptb")
    message = str(caught.value)
    assert message.startswith("ptb_word/ptb.train.txt: could not be fetched from http://127.0.0.1:")
    assert f"put it into {cache}, or set BPTT_DATA to a folder that holds ptb_word/ptb.train.txt" in message
    assert "\n" not in message


def test_a_page_that_is_gone_is_an_error_too(server: Server) -> None:
    server.answers.clear()
    with pytest.raises(DataError, match=r"\(HTTPError\)"):
        load("ptb")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes that have a name")
@pytest.mark.parametrize("what", ["pipe", "link to a device", "link in a circle", "sparse", "link"])
def test_whatever_lies_in_the_cache_gives_way_to_the_right_file(
    server: Server, cache: Path, tmp_path: Path, what: str
) -> None:
    place, own = write(cache / "ptb.train.txt", b"a"), write(tmp_path / "own", b"mine")
    place.unlink()
    if what == "pipe":
        os.mkfifo(place)
    elif what == "sparse":
        with place.open("wb") as file:
            file.truncate(10 << 30)
    else:
        to = {"link to a device": "/dev/zero", "link in a circle": place.name, "link": str(own)}
        place.symlink_to(to[what])
    check_ptb(load("ptb"))
    assert not place.is_symlink()
    assert own.read_bytes() == b"mine"
    assert everything_in(cache) == {f"ptb.{part}.txt": data for part, data in PARTS.items()}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes that have a name")
def test_a_pipe_in_the_data_folder_is_refused_and_not_waited_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BPTT_DATA", str(tmp_path / "data"))
    path = write(tmp_path / "data" / "ptb_word" / "ptb.train.txt", b"")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match=r"ptb\.train\.txt: not a regular file"):
        load("ptb")
    assert describe()[2].where == "not fetched yet"


def test_a_folder_or_a_file_in_the_way_of_the_cache_is_an_error(server: Server, cache: Path) -> None:
    (cache / "ptb.train.txt" / "full").mkdir(parents=True)
    with pytest.raises(DataError, match=r"could not be fetched.*put it into .*or set BPTT_DATA"):
        load("ptb")
    (cache / "ptb.train.txt" / "full").rmdir()
    (cache / "ptb.train.txt").rmdir()
    assert everything_in(cache) == {}
    cache.rmdir()
    write(cache, b"a file")
    with pytest.raises(DataError, match=r"could not be fetched.*put it into .*or set BPTT_DATA"):
        load("ptb")


def test_without_a_home_folder_a_corpus_is_found_in_the_data_folder_alone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: Path("~/.cache") / name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="there is no home folder to keep it in; set BPTT_DATA to a folder"):
        load("ptb")
    assert describe()[2].where == "not fetched yet"
    assert not list(tmp_path.iterdir())
    for part, data in PARTS.items():
        write(tmp_path / "x" / "ptb_word" / f"ptb.{part}.txt", data)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("BPTT_DATA", "~/x")
    check_ptb(load("ptb"))


def test_describe_tells_where_the_files_are_and_fetches_none(server: Server, cache: Path) -> None:
    infos = {info.name: info for info in describe()}
    assert list(infos) == ["pydoc", "tinyshakespeare", "ptb"]
    assert [info.kind for info in infos.values()] == ["char", "char", "word"]
    assert infos["pydoc"].where.startswith("in Python 3.")
    assert infos["ptb"].where == infos["tinyshakespeare"].where == "not fetched yet"
    for part in ("train", "valid"):
        write(cache / f"ptb.{part}.txt", PARTS[part])
    assert describe()[2].where == "not fetched yet", "two of three files are not the corpus"
    write(cache / "ptb.test.txt", PARTS["test"])
    shakespeare = write(cache.parent / "tinyshakespeare" / "input.txt", "abc")
    assert [info.where for info in describe()[1:]] == [str(shakespeare), str(cache)]
    assert server.requests == 0
