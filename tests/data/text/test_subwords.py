"""Subwords: learnt from a text, cut as they were learnt, and decoded exactly without what learnt them."""

import itertools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bptt import ConfigError, DataError, Settings, Trained, Trainer
from bptt.cli import run as bptt
from bptt.data.text import Vocabulary, load, subwords
from bptt.data.text.subwords import BYTES
from processes import python
from small_runs import SMALL, go, left_by, text

MADE = Vocabulary("bpe", (*BYTES, "aa", "ab", "aaab", "é".encode().decode("latin-1"), " a", " aa"))
strings = st.text(st.characters(exclude_categories=["Cs"]))
runs_of_a = st.text("a bé\n", max_size=50)


def slowly(text: str, vocabulary: Vocabulary) -> list[int]:
    """Cut a text as the definition has it: join by join, each from the left through every piece."""
    tokens, found = vocabulary.tokens, []
    for piece in subwords.pieces(text):
        parts = [chr(byte) for byte in piece.encode()]
        for token in tokens[256:]:
            two = {
                (token[:k], token[k:]) for k in range(1, len(token)) if {token[:k], token[k:]} <= {*tokens}
            }
            k = 0
            while k + 1 < len(parts):
                if (parts[k], parts[k + 1]) in two:
                    parts[k : k + 2] = [token]
                k += 1
        found += [tokens.index(part) for part in parts]
    return found


@given(strings | runs_of_a)
def test_every_text_is_its_tokens(text: str) -> None:
    assert "".join(subwords.pieces(text)) == text
    assert max(map(len, subwords.pieces(text)), default=0) <= subwords.LONGEST + 1
    ids = MADE.encode(text)
    assert MADE.decode(ids) == text
    assert ids.dtype == np.int32


@given(runs_of_a)
def test_all_pieces_at_once_are_cut_as_one_alone(text: str) -> None:
    joins = subwords.joins_of(MADE.tokens)
    one = [token for piece in subwords.pieces(text) for token in subwords.cut(piece.encode(), joins)]
    assert MADE.encode(text).tolist() == one


def test_pieces_are_cut_as_the_definition_has_it() -> None:
    small = Vocabulary("bpe", (*BYTES, "aa", "ab", "aaab"))
    for letters in itertools.product("ab", repeat=6):
        piece = "".join(letters)
        assert small.encode(piece).tolist() == slowly(piece, small), piece


def test_many_pieces_and_many_blocks_give_the_same_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    words = " ".join(f"ab{k} aaab{'a' * (k % 7)}" for k in range(400))
    wanted = MADE.encode(words)
    monkeypatch.setattr(subwords, "_SOME", 7)
    monkeypatch.setattr("bptt.data.text.tokenizers.PIECE", 5)
    assert np.array_equal(MADE.encode(words), wanted)
    assert MADE.encode("").tolist() == []


def test_a_token_is_whole_characters_only_once_its_bytes_are() -> None:
    decoder = MADE.decoder()
    assert [decoder.feed(token) for token in MADE.encode("ß")] == ["", "ß"]
    assert decoder.feed(MADE.tokens.index("Ã©")) == "é"
    assert (MADE.start, MADE.unit, MADE.extended("世界")) == (10, "token", MADE)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (BYTES[1:], "the first 256 bpe tokens must be the bytes in order"),
        ((*BYTES, "abc"), "bpe token 'abc' does not join two"),
        ((*BYTES, "ab", "€b"), "bpe token '€b' does not join two"),
    ],
)
def test_what_are_no_joins_is_refused(tokens: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Vocabulary.from_json({"kind": "bpe", "tokens": list(tokens)})
    with pytest.raises(DataError, match="at 9 is a lone surrogate"):
        MADE.encode("aaab aaa \ud800")


def test_without_the_library_a_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ConfigError, match=r"not installed: pip install 'bptt\[bpe\]'"):
        Vocabulary.build("a text", "bpe")


# learnt


def test_tokens_are_learnt_from_the_most_frequent_neighbours() -> None:
    pytest.importorskip("tokenizers")
    text = "low low low lower lowest newer newer\n" * 30
    found = Vocabulary.build(text, "bpe", max_size=262)
    assert found.tokens[:256] == BYTES
    assert len(found) == 262
    assert found.tokens[256:] == ("lo", "low", " low", "er", " n", "ew")
    assert len(found.encode(text)) < len(text) / 2
    assert Vocabulary.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert Vocabulary.build(text, "bpe", max_size=10**14) == Vocabulary.build(text, "bpe", max_size=9999)
    assert 256 < len(Vocabulary.build("ab" * 9, "bpe")) < 290  # no more than there is to join
    assert len(Vocabulary.build("", "bpe")) == 256
    with pytest.raises(ConfigError, match="--vocabulary must be above 256 for bpe tokens"):
        Vocabulary.build(text, "bpe", max_size=256)


