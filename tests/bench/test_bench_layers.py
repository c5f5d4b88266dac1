"""``bptt bench --layers``: whoever runs a layer computes the same, and what is asked for is measured.

No time is asserted: what is measured depends on the machine.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt.bench as room
from bptt.bench import CONTENDERS, LAYER_SETTINGS, Setting, bench_layers, report, rounds
from bptt.bench.contenders import LAYER_KINDS
from bptt.bench.rounds import ROUNDS
from bptt.cli import run as command

torch = pytest.importorskip("torch")

TINY = Setting("tiny", V=7, E=5, H=6, layers=2, N=3, T=8)
QUICK = 0.01

OWN = """
import bptt

@bptt.cell(state="h c")
def lstm(a_f, a_o, a_g, c):
    f, o, g = sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    c = f * c + (1 - f) * g
    h = o * tanh(c)
    return h, c
"""

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ROUNDS", 2)
    monkeypatch.setattr(rounds, "PAUSE", 0.0)


def second_array(name: str, kind: Any, cell: str) -> Any:
    """Return the second gradient at the input, or output: nothing is added up from the first."""
    work = CONTENDERS[name].prepare(kind, TINY, cell)
    work()
    nothing, array = work()
    assert nothing is None
    return array.copy()


def assert_same(name: str, kind: Any, cell: str) -> None:
    found, right = (second_array(n, kind, cell) for n in (name, "torch.nn"))
    rows = (int(TINY.row_lengths().sum()),) if kind.startswith("packed") else (TINY.T, TINY.N)
    assert right.shape == (*rows, TINY.H if kind.endswith("forward") else TINY.E)
    assert np.abs(found - right).max() < 1e-5 * np.abs(right).max()


@pytest.mark.parametrize("kind", LAYER_KINDS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "rnn-relu", "slstm"])
def test_bptt_and_pytorch_run_the_same_layer(kind: Any, cell: str) -> None:
    assert_same("bptt.torch", kind, cell)


@pytest.mark.filterwarnings(
    "ignore"
)  # PyTorch's: that scripts are a thing of the past, that shapes are fixed
@pytest.mark.parametrize(
    ("name", "cell", "kind"),
    [
        *(("scripted", cell, kind) for cell in ("slstm", "gru") for kind in LAYER_KINDS if kind != "equal"),
        ("compiled", "slstm", "equal"),  # each takes PyTorch its time to compile
    ],
)
def test_a_loop_runs_the_same_layer(name: str, kind: Any, cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))  # code takes minutes
    assert_same(name, kind, cell)


def test_kinds_are_different_work() -> None:
    equal, resets = (second_array("torch.nn", kind, "gru") for kind in ("equal", "resets"))
    assert np.abs(equal - resets).max() > 1e-3
    assert TINY.resets().sum(axis=0).tolist() == [1, 1, 1]
    assert [kind for kind in LAYER_KINDS if LAYER_SETTINGS["S"].has(kind)] == ["equal", "equal forward"]


def test_a_users_cell_is_no_layer_of_pytorch_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    cell = f"{tmp_path / 'own.py'}:lstm"
    assert_same("bptt.torch", "equal", cell)
    wide = Setting("", V=7, E=5, H=6, layers=1, N=3, T=8)
    found, right = (CONTENDERS[n].prepare("step", wide, cell)()[1] for n in ("torch", "reference"))
    assert np.abs(found - right).max() < 1e-5 * np.abs(right).max()


def test_layers_in_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LAYER_KINDS", ("packed", "equal forward"))  # each takes two processes
    said: list[str] = []
    (found,) = bench_layers([TINY], ["rnn"], seconds=QUICK, say=said.append)
    assert [note for note in found.notes if "turns differ" not in note] == []
    shown = json.loads(json.dumps(found.to_json()))
    assert (shown["cell"], shown["contenders"]) == ("rnn", ["bptt.torch", "torch.nn"])
    assert (shown["baseline"], shown["multiply_adds_per_second"]) == ("torch.nn", {})
    (place,) = shown["settings"]
    for kind in ("packed", "equal forward"):
        ours, theirs = (place[kind][name] for name in ("bptt.torch", "torch.nn"))
        assert 0 < ours["low"] <= ours["seconds"] <= ours["high"]
        assert ours["ratio"] == theirs["seconds"] / ours["seconds"]
        assert abs(ours["gradient"] - theirs["gradient"]) < 1e-5 * theirs["gradient"]
    assert "rnn, tiny: packed, round 1 of 2" in said

    title, head, *rows = report.layers([found]).split("\n\n")[1].splitlines()
    assert title == f"rnn: layers alone, ms, median of {ROUNDS} turns; × against torch.nn"
    assert head.split() == ["D", "H", "L", "N", "T", "bptt.torch", "torch.nn"]
    assert [row.split("tiny")[0].strip() for row in rows[:2]] == ["packed", "equal forward"]
    assert len(rows[0]) == len(rows[1])


def test_a_layer_that_computes_something_else_is_named() -> None:
    times = {
        name: rounds.Times(1, 1, 1, 1, None, None, x) for name, x in (("bptt.torch", 1.1), ("torch.nn", 1))
    }
    (note,) = room._differences(TINY, "packed forward", times)
    assert note.startswith(
        "tiny, packed forward: bptt.torch does not compute the same: its output has norm 1.1"
    )
    (note,) = room._differences(TINY, "packed", times)
    assert "its gradient at the input has norm 1.1, where 1 belongs" in note


def test_the_layers_json(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(room, "LAYER_KINDS", ("equal forward",))
    line = ["bench", "--layers", "--json", "--setting=S", "--cell=rnn", "--cell=gru", "--contenders=torch.nn"]
    assert command([*line, f"--seconds={QUICK}"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [bench["cell"] for bench in shown["layers"]] == ["rnn", "gru"]
    assert [bench["settings"][0]["name"] for bench in shown["layers"]] == ["S", "S"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--layers", "--setting=E"], "setting must be one of A, B, C, D, S; got 'E'"),
        (["--layers", "--contenders=jax"], "among bptt.torch, torch.nn, scripted, compiled; got 'jax'"),
        (["--layers", "--cell=rnn", "--cell=nothing"], "no cell is called 'nothing'"),
        (["--contenders=torch.nn"], "contenders must be among bptt, bptt-bf16, reference, torch"),
        (["--cell=rnn", "--cell=gru"], "one cell's step is measured at a time"),
    ],
)
def test_mistakes_of_layers(line: list[str], message: str, capsys: Capture) -> None:
    assert command(["bench", *line]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
