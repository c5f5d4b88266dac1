"""A run knows its cell: it goes on, and writes, whatever has become of the file that the cell came from."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import Model, Settings, Trained, Trainer, zoo
from bptt.cells import CELLS, Cell
from bptt.cli import run as command
from bptt.derive import EquationCell
from bptt.derive.numpy_code import step_code
from bptt.errors import BpttError, ConfigError, RunError
from bptt.types import Array, Generator
from bptt.zoo import record
from bptt.zoo.equations import ZOO
from processes import run
from resealing import read_config, write_config

LINE = "the quick brown fox jumps over the lazy dog\n"
SMALL: dict[str, Any] = {"hidden": 5, "embedding": 3, "batch": 3, "chunk": 8, "steps": 9}
SMALL |= {"report_every": 2, "eval_every": 4}
FAST = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]

MINE = '''
import numpy as np
import bptt

FLOOR = 1 / 3

def spread(rng, H):
    return {"a_f": np.log(rng.uniform(1, 9, H))}

@bptt.cell(state="h c", params={"p": (-1, 1)}, init=spread)
def mine(a_f, a_g, a_o, c, p, keep=0.25):
    """One of my own."""
    f = FLOOR + (1 - FLOOR) * sigmoid(a_f + p * c)  # it never forgets all
    c = f * c + keep * (1 - f) * tanh(a_g)
    h = sigmoid(a_o) * tanh(c)
    return h, c
'''
OTHER = '\n@bptt.cell(state="h")\ndef other(a_h):\n    h = tanh(a_h)\n    return h\n'


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of the test's own, the working one, with a text and a file of cells."""
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("book.txt").write_text(LINE * 20, encoding="utf-8", newline="")
    tmp_path.joinpath("mine.py").write_text(MINE, encoding="utf-8")
    return tmp_path


def go(trainer: Trainer, stop: float = math.inf) -> Trainer:
    for _ in trainer.reports(lambda: trainer.step >= stop):
        pass
    return trainer


def left_by(folder: Path) -> list[bytes]:
    return [folder.joinpath(f"{name}.safetensors").read_bytes() for name in ("last", "best")]


def code(cell: Cell) -> str:
    """Return all of the code that a cell made of equations runs."""
    assert isinstance(cell, EquationCell)
    return step_code(cell.derivation)


# ---------------------------------------------------------------------- as text


@pytest.mark.parametrize("name", ZOO)
def test_a_cell_is_the_same_after_it_was_text(name: str) -> None:
    cell = ZOO[name]
    kept = json.loads(json.dumps(record.to_json(cell)))
    again = record.from_json(kept)
    assert isinstance(again, EquationCell)
    assert again is not cell
    assert record.same(again, cell)
    assert code(again) == code(cell)
    for what in ("name", "gates", "states", "from_x", "from_h", "from_q", "units", "bias"):
        assert getattr(again, what) == getattr(cell, what)
    assert record.to_json(again) == kept


def test_numbers_of_the_file_are_kept_to_the_bit(desk: Path) -> None:
    cell = zoo.get("mine.py:mine")
    again = record.from_json(record.to_json(cell))
    assert isinstance(again, EquationCell)
    assert code(again) == code(cell)
    rng = np.random.default_rng(0)
    a, states = rng.normal(size=(2, 12)), tuple(rng.normal(size=(2, 2, 3)))
    for ours, theirs in zip(cell.forward(a, states)[0], again.forward(a, states)[0], strict=True):
        assert np.array_equal(ours, theirs)


def test_a_cell_written_by_hand_is_kept_by_its_name() -> None:
    for name, cell in CELLS.items():
        assert record.from_json(record.to_json(cell)) == name
    assert record.to_json(bptt.cells.LSTM()) == {"name": "lstm"}


class Mine(bptt.cells.LSTM):
    """A class of one's own; only the name is the LSTM's."""


def test_a_run_holds_nothing_that_runs(desk: Path) -> None:
    settings = Settings(**SMALL, data="book.txt", cell=Mine())
    with pytest.raises(ConfigError, match="lstm: a run keeps its cell as equations, and this one is a class"):
        Trainer.start(settings, "run")
    assert not Path("run").exists()


