"""A checkpoint comes back as it was, and nothing else is read as one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from bptt import RunError, Trained, Trainer
from bptt.training.runs.folder import Checkpoint, Run
from bptt.training.runs.format import FORMAT
from hostile.templates import copied
from resealing import read_config, write_config
from small_runs import LINES, assert_one_line, checkpoint
from small_runs import run as run
from small_runs import trained as trained


def test_a_checkpoint_comes_back_as_it_was(run: Run) -> None:
    wanted, got = checkpoint(1), run.load("last")
    assert got.values == wanted.values
    for group in ("params", "optimizer"):
        assert got.arrays[group].keys() == wanted.arrays[group].keys()
        for name, array in wanted.arrays[group].items():
            back = got.arrays[group][name]
            assert back.dtype == array.dtype
            np.testing.assert_array_equal(back, array)
            back += 1  # training moves them in place


def test_arrays_that_are_not_contiguous_are_saved_by_their_values(run: Run) -> None:
    arrays = {"T": np.arange(6.0).reshape(2, 3).T, "every other": np.arange(8.0)[::2]}
    run.save("last", Checkpoint({"params": arrays}, {}))
    for name, back in run.load("last").arrays["params"].items():
        np.testing.assert_array_equal(back, arrays[name])


def test_the_same_content_gives_the_same_bytes(run: Run) -> None:
    first = run.path("last.safetensors").read_bytes()
    for _ in range(5):
        again = checkpoint(1)
        turned = {group: dict(reversed(part.items())) for group, part in reversed(again.arrays.items())}
        run.save("last", Checkpoint(turned, dict(reversed(again.values.items()))))
        assert run.path("last.safetensors").read_bytes() == first
    run.save("last", checkpoint(2))
    assert run.path("last.safetensors").read_bytes() != first


def test_a_truncated_checkpoint_is_said_in_one_line(run: Run) -> None:
    path = run.path("last.safetensors")
    whole = path.read_bytes()
    for size in [*range(0, 400, 7), *range(400, len(whole), 1999), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(RunError, match=r"is (not a whole|no) checkpoint") as error:
            run.load("last")
        assert_one_line(error)


def stamped(values: object) -> bytes:
    data: bytes = save({"params.w": np.ones(3)}, metadata={"bptt": json.dumps(values)})
    return data


BF16 = b'{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage" * 100,
        b"\n\xff\0" * 999,
        LINES.encode(),
        b"PK\x03\x04" + bytes(500),
        save({"w": np.ones(3)}),
        save({"w": np.ones(3)}, metadata={"format": "pt"}),
        save({"w": np.ones(3)}, metadata={"bptt": "{"}),
        len(BF16).to_bytes(8, "little") + BF16 + bytes(4),
        stamped([]),
        stamped(7),
        stamped(None),
        stamped("text"),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_no_checkpoint_is_said_in_one_line(run: Run, data: bytes) -> None:
    run.path("last.safetensors").write_bytes(data)
    with pytest.raises(
        RunError,
        match=r"last\.safetensors.* (is (not a whole|no) checkpoint|has format|its header)",
    ) as error:
        run.load("last")
    assert_one_line(error)


@pytest.mark.parametrize(
    "values", [{}, {"format": FORMAT + 1}, {"format": "1"}, {"format": None}, {"format": True}]
)
def test_a_checkpoint_of_another_format_is_not_read(run: Run, values: dict[str, Any]) -> None:
    run.path("last.safetensors").write_bytes(stamped(values))
    with pytest.raises(RunError, match=rf"has format .*; this version of bptt reads formats 1 to {FORMAT}"):
        run.load("last")


def test_a_checkpoint_that_is_missing_or_a_folder_is_said(run: Run) -> None:
    with pytest.raises(RunError, match=r"has no best\.safetensors"):
        run.load("best")
    run.path("best.safetensors").mkdir()
    with pytest.raises(RunError, match=r"best\.safetensors: it is a folder, not a file"):
        run.load("best")


def test_a_checkpoint_of_another_model_or_optimiser_is_said(trained: Path, tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"hidden": 5}, "its parameters are not those of the model"),
        ({"optimizer": "sgd", "momentum": 0.9}, "does not hold the optimiser"),
        ({"batch": 3}, "does not hold the states"),
    ]
    for values, says in cases:
        folder = copied(trained, tmp_path / "-".join(values))
        config = read_config(folder)
        config["settings"] |= values
        config["model"] |= {key: value for key, value in values.items() if key in config["model"]}
        write_config(folder, config)
        with pytest.raises(RunError, match=says) as error:
            Trainer.resume(folder)
        assert_one_line(error)
    with pytest.raises(RunError, match="its parameters are not those of the model"):
        Trained.load(tmp_path / "hidden")


def test_a_checkpoint_that_lacks_a_value_is_said(trained: Path, tmp_path: Path) -> None:
    run = Run(copied(trained, tmp_path / "run"))
    whole = run.load("last")
    later = {"whole", "start", "far", "average", "norm"}  # which those of before lack
    assert whole.values.keys() > later
    for key in whole.values.keys() - later:
        run.save("last", Checkpoint(whole.arrays, {k: v for k, v in whole.values.items() if k != key}))
        with pytest.raises(RunError, match=f"missing required field `{key}`") as error:
            Trainer.resume(run.folder)
        assert_one_line(error)


def test_an_optimiser_of_another_step_is_said(trained: Path, tmp_path: Path) -> None:
    """As where its count is so far from the step that its equations overflow."""
    run = Run(copied(trained, tmp_path / "run"))
    whole = run.load("last")
    for t in (0, whole.values["step"] - 1, -(2**63)):
        slots = whole.arrays["optimizer"] | {"t": np.array(t)}
        run.save("last", Checkpoint(whole.arrays | {"optimizer": slots}, whole.values))
        with pytest.raises(RunError, match="of another step than its optimiser") as error:
            Trainer.resume(run.folder)
        assert_one_line(error)
