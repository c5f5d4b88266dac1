"""The tasks say what the papers say; their optima and baselines are reached, by models made for that."""

import json
import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from bptt.data.batches import Source
from bptt.data.tasks import AR2, TASKS, Adding, Copy, EmbeddedReber, Task, TemporalOrder, legal_next, make
from bptt.data.tasks.base import counted
from bptt.data.tasks.reber import SYMBOLS, as_batch, reber_string
from bptt.errors import ConfigError, DataError, RunError, ShapeError
from bptt.types import Array, Batch
from spoiled import spoiled, taken

Predict = Callable[[Batch], Array]


def task_of(name: str, seed: int = 0, batch: int = 32) -> Task:
    return make(name, batch=batch, seed=seed)


def one_hot(tokens: Array, size: int) -> Array:
    return np.eye(size)[tokens]


def mean_loss(task: Task, batches: Iterable[Batch], predict: Predict) -> float:
    """Mean loss per counted target, as the tasks define it, in the plainest way."""
    losses: list[Array] = []
    for batch in batches:
        y, on = predict(batch)[counted(batch)], batch.targets[counted(batch)]
        if task.loss == "cross_entropy":
            losses.append(-np.log(y[np.arange(len(on)), on]))
        else:
            losses.append(0.5 * ((y - on) ** 2).sum(axis=-1))
    return float(np.concatenate(losses).mean())


# Models that know the answer, from the definition of each task and not from its targets.


def reber_oracle(batch: Batch) -> Array:
    y = np.zeros((*batch.inputs.shape, 7))
    steps = counted(batch)
    for n in range(batch.inputs.shape[1]):
        for t in range(int(steps[:, n].sum())):
            legal = legal_next("".join(SYMBOLS[s] for s in batch.inputs[: t + 1, n]))
            y[t, n, [SYMBOLS.index(s) for s in legal]] = 1 / len(legal)
    return y


def adding_oracle(batch: Batch) -> Array:
    value, marker = batch.inputs[..., 0].astype(np.float64), batch.inputs[..., 1]
    return 0.5 + np.cumsum(np.where(marker == 1, value, 0), axis=0)[..., None] / 4


def order_oracle(batch: Batch) -> Array:
    y = np.full((*batch.inputs.shape, 4), 0.25)
    for n, row in enumerate(batch.inputs.T):
        relevant = "".join("EBabcdXY"[s] for s in row if s >= 6)
        y[:, n] = np.eye(4)[["XX", "XY", "YX", "YY"].index(relevant)]
    return y


def copy_oracle(batch: Batch) -> Array:
    symbols = 8
    y = np.zeros((*batch.inputs.shape, symbols + 1))
    for n, row in enumerate(batch.inputs.T):
        y[:, n, symbols] = 1
        asked = int(np.flatnonzero(row == symbols + 1)[0])
        y[asked + 1 :, n] = one_hot(row[row < symbols], symbols + 1)
    return y


def ar2_oracle(batch: Batch) -> Array:
    x = batch.inputs.astype(np.float64)
    return 1.5 * x - 0.75 * np.concatenate([np.zeros_like(x[:1]), x[:-1]])


ORACLES: dict[str, Predict] = {
    "reber": reber_oracle,
    "adding": adding_oracle,
    "temporal-order": order_oracle,
    "copy": copy_oracle,
    "ar2": ar2_oracle,
}


# The same models with one fault each.


def reber_forgetful(batch: Batch) -> Array:
    """Knows the grammar, but not the second symbol when it is to be repeated."""
    y = reber_oracle(batch)
    after_inner_end = (batch.inputs == SYMBOLS.index("E")) & counted(batch)
    y[after_inner_end] = 0
    y[after_inner_end, 1] = y[after_inner_end, 2] = 0.5
    return y


def one_row(predict: Predict, spoil: Callable[[Array], Array]) -> Predict:
    """Be right but for the last row of every batch."""

    def faulty(batch: Batch) -> Array:
        y = predict(batch)
        y[:, -1] = spoil(y[:, -1])
        return y

    return faulty


def wrong_at(t: int) -> Callable[[Array], Array]:
    """Be right but for the symbol at step t of a row (T, K)."""

    def spoil(y: Array) -> Array:
        y[t] = np.roll(y[t], 1)
        return y

    return spoil