@pytest.mark.parametrize(
    "value", [None, 1, "lstm", {}, {"name": "lstn"}, {"name": "x", "equations": "import os"}]
    + [{"name": "x", "equations": text} for text in (1, "", "(", "\0", "print(1)", "def f(): return 1")]
)  # fmt: skip
def test_what_is_no_cell_is_told(value: Any) -> None:
    with pytest.raises(RunError, match="the run's configuration does not describe a cell"):
        record.from_json(value)


# ---------------------------------------------------------------------- runs

EVERY = ["mine.py:mine", *(name for name in ZOO if name not in CELLS)]


@pytest.mark.parametrize("cell", EVERY)
def test_a_run_stopped_and_resumed_ends_as_one_never_stopped(desk: Path, cell: str) -> None:
    """Also where it was stopped before its first step, and the file is gone since."""
    settings = Settings(**SMALL, data="book.txt", cell=cell, dropout=0.1, layers=2)
    whole = go(Trainer.start(settings, "whole"))
    assert whole.params.keys() == whole.model.shapes.keys()
    Trainer.start(settings, "parts")
    Path("mine.py").unlink()
    for stop in (0, 3, 5):
        assert go(Trainer.resume("parts"), stop).step == stop
    go(Trainer.resume("parts"))
    assert left_by(desk / "parts") == left_by(desk / "whole")
    trained = Trained.load("parts")
    assert record.same(trained.model.stack.cell, whole.model.stack.cell)
    assert trained.scores()[0].nats == pytest.approx(whole.best, abs=1e-12)
    configs = [json.loads(desk.joinpath(run, "config.json").read_text()) for run in ("parts", "whole")]
    assert configs[0] == configs[1]


@pytest.mark.parametrize("cell", ["mlstm", "skip-lstm", "lstm-projected", "rhn-4", "rwkv"])
def test_a_run_of_a_cell_of_many_shapes_goes_on(desk: Path, cell: str) -> None:
    settings = Settings(**SMALL | {"hidden": 8}, data="book.txt", cell=cell, layers=2)
    whole = go(Trainer.start(settings, "whole"))
    go(Trainer.start(settings, "parts"), 4)
    go(Trainer.resume("parts"))
    assert left_by(desk / "parts") == left_by(desk / "whole")
    assert Trained.load("parts").scores()[0].nats == pytest.approx(whole.best, abs=1e-12)
    assert command(["sample", "parts", "--length=5"]) == 0


def test_a_cell_of_a_program(desk: Path) -> None:
    """Settings take the cell itself, and a task's run is judged with it."""
    settings = Settings.of(data="reber", cell=ZOO["ugrnn"], hidden=4, steps=3)
    assert settings.to_json()["cell"] == "ugrnn"
    go(Trainer.start(settings, "run"))
    go(Trainer.resume("run", steps=5))
    trained = Trained.load("run")
    assert isinstance(trained.settings.cell, EquationCell)
    assert trained.verdict().met is False
    assert trained.step == 5


