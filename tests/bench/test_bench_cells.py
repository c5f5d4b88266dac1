"""``bptt bench --cells``: what is said of each cell is so, and mistakes get one line."""

import json
from typing import Any

import numpy as np
import pytest

import bptt.bench as room
from bptt.bench import CONTENDERS, Setting, bench_cells, report, rounds
from bptt.cli import run as command
from bptt.errors import ConfigError
from bptt.zoo.papers import EVERY

TINY = Setting("tiny", V=7, E=6, H=6, layers=1, N=3, T=4)


@pytest.fixture(autouse=True)
def quick_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ROUNDS", 1)
    monkeypatch.setattr(rounds, "PAUSE", 0.0)
    monkeypatch.setattr(room, "SQUARE", 64)


def test_parameters_products_and_times_of_cells() -> None:
    found = bench_cells(TINY, ["lstm", "indrnn", "qrnn"], 0.01)
    lstm, indrnn, qrnn = found.entries
    assert lstm.parameters == 4 * (6 * 6 + 6 * 6 + 6)
    assert indrnn.parameters == 6 * 6 + 2 * 6
    assert qrnn.parameters == 6 * 6 * 6  # no biases
    assert [e.multiply_adds for e in found.entries] == [3 * 12 * 36 * k for k in (8, 1, 6)]
    assert found.peak is not None
    for e in found.entries:
        assert e.reference is None
        assert e.times is not None
        assert found.share(e) == pytest.approx(e.multiply_adds / found.peak / e.times.seconds)
    assert lstm.paper.startswith("Hochreiter and Schmidhuber 1997")
    shown = report.cells(found)
    assert "qrnn" in shown
    assert "kernel" in shown
    assert json.loads(json.dumps(found.to_json()))["cells"][1]["cell"] == "indrnn"


def test_what_has_no_kernel_runs_in_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bptt.bench.cells.reason_against", lambda cell, dtype: "it is too large")
    found = bench_cells(TINY, ["rnn"], 0.01)
    assert found.entries[0].times is not None
    assert "reference: it is too large" in report.cells(found)


def test_both_take_the_same_layer() -> None:
    ours, right = (CONTENDERS[n].prepare("cell", TINY, "gru-cho")()[1] for n in ("bptt", "reference"))
    np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-5)


def test_all_that_there_are_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def none(bench: Any, entries: Any, say: Any) -> Any:
        asked.extend(e.cell for e in entries)
        return bench

    monkeypatch.setattr(room, "measured", none)
    found = bench_cells(TINY, seconds=0.01)
    heads = [
        name
        for name, cell in EVERY.items()
        if cell.equations.heads == 4 or name in ("slstm-heads", "clockwork", "rg-lru-heads")
    ]
    assert asked == [name for name in EVERY if name not in heads]
    assert [note.split(":")[0] for note in found.notes] == heads  # whose units are no sixes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--layers"], "no --layers"),
        (["--contenders", "torch"], "no --contenders"),
        (["--setting", "A", "--setting", "B"], "at one --setting"),
        (["--setting", "H"], "setting must be one of A, B"),
        (["--cell", "nothing"], "no cell is called 'nothing'"),
        (["--seconds", "0"], "seconds must be above 0"),
    ],
)
def test_a_mistake_with_cells(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["bench", "--cells", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_cell_that_is_not_there_is_told_first() -> None:
    with pytest.raises(ConfigError, match="no cell is called"):
        bench_cells(TINY, ["lstm", "frob"])
