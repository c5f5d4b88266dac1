"""The embedded Reber grammar: its automaton, its entropy, its two sets of strings."""

import math

import numpy as np
import pytest

from bptt.data.tasks import EmbeddedReber, legal_next
from bptt.data.tasks.base import counted
from bptt.data.tasks.reber import SYMBOLS
from bptt.errors import DataError
from bptt.types import Array, Batch
from task_models import reber_oracle, task_of


def test_reber_strings_are_legal_and_the_sets_apart() -> None:
    task = EmbeddedReber(batch=4, seed=0)
    assert len(task.training_strings) == len(task.test_strings) == 256
    assert not set(task.training_strings) & set(task.test_strings)
    for string in (*task.training_strings, *task.test_strings):
        assert string[0] == "B"
        assert string[-1] == "E"
        assert string[1] == string[-2]
        assert all(string[t] in legal_next(string[:t]) for t in range(len(string)))
        assert legal_next(string) == frozenset()
    assert EmbeddedReber(batch=1, seed=9).test_strings == task.test_strings
    assert EmbeddedReber(batch=1, seed=0, data_seed=1).test_strings != task.test_strings


@pytest.mark.parametrize(
    ("prefix", "legal"),
    [
        ("", "B"),
        ("B", "TP"),
        ("BP", "B"),
        ("BPB", "TP"),
        ("BTBT", "SX"),
        ("BTBTSS", "SX"),
        ("BTBTX", "XS"),
        ("BTBTXX", "TV"),
        ("BTBPT", "TV"),
        ("BTBPV", "PV"),
        ("BTBPVP", "XS"),
        ("BTBPVV", "E"),
        ("BTBPVVE", "T"),
        ("BPBPVVE", "P"),
        ("BPBPVVEP", "E"),
        ("BPBTXSEPE", ""),
    ],
)
def test_reber_automaton(prefix: str, legal: str) -> None:
    assert legal_next(prefix) == frozenset(legal)


@pytest.mark.parametrize("prefix", ["T", "BB", "BTBTXSEP", "BTBTXSETEB", "BTBPX", "BTBZ"])
def test_reber_refuses_what_is_no_prefix(prefix: str) -> None:
    with pytest.raises(DataError, match="starts no embedded Reber string"):
        legal_next(prefix)


def test_reber_batches_spell_training_strings() -> None:
    task = EmbeddedReber(batch=64, seed=0)
    batch = task.next()
    for n in range(64):
        length = int(counted(batch)[:, n].sum())
        string = "".join(SYMBOLS[s] for s in (*batch.inputs[:length, n], batch.targets[length - 1, n]))
        assert string in task.training_strings
        assert (batch.inputs[1:length, n] == batch.targets[: length - 1, n]).all()
    assert counted(batch).any(axis=1).all(), "no step without a string"


def test_the_entropy_of_the_grammar() -> None:
    """Expected steps and expected choices to the end, solved for every state by its prefix."""

    def language(prefix: str, depth: int = 6) -> frozenset[tuple[str, ...]]:
        """All continuations up to a depth: what tells one state from another."""
        legal = legal_next(prefix)
        if depth == 0 or not legal:
            return frozenset({()})
        return frozenset((s, *rest) for s in legal for rest in language(prefix + s, depth - 1))

    # The second symbol tells the two halves apart although it shows at the end alone.
    names: dict[tuple[str, frozenset[tuple[str, ...]]], int] = {}
    arcs: list[list[int]] = []

    def visit(prefix: str) -> int:
        key = (prefix[1:2], language(prefix))
        if key not in names:
            names[key] = len(arcs)
            arcs.append([])
            arcs[names[key]].extend(visit(prefix + s) for s in sorted(legal_next(prefix)))
        return names[key]

    start = visit("B")
    P = np.zeros((len(arcs), len(arcs)))
    for state, nexts in enumerate(arcs):
        for to in nexts:
            P[state, to] += 1 / len(nexts)
    steps = np.linalg.solve(np.eye(len(arcs)) - P, [float(len(nexts) > 0) for nexts in arcs])
    nats = np.linalg.solve(np.eye(len(arcs)) - P, [math.log(len(nexts)) if nexts else 0.0 for nexts in arcs])
    assert steps[start] == pytest.approx(11)
    task = task_of("reber")
    assert task.optimum == pytest.approx(nats[start] / steps[start])
    assert task.baseline == pytest.approx((nats[start] + math.log(2)) / steps[start])


def test_reber_is_judged_on_training_and_on_test_strings() -> None:
    task = task_of("reber")
    test_inputs = next(iter(task.test_batches())).inputs
    for on_test, on_training in ((True, False), (False, True)):

        def half(batch: Batch, on_test: bool = on_test, on_training: bool = on_training) -> Array:
            right = on_test if np.array_equal(batch.inputs, test_inputs) else on_training
            return reber_oracle(batch) * right

        assert task.criterion(half).figure == 0.5
