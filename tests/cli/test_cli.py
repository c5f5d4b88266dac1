"""The command: what it does and says, and that any mistake gets one line and its exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from bptt import PRESETS, Model, Trained
from bptt.cli import run as bptt
from bptt.data.tasks import TASKS, EmbeddedReber, Verdict
from bptt.training.runs.folder import Run
from bptt.training.runs.format import FORMAT

LINE = "the quick brown fox jumps over the lazy dog\n"

FAST = ["--hidden=6", "--embedding=4", "--batch=2", "--chunk=8", "--steps=6", "--report-every=2"]
FAST += ["--eval-every=3", "--warmup=0"]
FAST_TASK = [option for option in FAST if not option.startswith("--chunk")]

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with texts, runs and broken things; tests do not write into it."""
    desk = tmp_path_factory.mktemp("desk")
    texts = {
        "book": LINE * 20,
        "one": "x",
        "empty": "",
        "short": "two words\n",
        "blank": " \n" * 200,
        "line": "  \n",
    }
    texts |= {"other": "ÄÖÜ " * 30, "snow": "héllo ☃ 日本\n" * 40}
    for name, text in texts.items():
        desk.joinpath(f"{name}.txt").write_text(text, encoding="utf-8", newline="")
    desk.joinpath("binary.dat").write_bytes(bytes(range(256)) * 8)
    desk.joinpath("folder").mkdir()
    for name, more in [
        ("run", [str(desk / "book.txt")]),
        ("words", [str(desk / "book.txt"), "--tokens=word"]),
        ("task", ["reber"]),
    ]:
        fast, code = (FAST_TASK, 1) if name == "task" else (FAST, 0)  # six steps do not solve it
        assert bptt(["train", *more, *fast, "--out", str(desk / name)]) == code
    for name, data in [
        ("truncated", desk.joinpath("run", "best.safetensors").read_bytes()[:500]),
        ("newer", save({"a": np.ones(1)}, metadata={"bptt": json.dumps({"format": FORMAT + 1})})),
        ("foreign", save({"a": np.ones(1)})),
        ("no-checkpoint", LINE.encode()),
    ]:
        copy(desk / "run", desk / name)
        for checkpoint in ("last", "best"):
            desk.joinpath(name, f"{checkpoint}.safetensors").write_bytes(data)
    copy(desk / "run", desk / "no-config").joinpath("config.json").write_text("{")
    return desk


def copy(run: Path, to: Path) -> Path:
    to.mkdir()
    for file in run.iterdir():
        to.joinpath(file.name).write_bytes(file.read_bytes())
    return to


