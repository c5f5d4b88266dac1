"""Hostile texts through ``bptt train``, ``eval`` and ``sample``: an exit code and a line, whatever they are.

``python tests/helpers/fuzz_corpora.py --corpora 500 --seed 0`` prints how often each outcome came and what
failed.
Each command runs in a forked process that has 20 seconds and, beside what is loaded, 1 GB + twice its texts.
"""

import argparse
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bptt.types import Generator
from hostile import forked

MEMORY = 10**9
KINDS = ("char", "byte", "word")
SMALL = ["--hidden=4", "--embedding=2", "--steps=2", "--eval-every=1", "--warmup=0"]
SENTENCE = "the quick brown fox, naïve and 日本 😀\n"


@dataclass(frozen=True)
class Case:
    """What a command did: its exit code, or why it has none, what it said, and whether that will do."""

    command: list[str]
    code: str
    said: str
    wrong: str


# Texts.


def utf8(rng: Generator) -> bytes:
    return (SENTENCE * int(rng.integers(1, 60))).encode()


def encoded(rng: Generator) -> bytes:
    codecs = ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-7", "latin-1", "cp1252", "shift-jis"]
    codecs += ["gb18030"]
    return (SENTENCE * 20).encode(codecs[rng.integers(len(codecs))], "replace")


def noise(rng: Generator) -> bytes:
    return rng.bytes(int(rng.integers(0, 3000)))


def newlines(rng: Generator) -> bytes:
    ends = np.array(
        [b"\n", b"\r\n", b"\r", b"\r\r\n", b"\n\r", b"\x0b", b"\x0c", b"\x1e", "\u2028".encode()], object
    )
    return b"".join(b"one two"[: rng.integers(8)] + end for end in rng.choice(ends, size=300))


def marked(rng: Generator) -> bytes:
    return b"\xef\xbb\xbf" * int(rng.integers(1, 4)) + utf8(rng) + b"\xef\xbb\xbf"


