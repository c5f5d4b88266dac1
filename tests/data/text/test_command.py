"""What the command does with texts and primes: what it drops is told, and what it writes is exact."""

import io
import sys
import unicodedata
from pathlib import Path

import pytest

from bptt.cli import run as bptt
from command import Capture
from processes import python

FAST = ["--hidden=4", "--embedding=2", "--batch=2", "--chunk=4", "--steps=4", "--eval-every=2", "--warmup=0"]
TEXT = "a\x1b[31mcafé\t\r\nfirst naïve\x1b[0m line\n" * 20


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a text and a run on it for each kind of token; tests do not write into it."""
    desk = tmp_path_factory.mktemp("desk")
    desk.joinpath("text").write_text(TEXT, encoding="utf-8", newline="")
    for kind in ("char", "byte", "word"):
        options = [f"--tokens={kind}", "--no-samples", "--out", str(desk / kind)]
        assert bptt(["train", str(desk / "text"), *FAST, *options]) == 0
    return desk


def type_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def wrote(desk: Path, kind: str, *options: str) -> list[str]:
    return ["sample", str(desk / kind), "--length=5", "--seed=0", *options]


def test_samples_while_training_can_be_turned_off(desk: Path, tmp_path: Path, capsys: Capture) -> None:
    for more, shown in (([], True), (["--no-samples"], False)):
        assert bptt(["train", str(desk / "text"), *FAST, *more, "--out", str(tmp_path / f"{shown}")]) == 0
        assert ("--- what it writes" in capsys.readouterr().out) is shown
    longer = ["--resume", str(tmp_path / "True"), "--steps=8", "--no-samples"]
    assert bptt(["train", *longer]) == 0
    assert "--- what it writes" not in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["char", "byte", "word"])
def test_a_prime_from_a_file_or_standard_input_is_that_of_the_option(
    desk: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    prime = "café line"
    tmp_path.joinpath("prime").write_text(prime, encoding="utf-8")
    said = []
    for options in (["--prime", prime], ["--prime-file", str(tmp_path / "prime")], ["--prime-file=-"]):
        type_in(monkeypatch, prime.encode())
        assert bptt(wrote(desk, kind, *options)) == 0
        said.append(capsys.readouterr())
    assert said[0].out.startswith(prime)
    assert said == [(said[0].out, "")] * 3


@pytest.mark.parametrize(
    ("options", "typed", "message"),
    [
        (["--prime-file=-", "--prime=a"], b"a", "two ways to say one thing"),
        (["--prime-file=-"], b"", "standard input: is empty"),
        (["--prime-file=-"], b"\xff", "standard input: line 1 is not UTF-8 text"),
        (["--prime-file=-"], bytes((1 << 24) + 1), "standard input: holds more than 16 MiB"),
        (["--prime-file=nowhere"], b"", "nowhere: no such file"),
        (["--prime-file=."], b"", "not a regular file"),
        (["--prime-file=/dev/zero"], b"", "not a regular file"),
        (["--prime=q"], b"", "'q' (U+0071) at line 1, column 1 is not among"),
        (
            ["--prime-file=-"],
            ("a" + "\u0301\u0316" * 500_000).encode(),
            "(U+0301) at line 1, column 2 is not",
        ),
        (["--prime-file=-"], ("a" + "\u0f73" * 500_000).encode(), "(U+0F73) at line 1, column 2 is not"),
    ],
)
def test_a_prime_that_cannot_be_used_is_a_line(
    desk: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    typed: bytes,
    message: str,
) -> None:
    if "/dev/zero" in options[0] and not Path("/dev/zero").exists():
        pytest.skip("no such device")
    type_in(monkeypatch, typed)
    assert bptt(wrote(desk, "char", *options)) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert message in said.err


def test_bytes_that_are_no_text_prime_a_model_of_bytes(
    desk: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch, b"a\xff\x00")
    assert bptt(wrote(desk, "byte", "--prime-file=-")) == 0
    assert capsys.readouterr().out.startswith("a\ufffd\x00")


@pytest.mark.parametrize("known", ["NFC", "NFD"])
@pytest.mark.parametrize("kind", ["char", "word"])
def test_a_prime_in_the_other_unicode_form_is_read_in_the_known_one(
    tmp_path: Path, capsys: Capture, known: str, kind: str
) -> None:
    forms = {form: unicodedata.normalize(form, "naïve café ") for form in ("NFC", "NFD")}
    (tmp_path / "text").write_text(forms[known] * 40, encoding="utf-8")
    out = str(tmp_path / "run")
    assert bptt(["train", str(tmp_path / "text"), *FAST, f"--tokens={kind}", "--out", out]) == 0
    capsys.readouterr()
    said = {}
    for form, prime in forms.items():
        assert bptt(["sample", out, "--length=5", "--seed=0", "--prime", prime]) == 0
        said[form] = capsys.readouterr()
    other = said.pop("NFD" if known == "NFC" else "NFC")
    assert said[known].err == ""
    assert other.out == said[known].out
    assert other.err == f"bptt: note: the model knows the prime in the Unicode form {known} and reads it so\n"


@pytest.mark.parametrize("kind", ["char", "word"])
def test_what_is_written_is_exact_where_it_is_piped(desk: Path, capsys: Capture, kind: str) -> None:
    prime = "a\x1b[31mcafé"
    assert bptt(wrote(desk, kind, "--prime", prime, "--length=200", "--temperature=5")) == 0
    out = capsys.readouterr().out
    assert out.startswith(prime)
    assert out.count("\x1b") > 1


def test_what_a_folder_drops_is_a_line_on_standard_error(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for k in range(5):
        folder.joinpath(f"{k}.txt").write_text("some words to read\n" * 9, encoding="utf-8")
        folder.joinpath(f"{k}.bad").write_bytes(b"caf\xe9" * 99)
    for arguments in (
        ["train", str(folder), *FAST, "--out", str(tmp_path / "run")],
        ["eval", str(tmp_path / "run"), str(folder)],
    ):
        done = python("-m", "bptt", *arguments)
        assert done.returncode == 0
        assert done.stderr == (
            f"bptt: note: {folder}: 5 files read, 5 passed over: "
            "5 not UTF-8 but perhaps cp1252: --encoding (0.bad, 1.bad, 2.bad and 2 more)\n"
        )
