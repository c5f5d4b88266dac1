"""``bptt flow``: what it prints and draws, and that a mistake gets one line and leaves what was there."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

import bptt as library
from bptt.cli import run as bptt
from bptt.data.text import Vocabulary
from bptt.errors import DivergedError
from bptt.flow import of_text
from bptt.training.runs.folder import Checkpoint, Run
from bptt.training.trained import Trained

TEXT = "the quick brown fox jumps over the lazy dog\n" * 20
FAST = ["--hidden=6", "--embedding=4", "--batch=2", "--chunk=8", "--steps=4", "--eval-every=4", "--warmup=0"]
FEW = ["--lags=12", "--positions=5"]

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with runs; tests do not write into it."""
    desk = tmp_path_factory.mktemp("desk")
    for name, text in {"book": TEXT, "short": "the fox\n", "other": "Ω" * 50}.items():
        desk.joinpath(f"{name}.txt").write_text(text, encoding="utf-8")
    for name, more in {
        "rnn": ["--cell=rnn"],
        "lstm": ["--layers=2"],
        "words": ["--tokens=word"],
        "onehot": ["--embedding=0", "--tokens=byte", "--cell=gru"],
    }.items():
        assert bptt(["train", str(desk / "book.txt"), *FAST, *more, "--out", str(desk / name)]) == 0
    assert bptt(["train", "reber", "--hidden=4", "--steps=1", "--out", str(desk / "task")]) == 1
    both_ways(desk / "both", desk / "rnn")
    return desk


def both_ways(folder: Path, like: Path) -> None:
    """Make the run of a bidirectional model, which bptt train does not train."""
    config = Run.open(like).config()
    vocabulary = Run.open(like).vocabulary()
    assert vocabulary is not None
    config["model"]["bidirectional"] = True
    V = len(Vocabulary.from_json(vocabulary))
    model = library.Model(inputs=V, outputs=V, hidden=6, embedding=4, cell="rnn", bidirectional=True)
    run = Run.create(folder, {k: v for k, v in config.items() if k != "format"}, vocabulary)
    run.save("best", Checkpoint({"params": model.init(np.random.default_rng(0))}, {"step": 1}))


def altered(folder: Path, like: Path, U: float) -> Path:
    """Make a run of which every U is this number."""
    run = Run.open(like)
    config = {k: v for k, v in run.config().items() if k != "format"}
    params = {n: np.full_like(p, U) if n.endswith("U") else p for n, p in Trained.load(like).params.items()}
    Run.create(folder, config, run.vocabulary()).save("best", Checkpoint({"params": params}, {"step": 1}))
    return folder