def test_the_old_equations_go_on_and_it_is_said(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", "book.txt", "--cell=mine.py:mine", *FAST]
    assert command([*train, "--out=whole"]) == 0
    assert command([*train, "--out=parts", "--steps=4"]) == 0
    again = ["train", "--resume=parts", "--cell=mine.py:mine"]
    capsys.readouterr()
    assert command([*again, "--steps=5"]) == 0
    assert "goes on with its own" not in capsys.readouterr().out
    desk.joinpath("mine.py").write_text(MINE.replace("tanh(c)", "tanh(2 * c)"), encoding="utf-8")
    said = "the run goes on with its own cell, mine as it was when training began, not mine.py:mine\n"
    for steps in (6, 7):
        assert command([*again, f"--steps={steps}"]) == 0
        assert capsys.readouterr().out.startswith(said)
        desk.joinpath("mine.py").unlink(missing_ok=True)
    assert command(["sample", "parts", "--length=5"]) == 0
    assert command(["eval", "parts"]) == 0


def test_a_config_whose_cell_was_damaged_is_told(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["train", "book.txt", "--cell=ugrnn", *FAST, "--out=run"]) == 0
    config = read_config(desk / "run")
    config["cell"]["equations"] = config["cell"]["equations"].replace("sigmoid", "system")
    write_config(desk / "run", config)
    capsys.readouterr()
    for arguments in (["sample", "run"], ["eval", "run"], ["train", "--resume=run"]):
        assert command(arguments) == 2
        assert "the function system is not known" in one_line(capsys)


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


MISTAKES = {
    "xyzzy": r"no cell is called 'xyzzy'; bptt derive --list names all; .* FILE.py:NAME",
    "nothing.py:x": "there is no file nothing.py",
    "mine.py:frob": "mine.py: no cell is called 'frob'; there are mine, other",
    "mine.py": "mine.py has the cells mine, other: say which",
    "wrong.py": r"wrong.py:4: wrong: .*sine",
    "broken.py:x": r"broken.py:1: this is not Python",
    "nan.py": "the equations give no number",
    "start.py": "start: the first step gives no number: states start at zero",
}


@pytest.mark.parametrize("cell", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_no_run(
    desk: Path, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.joinpath("mine.py").write_text(MINE + OTHER, encoding="utf-8")
    desk.joinpath("broken.py").write_text("def x(:\n")
    for name, expr in (("wrong", "sine(a_h)"), ("nan", "log(-exp(a_h))"), ("start", "a_h / h")):
        text = f'import bptt\n@bptt.cell(state="h")\ndef {name}(a_h, h):\n    h = {expr}\n    return h\n'
        desk.joinpath(f"{name}.py").write_text(text)
    assert command(["train", "book.txt", *FAST, f"--cell={cell}"]) == 2
    error = one_line(capsys)
    assert re.search(MISTAKES[cell], error), error
    assert not Path("bptt-runs").exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"cell": "lstm-no-bias", "bias": "two"}, "lstm-no-bias has no biases: --bias has no meaning"),
        ({"cell": "lstm-no-bias", "forget_bias": 1.0}, "--forget-bias .* lstm-no-bias has none"),
        ({"cell": "lstm-chrono", "forget_bias": 1.0}, "--forget-bias .* lstm-chrono has none"),
        ({"cell": "gru", "forget_bias": 1.0}, "--forget-bias .* gru has none"),
        ({"cell": 3}, "cell must be a str or a cell, got 3"),
    ],
)
def test_what_would_have_no_effect_is_told(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(BpttError, match=message):
        Settings.of(**asked)
    if asked["cell"] != 3:
        Settings.of(cell="lstm-peephole", **{k: v for k, v in asked.items() if k != "cell"})


def test_what_is_no_cell_and_what_python_calls_one() -> None:
    assert zoo.get("lstm_peephole") is ZOO["lstm-peephole"]
    assert zoo.get("gru_cho") is CELLS["gru-cho"]
    with pytest.raises(ConfigError, match=r"a cell is a name or a .*Cell, got <class"):
        Model(inputs=3, outputs=3, hidden=2, cell=bptt.cells.LSTM)  # type: ignore[arg-type]


def test_a_folder_is_named_after_the_cell(desk: Path) -> None:
    assert command(["train", "book.txt", *FAST, "--cell=mine.py"]) == 0
    assert desk.joinpath("bptt-runs", "book-mine-1", "config.json").is_file()


def test_a_model_takes_a_cell(desk: Path) -> None:
    model = Model(inputs=3, outputs=3, hidden=2, cell="mine.py:mine")
    params = model.init(np.random.default_rng(0))
    assert params["layers.0.p"].shape == (2,)
    assert hash(Model(inputs=3, outputs=3, hidden=2, cell=ZOO["mgu"])) is not None


def test_a_cell_written_by_hand_starts_without_computer_algebra(desk: Path) -> None:
    code = (
        "import sys, bptt, bptt.cli; from bptt.training.jobs import experiment;"
        "experiment(bptt.Settings.of(data='book.txt', cell='lstm', forget_bias=2.0, batch=2, chunk=8));"
        "assert not {'sympy', 'bptt.zoo.equations'} & sys.modules.keys()"
    )
    assert run(code).returncode == 0


def test_starting_draws_are_the_seed_s(desk: Path) -> None:
    """A start that is code draws from the run's generator, so that the same seed gives the same bits."""
    settings = Settings(**SMALL, data="book.txt", cell="mine.py:mine")
    one, two = (Trainer.start(settings, name).params for name in ("one", "two"))
    assert all(np.array_equal(one[k], two[k]) for k in one)
    f: Array = one["layers.0.b"][:5]
    assert f.std() > 0
    rng: Generator = np.random.default_rng(1)
    assert not np.array_equal(one["layers.0.p"], Trainer.start(settings, "x").model.init(rng)["layers.0.p"])
