"""``bptt sample``: the prime and what follows."""

from pathlib import Path

from bptt.cli import run as bptt
from command import Capture


def test_sample_writes_the_prime_and_what_follows(desk: Path, capsys: Capture) -> None:
    run = str(desk / "run")
    texts = []
    for seed in ("1", "1", "2"):
        assert bptt(["sample", run, "--prime=the fox", "--length=20", f"--seed={seed}"]) == 0
        texts.append(capsys.readouterr().out)
    assert all(text.startswith("the fox") for text in texts)
    assert [len(text) for text in texts] == [7 + 20 + 1] * 3
    assert texts[0] == texts[1] != texts[2]
    assert bptt(["sample", run, "--length=0"]) == 0
    assert capsys.readouterr() == ("\n", "")
    for more in (["--temperature=0"], ["--top-k=3", "--top-p=0.5"], ["--temperature=1e-320"], ["--last"]):
        assert bptt(["sample", run, "--length=5", *more]) == 0


def test_sample_of_words_keeps_them_apart(desk: Path, capsys: Capture) -> None:
    for prime in ("the", "the ", "unheard-of"):
        assert bptt(["sample", str(desk / "words"), f"--prime={prime}", "--length=9", "--seed=0"]) == 0
        assert capsys.readouterr().out.startswith(prime.strip() + " ")
    assert bptt(["sample", str(desk / "words"), "--prime=  ", "--length=9"]) == 0