@pytest.fixture
def here(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of the test's own, the working one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# mistakes: {} stands for the desk

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
    (["train", "{}/book.txt", "extra"], "unexpected extra argument"),
    ([*TRAIN, "--valid=nothing"], "nothing: no such file"),
    ([*TRAIN, "--valid={}/empty.txt"], "is empty"),
    ([*TRAIN, "--valid={}/one.txt"], "holds a single character"),
    ([*TRAIN, "--valid={}/binary.dat"], "not UTF-8"),
    ([*TRAIN, "--valid={}/line.txt", "--tokens=word"], "line.txt: there is nothing to predict in 1 tokens"),
    ([*TRAIN, "--tokens=word", "--vocabulary=2"], "at least 3"),
    ([*TRAIN, "--frob"], "No such option:? '?--frob.*see bptt train --help"),
    ([*TRAIN, "--cell=frob"], "no cell is called 'frob'; there are rnn, .*slstm"),
    ([*TRAIN, "--tokens=frob"], "'frob' is not one of 'char', 'byte', 'word'"),
    ([*TRAIN, "--optimizer=frob"], "optimizer must be one of sgd, .* got 'frob'"),
    ([*TRAIN, "--schedule=frob"], "schedule must be one of .* got 'frob'"),
    ([*TRAIN, "--init=frob"], "init must be one of .* got 'frob'"),
    ([*TRAIN, "--preset=frob"], "no preset is called 'frob'; there are .*vanilla"),
    ([*TRAIN, "--vocabulary=20"], "--vocabulary limits the words to know"),
    ([*TRAIN, "--tied"], "E = 6 .* got E = 4"),
    ([*TRAIN, "--epochs=2"], "--steps or --epochs, not both"),
    ([*TRAIN, "--batch=100000"], "too few for one batch of 100000 rows"),
    (["train", "{}/book.txt", "--out={}/run", *FAST], "already holds a run; go on with --resume .*run, or"),
    (["train", "{}/book.txt", "--out={}/book.txt", *FAST], "cannot make the folder"),
    (["train", "{}/book.txt", "--out={}/book.txt/out", *FAST], "cannot make the folder"),
    (["train", "{}/book.txt", "--out=" + OUT_LONG, *FAST], "cannot make the folder"),
    (["train", "--resume=nothing"], "nothing is no such folder; bptt train --out nothing would make"),
    (["train", "--resume=" + OUT_LONG], "is no such folder"),
    (["train", "--resume={}/folder"], "holds no run"),
    (["train", "--resume={}/book.txt"], "is no such folder"),
    (["train", "--resume={}/run", "--lr=1", "--eval-every=3"], "only --steps or .* not --lr, --eval-every"),
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


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


def test_a_run_that_diverges_exits_1_with_one_line(here: Path, capsys: Capture) -> None:
    arguments = ["train", "ar2", "--cell=rnn-relu", "--hidden=4", "--batch=4", "--optimizer=sgd", "--lr=1e38"]
    assert bptt([*arguments, "--schedule=constant", "--clip-norm=inf", "--steps=50"]) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert (
        "bptt: the loss is nan at step 1; bptt-runs/ar2-rnn-relu-1/last.safetensors keeps step 0; try"
        in errors
    )


def test_what_is_interrupted_exits_1_with_one_line(
    desk: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trained, "scores", interrupted)
    assert bptt(["eval", str(desk / "run")]) == 1
    assert capsys.readouterr() == ("", "\nbptt: interrupted\n")  # below the terminal's ^C


# what goes well


def test_train_says_what_it_does_and_leaves_a_run(desk: Path, here: Path, capsys: Capture) -> None:
    assert bptt(["train", str(desk / "book.txt"), *FAST, "--out", "deep/run"]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    for said in (
        "792 chars to train on, 88 to validate, 28 different ones",
        "lstm: 1 x 6 units, embedding 4",
        "6 steps; the run is kept in deep/run".replace("/", os.sep),
        "what it writes after",
        "all steps are done.",
        "best validation loss",
        "bptt sample deep/run".replace("/", os.sep),
    ):
        assert said in output
    files = sorted(path.name for path in Path("deep", "run").iterdir())
    assert files == [
        ".lock",
        "best.safetensors",
        "config.json",
        "last.safetensors",
        "log.jsonl",
        "vocabulary.json",
    ]


def test_the_log_has_its_keys(desk: Path) -> None:
    for run in ("run", "task"):
        lines = [json.loads(line) for line in desk.joinpath(run, "log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [2, 3, 4, 6]
        for line in lines:
            assert {"step", "tokens", "seconds", "train_loss"} <= line.keys()
            assert ("valid_loss" in line) == (line["step"] in (3, 6))
            assert ("solved" in line) == (run == "task" and "valid_loss" in line)


def test_runs_without_a_name_are_numbered(desk: Path, here: Path, capsys: Capture) -> None:
    for k in (1, 2):
        assert bptt(["train", str(desk / "book.txt"), *FAST, "--cell=gru"]) == 0
        assert Path("bptt-runs", f"book-gru-{k}", "config.json").exists()
    assert bptt(["train", "reber", *FAST_TASK]) == 1
    assert Path("bptt-runs", "reber-lstm-1", "config.json").exists()


def test_a_run_may_be_moved_and_resumed_from_anywhere(
    desk: Path, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("book.txt").write_bytes(desk.joinpath("book.txt").read_bytes())
    Path("valid.txt").write_text(LINE * 2)
    assert bptt(["train", "book.txt", "--valid=valid.txt", *FAST, "--out=run"]) == 0
    here.joinpath("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    here.joinpath("run").rename("moved")
    for arguments in (["sample", "moved"], ["eval", "moved"], ["train", "--resume=moved", "--steps=8"]):
        assert bptt(arguments) == 0
    assert "8 steps, from step 6; the run is kept in moved" in capsys.readouterr().out
    assert Run("moved").log.lines()[-1]["step"] == 8


def test_a_run_is_not_made_among_its_own_data(desk: Path, here: Path, capsys: Capture) -> None:
    """Its files would be read as text when it is resumed."""
    Path("texts").mkdir()
    Path("texts", "book.txt").write_bytes(desk.joinpath("book.txt").read_bytes())
    before = contents(here)
    for more in (["texts", "--out=texts/run"], ["texts", "--out=texts"], ["."]):
        assert bptt(["train", *more, *FAST]) == 2
        errors = capsys.readouterr().err
        assert errors.count("\n") == 1
        assert "and would become data; give an --out elsewhere" in errors
    assert contents(here) == before
    for out in ("run", "texts-run", "texts/.hidden"):
        assert bptt(["train", "texts", *FAST, f"--out={out}"]) == 0
        assert bptt(["train", f"--resume={out}"]) == 0


@pytest.mark.parametrize(
    "more",
    [
        ["--layers=3", "--cell=gru-cho"],
        ["--chunk=1"],
        ["--dropout=0.999"],
        ["--embedding=6", "--tied"],
        ["--embedding=0", "--cell=rnn"],
        ["--tokens=word", "--vocabulary=5"],
        ["--tokens=byte"],
        ["--steps=0"],
        ["--preset=minibatch"],
        ["--optimizer=sgd", "--momentum=0.9"],
        ["--schedule=plateau", "--keep=1"],
        ["--patience=1", "--lr=1e-30"],
        ["--warmup=100000"],
    ],
    ids=" ".join,
)
def test_options_go_together(desk: Path, here: Path, capsys: Capture, more: list[str]) -> None:
    assert bptt(["train", str(desk / "book.txt"), *FAST, *more, "--out=run"]) == 0
    assert bptt(["sample", "run", "--length=5"]) == 0
    assert bptt(["eval", "run"]) == 0
    assert capsys.readouterr().err == ""


def test_epochs_instead_of_steps(desk: Path, here: Path, capsys: Capture) -> None:
    fast = [option for option in FAST if not option.startswith("--steps")]
    for epochs, steps in (("0.001", 1), ("0.1", 5)):  # 792 characters, 2 rows of 8: 50 steps
        assert bptt(["train", str(desk / "book.txt"), *fast, f"--epochs={epochs}", f"--out={steps}"]) == 0
        assert Run(str(steps)).log.lines()[-1]["step"] == steps


def test_the_live_display_works_too(
    desk: Path, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    assert bptt(["train", str(desk / "snow.txt"), *FAST, "--out=run"]) == 0
    output, errors = capsys.readouterr()
    assert "what it writes after 3 steps" in output
    assert "\x1b[" in output
    assert errors == ""


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


def test_eval_gives_a_table_or_json(desk: Path, capsys: Capture) -> None:
    run = str(desk / "run")
    assert bptt(["eval", run]) == 0
    table = capsys.readouterr().out
    assert "cold, windows of 256" in table
    assert "carried through" in table
    for more in ([], ["--last"], [str(desk / "short.txt")]):
        assert bptt(["eval", run, "--json", *more]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["step"] == 6
        assert len(found["scores"]) == 2
        for score in found["scores"]:
            assert score["bits"] == pytest.approx(score["nats"] / np.log(2))
            assert score["perplexity"] == pytest.approx(np.exp(score["nats"]))
    assert found["scores"][0]["tokens"] == len("two words\n") - 1
    assert bptt(["eval", str(desk / "words")]) == 0
    assert "perplexity" in capsys.readouterr().out


def test_eval_of_a_task_says_whether_it_is_solved(
    desk: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = str(desk / "task")
    assert bptt(["eval", task]) == 1
    assert "all are wanted" in capsys.readouterr().out
    assert bptt(["eval", task, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["met"] is False
    monkeypatch.setattr(EmbeddedReber, "criterion", lambda *_: Verdict(True, "all right", 1.0))
    assert bptt(["eval", task]) == 0
    assert capsys.readouterr() == ("all right\n", "")


def test_corpora_and_presets_list_what_there_is(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert bptt(["corpora"]) == 0
    output = capsys.readouterr().out
    assert all(name in output for name in ("pydoc", "tinyshakespeare", "ptb", *TASKS))
    assert bptt(["presets"]) == 0
    output = capsys.readouterr().out
    for name, preset in PRESETS.items():
        assert f"{name:12} {preset.about}" in output


@pytest.mark.parametrize("verb", [[], ["train"], ["sample"], ["eval"], ["corpora"], ["presets"]])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_each_verb_has_help(verb: list[str], flag: str, capsys: Capture) -> None:
    assert bptt([*verb, flag]) == 0
    output, errors = capsys.readouterr()
    assert output.startswith(" ".join(["Usage: bptt", *verb]))
    assert errors == ""


def test_the_command_alone_shows_its_help(capsys: Capture) -> None:
    assert bptt([]) == 0
    assert capsys.readouterr().out.startswith("Usage: bptt [OPTIONS]")


# in a process of its own


def spawn(*arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "bptt", *arguments]
    return subprocess.run(command, env=os.environ | env, capture_output=True, timeout=60, check=False)


def test_the_module_runs_as_the_command() -> None:
    done = spawn("--version")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"bptt, version")
    done = spawn("train", "nothing")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_a_large_model_that_diverges_gets_one_line_too(desk: Path, tmp_path: Path) -> None:
    """Its products are cut over a pool of threads, which have NumPy's warnings of their own."""
    arguments = ["train", str(desk / "book.txt"), *FAST, "--cell=rnn-relu", "--optimizer=sgd", "--lr=1e20"]
    arguments += [
        "--schedule=constant",
        "--clip-norm=inf",
        "--hidden=512",
        "--batch=16",
        "--chunk=40",
        "--tokens=byte",
    ]
    done = spawn(*arguments, "--out", str(tmp_path / "run"))
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("verb", ["train", "sample"])
def test_a_terminal_that_lacks_the_characters_gets_others(desk: Path, tmp_path: Path, verb: str) -> None:
    out = str(tmp_path / "run")
    arguments = {
        "train": ["train", str(desk / "snow.txt"), *FAST, "--out", out],
        "sample": ["sample", str(desk / "run"), "--length=5"],
    }[verb]
    done = spawn(*arguments, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    if verb == "train":
        assert b"?" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error on Windows")
def test_output_to_a_closed_pipe_is_no_error_to_show(desk: Path) -> None:
    for arguments in (["sample", str(desk / "run"), "--length=1000000"], ["eval", str(desk / "run")]):
        process = subprocess.Popen(
            [sys.executable, "-m", "bptt", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        if arguments[0] == "sample":
            assert len(process.stdout.read(10)) == 10
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(timeout=30) == 1


def test_a_reader_who_has_gone_is_told_nothing(
    desk: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(Trained, "scores", gone)
    assert bptt(["eval", str(desk / "run")]) == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_to_a_full_disk_gets_one_line(desk: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "bptt", "sample", str(desk / "run"), "--length=5"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"No space left on device" in done.stderr


IMPORT = """
import sys, time
begun = time.perf_counter()
import {module}
seconds = time.perf_counter() - begun
heavy = "click rich pooch safetensors torch threadpoolctl platformdirs".split()
print(seconds, *[name for name in heavy if name in sys.modules])
"""


@pytest.mark.parametrize(("module", "brings"), [("bptt", set()), ("bptt.cli", {"click"})])
def test_importing_is_quick_and_brings_nothing_heavy(module: str, brings: set[str]) -> None:
    script = IMPORT.replace("{module}", module)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    seconds, *heavy = done.stdout.split()
    assert set(heavy) == brings
    assert float(seconds) < 3  # a tenth of it where nothing else runs
