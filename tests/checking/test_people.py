"""The checker on code as people write it: no false alarm in any convention, and no fault let through.

The texts are generated (see `people`); `benchmarks/check_people.py` does the same at length.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bptt.checking import check
from bptt.types import Params
from judged.people import drawn, source
from judged.people_faults import mutants, pairs
from judged.people_lines import Style
from source_files import check_text


def styles(seed: int, count: int, single: bool) -> list[Style]:
    rng = np.random.default_rng(seed)
    return [replace(drawn(rng), single=single) for _ in range(count)]


def test_right_code_in_double_precision_is_right_and_recognised(tmp_path: Path) -> None:
    bad = []
    for style in styles(1, 60, single=False):
        judgement = check_text(tmp_path, source(style))
        if judgement.verdict != "right" or judgement.cell is None:
            bad.append((style, judgement.verdict, judgement.cell, judgement.notes))
    assert not bad


def test_right_code_in_single_precision_is_not_called_wrong(tmp_path: Path) -> None:
    """Steps of 1e-7 in the loss are no fault of the backward; nor are casts of the inputs alone."""
    judgements = [check_text(tmp_path, source(style)) for style in styles(2, 24, single=True)]
    verdicts = [judgement.verdict for judgement in judgements]
    assert "wrong" not in verdicts
    assert verdicts.count("right") >= 20
    assert all(judgement.cell is not None for judgement in judgements)


@pytest.mark.parametrize("single", [False, True])
def test_one_fault_is_found_and_mostly_named(tmp_path: Path, single: bool) -> None:
    rng = np.random.default_rng(3)
    missed, named, total = [], 0, 0
    for style in styles(3, 20 if single else 45, single):
        faults = list(mutants(style))
        if not faults:
            continue
        mutation, text = faults[rng.integers(len(faults))]
        judgement = check_text(tmp_path, text)
        total += 1
        if judgement.verdict != "wrong":
            missed.append((style, mutation))
        named += bool(judgement.fault and re.search(mutation.names, judgement.fault["id"]))
    assert not missed
    assert named >= 0.85 * total


def test_two_faults_are_found_and_mostly_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    both = []
    for style in styles(4, 30, single=False):
        if found := pairs(style, rng):
            text, first, second = found
            judgement = check_text(tmp_path, text)
            assert judgement.verdict == "wrong", (style, first, second)
            says = str(judgement.fault["id"]) if judgement.fault else ""
            both.append(all(re.search(fault.names, says) for fault in (first, second)))
    assert len(both) >= 20
    assert sum(both) >= 0.7 * len(both)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(("layers", "both_ways"), [(1, False), (2, True)])
def test_pytorch_is_right(kind: str, layers: int, both_ways: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # thousands of calls of a function that takes milliseconds: on a slow machine half a minute is too short
    monkeypatch.setattr("bptt.checking.SECONDS", 300.0)
    torch = pytest.importorskip("torch")
    T, N, D, H = 2, 2, 2, 2
    module = getattr(torch.nn, kind)(D, H, layers, bidirectional=both_ways).double()
    rng = np.random.default_rng(5)
    names = dict(module.named_parameters())
    point = {name: rng.normal(0, 0.5, tuple(p.shape)) for name, p in names.items()}
    point["x"] = rng.normal(size=(T, N, D))
    weights = torch.from_numpy(rng.normal(size=(T, N, H * (1 + both_ways))))

    def loss_and_grads(p: Params) -> tuple[float, Params]:
        given = {name: torch.tensor(a, requires_grad=True) for name, a in p.items()}
        own = {name: given[name] for name in names}
        h, _ = torch.func.functional_call(module, own, (given["x"],))
        loss = (h * weights).sum()
        loss.backward()
        return float(loss.detach()), {name: g.grad.numpy() for name, g in given.items()}

    judgement = check(loss_and_grads, point)
    assert judgement.verdict == "right"
    assert len(judgement.gradients) == len(names) + 1