def copy_talkative(batch: Batch) -> Array:
    """Copies well, but writes symbols where blanks belong."""
    y = copy_oracle(batch)
    y[:-10] = np.eye(9)[0]
    return y


FAULTY: dict[str, list[Predict]] = {
    "reber": [reber_forgetful, lambda batch: np.ones((*batch.inputs.shape, 7))],
    "adding": [one_row(adding_oracle, lambda y: y + 0.041), one_row(adding_oracle, lambda y: y - 0.041)],
    "temporal-order": [one_row(order_oracle, lambda y: 0.59 * y + 0.1025)],
    "copy": [one_row(copy_oracle, wrong_at(-1)), one_row(copy_oracle, wrong_at(-10))],
    "ar2": [lambda batch: ar2_oracle(batch) + 0.1, lambda batch: 6 / 7 * batch.inputs],
}


@pytest.mark.parametrize("name", TASKS)
def test_a_model_that_knows_the_answer_meets_the_criterion(name: str) -> None:
    verdict = task_of(name).criterion(ORACLES[name])
    assert verdict.met, verdict.says
    assert verdict.figure == (1.0 if name != "ar2" else pytest.approx(1.0, abs=0.01))
    assert verdict.says.startswith(f"{name}: ")
    assert "\n" not in verdict.says


@pytest.mark.parametrize(("name", "fault"), [(name, k) for name in TASKS for k in range(len(FAULTY[name]))])
def test_one_planted_fault_misses_the_criterion(name: str, fault: int) -> None:
    assert not task_of(name).criterion(FAULTY[name][fault]).met


@pytest.mark.parametrize("name", TASKS)
def test_outputs_that_are_no_numbers_miss_the_criterion(name: str) -> None:
    task = task_of(name)
    verdict = task.criterion(lambda b: np.full((*b.inputs.shape[:2], task.output_size), np.nan))
    assert verdict.met is False


def test_a_fault_in_few_rows_is_counted() -> None:
    """8 test batches of 250 rows, one row wrong in each."""
    verdict = task_of("adding").criterion(FAULTY["adding"][0])
    assert verdict.figure == pytest.approx(1992 / 2000)
    assert "1,992 of 2,000" in verdict.says


def test_what_is_allowed_beside_the_answer_is_allowed() -> None:
    """Just within each tolerance, and anything at steps whose target does not count."""
    assert (
        task_of("adding")
        .criterion(lambda b: np.where(counted(b)[..., None], adding_oracle(b), 9) + 0.039)
        .met
    )
    assert task_of("temporal-order").criterion(lambda b: 0.62 * order_oracle(b) + 0.085).met
    assert task_of("copy").criterion(copy_talkative).met
    biased = task_of("ar2").criterion(lambda b: ar2_oracle(b) + 0.06)
    assert biased.met
    assert biased.figure == pytest.approx(1 + 0.06**2 / 0.3**2, abs=0.01)


def test_reber_is_judged_on_training_and_on_test_strings() -> None:
    task = task_of("reber")
    test_inputs = next(iter(task.test_batches())).inputs
    for on_test, on_training in ((True, False), (False, True)):

        def half(batch: Batch, on_test: bool = on_test, on_training: bool = on_training) -> Array:
            right = on_test if np.array_equal(batch.inputs, test_inputs) else on_training
            return reber_oracle(batch) * right

        assert task.criterion(half).figure == 0.5


@pytest.mark.parametrize("name", TASKS)
def test_outputs_of_another_shape_are_refused(name: str) -> None:
    with pytest.raises(ShapeError, match=rf"{name}: predict must return \(T, N, K\)"):
        task_of(name).criterion(lambda b: ORACLES[name](b)[:-1])


@pytest.mark.parametrize("name", TASKS)
def test_the_optimum_is_reached_and_not_passed(name: str) -> None:
    if name == "reber":  # fresh strings, as the training strings are few
        strings = np.random.default_rng(5)
        task = task_of(name)
        loss = mean_loss(task, [as_batch([reber_string(strings) for _ in range(1500)])], reber_oracle)
    else:
        task = task_of(name, batch=500)
        with np.errstate(divide="raise"):
            loss = mean_loss(task, [task.next() for _ in range(3)], ORACLES[name])
    assert task.optimum is not None
    assert loss == pytest.approx(task.optimum, rel=0.02, abs=1e-12)


