"""What a cell reads at each step in every job: the time since the row before, numbers, and what is held."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ConfigError, Settings, Trained, Trainer
from bptt.data.labelled import Coding, Layout, read_labelled
from bptt.data.labelled.coding import _held
from bptt.layer.shapes import layer_shapes
from bptt.nets.stepper import Stepper
from bptt.zoo.step import with_equations
from labelled_tables import SMALL_LABELS
from small_runs import go, left_by

ROWS = """id,day,x,z,y
a,2020-01-01,1,5,up
b,2020-03-01,7,,down
a,2020-01-03,,6,up
a,2020-01-11,NA,8,up
b,2020-03-03,8,2,down
"""
STEPS: dict[str, Any] = {"steps": 4, "hidden": 6, "seed": 3}


def coded(path: Path, **more: Any) -> Any:
    """Return the table's sequences as arrays, learnt from all of it."""
    columns: dict[str, Any] = {"inputs": ("x", "z"), "series": "id", "time": "day", "label": "y"}
    layout = Layout("classify", beside=(("t", "elapsed"),), **columns, **more)
    whole = read_labelled(str(path), layout)
    holds = layout.absent == "hold"
    coding = Coding.of(whole, np.arange(2), layout.inputs, kind="char", holds=holds)
    return coding, coding.sequences(whole)


def test_times_since_the_row_before_and_what_is_held(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ROWS)
    coding, found = coded(tmp_path / "a.csv", absent="hold")
    assert coding.width == found.inputs.shape[1] == 6
    np.testing.assert_array_equal(found.given["t"], [0, 1, 4, 0, 1])  # two days are usual
    x, z, has_x, has_z, old_x, old_z = found.inputs.T
    np.testing.assert_array_equal(has_x, [1, 0, 0, 1, 1])
    np.testing.assert_array_equal(has_z, [1, 1, 1, 0, 1])
    mean, scale = np.mean([1, 7, 8]), np.std([1, 7, 8])
    np.testing.assert_allclose(x, (np.array([1, 1, 1, 7, 8]) - mean) / scale, rtol=1e-6)
    assert z[3] == 0  # nothing is known yet in its own sequence: the mean
    np.testing.assert_allclose(old_x, np.log1p([0, 1, 5, 0, 0]), rtol=1e-6)
    np.testing.assert_allclose(old_z, np.log1p([0, 0, 0, 0, 0]), rtol=1e-6)
    with pytest.raises(bptt.DataError, match=r"line 4, column x: is empty; .*; --absent hold takes"):
        coded(tmp_path / "a.csv")


def test_days_of_eight_digits_are_days_apart(tmp_path: Path) -> None:
    days = ROWS.replace("-", "")
    (tmp_path / "a.csv").write_text(days)
    _, found = coded(tmp_path / "a.csv", absent="hold")
    np.testing.assert_array_equal(found.given["t"], [0, 1, 4, 0, 1])


def test_ages_are_exact_after_long_times() -> None:
    elapsed = np.array([0, 1e9, 0, 1, 1], np.float32)  # float32 has no 1e9 + 1
    known = np.array([[True], [True], [True], [False], [False]])
    _, since = _held(np.zeros((5, 1)), known, elapsed)
    assert since[2:, 0].tolist() == [0, 1, 2]


def test_a_row_that_is_a_sequence_is_held_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("v,y\n1 NA 3,a\nnan 5,b\n")
    layout = Layout("classify", inputs=("v",), label="y", absent="hold")
    whole = read_labelled(str(tmp_path / "a.csv"), layout)
    found = Coding.of(whole, np.arange(2), ("v",), kind="char", holds=True).sequences(whole)
    assert found.inputs.shape == (5, 3)
    np.testing.assert_array_equal(found.inputs[:, 1], [1, 0, 1, 0, 1])
    assert found.inputs[0, 0] == found.inputs[1, 0]
    np.testing.assert_allclose(found.inputs[:, 2], np.log1p([0, 1, 0, 0, 0]), rtol=1e-6)


