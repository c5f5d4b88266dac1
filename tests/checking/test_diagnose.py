"""The diagnosis: a cell is recognised in any convention, and of a wrong backward the wrong term is named.

The code judged here is written as people write it, as text; faults are planted by changing the text. The
reference whose changes explain them has no part in that.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import bptt
from bptt.checking.cellmatch import Match, match
from bptt.checking.diagnose import Diagnosis, diagnose
from bptt.checking.known import CELLS
from bptt.checking.numeric import complex_step
from bptt.checking.reference import backward, forward
from bptt.checking.subject import Subject
from bptt.types import Generator, Params
from judged.written import OUTSIDE, SIZES, TEXTS, Chunk, Code, Convention
from judged.written_faults import CHUNK_FAULTS
from judged.written_texts import CHUNK, LSTM


def numeric(code: Subject) -> Params:
    def loss(at: Params) -> complex:
        return complex(sum((code.cotangents[n] * a).sum() for n, a in code.outputs(at).items()))

    return complex_step(loss, code.at)


def diagnosed(code: Subject, truth: Params) -> Diagnosis | None:
    found = match(code)
    assert found is not None
    return diagnose(code, found, code.gradients(code.at, code.cotangents), truth)


def mutants(cell: str) -> Iterator[tuple[str, str, str]]:
    """Yield old text, new text, and the fault's id."""
    for old, news in TEXTS[cell][2].items():
        for new, name in news.items():
            yield old, new, "|".join(f"{cell}/{one}" for one in name.split("|"))


def planted(cell: str, old: str, new: str, rng: Generator, step: bool) -> tuple[Code, Params] | None:
    """Return code with a fault and its right gradients; None where the fault changes no number."""
    text, gates, _ = TEXTS[cell]
    assert old in text
    convention = replace(Convention.random(rng, gates), step=step)
    seed = int(rng.integers(2**31))
    right = Code(text, convention, np.random.default_rng(seed))
    wrong = Code(text.replace(old, new, 1), convention, np.random.default_rng(seed))
    truth = right.gradients(right.at, right.cotangents)
    mine = wrong.gradients(wrong.at, wrong.cotangents)
    same = all(np.allclose(mine[n], truth[n], 1e-9, 1e-12) for n in truth)
    return None if same else (wrong, truth)


def is_named(code: Code, found: Diagnosis | None, name: str) -> bool:
    """Return whether a fault was named, as itself or as one with the same numbers."""
    if code.convention.bias == "two" and "bh" not in code.own:
        name = name.replace("/db-", "/biases-")
    return found is not None and not {found["id"], *found["alike"]}.isdisjoint(name.split("|"))


def test_planted_faults_are_named() -> None:
    rng = np.random.default_rng(3)
    counts, exactly, misses = dict.fromkeys(TEXTS, 0), 0, []
    for cell, step in product(TEXTS, (False, True)):
        for old, new, name in mutants(cell):
            case = planted(cell, old, new, rng, step)
            if case is None:
                continue
            code, truth = case
            found = diagnosed(code, truth)
            counts[cell] += 1
            exactly += found is not None and found["id"].replace("/biases-", "/db-") in name.split("|")
            if not is_named(code, found, name):
                misses.append((name, "step" if step else "sequence", found and found["id"]))
    count = sum(counts.values())
    print(f"{count} faults planted {counts}, {count - len(misses)} named, {exactly} by their own name")
    print("missed:", *misses, sep="\n")
    assert len(misses) <= 0.05 * count, misses
    assert exactly >= 0.9 * count  # the others are named by a fault that has the same numbers
    assert count >= 120
    assert min(counts.values()) >= 25, counts


@pytest.mark.parametrize("what", OUTSIDE)
def test_fault_outside_the_terms_is_named(what: str) -> None:
    cell, old, new = OUTSIDE[what]
    text, gates, _ = TEXTS[cell]
    assert old in text
    convention = Convention(gates)
    wrong = Code(text.replace(old, new, 1), convention, np.random.default_rng(12))
    in_forward = text.index(old) < text.index("def backward")
    right = wrong if in_forward else Code(text, convention, np.random.default_rng(12))
    truth, mine = numeric(right), wrong.gradients(wrong.at, wrong.cotangents)
    assert not all(np.allclose(mine[n], truth[n], 1e-6, 1e-9) for n in truth)
    found = match(wrong)
    assert found is not None
    assert (found.cell.slip is not None) == in_forward
    said = diagnose(wrong, found, mine, truth)
    assert said is not None
    assert said["id"] == f"{cell}/{what.partition(' ')[0]}"


def test_right_code_has_no_fault_in_any_convention() -> None:
    rng = np.random.default_rng(4)
    for k in range(100):
        cell = list(TEXTS)[k % 4]
        text, gates, _ = TEXTS[cell]
        code = Code(text, Convention.random(rng, gates), rng)
        found = match(code)
        assert found is not None, code.convention
        assert (found.cell.name, found.error < 1e-12) == (cell, True)
        assert found.gates == code.convention.order
        gradients = code.gradients(code.at, code.cotangents)
        assert reference_gradients(code, found).keys() == gradients.keys()
        for name, g in reference_gradients(code, found).items():
            np.testing.assert_allclose(g, gradients[name], rtol=1e-9, atol=1e-12, err_msg=name)
        assert diagnose(code, found, gradients, gradients) is None


def reference_gradients(code: Subject, found: Match) -> Params:
    p = found.to_canonical(code.at)
    grads = backward(found.cell, p, forward(found.cell, p), found.cotangents(code.cotangents), [{}])
    return {name: g[0] for name, g in found.from_canonical(grads, code.at).items()}