def test_what_is_learnt_does_not_depend_on_threads_or_hashes() -> None:
    pytest.importorskip("tokenizers")
    code = (
        "from bptt.data.text import Vocabulary, load\n"
        "print(hash(Vocabulary.build(load('pydoc').train[:60_000], 'bpe', max_size=400).tokens))\n"
    )
    found = {
        python("-c", code, RAYON_NUM_THREADS=threads, PYTHONHASHSEED="0").stdout
        for threads in ("1", "1", "2", "7")
    }
    assert len(found) == 1
    assert found != {""}


@pytest.fixture
def strange(tmp_path: Path) -> str:
    path = tmp_path / "book.txt"
    path.write_text(text(3).replace("fox", "Füchse 🦊"), encoding="utf-8")
    return str(path)


def test_a_run_of_subwords_resumes_to_the_same_bits_without_the_library(
    tmp_path: Path, strange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tokenizers")
    settings = Settings(data=strange, tokens="bpe", vocabulary=280, **SMALL)
    go(Trainer.start(settings, tmp_path / "whole"))
    go(Trainer.start(settings, tmp_path / "parts"), 9)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    go(Trainer.resume(tmp_path / "parts"))
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")
    trained = Trained.load(tmp_path / "whole")
    for score in trained.scores():
        assert score.characters is not None
        assert score.bits_per_character == pytest.approx(score.bits * score.tokens / score.characters)
        assert score.characters > score.tokens
    assert trained.scores()[0].to_json().keys() >= {"characters", "bits_per_character"}


def test_the_command_trains_samples_and_measures_subwords(
    tmp_path: Path, strange: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tokenizers")
    run = str(tmp_path / "run")
    fast: list[Any] = ["--hidden=4", "--batch=2", "--chunk=4", "--steps=4", "--eval-every=2", "--no-samples"]
    assert bptt(["train", strange, "--tokens=bpe", "--vocabulary=300", *fast, "--out", run]) == 0
    out = capsys.readouterr().out
    assert " tokens to train on" in out
    assert "nats per token" in out
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert bptt(["sample", run, "--prime", "Füchse 世界", "--length=20", "--seed=0"]) == 0
    assert capsys.readouterr().out.startswith("Füchse 世界")
    assert bptt(["eval", run]) == 0
    assert "nats per token  bits per char" in capsys.readouterr().out
    assert bptt(["train", strange, "--tokens=char", "--vocabulary=300"]) == 2
    assert "--vocabulary limits the words" in capsys.readouterr().err


def test_a_corpus_is_learnt_from_what_is_trained_on(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    for name, words in (("train", "abc " * 40), ("valid", "xyz " * 40)):
        tmp_path.joinpath(name).write_text(words)
    tokens = load(tmp_path / "train", valid=tmp_path / "valid", kind="bpe").vocabulary().tokens
    assert " abc" in tokens
    assert not any("x" in token for token in tokens[256:])


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_learning_and_cutting_take_bounded_memory(tmp_path: Path) -> None:
    """The library takes 256 texts at a time, and 50 bytes for each of theirs."""
    pytest.importorskip("tokenizers")
    path = tmp_path / "a.txt"
    path.write_bytes("a 😀\n".encode() + b"a b\n" * 500_000)  # 2 MB, that take 8 as str
    done = python(
        "-c",
        "from pathlib import Path\n"
        "from bptt.data.text import load\n"
        "import tokenizers\n"
        "def peak(): return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
        "first = peak()\n"
        f"corpus = load({str(path)!r}, kind='bpe')\n"
        "ids = corpus.vocabulary().encode(corpus.train, compact=True)\n"
        "print(peak() - first, len(ids))\n",
    )
    assert done.returncode == 0, done.stderr
    taken, count = map(int, done.stdout.split())
    assert count > 1_000_000
    assert taken * 1024 < 90 * 10**6


@pytest.mark.skipif(os.name != "posix", reason="not of this system")
def test_learning_is_left_at_an_interruption_and_its_thread_ends() -> None:
    ended = threading.Event()

    def work(texts: Iterator[str]) -> None:
        try:
            for _ in texts:
                time.sleep(0.01)
        finally:
            ended.set()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            subwords._listening(itertools.repeat("a text"), work)
        assert ended.is_set()
        with pytest.raises(ZeroDivisionError):
            subwords._listening(iter(["a text"]), lambda texts: print(1 // len([]), *texts))
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