def test_the_baselines_are_what_forgetful_models_reach() -> None:
    def fresh(name: str, rows: int = 1000) -> tuple[Task, list[Batch]]:
        task = task_of(name, batch=rows)
        return task, [task.next() for _ in range(3)]

    def constant(y: float | Array) -> Predict:
        return lambda b: np.broadcast_to(y, (*b.inputs.shape[:2], np.size(y)))

    adding, batches = fresh("adding", rows=10_000)
    assert mean_loss(adding, batches, constant(0.5)) == pytest.approx(adding.baseline, rel=0.02)

    order, batches = fresh("temporal-order")
    assert mean_loss(order, batches, constant(np.full(4, 0.25))) == pytest.approx(order.baseline)
    classes = np.concatenate([b.targets[counted(b)] for b in batches])
    assert np.bincount(classes, minlength=4) / len(classes) == pytest.approx(np.full(4, 0.25), abs=0.03)

    ar2, batches = fresh("ar2")

    def from_the_last(rho: float) -> Predict:
        return lambda b: rho * b.inputs

    forecasts = [mean_loss(ar2, batches, from_the_last(rho)) for rho in (0.80, 6 / 7, 0.91)]
    assert forecasts[1] == min(forecasts)
    assert forecasts[1] == pytest.approx(ar2.baseline, rel=0.02)

    def any_symbol(batch: Batch) -> Array:
        y = copy_oracle(batch)
        y[-10:] = [1 / 8] * 8 + [0]
        return y

    copy, batches = fresh("copy")
    assert mean_loss(copy, batches[:1], any_symbol) == pytest.approx(copy.baseline)
    assert copy.baseline == pytest.approx(10 * math.log(8) / 120)

    rng = np.random.default_rng(6)
    strings = as_batch([reber_string(rng) for _ in range(1500)])
    reber = task_of("reber")
    assert mean_loss(reber, [strings], reber_forgetful) == pytest.approx(reber.baseline, rel=0.02)


@pytest.mark.parametrize("T", [20, 21, 50, 100])
def test_addings_baseline_counts_the_first_pair_that_adds_nothing(T: int) -> None:
    """The variance of the target, summed over all pairs of places that can be drawn."""
    task = Adding(batch=1, seed=0, T=T)
    half = T // 2
    terms = [
        (1 / 10) * (1 / (half - 1)) * ((one > 0) + (two > 0))
        for one in range(10)
        for two in range(half)
        if two != one
    ]
    assert task.baseline == pytest.approx(sum(terms) * (1 / 3) / 16 / 2)


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


# Each task's definition.


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


def test_adding_is_experiment_4() -> None:
    task = Adding(batch=3000, seed=0)
    batch = task.next()
    assert batch.mask is not None
    assert batch.target_mask is not None
    value, marker = batch.inputs[..., 0], batch.inputs[..., 1]
    lengths = batch.mask.sum(axis=0)
    assert set(lengths) == set(range(100, 111))
    assert (batch.target_mask.sum(axis=0) == 1).all()
    assert (batch.target_mask.argmax(axis=0) == lengths - 1).all()
    assert not batch.inputs[~batch.mask].any()

    inside = value[batch.mask]
    assert np.abs(inside).max() <= 1
    assert inside.mean() == pytest.approx(0, abs=0.01)
    assert inside.var() == pytest.approx(1 / 3, rel=0.01)

    rows = np.arange(3000)
    assert (marker[0] == -1).all()
    assert (marker[lengths - 1, rows] == -1).all()
    assert (np.sort(marker, axis=0)[:2] == -1).all()
    assert ((marker == -1).sum(axis=0) == 2).all()
    marked = marker == 1
    assert set(marked.sum(axis=0)) == {1, 2}, "one only where the first pair was drawn"
    assert (marked.sum(axis=0) == 1).mean() == pytest.approx(0.1 + 0.9 / 49, abs=0.02)
    assert not marked[50:].any()
    assert marked[49].any()
    early = marked[:10].any(axis=0)
    assert early[marked.sum(axis=0) == 2].all(), "one of them is among the first ten"
    target = batch.targets[lengths - 1, rows, 0]
    assert target == pytest.approx(0.5 + np.where(marked, value, 0).sum(axis=0) / 4, abs=1e-6)
    assert batch.inputs.dtype == batch.targets.dtype == np.float32


