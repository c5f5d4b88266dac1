"""Recurrent code in many conventions is recognised without being told, and called rightly.

Each form is right code of our own. It must be found, give the gradients that the complex step gives,
at other sizes too, and where it is a known cell, the outputs of the reference time loop.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.checking.adapters import explain_failure, find
from bptt.checking.adapters.pair import PairSubject
from bptt.checking.adapters.signature import Slot, fill
from bptt.checking.subject import Sizes, SubjectError
from bptt.types import Array
from judged.forms import (
    Given,
    Letters,
    Namespace,
    Recurrent,
    Updated,
    Words,
    gru_gates,
    lstm_rows,
    lstm_state_tuple,
    named,
    right,
    rnn_joint_columns,
    rnn_last_axis,
    rnn_sequence,
    rnn_vector,
)

FORMS: list[tuple[Callable[[], Namespace], str, dict[str, str]]] = [
    (lstm_rows, "step", {"x": "x", "prev_h": "h0", "prev_c": "c0", "Wx": "W", "Wh": "U", "b": "b"}),
    (rnn_joint_columns, "step", {"xt": "x", "a_prev": "h0", "W": "UW", "b": "b"}),
    (gru_gates, "step", {"x": "x", "h_old": "h0", "Wz": "WU:z", "Wr": "WU:r", "Wh": "WU:h"}),
    (rnn_vector, "step", {"x": "x", "s_prev": "h0", "U": "W", "W": "U"}),
    (
        lstm_state_tuple,
        "step",
        {"x": "x", "h0": "h0", "c0": "c0"}
        | {f"W{o}{g}": f"{r}:{g}" for o, r in ("xW", "hU") for g in "ifog"},
    ),
    (lambda: {"Recurrent": Recurrent}, "step", {"x": "x", "h_prev": "h0", "Wx": "W", "Wh": "U", "b": "b"}),
    (lambda: {"Given": Given}, "step", {"x": "x", "h_prev": "h0", "Wx": "W", "Wh": "U", "b": "b"}),
    (lambda: {"Updated": Updated}, "step", {"x": "x", "h_prev": "h0", "Wx": "W", "Wh": "U", "b": "b"}),
    (lambda: rnn_sequence("NTD"), "sequence", {"x": "x", "h0": "h0", "Wx": "W", "Wh": "U", "b": "b"}),
    (lambda: rnn_sequence("TND"), "sequence", {"x": "x", "h0": "h0", "Wx": "W", "Wh": "U", "b": "b"}),
    (lambda: {"Letters": Letters}, "chunk", {"U": "W", "V": "V", "W": "U"}),
    (lambda: {"Words": Words}, "model", {"h_old": "h0", "W": "UW", "Wy": "V", "b": "b", "by": "c"}),
]


@pytest.mark.parametrize(("make", "form", "roles"), FORMS)
def test_is_recognised(make: Callable[[], Namespace], form: str, roles: dict[str, str]) -> None:
    [subject] = find(make(), rng=np.random.default_rng(1))
    assert subject.form == form
    assert subject.roles == roles
    assert subject.gradients(subject.at, subject.cotangents).keys() == subject.at.keys()
    right(subject)
    for sizes in (Sizes(T=1, N=1, D=2, H=2, V=2), Sizes(T=4, N=3, D=3, H=5, V=4)):
        right(subject.resized(sizes, np.random.default_rng(2)))


def test_time_axes_are_told() -> None:
    for layout, axis in (("NTD", 1), ("TND", 0)):
        [subject] = find(rnn_sequence(layout))
        assert subject.time_axis == {"x": axis, "h": axis}
    assert find(rnn_last_axis(), "rnn_forward")[0].time_axis == {"x": 2, "a": 2}


def test_the_last_axis_and_its_step() -> None:
    step, sequence = find(rnn_last_axis())
    assert (step.form, sequence.form) == ("step", "sequence")
    for subject in (step, sequence):
        right(subject)
        assert subject.roles.items() >= {"Wax": "W", "Waa": "U", "ba": "b", "Wya": "V", "by": "c"}.items()
        assert len(subject.gradients(subject.at, subject.cotangents)) == 5, "Wya and by get none"


def test_outputs_are_those_of_the_reference_loop() -> None:
    [subject] = find(lstm_rows())
    at = subject.at
    params = {"W": at["Wx"], "U": at["Wh"], "b": at["b"]}
    run = bptt.unroll(bptt.zoo.get("lstm"), params, at["x"][None], (at["prev_h"], at["prev_c"]))
    outputs = subject.outputs(at)
    np.testing.assert_allclose(outputs["next_h"], run.states[0], rtol=1e-12)
    np.testing.assert_allclose(outputs["next_c"], run.states[1], rtol=1e-12)
    [subject] = find(rnn_sequence("TND"))
    at = subject.at
    params = {"W": at["Wx"], "U": at["Wh"], "b": at["b"]}
    run = bptt.unroll(bptt.zoo.get("rnn"), params, at["x"], (at["h0"],))
    np.testing.assert_allclose(subject.outputs(at)["h"], run.y, rtol=1e-12)


def test_names_decide_between_equal_shapes() -> None:
    """h and c have one shape: without the names of the return statement they would be taken in order."""
    [subject] = find(lstm_rows())
    outputs = subject.outputs(subject.at)
    assert list(outputs) == ["next_c", "next_h"]
    assert np.abs(outputs["next_h"]).max() < 1


def test_a_wrong_gradient_stays_wrong() -> None:
    namespace = lstm_rows()
    backward = namespace["lstm_step_backward"]

    def lstm_step_backward(dnext_c: Array, dnext_h: Array, cache: Any) -> Any:
        dprev_c, dprev_h, dx, dWx, dWh, db = backward(dnext_c, dnext_h, cache)
        return dprev_c, dprev_h, dx, dWx, 2 * dWh, db

    [subject] = find(namespace | named(lstm_step_backward))
    with pytest.raises(AssertionError, match="Wh"):
        right(subject)


def test_a_gradient_that_is_not_summed_over_the_batch_is_noted() -> None:
    namespace = lstm_rows()
    backward = namespace["lstm_step_backward"]

    def lstm_step_backward(dnext_c: Array, dnext_h: Array, cache: Any) -> Any:
        dprev_c, dprev_h, dx, dWx, dWh, db = backward(dnext_c, dnext_h, cache)
        db = db * np.ones((len(dx), 1))
        return dprev_c, dprev_h, dx, dWx, dWh, db

    [subject] = find(namespace | named(lstm_step_backward))
    assert subject.at["x"].shape == (1, 5)
    [note] = getattr(subject, "notes", [])
    assert note.startswith("for 2 examples the gradient at b has the shape (2, 16), b itself (16,)")


def test_what_has_nothing_to_do_with_it_is_refused() -> None:
    def affine_forward(x: Array, W: Array, b: Array) -> Any:
        return x @ W + b, (x, W)

    def affine_backward(dout: Array, cache: Any) -> Any:
        x, W = cache
        return dout @ W.T, x.T @ dout, dout.sum(0)

    def blend_forward(x: Array, h: Array) -> Any:
        return x.sum() + h, h

    def blend_backward(dh: Array, cache: Any) -> Any:
        return dh.sum(), dh

    def fit(inputs: Array, targets: Array) -> Any:
        return float(np.mean(inputs)), np.zeros(3)

    def backward(dh: Array, cache: Any) -> Any:
        return dh

    class Broken:
        def __init__(self, path: str) -> None:
            raise OSError(path)

        forward, backward = affine_forward, affine_backward

    namespace = named(affine_forward, affine_backward, blend_forward, blend_backward, fit)
    assert find(namespace | {"Broken": Broken, "np": np, "size": 3}) == []
    assert "affine_forward and affine_backward" in explain_failure(namespace)
    assert "without its forward" in explain_failure(named(backward))


def test_a_backward_that_fails_is_reported_when_asked() -> None:
    namespace = lstm_rows()

    def lstm_step_backward(dnext_h: Array, dnext_c: Array, cache: Any) -> Any:
        raise ValueError("not today")

    [subject] = find(namespace | named(lstm_step_backward))
    with pytest.raises(SubjectError, match="not today"):
        subject.gradients(subject.at, subject.cotangents)


def test_what_code_does_to_its_arguments_can_be_watched() -> None:
    namespace = rnn_joint_columns()
    backward = namespace["cell_backward"]

    def cell_backward(da_next: Array, cache: Any) -> Any:
        found = backward(da_next, cache)
        da_next += 1
        return found

    [subject] = find(namespace | named(cell_backward))
    right(subject)  # on copies
    assert isinstance(subject, PairSubject)
    with subject.watched(subject.at) as code:
        arguments = code.back_arguments(code.forward(), subject.cotangents)
        code.backward(arguments)
    np.testing.assert_array_equal(arguments["da_next"], subject.cotangents["a_next"] + 1)


def test_a_name_restricts() -> None:
    namespace = lstm_rows() | rnn_sequence("NTD") | {"Recurrent": Recurrent}
    assert len(find(namespace)) == 3
    assert [s.name for s in find(namespace, "rnn_backward")] == ["rnn_forward"]
    assert [s.name for s in find(namespace, "Recurrent")] == ["Recurrent.forward"]
    assert [s.name for s in find(namespace, "Recurrent.backward")] == ["Recurrent.forward"]


def test_an_argument_that_nothing_is_known_of_is_no_fault_of_ours() -> None:
    with pytest.raises(SubjectError, match="nothing is known to call weights_dict with"):
        fill({"weights": Slot("weights_dict")}, {"x": np.ones(2)}, Sizes())
