"""Runs of cells whose matrices have maps: stopped and gone on with, written from, exported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import Model, Settings, Trained, Trainer
from bptt.errors import ConfigError, RunError
from bptt.exchange.content import Content
from bptt.zoo import record
from mapped_cells import CELLS, LSTM, made
from small_runs import SMALL, go, left_by
from small_runs import book as book

CELL = made(LSTM, state="h c", maps={"a_i a_f": "orthogonal", "a_o": "low_rank(2)", "a_g": "heads(2)"})


def settings(book: str, **more: Any) -> Settings:
    return Settings(data=book, cell=CELL, **(SMALL | {"steps": 11} | more))


MEAN = {"backend": "reference", "average": "ema"}


@pytest.mark.parametrize("more", [{}, MEAN], ids=["cpu", "mean"])
def test_a_mapped_run_that_was_stopped_ends_as_one_never_stopped(
    tmp_path: Path, book: str, more: Any
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    go(Trainer.start(settings(book, **more), whole))
    go(Trainer.start(settings(book, **more), parts), stop=4)
    go(Trainer.resume(parts))
    assert left_by(whole) == left_by(parts)
    trained = Trained.load(whole)
    names = {name for name in trained.params if name.startswith("layers.0.U")}
    assert names == {
        "layers.0.U", "layers.0.U.a_i.M", "layers.0.U.a_f.M", "layers.0.U.a_o.left", "layers.0.U.a_o.right",
        "layers.0.U.a_g.B",
    }  # fmt: skip
    assert trained.params["layers.0.U"].shape == (6, 0)
    assert trained.vocabulary is not None
    written = bptt.sample(
        trained.model, trained.params, trained.vocabulary, rng=np.random.default_rng(0), length=12
    )
    assert len("".join(written)) == 12


def test_an_export_holds_the_matrices_that_are_made(tmp_path: Path) -> None:
    model = Model(inputs=5, outputs=5, hidden=4, cell=CELL, embedding=3)
    params = model.init(np.random.default_rng(0))
    _, whole = model.unmapped(params)
    file = tmp_path / "model.safetensors"
    bptt.exchange.write(Content(model, params, None, {}), file)  # an LSTM to PyTorch
    content = bptt.exchange.read(file)
    np.testing.assert_array_equal(content.params["layers.0.U"], whole["layers.0.U"])
    tokens = np.arange(10).reshape(5, 2) % 5
    wanted = model.forward(params, tokens).outputs
    np.testing.assert_allclose(content.model.forward(content.params, tokens).outputs, wanted, atol=1e-6)


def test_a_run_keeps_no_map_that_is_code(tmp_path: Path, book: str) -> None:
    with pytest.raises(ConfigError, match="the map of W is code: write it as an equation"):
        Trainer.start(Settings(data=book, cell=CELLS[1], **SMALL), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "value", ["None", "'low_rank(99999999999)'", "'__import__(\"os\")'", "'array(' * 99", "3", "'M[0]'"]
)
def test_a_map_in_a_run_is_read_and_never_run(value: str) -> None:
    text = f"@bptt.cell(state='h', maps={{'U.a_h': {value}}})\ndef cell(a_h):\n    return tanh(a_h)\n"

    def used() -> None:
        cell = record.from_json({"name": "cell", "equations": text})
        Model(inputs=3, outputs=3, hidden=4, cell=cell).init(np.random.default_rng(0))

    with pytest.raises((RunError, ConfigError)) as error:
        used()
    assert "\n" not in str(error.value)