def test_temporal_order_is_task_6a() -> None:
    batch = TemporalOrder(batch=3000, seed=0).next()
    assert batch.mask is not None
    lengths, rows = batch.mask.sum(axis=0), np.arange(3000)
    assert set(lengths) == set(range(100, 111))
    assert (batch.inputs[0] == 0).all()
    assert (batch.inputs[lengths - 1, rows] == 1).all()
    assert ((batch.inputs == 1).sum(axis=0) == 1).all()
    relevant = batch.inputs >= 6
    assert (relevant.sum(axis=0) == 2).all()
    assert set(np.flatnonzero(relevant.any(axis=1))) == {*range(10, 21), *range(50, 61)}
    assert (relevant[10:21].sum(axis=0) == 1).all()
    middle = batch.inputs[1:99][~relevant[1:99]]
    assert set(middle) == {2, 3, 4, 5}
    assert np.bincount(middle)[2:] / len(middle) == pytest.approx(np.full(4, 0.25), abs=0.01)
    last = counted(batch)
    assert (last.sum(axis=0) == 1).all()
    assert (last.argmax(axis=0) == lengths - 1).all()
    assert (batch.targets[lengths - 1, rows] == order_oracle(batch)[0].argmax(axis=-1)).all()


def test_copy_has_arjovskys_layout() -> None:
    task = Copy(batch=200, seed=0, delay=30, length=5, symbols=3)
    assert (task.input_tokens, task.output_size) == (5, 4)
    batch = task.next()
    assert batch.inputs.shape == batch.targets.shape == (40, 200)
    assert set(batch.inputs[:5].flat) == {0, 1, 2}
    assert (batch.inputs[5:34] == 3).all()
    assert (batch.inputs[34] == 4).all()
    assert (batch.inputs[35:] == 3).all()
    assert (batch.targets[:35] == 3).all()
    assert (batch.targets[35:] == batch.inputs[:5]).all()


@pytest.mark.parametrize(("phi1", "phi2"), [(1.5, -0.75), (0.2, 0.5), (-0.9, -0.1)])
def test_ar2_starts_stationary_with_its_own_noise(phi1: float, phi2: float) -> None:
    """From the first step on: variance and correlation as Yule and Walker have them, noise of sigma."""
    batch = AR2(batch=20_000, seed=1, T=12, phi1=phi1, phi2=phi2, sigma=0.5).next()
    x = np.concatenate([batch.inputs, batch.targets[-1:]]).astype(np.float64)[..., 0]
    assert (batch.inputs[1:] == batch.targets[:-1]).all()
    noise = x[2:] - phi1 * x[1:-1] - phi2 * x[:-2]
    assert noise.std(axis=1) == pytest.approx(np.full(11, 0.5), rel=0.03)
    assert x.var(axis=1) == pytest.approx(np.full(13, x.var()), rel=0.05)
    rho = [np.corrcoef(x[t], x[t + 1])[0, 1] for t in range(12)]
    assert rho == pytest.approx([phi1 / (1 - phi2)] * 12, abs=0.02)
    assert not counted(batch)[0].any()
    assert counted(batch)[1:].all()


# What training needs of a source.


def same(a: Batch, b: Batch) -> bool:
    return all(
        np.array_equal(getattr(a, part), getattr(b, part))
        for part in ("inputs", "targets", "mask", "target_mask")
        if getattr(a, part) is not None or getattr(b, part) is not None
    )


@pytest.mark.parametrize("name", TASKS)
def test_a_saved_place_is_found_again(name: str) -> None:
    source: Source = task_of(name)
    source.next()
    state = json.loads(json.dumps(source.state()))
    wanted = [source.next() for _ in range(3)]
    other = task_of(name, seed=77)  # the state alone says where to go on
    other.restore(state)
    assert all(same(other.next(), batch) for batch in wanted)