def timed(folder: Path, name: str, gap: float) -> str:
    """Write a table whose labels the times alone tell, and return its path."""
    rng, lines = np.random.default_rng(0), ["id,hour,x,y"]
    for k in range(60):
        hour = 0.0
        for _ in range(rng.integers(3, 7)):
            hour += gap * (0.5 + rng.random() * 0.3 + 1.5 * (k % 2))
            lines.append(f"{k},{hour:.3f},{rng.normal() if rng.random() < 0.8 else float('nan'):.3f},{k % 2}")
    (folder / name).write_text("\n".join(lines))
    return str(folder / name)


def test_a_network_learns_what_times_alone_tell(tmp_path: Path) -> None:
    told = {"task": "classify", "series": "id", "time": "hour", "inputs": "x", "label": "y", "absent": "hold"}
    settings = Settings(
        **SMALL_LABELS
        | told
        | {"data": timed(tmp_path, "a.csv", 1.0), "cell": "gru-ode", "beside": "t=elapsed"}
        | {"steps": 60, "hidden": 8, "lr": 0.03}
    )
    go(Trainer.start(settings, tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    assert trained.label_score(settings.data).figures["accuracy"] > 0.95
    slower = timed(tmp_path, "b.csv", 2.5)  # in the run's own unit they are all long
    told_slow = trained.predict(slower).labels
    assert sum(label == "1" for label in told_slow) > 40


def test_a_number_is_the_same_at_each_step_of_every_job(tmp_path: Path) -> None:
    """Trained, resumed, evaluated and sampled as the cell is in which it is a constant."""
    settings = Settings.of(data="pydoc", cell="cfc-timed", beside="t=0.7", valid_sample=256, **STEPS)
    trainer = Trainer.start(settings, tmp_path / "a")
    go(trainer, 2)
    go(Trainer.resume(tmp_path / "a"))
    whole = go(Trainer.start(settings, tmp_path / "b"))
    assert whole is not None
    assert left_by(tmp_path / "a") == left_by(tmp_path / "b")
    trained = Trained.load(tmp_path / "b")
    assert not trained.model.stack.cell.inputs
    stepper = Stepper(trained.model, trained.params)
    assert np.isfinite(stepper.read(np.array([3]))).all()
    own = with_equations("cfc-timed")
    x, rng = np.random.default_rng(0).normal(size=(3, 2, 4)), np.random.default_rng(1)
    params = {n: rng.normal(size=s) for n, s in (("W", (4, 15)), ("U", (5, 15)), ("b", (15,)))}
    given = bptt.unroll(own, params, x, inputs={"t": np.full((3, 2), 0.7)})
    np.testing.assert_allclose(bptt.unroll(own.fixed(t=0.7), params, x).y, given.y, rtol=1e-13)


@pytest.mark.parametrize("name", ["gru-decay", "lstm-phased", "lstm-time-aware", "gru-ode", "lstm-timed"])
def test_every_cell_that_is_told_the_time_may_be_told_a_number(name: str) -> None:
    cell = with_equations(name)
    fixed = cell.fixed(t=1.5)
    assert fixed.name == cell.name
    assert list(fixed.gates) == [g for g in cell.gates if g != "t"]
    assert fixed.equations.constants["t"] == 1.5
    assert fixed.derivation.main.backward
    rng, x = np.random.default_rng(0), np.ones((3, 2, 4))
    params = {n: rng.normal(size=s) for n, s in layer_shapes(cell, 4, 5, "one").items()}
    each = np.full((3, 2, cell.width("t", 5)), 1.5)
    for given in (each, each[..., 0]):  # one time of a row is the same for all its units
        for backend in ("reference", "cpu"):
            run = bptt.unroll(cell, params, x, inputs={"t": given}, backend=backend)
            np.testing.assert_allclose(run.y, bptt.unroll(fixed, params, x).y, rtol=1e-12)


def test_steps_since_a_value_was_known_in_a_series(tmp_path: Path) -> None:
    days = [k for k in range(80) if k % 7 not in (3, 4)]
    (tmp_path / "a.csv").write_text("day,v\n" + "\n".join(f"{k},{np.sin(k):.3f}" for k in days))
    told: dict[str, Any] = {
        "task": "forecast",
        "time": "day",
        "value": "v",
        "gaps": "mask",
        "horizon": 3,
        "window": 9,
    }
    settings = Settings.of(data=str(tmp_path / "a.csv"), cell="gru-ode", beside="t=elapsed", **told, **STEPS)
    trainer = Trainer.start(settings, tmp_path / "run")
    batch = trainer.experiment.source.next()
    assert batch.given is not None
    known, t = batch.inputs[..., 1], batch.given["t"]
    assert t.dtype == np.float32
    count = np.zeros(known.shape[1])
    for k in range(len(known)):
        count = np.where(known[k] > 0, 1, count + 1)
        np.testing.assert_array_equal(t[k], count)
    assert t.max() > 3
    go(trainer)
    assert len(bptt.Forecaster.load(tmp_path / "run").forecast(horizon=5).columns["forecast"]) == 5


def test_a_column_of_a_series_is_read_beside_its_input(tmp_path: Path) -> None:
    """In the window and over the horizon, and asked for where a forecast has none."""
    rows = [f"{s},{k},{np.sin(k) + s:.3f},{10 * k + s}" for k in range(40) for s in (0, 1)]
    more = [f"{s},{k},,{10 * k + s}" for k in range(40, 44) for s in (0, 1)]
    (tmp_path / "a.csv").write_text("\n".join(["id,day,v,far", *rows]))
    (tmp_path / "b.csv").write_text("\n".join(["id,day,v,far", *rows, *more]))
    told: dict[str, Any] = {
        "task": "forecast",
        "series": "id",
        "time": "day",
        "value": "v",
        "horizon": 4,
        "window": 8,
    }
    settings = Settings.of(data=str(tmp_path / "a.csv"), cell="cfc-timed", beside="t=far", **told, **STEPS)
    trainer = Trainer.start(settings, tmp_path / "run")
    batch = trainer.experiment.source.next()
    assert batch.given is not None
    np.testing.assert_array_equal(np.diff(batch.given["t"][-8:], axis=0), 10)  # and none before the first
    assert {int(t) % 10 for t in batch.given["t"].ravel()} == {0, 1}
    go(trainer)
    forecaster = bptt.Forecaster.load(tmp_path / "run")
    found = forecaster.forecast(str(tmp_path / "b.csv"))
    assert len(found.columns["forecast"]) == 8
    none = [f"9,{k},,999" for k in range(5)]  # a series without a value takes its column with it
    (tmp_path / "c.csv").write_text("\n".join(["id,day,v,far", *none, *rows, *more]))
    with pytest.warns(bptt.BpttWarning, match="series '9' has no value: it is not forecast"):
        assert forecaster.forecast(str(tmp_path / "c.csv")).columns == found.columns
    with pytest.raises(bptt.DataError, match="a forecast of 4 steps wants far for each of them"):
        forecaster.forecast()
    asked = Settings.of(data=str(tmp_path / "a.csv"), cell="cfc-timed", beside="t=v", **told, **STEPS)
    with pytest.raises(bptt.ConfigError, match="v is what is forecast: it is not known ahead"):
        Trainer.start(asked, tmp_path / "other")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"cell": "cfc-timed"}, "cfc-timed reads t at each step beside its input: --beside t=1, a number"),
        ({"cell": "cfc-timed", "beside": "u=1"}, "cfc-timed reads t at each step beside its input; got u"),
        ({"cell": "lstm", "beside": "t=1"}, "reads nothing at each step beside its input; got t"),
        ({"absent": "hold"}, "--absent has no meaning for one long text"),
    ],
)
def test_what_does_not_go_is_told(asked: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        Trainer.start(Settings.of(data="pydoc", **STEPS, **asked), tmp_path / "run")
    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_times_that_nobody_says_are_told() -> None:
    with pytest.raises(ConfigError, match="elapsed is the time since the row before: say with --time"):
        Layout("classify", inputs=("x",), series="id", label="y", beside=(("t", "elapsed"),))
