"""A step that workers share, measured: what is asked for must mean something, and other bits are told."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bptt.bench import report
from bptt.bench.settings import SETTINGS, Setting
from bptt.bench.together import Counted, Shared, _ours, measure
from bptt.errors import ConfigError
from bptt.training.workers import Workers
from threaded_workers import all_well

FOUND = [
    Shared("bptt", 1, 1, 0.010, digest=1),
    Shared("bptt", 1, 2, 0.012, digest=2),
    Shared("bptt", 2, 2, 0.008, exchange=0.002, sent=2_000_000, digest=2),
    Shared("torch", 1, 1, 0.020, digest=3),
]


def test_what_cannot_be_measured_is_told() -> None:
    for told, says in (
        (("H", "lstm", []), "setting must be one of A, B, .*; got 'H'"),
        (("B", "lstm", ["jax"]), "contenders must be one of bptt, torch; got 'jax'"),
        (("A", "lstm", []), "setting A has 1 row, and workers share rows"),
    ):
        with pytest.raises(ConfigError, match=says):
            measure(*told, 1.0, print)


def test_the_table_says_whether_there_is_one_result() -> None:
    shown = report.shared({"processor": "P", "threads": "2"}, SETTINGS["B"], "lstm", FOUND)
    rows = [line.split() for line in shown.splitlines()]
    assert ["bptt", "2", "2", "8.00", "2.00", "2.00", "256,000", "1.25"] in rows
    assert "bptt: one result of 1 and 2 workers" in shown
    assert "2 machines: 6.0 ms to compute; to send 16.0 ms at 1 Gbit/s, 1.6 ms at 10 Gbit/s" in shown
    other = [*FOUND[:2], replace(FOUND[2], digest=4), *FOUND[3:]]
    assert "OTHER RESULTS" in report.shared({"processor": "P", "threads": "2"}, SETTINGS["B"], "lstm", other)


def test_what_is_sent_is_counted() -> None:
    setting = Setting("", V=7, E=4, H=5, layers=1, N=4, T=3)
    size = 4 * sum(p.size for p in setting.model("lstm").init(np.random.default_rng(0)).values())

    def step(workers: Workers) -> tuple[int, int]:
        engine: Any = workers._engine
        workers._engine = counted = Counted(engine)
        take, digest = _ours(setting, "lstm", 2, workers)
        take()
        return counted.sent, digest()

    first, second = all_well(2, step)
    assert first[1] == second[1]
    assert size <= first[0] <= size + 200  # half of the gradient up, half down, and a few numbers