@pytest.mark.parametrize("name", TASKS)
def test_same_seed_same_bits(name: str) -> None:
    one, two, apart = task_of(name), task_of(name), task_of(name, seed=1)
    first = one.next()
    assert same(first, two.next())
    assert not same(first, apart.next())
    assert not same(first, one.next())
    assert first.inputs.dtype == (np.int64 if one.input_tokens else np.float32)


@pytest.mark.parametrize("name", TASKS)
def test_the_test_set_stays(name: str) -> None:
    """Whatever the seed, whatever has been drawn, and without moving the training stream."""
    task, other = task_of(name), task_of(name, seed=1997)
    before = list(task.test_batches())
    state = task.state()
    assert all(map(same, before, other.test_batches()))
    assert task.state() == state
    assert sum(batch.inputs.shape[1] for batch in before) == (256 if name == "reber" else 2000)
    training = task_of(name, seed=1997, batch=before[0].inputs.shape[1])
    assert not same(training.next(), before[0])


def test_a_state_of_other_sizes_is_refused() -> None:
    state = Adding(batch=8, seed=0, T=50).state()
    with pytest.raises(RunError, match=r"saved by Adding\(batch=8, T=50\), this is Adding\(batch=8, T=100\)"):
        Adding(batch=8, seed=0).restore(state)
    with pytest.raises(RunError, match="ar2: the state was saved by Adding"):
        AR2(batch=8, seed=0).restore(state)


@pytest.mark.parametrize("name", ["copy", "ar2"])
def test_a_state_of_any_json_is_taken_or_refused_in_a_line(name: str) -> None:
    task = task_of(name)
    good = task.state()
    for state in spoiled(good, np.random.default_rng(0)):
        if taken(task.restore, state, RunError):
            assert task.state() == state
            assert state["task"] == good["task"]
            task.next()


@pytest.mark.parametrize("name", TASKS)
def test_every_task_says_what_a_model_needs(name: str) -> None:
    task = task_of(name)
    batch = task.next()
    assert task.name == name
    assert task.summary
    assert task.optimum is not None
    assert task.optimum < task.baseline
    if task.input_tokens is None:
        assert batch.inputs.shape[2:] == (task.input_size,)
    else:
        assert task.input_size is None
        assert batch.inputs.ndim == 2
        assert 0 <= batch.inputs.min() <= batch.inputs.max() < task.input_tokens
    if task.loss == "cross_entropy":
        assert 0 <= batch.targets.min() <= batch.targets.max() < task.output_size
    else:
        assert batch.targets.shape[2:] == (task.output_size,)


def test_errors_say_what_is_wanted() -> None:
    with pytest.raises(ConfigError, match="no 'add'; choose from reber, adding, temporal-order, copy, ar2"):
        make("add", batch=1, seed=0)
    with pytest.raises(ConfigError, match="copy: has no T; its sizes are delay, length, symbols"):
        make("copy", batch=1, seed=0, T=5)
    with pytest.raises(ConfigError, match="adding: T must be a whole number, 20 or more, got 19"):
        make("adding", batch=1, seed=0, T=19)
    with pytest.raises(ConfigError, match="adding: batch must be"):
        make("adding", batch=0, seed=0)
    with pytest.raises(ConfigError, match="adding: seed must be"):
        make("adding", batch=1, seed=-1)
    with pytest.raises(ConfigError, match=r"delay must be a whole number, 1 or more, got 2\.5"):
        make("copy", batch=1, seed=0, delay=2.5)
    with pytest.raises(ConfigError, match="ar2: sigma"):
        make("ar2", batch=1, seed=0, sigma=0)


@pytest.mark.parametrize(("phi1", "phi2"), [(0.6, 0.4), (-0.6, 0.4), (0.0, -1.0), (math.nan, 0.0)])
def test_ar2_refuses_what_is_not_stationary(phi1: float, phi2: float) -> None:
    with pytest.raises(ConfigError, match="stationary"):
        AR2(batch=1, seed=0, phi1=phi1, phi2=phi2)


def test_the_smallest_sizes_work() -> None:
    Adding(batch=1, seed=0, T=20).next()
    TemporalOrder(batch=1, seed=0, T=10).next()
    Copy(batch=1, seed=0, delay=1, length=1, symbols=2).next()
    assert AR2(batch=1, seed=0, T=2).next().inputs.shape == (2, 1, 1)
    EmbeddedReber(batch=1, seed=0, strings=1).next()
