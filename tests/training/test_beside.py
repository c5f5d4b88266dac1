"""Gradients that are there are final, and travel while others are computed, to the bits of one sum."""

import copy
import threading
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ConfigError, Step
from bptt.kernels.runtime.tape import Tape
from bptt.training import beside, optim
from bptt.training.beside import Beside
from bptt.training.shards import Sharded
from bptt.training.workers import LostError, Workers
from bptt.types import Array, Batch, Params
from threaded_workers import Threads, all_well, together

V, T, N = 7, 5, 8
STEPS = 4
"""The first two steps of a form are not planned."""

MODELS: dict[str, dict[str, Any]] = {
    "layers": {"layers": 3, "embedding": 4},
    "both ways": {"layers": 2, "bidirectional": True, "weight_dropout": 0.3, "embedding_dropout": 0.2},
    "tied": {"layers": 2, "embedding": 6, "tied": True, "dropout": 0.2, "learn_start": True},
    "reference": {"layers": 2, "backend": "reference", "weight_dropout": 0.3, "temporal_penalty": 0.5},
    "features": {"layers": 2, "features": 3, "learn_start": True},
    "maps": {"layers": 2, "cell": "exp-rnn"},
    "pooled": {"layers": 2, "pool": "mean", "cell": "gru"},
}


def made(**options: Any) -> tuple[bptt.Model, Params]:
    model = bptt.Model(inputs=V, outputs=V, hidden=6, **options)
    rng = np.random.default_rng(1)
    drawn = model.init(rng).items()
    return model, {name: p + rng.normal(0, 0.1, p.shape).astype(p.dtype) for name, p in drawn}


def batch_of(model: bptt.Model, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(V, size=(T + 1, N))
    features = None if model.features is None else rng.normal(size=(N, 3)).astype(np.float32)
    return Batch(tokens[:-1], tokens[1:] if model.pool is None else tokens[1:2], features=features)


def changed_later(**options: Any) -> tuple[list[str], list[str]]:
    """Return which gradients were handed over, in their order, and which of them was another at the end."""
    model, params = made(**options)
    step, odd, orders = Step(model, params), [], []
    there: Params = {}
    for k in range(STEPS):
        rng = np.random.default_rng(k) if model.draws else None
        step(batch_of(model, k), rng=rng, done=lambda grads: there.update(copy.deepcopy(grads)))
        odd += [name for name, array in there.items() if not np.array_equal(array, step.grads[name])]
        orders.append(list(there))
        there.clear()
    assert [*map(sorted, orders)] == [sorted(orders[0])] * STEPS
    return orders[-1], odd


@pytest.mark.parametrize("kind", MODELS)
def test_gradients_that_are_there_are_not_changed_any_more(kind: str) -> None:
    order, odd = changed_later(**MODELS[kind])
    assert odd == []
    tops = {"tied": "output.b", "maps": None}.get(kind, "output.W")
    assert order[:1] == ([tops] if tops else [])
    if tops:
        assert order[-1].startswith("layers.1.")
        assert not any(name.startswith(("layers.0.", "embedding")) for name in order)


def plant_early_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Tape.mark

    def early(self: Tape, names: Any) -> None:
        real(self, names)
        works, said = self.marks.pop()
        self.marks.append((max(0, works - 8), said))

    monkeypatch.setattr(Tape, "mark", early)


def test_one_that_is_handed_over_too_early_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    plant_early_marks(monkeypatch)
    assert changed_later(**MODELS["layers"])[1]


def trained(workers: Workers, *, shards: int = 4, **options: Any) -> tuple[Array, int]:
    """Return the parameters after some steps, and in how many parts gradients were sent."""
    model, params = made(**options)
    adam = optim.Adam()
    step = Sharded(model, params, adam, adam.init(params), shards, workers, clip_norm=0.5)
    for k in range(STEPS):
        step(batch_of(model, k), 0.1, rng=np.random.default_rng(k) if model.draws else None)
    return np.concatenate([p.ravel() for p in params.values()]), len(step._parts)


@pytest.mark.parametrize("kind", MODELS)
def test_the_bits_do_not_depend_on_when_sums_travel(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "LEAST", 0)
    ((whole, count),) = all_well(1, lambda workers: trained(workers, **MODELS[kind]))
    assert count == 1
    monkeypatch.setenv("BPTT_OVERLAP", "1")
    for size in (2, 4):
        for found, count in all_well(size, lambda workers: trained(workers, **MODELS[kind])):
            assert count > 1
            assert np.array_equal(found, whole)


def test_sums_that_travel_too_early_give_other_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(beside, "LEAST", 0)
    ((whole, _),) = all_well(1, lambda workers: trained(workers, **MODELS["layers"]))
    plant_early_marks(monkeypatch)
    monkeypatch.setenv("BPTT_OVERLAP", "1")
    assert not any(
        np.array_equal(found, whole)
        for found, _ in all_well(2, lambda workers: trained(workers, **MODELS["layers"]))
    )


def test_the_outputs_sum_has_come_before_the_first_layer_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "LEAST", 0)
    monkeypatch.setenv("BPTT_OVERLAP", "1")

    def take(workers: Workers) -> bool:
        model, params = made(layers=2)
        step = Sharded(model, params, optim.SGD(), optim.SGD().init(params), 2, workers)
        come, summed = threading.Event(), Workers.sum

        def summing(array: Array) -> None:
            summed(workers, array)
            come.set()

        monkeypatch.setattr(workers, "sum", summing)
        inner, in_time = step._take.__call__, []

        def computed(*arguments: Any, done: Any, **options: Any) -> float:
            def waits(grads: Params) -> None:
                done(grads)
                in_time.append(come.wait(20))  # which nothing would end if it were sent after the backward

            return inner(*arguments, done=waits, **options)

        step._take = Taken(step._take, computed)  # type: ignore[assignment]
        step(batch_of(model, 0), 0.1)
        return all(in_time)

    assert all_well(2, take) == [True, True]


