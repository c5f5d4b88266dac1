"""``bptt bench``: every contender runs and computes the same, the JSON is complete, mistakes get one line.

No time is asserted: what is measured depends on the machine.
"""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bptt.bench as room
from bptt.bench import CONTENDERS, SETTINGS, Setting, bench, report, rounds
from bptt.bench.contenders import PRODUCTS
from bptt.cli import run as command
from bptt.errors import ConfigError
from bptt.zoo import get
from bptt.zoo.equations import ZOO

TINY = Setting("tiny", V=7, E=5, H=6, layers=2, N=3, T=8, lengths=True, sampling=True)
QUICK = 0.01

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ROUNDS", 2)
    monkeypatch.setattr(rounds, "PAUSE", 0.0)
    monkeypatch.setattr(room, "SQUARE", 64)


def installed(name: str) -> Any:
    """Return a parameter that is skipped where the contender's library is missing."""
    missing = not CONTENDERS[name].is_here
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason=f"{name} is not installed"))


def loss_and_gradient(name: str, kind: Any, cell: str) -> tuple[float, np.ndarray[Any, Any]]:
    """Return what the second step gives: its state comes from the first."""
    run = CONTENDERS[name].prepare(kind, TINY, cell)
    try:
        run()
    except RuntimeError as error:
        if name == "torch-bf16" and "primitive" in str(error):
            pytest.skip("PyTorch has no such layer in bfloat16 on this processor")
        raise
    loss, gradient = run()
    return loss, gradient.astype(np.float64)


# they compute the same


@pytest.mark.parametrize("name", [installed(name) for name in ("bptt", "torch", "torch-bf16", "jax")])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "lstm-peephole", "gru-cho"])
def test_contenders_take_the_same_step(name: str, cell: str) -> None:
    loss, gradient = loss_and_gradient(name, "step", cell)
    right_loss, right = loss_and_gradient("reference", "step", cell)
    tolerance = 3e-2 if name == "torch-bf16" else 1e-5
    assert abs(loss - right_loss) < tolerance * right_loss
    assert np.abs(gradient - right).max() < tolerance * np.abs(right).max()


@pytest.mark.parametrize("name", [installed(name) for name in ("torch", "jax")])
@pytest.mark.parametrize("cell", sorted(ZOO))
def test_a_peer_takes_the_step_of_every_cell(name: str, cell: str) -> None:
    _, gradient = loss_and_gradient(name, "step", cell)
    _, right = loss_and_gradient("reference", "step", cell)
    assert np.abs(gradient - right).max() < 1e-4 * np.abs(right).max()


