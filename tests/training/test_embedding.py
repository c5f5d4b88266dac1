"""What the output reads of a sequence is told beside its label."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import DataError, Settings, Trained, Trainer
from bptt.cli import run as bptt
from bptt.data.tables import read_table
from bptt.elementwise import sigmoid
from bptt.nets.losses import softmax
from labelled_tables import SMALL_LABELS
from small_runs import go

ROWS = "".join(f"{'ab'[k % 2] * (k % 4 + 1)},{'xy'[k % 2]},{k % 4}\n" for k in range(24))


@pytest.mark.parametrize("task", ["classify", "multilabel", "regress"])
def test_states_are_what_the_output_reads(tmp_path: Path, task: str) -> None:
    (tmp_path / "a.csv").write_text("text,name,count\n" + ROWS + ",x,1\n")
    label = "count" if task == "regress" else "name"
    how: dict[str, Any] = SMALL_LABELS | {"task": task, "text": "text", "label": label, "steps": 3}
    more: dict[str, Any] = {} if task == "regress" else {"class_weights": "balanced"}
    go(Trainer.start(Settings(data=str(tmp_path / "a.csv"), **how, **more), tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    with pytest.warns(match="no text"):
        told = trained.predict(str(tmp_path / "a.csv"), states=True)
    assert told.states is not None
    assert told.states.shape == (24, trained.model.stack.width)
    y = told.states.astype(float) @ trained.params["output.W"] + trained.params["output.b"]
    if task == "regress":
        assert np.std(np.asarray(told.labels)) > 0
        assert np.corrcoef(y[:, 0], np.asarray(told.labels))[0, 1] == pytest.approx(1, abs=1e-6)
    else:
        makes = softmax if task == "classify" else sigmoid
        np.testing.assert_allclose(told.probabilities, makes(y), rtol=1e-5)
    assert (
        bptt(
            [
                "predict",
                str(tmp_path / "run"),
                str(tmp_path / "a.csv"),
                "--states",
                f"--out={tmp_path / 'b.csv'}",
            ]
        )
        == 0
    )
    columns = read_table(tmp_path / "b.csv").columns
    assert [float(text) for text in columns["h_2"][:24]] == pytest.approx(
        told.states[:, 1].tolist(), rel=1e-5
    )
    assert columns["h_2"][24] == ""


def test_a_label_a_step_has_no_embedding_of_a_sequence(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("a X\nb Y\n\n" * 12)
    go(
        Trainer.start(
            Settings(data=str(tmp_path / "a.conll"), **SMALL_LABELS | {"task": "tag", "steps": 1}),
            tmp_path / "run",
        )
    )
    with pytest.raises(DataError, match="no one embedding of a sequence"):
        Trained.load(tmp_path / "run").predict(str(tmp_path / "a.conll"), states=True)