class Taken:
    """A step that is computed by another function."""

    def __init__(self, step: Step, function: Any) -> None:
        self._step, self._function = step, function

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._function(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)


def test_nothing_is_started_on_one_machine_nor_where_an_engine_cannot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beside, "LEAST", 0)
    assert all_well(2, lambda workers: workers.overlaps) == [False, False]
    assert not Workers().overlaps
    monkeypatch.setattr("platform.node", lambda: threading.current_thread().name)
    assert all_well(2, lambda workers: workers.overlaps) == [True, True]
    monkeypatch.setenv("BPTT_OVERLAP", "0")
    assert all_well(2, lambda workers: trained(workers, **MODELS["layers"])[1]) == [1, 1]
    monkeypatch.setenv("BPTT_OVERLAP", "1")
    monkeypatch.setattr(Threads, "may_thread", False)
    assert all_well(2, lambda workers: workers.overlaps) == [False, False]
    monkeypatch.setenv("BPTT_OVERLAP", "yes")
    for found in together(2, lambda workers: workers.overlaps):
        assert isinstance(found, ConfigError)
        assert str(found) == "BPTT_OVERLAP must be 0 or 1, got 'yes'"


def test_who_is_lost_while_sums_travel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "LEAST", 0)
    monkeypatch.setenv("BPTT_OVERLAP", "1")

    def work(workers: Workers) -> None:
        if workers.rank == 1:
            raise MemoryError
        trained(workers, **MODELS["layers"])

    first, died, *rest = together(4, work)
    assert isinstance(died, MemoryError)
    for found in (first, *rest):
        assert isinstance(found, LostError)
        assert "worker 1 (process " in str(found)


def test_what_fails_beside_is_raised_and_what_comes_after_it_is_left() -> None:
    done: list[int] = []

    def fail() -> None:
        raise LostError("gone")

    with pytest.raises(LostError, match="gone"), Beside(apart=True) as other:  # noqa: PT012  at its end
        other.do(fail)
        other.do(lambda: done.append(1))
    with pytest.raises(KeyError), Beside(apart=True) as other:  # noqa: PT012
        other.do(threading.Event().wait)  # type: ignore[arg-type]  # nobody waits for it
        raise KeyError
    with Beside(apart=False) as other:
        other.do(lambda: done.append(threading.get_ident()))
    assert done == [threading.get_ident()]