@pytest.mark.parametrize("name", [installed(name) for name in ("bptt", "torch", "torch-compiled", "jax")])
@pytest.mark.parametrize("cell", ["lstm", "gru-cho", "lstm-projected"])
def test_each_drops_what_u_reads(name: str, cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same factors, drawn anew for each batch: the second step's gradient tells."""
    if name == "torch-compiled":  # the graph, without the minutes of its compilation
        monkeypatch.setattr("torch.compile", lambda graph, **how: graph)
    found = []
    for p in (0.4, 0.0):
        monkeypatch.setattr(f"{__name__}.TINY", replace(TINY, recurrent_dropout=p))
        _, gradient = loss_and_gradient(name, "step", cell)
        _, right = loss_and_gradient("reference", "step", cell)
        assert np.abs(gradient - right).max() < 1e-4 * np.abs(right).max()
        found.append(right)
    assert np.abs(found[0] - found[1]).max() > 0.1 * np.abs(found[1]).max()


@pytest.mark.parametrize("name", [installed(name) for name in ("bptt", "torch", "torch-bf16")])
def test_unequal_lengths_are_the_same_batch(name: str) -> None:
    loss, gradient = loss_and_gradient(name, "lengths", "lstm")
    right_loss, right = loss_and_gradient("reference", "lengths", "lstm")
    tolerance = 3e-2 if name == "torch-bf16" else 1e-5
    assert abs(loss - right_loss) < tolerance * right_loss
    assert np.abs(gradient - right).max() < tolerance * np.abs(right).max()


@pytest.mark.parametrize("name", [installed(n) for n, c in CONTENDERS.items() if "sampling" in c.kinds])
@pytest.mark.parametrize("cell", ["lstm", "mgu"])
def test_every_contender_writes(name: str, cell: str) -> None:
    write = CONTENDERS[name].prepare("sampling", TINY, cell)
    for _ in range(3):
        write()


def test_both_products_are_products() -> None:
    def product(name: str) -> Any:
        return PRODUCTS[name].prepare("product", TINY, "lstm")()

    np.testing.assert_allclose(product("bptt-product"), product("numpy-product"), rtol=1e-4, atol=1e-5)


# the arithmetic


def test_the_first_layers_products_are_those_of_different_tokens() -> None:
    """With V < N·T it is V rows that are multiplied, otherwise all of the N·T."""
    lstm = get("lstm")
    few, many = SETTINGS["C"], SETTINGS["E"]
    steps = 32 * 64
    assert few.multiply_adds(lstm) == 3 * (65 * 256 * 1024 + steps * 256 * 1024 + steps * 256 * 65)
    assert few.multiply_adds(lstm, layers_alone=True) == 3 * steps * 256 * 1024
    steps = 20 * 35
    assert many.multiply_adds(lstm) == 3 * (2 * steps * 128 * 512 + steps * 128 * 10_000)
    assert many.multiply_adds(lstm, layers_alone=True) == 3 * 2 * steps * 128 * 512


# the whole of it


def test_a_bench_in_processes_of_their_own(capsys: Capture) -> None:
    said: list[str] = []
    found = bench([TINY], contenders=["reference", "bptt"], seconds=QUICK, say=said.append)
    assert [note for note in found.notes if "turns differ" not in note] == []
    shown = json.loads(json.dumps(found.to_json()))
    assert shown["contenders"] == ["reference", "bptt"]
    assert shown["baseline"] == "reference"
    assert set(shown["multiply_adds_per_second"]) == {"bptt", "NumPy"}
    assert shown["machine"].keys() >= {"processor", "threads", "numpy"}
    (place,) = shown["settings"]
    assert place["multiply_adds"]["step"] == TINY.multiply_adds(get("lstm"))
    assert place["tokens"] == {"step": 24, "lengths": TINY.row_lengths().sum()}
    for kind in ("step", "layers", "lengths", "sampling"):
        for name, figures in place[kind].items():
            assert name == "bptt" or (name == "reference" and kind != "layers")
            assert 0 < figures["low"] <= figures["seconds"] <= figures["high"]
            assert figures["runs"] >= 2
    step = place["step"]
    assert step["reference"]["ratio"] == 1
    assert step["bptt"]["ratio"] == step["reference"]["seconds"] / step["bptt"]["seconds"]
    assert step["bptt"]["share_of_limit"] == place["limit_seconds"] / step["bptt"]["seconds"]
    assert abs(step["bptt"]["gradient"] - step["reference"]["gradient"]) < 1e-5
    assert shown["mean_ratio"]["bptt"] == pytest.approx(step["bptt"]["ratio"])
    assert "tiny: step, round 1 of 2" in said

    tables = report.text(found)
    assert "× against NumPy steps" in tables
    assert "for each real token bptt takes" in tables
    assert "writing, one sequence, tokens a second" in tables
    assert len({len(line) for line in tables.splitlines() if line.startswith("tiny  ")}) <= 3


def test_without_a_peer_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr("bptt.bench.contenders.find_spec", lambda name: None if name == "jax" else real(name))
    found = bench([TINY], contenders=["jax", "reference"], seconds=QUICK)
    assert found.notes[0] == "JAX: jax is not installed"
    assert found.contenders == ("reference",)
    assert "JAX: jax is not installed" in report.text(found)


def test_where_nothing_can_be_measured_it_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bptt.bench.contenders.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="torch is not installed, and nothing else was to be measured"):
        bench(["A"], contenders=["torch"])
    with pytest.raises(ConfigError, match="torch is not installed"):
        bench(["A"], layers=True)


def test_a_contender_that_cannot_is_left_out_with_its_reason() -> None:
    found, failed = rounds.measure(
        "step", TINY, "no-such-cell", [CONTENDERS["reference"]], QUICK, lambda text: None
    )
    assert found == {}
    assert failed["reference"].startswith("no cell is called 'no-such-cell'")


def test_a_contender_whose_process_dies_is_left_out() -> None:
    dies = Setting("", V=7, E=5, H=6, layers=1, N=-1, T=3)  # there is no such batch
    found, failed = rounds.measure("step", dies, "lstm", [CONTENDERS["bptt"]], QUICK, lambda text: None)
    assert found == {}
    assert failed["bptt"].startswith("ValueError: ")


def test_a_contender_that_computes_something_else_is_named() -> None:
    def times(gradient: float) -> rounds.Times:
        return rounds.Times(1, 1, 1, 1, None, 1.0, gradient)

    found = {"bptt": times(1.1), "reference": times(1.0), "torch": times(1.0), "torch-bf16": times(1.01)}
    (note,) = room._differences(TINY, "step", found)
    assert note.startswith("tiny, step: bptt does not compute the same")


def test_turns_that_differ_are_in_doubt() -> None:
    found = {"bptt": rounds.Times(2, 1, 3, 9, None), "torch": rounds.Times(1, 0.9, 1.1, 9, None)}
    (note,) = room._unsteady(TINY, "step", found)
    assert note == "tiny, step: turns differ, so something else was running: bptt by a factor of 3.0"


# the command


def test_the_commands_json(capsys: Capture) -> None:
    line = ["bench", "--json", "--setting=A", "--contenders=reference", "--cell=rnn", f"--seconds={QUICK}"]
    assert command(line) == 0
    out, err = capsys.readouterr()
    shown = json.loads(out)
    assert (shown["cell"], shown["settings"][0]["name"]) == ("rnn", "A")
    assert "A: step, round 2 of 2" in err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--setting=H"], "setting must be one of A, B, C, D, E, F, G; got 'H'"),
        (["--contenders=bptt,keras"], "contenders must be among bptt, bptt-bf16, reference, torch"),
        (["--cell=nothing"], "no cell is called 'nothing'"),
        (["--seconds=0"], "seconds must be above 0"),
    ],
)
def test_mistakes(line: list[str], message: str, capsys: Capture) -> None:
    assert command(["bench", *line]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
