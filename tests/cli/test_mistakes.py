"""Any mistake gets one line and exit code 2, and leaves nothing behind."""

import re
from pathlib import Path

import pytest

from bptt import Model
from bptt.cli import run as bptt
from bptt.training.runs.format import FORMAT
from command import FAST, Capture, contents

# {} stands for the desk
TRAIN = ["train", "{}/book.txt", "--out=out", *FAST]


OUT_LONG = "x" * 300


MISTAKES: list[tuple[list[str], str]] = [
    (["frob"], "No such command 'frob'"),
    (["train", "nothing"], "nothing: no such file or corpus; the corpora are pydoc"),
    (["train", OUT_LONG], "no such file or corpus"),
    (["train", "{}/empty.txt"], "is empty"),
    (["train", "{}/one.txt"], "holds a single character"),
    (["train", "{}/short.txt"], "nothing to predict in 1 tokens to validate on; .*--valid PATH"),
    (["train", "{}/short.txt", "--valid={}/book.txt"], "too few for one batch .* smaller --batch or --chunk"),
    (["train", "{}/binary.dat"], "not UTF-8 text .* --tokens byte reads any file"),
    (["train", "{}/folder"], "a folder without files"),
    (["train", "{}/blank.txt", "--tokens=word"], "too few words|nothing but white space"),
    (["train", "{}/book.txt", "extra"], "extra: no such file or corpus"),
    ([*TRAIN, "--valid=nothing"], "nothing: no such file"),
    ([*TRAIN, "--valid={}/empty.txt"], "is empty"),
    ([*TRAIN, "--valid={}/one.txt"], "holds a single character"),
    ([*TRAIN, "--valid={}/binary.dat"], "not UTF-8"),
    ([*TRAIN, "--valid={}/line.txt", "--tokens=word"], "line.txt: there is nothing to predict in 1 tokens"),
    ([*TRAIN, "--tokens=word", "--vocabulary=2"], "at least 3"),
    ([*TRAIN, "--frob"], "No such option:? '?--frob.*see bptt train --help"),
    ([*TRAIN, "--cell=xyzzy"], "no cell is called 'xyzzy'; bptt derive --list names all"),
    ([*TRAIN, "--tokens=frob"], "tokens must be one of char, byte, word, bpe, got 'frob'"),
    ([*TRAIN, "--optimizer=frob"], "optimizer must be one of sgd, .* got 'frob'"),
    ([*TRAIN, "--schedule=frob"], "schedule must be one of .* got 'frob'"),
    ([*TRAIN, "--init=frob"], "init must be one of .* got 'frob'"),
    ([*TRAIN, "--preset=frob"], "no preset is called 'frob'; there are .*vanilla"),
    ([*TRAIN, "--vocabulary=20"], "--vocabulary limits the words to know"),
    ([*TRAIN, "--tied"], "E = 6, or .* got E = 4"),
    ([*TRAIN, "--epochs=2"], "--steps or --epochs, not both"),
    ([*TRAIN, "--batch=100000"], "too few for one batch of 100000 rows"),
    (["train", "{}/book.txt", "--out={}/run", *FAST], "already holds a run; go on with --resume .*run, or"),
    (["train", "{}/book.txt", "--out={}/book.txt", *FAST], "cannot make the folder"),
    (["train", "{}/book.txt", "--out={}/book.txt/out", *FAST], "cannot make the folder"),
    (["train", "{}/book.txt", "--out=" + OUT_LONG, *FAST], "cannot make the folder"),
    (["train", "--resume=nothing"], "nothing is no such folder; bptt train --out nothing would make"),
    (["train", "--resume=" + OUT_LONG], "is no such folder"),
    (["train", "--resume={}/folder"], "holds no run"),
    (["train", "--resume={}/book.txt"], "book.txt is a file; wanted is"),
    (["train", "--resume={}/run", "--lr=1", "--eval-every=3"], "only .*--steps.* not --lr, --eval-every"),
    (["train", "--resume={}/run", "--out=out"], "names the run's folder"),
    (["train", "--resume={}/run", "--preset=ptb"], "names the run's folder"),
    (["train", "--resume={}/run", "{}/other.txt"], "is no longer what the run was trained on"),
    ([*TRAIN, "--momentum=.9"], "--momentum goes with --optimizer sgd, not adamw"),
    (["train", "adding", "--out=out", "--chunk=7"], "adding is a generated task: --chunk has no meaning"),
    (["train", "--resume={}/run", "--steps=2"], "at step 6 already: it cannot end at 2"),
    (["train", "--resume={}/run", "--steps=9", "--epochs=9"], "--steps or --epochs, not both"),
    (["train", "--resume={}/truncated"], "is not a whole checkpoint"),
    (["train", "--resume={}/no-config"], "config.json"),
    (["sample"], "Missing argument 'DIR'"),
    (["sample", "nothing"], "is no such folder"),
    (["sample", "{}/task"], "a model of the task reber, which writes no text"),
    (["sample", "{}/run", "--prime=QX"], r"'Q' \(U\+0051\) at line 1, column 1 is not among"),
    (["sample", "{}/run", "--temperature=-1"], "temperature must be"),
    (["sample", "{}/run", "--temperature=nan"], "temperature must be"),
    (["sample", "{}/run", "--top-k=0"], "top-k must be"),
    (["sample", "{}/run", "--top-p=2"], "top-p must be"),
    (["sample", "{}/run", "--length=-1"], "length must be"),
    (["sample", "{}/run", "--seed=-1"], "'--seed'"),
    (["eval", "nothing"], "is no such folder"),
    (["eval", "{}/run", "nothing"], "nothing: no such file"),
    (["eval", "{}/run", "{}/empty.txt"], "is empty"),
    (["eval", "{}/run", "{}/one.txt"], "nothing to predict in 1 tokens"),
    (["eval", "{}/run", "{}/binary.dat"], "not UTF-8"),
    (["eval", "{}/run", "{}/other.txt"], r"'Ä' \(U\+00C4\) at line 1, column 1 is not among"),
    (["eval", "{}/task", "{}/book.txt"], "leave PATH out"),
    *[
        ([verb, "{}/" + folder], message)
        for verb in ("sample", "eval")
        for folder, message in [
            ("truncated", "best.safetensors: it is not a whole checkpoint"),
            ("newer", f"has format {FORMAT + 1}; this version of bptt reads formats 1 to {FORMAT}"),
            ("foreign", "no bptt metadata"),
            ("no-checkpoint", "is not a whole checkpoint"),
            ("no-config", "config.json"),
            ("folder", "holds no run: it has no config.json"),
        ]
    ],
    *[
        ([*TRAIN, f"--{name}={value}"], f"{name}.*{value.rstrip('0.') if value == '1.5' else ''}")
        for name, values in {
            "hidden": ["0", "-1", "x", "1.5", "9" * 30],
            "layers": ["0"],
            "embedding": ["-1", "9" * 30],
            "batch": ["0"],
            "chunk": ["-1", "0"],
            "seed": ["-1"],
            "report-every": ["0"],
            "eval-every": ["0"],
            "patience": ["0"],
            "vocabulary": ["0"],
            "steps": ["-1"],
            "warmup": ["-1"],
            "lr": ["-1", "0", "nan", "inf", "x"],
            "dropout": ["1", "-0.1", "nan"],
            "clip-norm": ["0", "-1", "nan"],
            "clip-value": ["0", "-1", "nan"],
        }.items()
        for value in values
    ],
    *[
        (
            ["train", "{}/book.txt", "--out=out", f"--epochs={value}"],
            "epochs must be (above 0|a finite number)",
        )
        for value in ("0", "-1", "nan", "inf")
    ],
    *[
        ([*TRAIN, "--schedule=step", f"--factor={value}"], r"factor must be (in \(0, 1\]|a finite number)")
        for value in ("0", "2", "nan")
    ],
    *[
        ([*TRAIN, "--optimizer=sgd", f"--momentum={value}"], "momentum must be a (finite number|number in)")
        for value in ("1", "-1", "nan")
    ],
    ([*TRAIN, "--optimizer=adamw", "--weight-decay=2"], "weight_decay must be a number in"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), MISTAKES, ids=lambda part: " ".join(part)[:70] if isinstance(part, list) else ""
)
def test_a_mistake_gets_one_line_exit_code_2_and_leaves_nothing(
    desk: Path, here: Path, capsys: Capture, arguments: list[str], message: str
) -> None:
    before = contents(desk)
    code = bptt([argument.format(desk) for argument in arguments])
    output, errors = capsys.readouterr()
    assert errors.startswith("bptt: ")
    assert errors.count("\n") == 1
    assert errors.endswith("\n")
    assert re.search(message, errors)
    assert (code, output) == (2, "")
    assert list(here.iterdir()) == []
    assert contents(desk) == before


def test_too_little_memory_gets_one_line_and_leaves_nothing(
    desk: Path, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise MemoryError("Unable to allocate 7.28 TiB")

    monkeypatch.setattr(Model, "init", refused)
    assert bptt(["train", str(desk / "book.txt"), "--out=out", *FAST]) == 2
    output, errors = capsys.readouterr()
    assert (output, list(here.iterdir())) == ("", [])
    assert errors.count("\n") == 1
    assert "not enough memory (Unable to allocate 7.28 TiB): a smaller --hidden" in errors