@pytest.fixture
def here(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of the test's own, the working one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(arguments: list[str], capsys: Capture) -> str:
    capsys.readouterr()
    assert bptt(["flow", *arguments]) == 0
    return capsys.readouterr().out


def test_the_table(desk: Path, capsys: Capture) -> None:
    out = said([str(desk / "lstm"), *FEW], capsys)
    assert out.startswith("lstm: along c, through no weight matrix, the gradient ")
    assert "layer 1 (of 0 to 1), 6 units; 5 positions of " in out
    assert "∂h/∂h    ∂h/∂c    ∂c/∂c" in out
    assert re.search(r"^direct +- +\S.* elementwise, no weight matrix$", out, re.MULTILINE)
    assert re.search(r"^gate i +[1-9]\d* +- +-   i's product at every step$", out, re.MULTILINE)
    assert "root mean square over units and" in out


def test_json_says_the_same(desk: Path, capsys: Capture) -> None:
    shown = json.loads(said([str(desk / "lstm"), *FEW, "--json"], capsys))
    assert (shown["cell"], shown["lags"], shown["positions"], shown["seed"]) == ("lstm", 12, 5, 0)
    by = {(line["to"], line["of"], line["path"]): line for line in shown["flows"]}
    table = said([str(desk / "lstm"), *FEW], capsys)
    lag = by["h", "h", "every gate"]["last_above_1_percent"]
    assert re.search(rf"^every gate +{lag} ", table, re.MULTILINE)
    assert len(by["c", "c", "direct"]["gain"]) == 13
    assert by["c", "c", "direct"]["gain"][0] == 1


def test_the_same_seed_gives_the_same(desk: Path, capsys: Capture) -> None:
    args = [str(desk / "lstm"), *FEW, "--json"]
    assert said(args, capsys) == said(args, capsys)
    assert said(args, capsys) != said([*args, "--seed=1"], capsys)


@pytest.mark.parametrize("run", ["rnn", "words", "onehot"])
def test_runs_of_all_kinds_and_a_text_of_ones_own(run: str, desk: Path, capsys: Capture) -> None:
    out = said([str(desk / run), str(desk / "book.txt"), *FEW], capsys)
    assert f"5 positions of {desk / 'book.txt'}" in out


def test_both_directions(desk: Path, capsys: Capture) -> None:
    assert "reading from the beginning" in said([str(desk / "both"), *FEW], capsys)
    assert "reading from the end" in said([str(desk / "both"), *FEW, "--reverse"], capsys)


def test_without_matplotlib_there_is_a_table(
    desk: Path, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bptt.flow.chart.find_spec", lambda name: None)
    said([str(desk / "rnn"), *FEW], capsys)
    assert bptt(["flow", str(desk / "rnn"), *FEW, "--out=a.svg"]) == 2
    assert capsys.readouterr().err == (
        "bptt: pictures want matplotlib: pip install 'bptt[plot]' (the table needs none)\n"
    )


@pytest.mark.parametrize("U", [np.nan, np.inf])
def test_a_model_that_is_not_finite_has_no_flow(U: float, desk: Path, here: Path, capsys: Capture) -> None:
    run = altered(here / "run", desk / "rnn", U)
    capsys.readouterr()
    assert bptt(["flow", str(run), *FEW, "--out=a.svg"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"bptt: .*params\.layers\.0\.U holds what is no finite number\n", err)
    assert not here.joinpath("a.svg").exists()
    model = library.Model(inputs=3, outputs=3, hidden=2, cell="rnn")
    params = {name: np.full(shape, U, np.float32) for name, shape in model.shapes.items()}
    with pytest.raises(DivergedError, match="do not stay finite: there is no gradient to follow"):
        of_text(model, params, np.arange(60) % 3, rng=np.random.default_rng(0), lags=5, positions=2)


@pytest.mark.parametrize("U", [0.0, 1e30])
def test_where_nothing_comes_back(U: float, desk: Path, here: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    run = altered(here / "run", desk / "rnn", U)
    assert "no gradient reaches a step before" in said([str(run), *FEW, "--out=a.html"], capsys)
    shown = json.loads(said([str(run), *FEW, "--json"], capsys))
    assert shown["finding"] == "rnn: no gradient reaches a step before"
    assert shown["flows"] == []


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX alone")
def test_a_text_whose_name_cannot_be_written(desk: Path, here: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    name = os.fsdecode(b"\xff\n$x$\x1b[31m.txt")
    try:
        Path(name).write_text(TEXT, encoding="utf-8")
    except OSError:
        pytest.skip("this file system has no such names")
    out = said([str(desk / "rnn"), name, *FEW, "--out=a.svg"], capsys)
    assert "5 positions of \ufffd\ufffd$x$\ufffd[31m.txt" in out
    assert "[31m.txt" in here.joinpath("a.svg").read_text(encoding="utf-8")


# pictures


@pytest.mark.parametrize("run", ["rnn", "lstm", "onehot"])
def test_the_svg_is_for_light_and_dark_pages_and_always_the_same(
    run: str, desk: Path, here: Path, capsys: Capture
) -> None:
    pytest.importorskip("matplotlib")
    assert "drawn in a.svg" in said([str(desk / run), *FEW, "--out=a.svg"], capsys)
    said([str(desk / run), *FEW, "--out=b.svg"], capsys)
    svg = here.joinpath("a.svg").read_text(encoding="utf-8")
    assert svg == here.joinpath("b.svg").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in svg
    assert "everything" in svg
    assert len(svg) < 100_000


def test_the_colours_for_dark_pages_are_those_in_use(desk: Path, here: Path, capsys: Capture) -> None:
    """A rule whose light colour is not in the picture as it is written would change nothing."""
    pytest.importorskip("matplotlib")
    from bptt.flow.chart import DARK

    said([str(desk / "lstm"), *FEW, "--out=a.svg"], capsys)
    picture = here.joinpath("a.svg").read_text(encoding="utf-8").split("</style>", 1)[1]
    for light in DARK:
        assert re.search(f'(fill|stroke)="{light}"', picture), light
    assert set(re.findall("#[0-9a-f]{6}", picture)) <= set(DARK)


def test_the_png(desk: Path, here: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    said([str(desk / "lstm"), *FEW, "--out=a.PNG"], capsys)
    assert here.joinpath("a.PNG").read_bytes().startswith(b"\x89PNG")


def test_the_page_asks_for_nothing(desk: Path, here: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    said([str(desk / "lstm"), *FEW, "--out=a.html"], capsys)
    page = here.joinpath("a.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert "<th>direct or gate i</th>" in page
    assert "root mean square" in page
    assert "default-src 'none'" in page
    links = re.findall(r"""(?:href|src)\s*=\s*["']([^"']*)|url\(([^)]*)\)""", page)
    assert all((a or b).startswith(("#", "data:,")) for a, b in links)


def test_what_was_there_is_replaced_in_one_piece(
    desk: Path, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    here.joinpath("a.svg").write_text("old")
    with monkeypatch.context() as broken:
        broken.setattr(
            "bptt.training.runs.folder.os.fsync",
            lambda _: (_ for _ in ()).throw(OSError(28, "No space left")),
        )
        assert bptt(["flow", str(desk / "rnn"), *FEW, "--out=a.svg"]) == 2
    assert here.joinpath("a.svg").read_text() == "old"
    assert [file.name for file in here.iterdir()] == ["a.svg"]
    said([str(desk / "rnn"), *FEW, "--out=a.svg"], capsys)
    assert here.joinpath("a.svg").read_text(encoding="utf-8") != "old"


# mistakes: {} stands for the desk


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}/nothing", "is no such folder"),
        ("{}/rnn {}/nothing.txt", "nothing.txt"),
        ("{}/rnn {}/short.txt", "in 8 tokens no position has 100 steps before it"),
        ("{}/rnn {}/other.txt", "'Ω' (U+03A9) at line 1, column 1 is not among the vocabulary's"),
        ("{}/rnn --lags 0", "lags and positions must be whole numbers from 1"),
        ("{}/rnn --lags many", "'many' is not a valid integer"),
        ("{}/rnn --layer 1 --lags 5", "the model has layer 0 alone, got layer 1"),
        ("{}/rnn --reverse --lags 5", "there is no reverse direction"),
        ("{}/task", "a model of the task reber reads no text"),
        ("{}/rnn --out a.pdf", "--out must end in .svg, .png or .html; got a.pdf"),
        ("{}/rnn --out a", "--out must end in"),
        ("{}/rnn --out {}/nowhere/a.svg", "there is no folder"),
        ("{}/rnn --out {}/folder.svg --lags 5 --positions 2", "cannot write"),
    ],
)
def test_mistakes(line: str, message: str, desk: Path, here: Path, capsys: Capture) -> None:
    if "folder.svg" in line:
        pytest.importorskip("matplotlib")
        desk.joinpath("folder.svg").mkdir(exist_ok=True)
    capsys.readouterr()
    assert bptt(["flow", *(part.format(desk) for part in line.split())]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bptt: ")
    assert err.count("\n") == 1
    assert message in err
    assert not list(here.iterdir())