def broken(rng: Generator) -> bytes:
    pieces = (
        *(b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80"),
        *(b"\0", b"\xff"),
    )
    text = utf8(rng)
    at = int(rng.integers(len(text)))
    return text[:at] + pieces[rng.integers(len(pieces))] + text[at:]


def controls(rng: Generator) -> bytes:
    pieces: tuple[str, ...] = (
        *("\x1b[31m", "\x1b]0;title\x07", "\x07", "\x7f", "\x85", "e\u0301", "\u202e", "\u200b"),
        *("\ufeff", "\ufffe"),
    )
    pieces += (" <eos> ", " <unk> ", "<eos><unk> ", "\U0010ffff", "\n", "a ", "\t")
    return "".join(rng.choice(np.array(pieces, object), size=400)).encode()


def long_line(rng: Generator) -> bytes:
    return b"ab " * 10_000 if rng.integers(2) else b"x" * 30_000 + b" y"


def one_character(rng: Generator) -> bytes:
    return ("a", "\n", " ", "é", "😀", "\r", "\t")[rng.integers(7)].encode() * int(rng.integers(1, 3000))


def tiny(rng: Generator) -> bytes:
    return (b"", b"a", b"\n", b"ab", b"a b\n", b"\xef\xbb\xbf", b"\r\n", b"\r", b"\0", "é".encode())[
        rng.integers(10)
    ]


def many_tokens(rng: Generator) -> bytes:
    if rng.integers(2):
        return "".join(map(chr, rng.permutation(0xD000)[:5_000] + 1)).encode()
    return b" ".join(b"w%d" % k for k in range(5_000))


TEXTS: tuple[Callable[[Generator], bytes], ...] = (
    *(utf8, utf8, utf8, encoded, noise, newlines, marked, broken, controls, long_line, one_character),
    *(tiny, many_tokens),
)
NAMES: tuple[str, ...] = (
    *("a.txt", "a b", "-", "--steps", "a\nb", "\x1b[31mred", "é", "é", "x" * 255, ".hidden"),
)
NAMES += ("ptb", "copy", "%s{0}", "'\"", "[bold]", "\udcff", "con", "~")


def text(path: Path, rng: Generator) -> None:
    path.write_bytes(TEXTS[rng.integers(len(TEXTS))](rng))


def plain(path: Path, rng: Generator) -> None:
    path.write_bytes(utf8(rng) * 4)


def folder(path: Path, rng: Generator, depth: int = 0) -> None:
    path.mkdir()
    for _ in range(rng.integers(0, 6)):
        inside = path / NAMES[rng.integers(len(NAMES))]
        if not os.path.lexists(inside):
            make = (text, text, plain, odd, odd)[rng.integers(5)] if depth == 2 or rng.integers(4) else folder
            folder(inside, rng, depth + 1) if make is folder else make(inside, rng)


def odd(path: Path, rng: Generator) -> None:
    devices: tuple[str, ...] = (
        *("/dev/zero", "/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/stdin"),
        *("/proc/self/mem",),
    )
    devices += ("/proc/self/pagemap", "/proc/self/status", "/proc/kmsg", "/proc/self/fd", "/nowhere")
    which = rng.integers(8)
    if which == 0:
        os.mkfifo(path)
    elif which == 1:
        bind(path)
    elif which == 2:
        with path.open("wb") as file:
            file.write(b"sparse")
            file.truncate((1 << 43, (1 << 30) + 1, 40 << 10)[rng.integers(3)])
    elif which == 3:
        path.symlink_to((path.name, "..", ".")[rng.integers(3)])  # a circle, or a way back up
    elif which == 4:
        text(path, rng)
        path.chmod(0)
    else:
        path.symlink_to(devices[rng.integers(len(devices))])


def bind(path: Path) -> None:
    before = os.open(".", os.O_RDONLY)
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    except OSError:  # even its name is too long
        path.touch()
    finally:
        os.fchdir(before)
        os.close(before)


def thing(desk: Path, rng: Generator) -> Path:
    """Make a text, or what is none, beneath a folder, and return its path."""
    path = Path(tempfile.mkdtemp(dir=desk)) / NAMES[rng.integers(len(NAMES))]
    (text, text, text, plain, folder, odd)[rng.integers(6)](path, rng)
    return path


def size(path: Path) -> int:
    """Return the bytes that a path may give to be read; what is larger than a text may be counts as none."""
    inside = [Path(parent, name) for parent, _, names in os.walk(path) for name in names] or [path]
    sizes = [os.stat(file).st_size for file in inside if os.path.isfile(file)]  # noqa: PTH113, PTH116
    return sum(size for size in sizes if size <= 1 << 30)


# Commands.


def options(desk: Path, rng: Generator) -> list[str]:
    """Return some of the options that have to do with texts, most of them such that it can train."""
    given = [f"--tokens={KINDS[rng.integers(3)]}"] if rng.integers(4) else []
    if rng.integers(3) == 0:
        given.append(f"--valid={thing(desk, rng)}")
    if rng.integers(4) == 0:
        given.append(f"--vocabulary={(-1, 0, 2, 3, 5, 100, 10**9, 10**30)[rng.integers(8)]}")
    for name in ("batch", "chunk"):
        extremes = (-1, 0, 1, 2, 17, 1000, 10**9, 10**30)
        given.append(f"--{name}={extremes[rng.integers(8)] if rng.integers(5) == 0 else 3}")
    if rng.integers(2):
        given.append("--backend=reference")
    return given if rng.integers(2) else [*given, "--no-samples"]


def prime(desk: Path, rng: Generator) -> list[str]:
    if rng.integers(3) == 0:
        return [f"--prime-file={thing(desk, rng) if rng.integers(5) else '-'}"]
    return [
        "--prime=" + os.fsdecode(TEXTS[rng.integers(len(TEXTS))](rng)[: rng.integers(60)]).replace("\0", "")
    ]


def commands(desk: Path, rng: Generator, known: dict[str, Path]) -> Iterator[list[str]]:
    """Yield what is done with a corpus: a training, then commands with its run or with one that went well."""
    data = thing(desk, rng)
    run = Path(tempfile.mkdtemp(dir=desk)) / "run"
    yield ["train", *SMALL, *options(desk, rng), f"--out={run}", "--", str(data)]
    trained = run if (run / "best.safetensors").exists() else known[KINDS[rng.integers(3)]]
    yield ["eval", "--", str(trained), str(thing(desk, rng) if rng.integers(2) else data)]
    yield ["sample", str(trained), "--length=20", *prime(desk, rng)]
    if trained is run and data.is_file():
        if rng.integers(2):
            data.write_bytes(TEXTS[rng.integers(len(TEXTS))](rng))
        yield ["train", f"--resume={run}", "--steps=3"]


def perform(command: list[str], base: int, readable: int) -> Case:
    """Run a command in a forked process, and judge what comes of it."""
    outcome = forked.bptt(*command, memory=3 * MEMORY + 2 * readable)
    code, said, taken = outcome.code, outcome.err, outcome.memory - base
    wrong = ""
    if code < 0:
        wrong = f"killed by {signal.Signals(-code).name}"
    elif code not in (0, 1, 2) or "Traceback" in said:
        wrong = f"exit code {code}"
    elif taken > MEMORY + 2 * readable or "not enough memory" in said:
        wrong = f"{taken / 1e6:,.0f} MB for {readable:,} bytes"
    lines = [line for line in said.splitlines() if not line.startswith("bptt: note: ")]
    if not wrong and (len(lines) != (code != 0) or not all(line.startswith("bptt: ") for line in lines)):
        wrong = f"{len(lines)} lines with exit code {code}"
    return Case(command, str(code), said, wrong)


def fuzz(corpora: int, seed: int, heard: Callable[[Case], None] = lambda outcome: None) -> list[Case]:
    """Run so many corpora, each from a generator of its own, and return the outcome of each command."""

    outcomes = []
    desk = Path(tempfile.mkdtemp(prefix="fuzz-corpora-"))
    try:
        known = {}
        for kind in KINDS:
            plain(desk / f"known-{kind}", np.random.default_rng(0))
            known[kind] = desk / f"run-{kind}"
            command = ["train", *SMALL, "--batch=2", "--chunk=4", f"--tokens={kind}", f"--out={known[kind]}"]
            outcome = perform([*command, str(desk / f"known-{kind}")], 0, 10**9)
            assert outcome.code == "0", outcome
        base = forked.resident()
        for k in range(corpora):
            rng = np.random.default_rng([seed, k])
            here = desk / str(k)
            here.mkdir()
            for command in commands(here, rng, known):
                outcome = perform(command, base, size(here))
                outcomes.append(outcome)
                heard(outcome)
            shutil.rmtree(here, ignore_errors=True)
    finally:
        shutil.rmtree(desk, ignore_errors=True)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    def heard(outcome: Case) -> None:
        if outcome.wrong:
            print(f"{outcome.wrong}: {outcome.command!r:.600}\n    {outcome.said[-1500:]!r}", flush=True)

    outcomes = fuzz(asked.corpora, asked.seed, heard)
    for (verb, code), count in sorted(Counter((o.command[0], o.code) for o in outcomes).items()):
        print(f"{verb:8} exit code {code:>3} {count:6,}")
    wrong = sum(bool(outcome.wrong) for outcome in outcomes)
    print(f"{asked.corpora:,} corpora, {len(outcomes):,} commands, {wrong:,} that gave way")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
