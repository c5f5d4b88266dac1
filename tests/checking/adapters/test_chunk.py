"""A chunk with its loss: over the module's globals, over a dict, clipped."""

from typing import Any

import numpy as np

from bptt.checking.adapters import find
from bptt.checking.subject import Sizes
from bptt.types import Array, Params
from judged.forms import chunk, named, right


def test_a_chunk_over_globals_that_are_not_set() -> None:
    namespace, text = chunk()
    before = set(namespace)
    [subject] = find(namespace, source=text)
    assert subject.form == "chunk"
    wanted = {"Wxh": "W", "Whh": "U", "Why": "V", "bh": "b", "by": "c", "hprev": "h0"}
    assert subject.roles == wanted
    assert subject.gradients(subject.at, subject.cotangents).keys() == wanted.keys() - {"hprev"}
    right(subject)
    right(subject.resized(Sizes(T=1, H=2, V=3), np.random.default_rng(0)))
    assert set(namespace) == before, "the module is as it was"
    assert namespace["hidden_size"] == 50


def test_a_chunk_of_parameters_in_a_dict() -> None:
    """The keys are found by asking; tokens choose rows of W; the gradients come in a dict by the names."""

    def loss_and_grads(params: Params, inputs: list[int], targets: list[int], h0: Array) -> Any:
        W, U, V, b, c = (params[name] for name in "WUVbc")
        hs, ps, loss = [h0], [], 0.0
        for k, y in zip(inputs, targets, strict=True):
            hs.append(np.tanh(W[k] + hs[-1] @ U + b))
            e = np.exp(hs[-1] @ V + c)
            ps.append(e / e.sum())
            loss = loss - np.log(ps[-1][y])
        grads, d = {name: np.zeros_like(p) for name, p in params.items()}, 0 * h0
        for t in reversed(range(len(inputs))):
            dy = ps[t] - np.eye(len(c))[targets[t]]
            dz = (V @ dy + d) * (1 - hs[t + 1] ** 2)
            d = U @ dz
            grads["V"] += np.outer(hs[t + 1], dy)
            grads["c"] += dy
            grads["b"] += dz
            grads["W"][inputs[t]] += dz
            grads["U"] += np.outer(hs[t], dz)
        return loss, grads, hs[-1]

    [subject] = find(named(loss_and_grads))
    assert subject.form == "chunk"
    assert subject.roles == {"W": "W", "U": "U", "V": "V", "b": "b", "c": "c", "h0": "h0"}
    assert len(subject.gradients(subject.at, subject.cotangents)) == 5
    right(subject)


def test_a_chunk_is_judged_before_it_is_clipped() -> None:
    namespace, text = chunk(limit=0.01)
    [subject] = find(namespace, source=text)
    right(subject)
    assert any("clip" in note for note in getattr(subject, "notes", []))