@pytest.mark.parametrize("cell", TEXTS)
def test_right_code_is_right(cell: str) -> None:
    text, gates, _ = TEXTS[cell]
    code = Code(text, Convention(gates), np.random.default_rng(5))
    for name, g in numeric(code).items():
        np.testing.assert_allclose(code.gradients(code.at, code.cotangents)[name], g, rtol=1e-9, atol=1e-12)


def test_pairs_of_faults_are_both_named() -> None:
    rng = np.random.default_rng(6)
    both, one, count = 0, 0, 0
    while count < 30:
        cell = str(rng.choice(list(TEXTS)))
        text, gates, _ = TEXTS[cell]
        all_of = list(mutants(cell))
        a, b = (all_of[k] for k in rng.choice(len(all_of), 2, replace=False))
        if a[0] == b[0]:
            continue
        twice = text.replace(a[0], a[1], 1)
        if b[0] not in twice:
            continue
        convention = replace(Convention.random(rng, gates), step=False, bias="one")
        code = Code(twice.replace(b[0], b[1], 1), convention, rng)
        right = Code(text, convention, rng)
        found = diagnosed(code, right.gradients(code.at, code.cotangents))
        count += 1
        if found is not None:
            names = {name for ids in (found["id"], *found["alike"]) for name in ids.split(" + ")}
            both += {a[2], b[2]} <= names
            one += bool({a[2], b[2]} & names)
    assert both >= 0.7 * count, (both, one, count)


def test_nothing_is_said_where_nothing_matches() -> None:
    rng = np.random.default_rng(7)
    code = Code(LSTM, Convention("ifog"), rng)
    gradients = code.gradients(code.at, code.cotangents)
    noise = {name: g + 0.1 * rng.normal(size=g.shape) for name, g in gradients.items()}
    found = match(code)
    assert found is not None
    assert diagnose(code, found, noise, gradients) is None


def test_unknown_cell_is_not_matched() -> None:
    code = Code(LSTM.replace("h = o * tc", "h = o * tc * tc"), Convention("ifog"), np.random.default_rng(8))
    assert match(code) is None


@pytest.mark.parametrize("cell", ["rnn", "rnn-relu", "lstm", "gru", "gru-cho"])
def test_reference_is_the_library_s_cell(cell: str) -> None:
    rng = np.random.default_rng(9)
    T, N, D, H = SIZES.T, SIZES.N, SIZES.D, SIZES.H
    library = bptt.zoo.get(cell)
    reference = next(own for own in CELLS if own.name == cell)
    Gx = len(library.from_x)
    shapes = {"W": (D, Gx * H), "U": (H, Gx * H), "b": (Gx * H,)}
    params = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    x, dy = rng.normal(size=(T, N, D)), rng.normal(size=(T, N, H))
    states = tuple(rng.normal(size=(N, H)) for _ in library.states)
    run = bptt.unroll(library, params, x, states)
    gradients = run.backward(dy)
    p = {"x": x, **{f"{s}0": a for s, a in zip(reference.states, states, strict=True)}}
    for name, array in params.items():
        for gate, block in zip(library.from_x, np.split(np.atleast_2d(array), Gx, axis=1), strict=True):
            p[f"{name}_{gate}"] = block
    steps = forward(reference, p)
    found = backward(reference, p, steps, {"h": dy}, [{}])
    np.testing.assert_allclose(np.stack([now["h"] for now in steps]), run.y, rtol=1e-12)
    assert gradients.inputs is not None
    np.testing.assert_allclose(found["x"][0], gradients.inputs, rtol=1e-9)
    for name, g in gradients.params.items():
        mine = np.hstack([found[f"{name}_{gate}"][0] for gate in library.from_x])
        np.testing.assert_allclose(mine, np.atleast_2d(g), rtol=1e-9)
    for s, g in zip(reference.states, gradients.states, strict=True):
        np.testing.assert_allclose(found[f"{s}0"][0], g, rtol=1e-9)


def test_chunk_with_its_loss() -> None:
    truth = numeric(Chunk(CHUNK, np.random.default_rng(10)))
    assert diagnosed(Chunk(CHUNK, np.random.default_rng(10)), truth) is None
    for old, news in CHUNK_FAULTS.items():
        for new, name in news.items():
            assert old in CHUNK
            found = diagnosed(Chunk(CHUNK.replace(old, new), np.random.default_rng(10)), truth)
            assert found is not None, name
            assert name in (found["id"], *found["alike"]), (name, found["id"])


def test_says_and_equation_are_in_the_user_s_symbols() -> None:
    right = Chunk(CHUNK, np.random.default_rng(10))
    found = diagnosed(
        Chunk(CHUNK.replace("hs[t - 1].T", "hs[t].T"), np.random.default_rng(10)), numeric(right)
    )
    assert found is not None
    assert found["equation"] == "dWhh += da @ h_prev.T"
    assert found["says"] == "dWhh has h where h_prev belongs"
    assert found["match_error"] < 1e-9


def test_single_precision() -> None:
    class Single(Code):
        def outputs(self, at: Params) -> Params:
            return {n: a.astype(np.float32) for n, a in super().outputs(at).items()}

        def gradients(self, at: Params, cotangents: Params) -> Params:
            return {n: a.astype(np.float32) for n, a in super().gradients(at, cotangents).items()}

    truth = numeric(Code(LSTM, Convention("ifog"), np.random.default_rng(11)))
    assert diagnosed(Single(LSTM, Convention("ifog"), np.random.default_rng(11)), truth) is None
    wrong = Single(
        LSTM.replace("df = dc * c_prev", "df = dc * c"), Convention("ifog"), np.random.default_rng(11)
    )
    found = diagnosed(wrong, truth)
    assert found is not None
    assert found["id"] == "lstm/df-c-for-c-prev"
