"""What is seen of a model, against PyTorch's own layers and against the cells' own steps."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.looking.forward import double
from bptt.looking.forward import run as forward
from bptt.looking.measure import How, seen
from bptt.looking.reading import Reading, row_of
from bptt.looking.values import computed
from bptt.types import Array

T, V, H = 12, 5, 6


def small(seed: int = 0, **how: Any) -> tuple[bptt.Model, dict[str, Array], Array]:
    rng = np.random.default_rng(seed)
    told: dict[str, Any] = {"inputs": V, "outputs": V, "hidden": H, "embedding": 4, "bias": "two", **how}
    model = bptt.Model(**told)
    params = {n: 0.7 * rng.normal(size=a.shape) for n, a in model.init(rng).items()}
    return model, params, rng.integers(V, size=T)


def test_states_gates_losses_and_guesses_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    model, params, tokens = small(layers=2)
    (run,) = bptt.look(model, params, tokens, vocabulary=list("abcde")).runs
    p = {n: torch.tensor(a) for n, a in params.items()}
    x = p["embedding"][torch.tensor(tokens)]
    for layer, found in enumerate(run.layers):
        own = bptt.layer_params(params, layer)
        theirs = bptt.conventions.to_system("lstm", own, "pytorch")
        w = [torch.tensor(np.array(theirs[n])) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        h = c = torch.zeros(H, dtype=torch.float64)
        wanted: dict[str, list[Any]] = {name: [] for name in "hcifog"}
        for t in range(T):
            i, f, g, o = (w[0] @ x[t] + w[2] + w[1] @ h + w[3]).split(H)
            gates = {"i": i.sigmoid(), "f": f.sigmoid(), "o": o.sigmoid(), "g": g.tanh()}
            h, c = torch.lstm_cell(x[t : t + 1], (h[None], c[None]), *w)
            h, c = h[0], c[0]
            for name, value in (gates | {"h": h, "c": c}).items():
                wanted[name].append(value)
        assert [value["name"] for value in found.values] == list("hcifog")
        assert found.states == ["h", "c"]
        for value in found.values:
            np.testing.assert_allclose(value["array"], torch.stack(wanted[value["name"]]), rtol=1e-6)
            assert value["lo"] <= value["array"].min() <= value["array"].max() <= value["hi"]
        x = torch.stack(wanted["h"])
    logits = x @ p["output.W"] + p["output.b"]
    losses = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(tokens[1:]), reduction="none")
    np.testing.assert_allclose(run.loss[:-1], losses, rtol=1e-6)
    assert np.isnan(run.loss[-1])
    best, at = logits.softmax(-1).sort(dim=-1, descending=True)
    assert run.guesses is not None
    np.testing.assert_allclose(run.guesses["p"], best, rtol=1e-6)
    assert run.guesses["tokens"].tolist() == at.tolist()
    assert run.tokens == ["abcde"[k] for k in tokens]
    assert run.truth == [*run.tokens[1:], None]
    assert np.isnan(run.layers[0].gradient["norm"][-1]).all()  # no loss, no gradient
    assert np.isfinite(run.layers[0].gradient["norm"][:-1, 0]).all()


@pytest.mark.parametrize(
    "cell", ["gru", "lstm-peephole", "slstm", "mlstm", "skip-lstm", "lstm-projected", "sru", "cornn"]
)
def test_named_values_are_what_a_step_computes(cell: str) -> None:
    """The states among the values, computed from the equations, are the states that the loop has."""
    model, params, tokens = small(cell=cell, hidden=8, embedding=8, layers=2, bias="one")
    if "lstm-projected" in cell:
        model, params, tokens = small(cell=cell, hidden=8, bias="one")
    (run,) = bptt.look(model, params, tokens, lags=3).runs
    ran = forward(*double(model, params), row_of(model, bptt.Batch(tokens[:, None]), 0, []))
    own = ran.layers[0][0]
    equations = bptt.zoo.equations_of(own.cell)
    assert equations is not None
    found = computed(own, equations)
    for state, array in own.states.items():
        np.testing.assert_allclose(found[state], array, rtol=1e-12, atol=1e-14)
    layer = run.layers[0]
    assert {v["array"].shape for v in layer.values} == {(T, 8)}
    assert {*layer.remembers} == {*layer.states} == {*own.states}
    named = {v["name"] for v in layer.values}
    for equation in layer.equations:
        assert equation["name"] in named
        assert "".join(term["t"] for term in equation["terms"]) == equation["text"]
        assert equation["mathml"].startswith("<math")
        for term in equation["terms"]:
            assert term.get("value", equation["name"]) in named
            assert term.get("constant", "p") in {*layer.constants, "p"}


def test_values_over_axes_are_summarised() -> None:
    model, params, tokens = small(cell="mlstm", hidden=8, embedding=None, bias="one")
    layer = bptt.look(model, params, tokens).runs[0].layers[0]
    by_name = {value["name"]: value for value in layer.values}
    assert by_name["C"]["summary"] == "norm over keys"
    assert by_name["m"]["summary"] == "one number for each head"
    heads = by_name["m"]["array"].reshape(T, 4, 2)
    assert np.array_equal(heads[..., 0], heads[..., 1])
    assert by_name["h"]["summary"] is None


def test_no_gradient_and_no_state_crosses_a_start() -> None:
    model, params, _ = small(cell="gru")
    rng = np.random.default_rng(3)
    inputs = rng.integers(V, size=(5, 3))
    mask = np.arange(5)[:, None] < np.array([5, 2, 4])
    batch = bptt.Batch(inputs, inputs[::-1].copy(), mask)
    (run,) = bptt.look(model, params, batch, lags=9).runs
    assert run.starts.tolist() == [0, 5, 7]
    for n, (start, stop) in enumerate([(0, 5), (5, 7), (7, 11)]):
        (alone,) = bptt.look(model, params, inputs[: stop - start, n], inputs[::-1][: stop - start, n]).runs
        np.testing.assert_array_equal(
            run.layers[0].values[0]["array"][start:stop], alone.layers[0].values[0]["array"]
        )
        norm = run.layers[0].gradient["norm"][start:stop]
        lags = min(norm.shape[1], alone.layers[0].gradient["norm"].shape[1])
        np.testing.assert_array_equal(norm[:, :lags], alone.layers[0].gradient["norm"][:, :lags])
        assert np.isnan(norm[:, lags:]).all()


def test_resets_are_starts() -> None:
    model, params, tokens = small(cell="gru", learn_start=True)
    inputs, reset = np.stack([tokens, tokens[::-1]], axis=1), np.zeros((T, 2), bool)
    reset[[0, 4, 9], 0] = True
    look = bptt.look(model, params, bptt.Batch(inputs, inputs, reset=reset), lags=20)
    (run,) = look.runs
    assert run.starts.tolist() == [0, 4, 9, T]
    wanted = model.losses(params, bptt.Batch(inputs, inputs, reset=reset))[0]
    np.testing.assert_allclose(run.loss, wanted.T.ravel(), rtol=1e-6)
    assert np.isnan(run.layers[0].gradient["norm"][4, 1:]).all()
    assert "12 steps" not in repr(run)
    assert repr(run) == "<gru: 24 steps, <layer 0: 6 units, h r z n; 6 paths>>"


def test_of_a_batch_the_first_rows_that_have_steps_are_seen() -> None:
    rng = np.random.default_rng(12)
    model = bptt.Model(inputs=3, outputs=3, hidden=4)
    params, x = model.init(rng), rng.integers(3, size=(6, 4))
    mask = np.arange(6)[:, None] < np.array([6, 0, 4, 2])  # the second row is all padding

    def starts(steps: int, batch: bptt.Batch) -> list[int]:
        (run,) = bptt.look(model, params, batch, steps=steps).runs
        return [*run.starts.tolist(), len(run.tokens)]

    assert starts(100, bptt.Batch(x, x, mask)) == [0, 6, 10, 12]
    assert starts(9, bptt.Batch(x, x, mask)) == [0, 6]  # the last would fit, and is not the next
    assert starts(4, bptt.Batch(x, x, mask)) == [0, 4]
    with pytest.raises(bptt.DataError, match="no sequence has a step"):
        starts(9, bptt.Batch(x, x, np.zeros_like(mask)))


def test_learned_starts_and_features_are_used() -> None:
    model, params, tokens = small(cell="gru", learn_start=True)
    layer = bptt.look(model, params, tokens).runs[0].layers[0]
    np.testing.assert_allclose(layer.starts["h"], params["layers.0.start.h"], rtol=1e-6)
    model, params, tokens = small(cell="gru", features=2)
    rng = np.random.default_rng(0)
    some = [
        bptt.look(model, params, bptt.Batch(tokens[:, None], features=rng.normal(size=(1, 2)))).runs[0]
        for _ in range(2)
    ]
    assert not np.allclose(*(run.layers[0].values[0]["array"] for run in some))


def test_two_models_side_by_side() -> None:
    (model, params, tokens), (other, others, _) = small(), small(1, cell="gru", layers=2)
    view = bptt.look(model, params, tokens, against=(other, others), layers=0)
    assert [run.name for run in view.runs] == ["lstm", "gru"]
    assert [len(run.layers) for run in view.runs] == [1, 2]
    assert view.runs[0].tokens == view.runs[1].tokens
    view = bptt.look(model, params, tokens, against=(model, {n: a * 0 for n, a in params.items()}))
    assert [run.name for run in view.runs] == ["lstm", "lstm (2)"]
    assert np.allclose(view.runs[1].loss[:-1], np.log(V))


def test_numbers_are_told_and_forecast_as_they_are() -> None:
    rng = np.random.default_rng(0)
    model = bptt.Model(
        inputs=2, outputs=3, hidden=4, token_inputs=False, loss="quantile", quantiles=(0.1, 0.5, 0.9)
    )
    params = model.init(rng, np.float64)
    x, y = rng.normal(size=(T, 2)), rng.normal(size=(T, 1))
    (run,) = bptt.look(model, params, x, y, properties={"sign": lambda tokens: x[:, 0] > 0}).runs
    outputs = np.sort(model.forward(params, x[:, None]).outputs[:, 0])
    assert run.guesses is not None
    for k, name in enumerate(("low", "mean", "high")):
        np.testing.assert_allclose(run.guesses[name], outputs[:, k], rtol=1e-6)
    assert [p.name for p in run.properties] == ["sign", "input 1", "input 2", "loss"]
    assert run.truth[0] == f"{y[0, 0]:.4g}"


def test_what_is_too_much_is_refused_before_it_begins() -> None:
    model = bptt.Model(inputs=9, outputs=9, hidden=512, cell="lstm", layers=2)
    params = model.init(np.random.default_rng(0))
    with pytest.raises(
        bptt.ConfigError, match=r"10,000 steps, each followed 5,000 steps back, take .* times"
    ):
        bptt.look(model, params, np.zeros(10000, int), steps=10000, lags=5000)
    model, params, tokens = small()
    for wrong, said in (
        ({"layers": 1}, "the model has layer 0 alone"),
        ({"lags": 0}, "whole numbers from 1"),
        ({"steps": 0}, "whole numbers from 1"),
        ({"lags": 2.5}, "whole numbers from 1"),
        ({"layers": [0.5]}, "layers must be whole numbers"),
        ({"path": "a.txt"}, "and no path"),
    ):
        with pytest.raises(bptt.ConfigError, match=said):
            bptt.look(model, params, tokens, **wrong)
    with pytest.raises(bptt.ConfigError, match=r"tokens must be \(L,\) integers"):
        bptt.look(model, params, np.zeros((2, 2), int))
    with pytest.raises(bptt.ShapeError, match="tokens must be in 0"):
        bptt.look(model, params, np.array([0, V]))
    with pytest.raises(bptt.ShapeError, match="targets must be in 0"):
        bptt.look(model, params, tokens, tokens + V)
    with pytest.raises(
        bptt.ShapeError, match=r"targets of 1 rows of 12 steps must be \(12, 1\), got \(3, 1\)"
    ):
        bptt.look(model, params, tokens, tokens[:3])
    with pytest.raises(bptt.ShapeError, match="params has no"):
        bptt.look(model, {}, tokens)
    with pytest.raises(bptt.ConfigError, match="wants its params"):
        bptt.look(model)
    with pytest.raises(bptt.ConfigError, match="wants the vocabulary"):
        bptt.look(model, params, "text")
    params["layers.0.U"][:] = np.inf
    with pytest.raises(bptt.DivergedError, match="do not stay finite"):
        bptt.look(model, params, tokens)


def test_a_cell_by_hand_without_equations_shows_its_states() -> None:
    class Leaky(bptt.cells.Cell):
        """h = 0.9 h + a"""

        name, gates = "leaky", ("a",)

        def forward(self, a: Array, states: Any) -> Any:
            return (0.9 * states[0] + a,), None

        def backward(self, dstates: Any, cache: Any) -> Any:
            return dstates[0], (0.9 * dstates[0],)

    model, params, tokens = small(cell=Leaky())
    layer = bptt.look(model, {n: a * 0.1 for n, a in params.items()}, tokens).runs[0].layers[0]
    assert [value["name"] for value in layer.values] == layer.states == ["h"]
    assert layer.equations == []
    assert layer.remembers_by == {"h": "direct"}


def test_a_look_shows_and_saves_itself(tmp_path: Any) -> None:
    model, params, tokens = small()
    text = ['</script>"&', "b", "c", "d", "e"]
    look = bptt.look(model, params, tokens, vocabulary=text, name="<b>", lags=2)
    look.save(tmp_path / "a.html")
    assert tmp_path.joinpath("a.html").read_text() == look.html
    shown = look._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert shown.count("<") == 2  # its own: all of the page is in an attribute
    assert repr(look) == "<look at <b>: 12 steps>"


def test_settings_of_training_leave_the_measure_alone() -> None:
    model, params, tokens = small(cell="gru")
    how, reading = (
        How(lags=3),
        Reading("steps", "x", [row_of(model, bptt.Batch(tokens[:, None], tokens[:, None]), 0, [])]),
    )
    plain = seen(model, params, reading, how, name="a", about={})
    smooth = replace(
        model, label_smoothing=0.1, class_weights=(1.0, 2, 3, 4, 5), dropout=0.5, activation_penalty=1.0
    )
    other = seen(smooth, params, reading, how, name="a", about={})
    np.testing.assert_array_equal(plain.layers[0].gradient["norm"], other.layers[0].gradient["norm"])
    np.testing.assert_array_equal(plain.loss, other.loss)
