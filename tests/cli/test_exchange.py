"""``bptt export`` and ``bptt import``: runs to files of other systems, and back as runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from bptt import Trained
from bptt.cli import run as bptt
from command import FAST, FAST_TASK, Capture
from labelled_tables import written
from small_series import ASKED, sold, table


def test_a_run_goes_out_and_comes_back(desk: Path, here: Path, capsys: Capture) -> None:
    assert bptt(["export", str(desk / "run"), "--to=torch", "--last"]) == 0
    out = capsys.readouterr().out
    first, _, rest = out.partition("\n")
    size = Path("run.safetensors").stat().st_size
    assert first == f"{desk / 'run'} for PyTorch is in run.safetensors, {size:,} bytes"
    assert (
        '    net = nn.ModuleDict({"embedding": nn.Embedding(28, 4), "rnn": nn.LSTM(4, 6), "output": ' in rest
    )
    assert bptt(["import", "run.safetensors"]) == 0
    out = capsys.readouterr().out
    assert "lstm, 1 x 6 units, reads 28 tokens, embedding 4, 28 outputs, 572 parameters\n" in out
    assert out.endswith(f"it knows 28 chars\nthe run is kept in {Path('bptt-runs') / 'run-1'}\n")
    texts = []
    for folder in (str(desk / "run"), "bptt-runs/run-1"):
        assert bptt(["sample", folder, "--last", "--length=40", "--temperature=0"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert bptt(["verify", "bptt-runs/run-1"]) == 0
    more = ["--from=bptt-runs/run-1", "--batch=2", "--chunk=8", "--steps=2", "--out=new"]
    assert bptt(["train", str(desk / "book.txt"), *more]) == 0


def test_the_printed_lines_run(desk: Path, here: Path, capsys: Capture) -> None:
    torch = pytest.importorskip("torch")
    assert bptt(["export", str(desk / "words"), "--to=torch", "--out=it's.safetensors"]) == 0
    code = "\n".join(line[4:] for line in capsys.readouterr().out.splitlines() if line.startswith("    "))
    trained = Trained.load(desk / "words")
    tokens = np.random.default_rng(0).integers(trained.model.inputs, size=(5, 2))
    names: dict[str, Any] = {"tokens": torch.from_numpy(tokens)}
    exec(code, names)
    wanted = trained.model.forward(trained.params, tokens).outputs
    np.testing.assert_allclose(names["logits"].detach().numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["classify", "regress", "words", "sentences", "walks", "numbers in rows"])
def test_labels_are_told_by_what_comes_back(name: str, here: Path, capsys: Capture) -> None:
    data, told = written(here, name)
    ours = [f"--{key}" if value is True else f"--{key}={value}" for key, value in told.items()]
    fast = [option for option in FAST_TASK if "embedding" not in option or "inputs" not in told]
    assert bptt(["train", data, *ours, *fast, "--cell=lstm-coupled", "--out=run"]) == 0
    capsys.readouterr()
    assert bptt(["export", "run", "--out=a.safetensors", "--last"]) == 0
    assert "note: how columns become numbers, and the names of classes, are in" in capsys.readouterr().err
    assert bptt(["import", "a.safetensors", "--out=again"]) == 0
    capsys.readouterr()
    rows = []
    for folder in ("run", "again"):
        assert bptt(["predict", folder, data, "--last"]) == 0
        rows.append(capsys.readouterr().out)
    assert rows[0] == rows[1]
    assert bptt(["eval", "again", data]) == 0
    assert bptt(["eval", "again"]) == 2
    assert "again was saved from Python and names no table: give the PATH of one" in capsys.readouterr().err


def test_where_the_data_lie_stays_here(here: Path, desk: Path) -> None:
    valid = ["--valid", str(desk / "snow.txt")]
    Path("secret.txt").write_text((desk / "snow.txt").read_text("utf-8"), "utf-8")
    assert bptt(["train", "secret.txt", *valid, *FAST, "--out=run"]) == 0
    assert bptt(["export", "run", "--out=a.safetensors"]) == 0
    data = Path("a.safetensors").read_bytes()
    assert b"secret" not in data
    assert b"snow" not in data


def test_a_foreign_state_becomes_a_run_with_a_vocabulary(here: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"enc.weight": (4, 3), "gru.weight_ih_l0": (15, 3)}
    shapes |= {"gru.weight_hh_l0": (15, 5), "gru.bias_ih_l0": (15,), "gru.bias_hh_l0": (15,)}
    shapes |= {"dec.weight": (4, 5), "dec.bias": (4,)}
    save_file({name: rng.normal(size=of).astype(np.float32) for name, of in shapes.items()}, "a.safetensors")
    assert bptt(["import", "a.safetensors", "--out=bare"]) == 0
    assert "it has no vocabulary, and so writes no text: --vocab" in capsys.readouterr().out
    assert bptt(["sample", "bare"]) == 2
    assert "bare holds a model without a vocabulary, which writes no text" in capsys.readouterr().err
    for verb in ("eval", "flow", "look"):
        assert bptt([verb, "bare"]) == 2
        assert "a model without a vocabulary reads no text" in capsys.readouterr().err
    Path("v.json").write_text('{"a": 0, "b": 1, "c": 2, "\\n": 3}')
    assert bptt(["import", "a.safetensors", "--out=run", "--vocabulary=v.json"]) == 0
    assert bptt(["sample", "run", "--length=9", "--prime=ab"]) == 0
    Path("v.txt").write_text("a\nb\n")
    assert bptt(["import", "a.safetensors", "--out=other", "--vocabulary=v.txt"]) == 2
    assert "a vocabulary of 2 tokens, and the model reads 4 tokens" in capsys.readouterr().err
    assert not Path("other").exists()


ERRORS: list[tuple[list[str], str]] = [
    (["export", "DESK/run"], "say for which system: --to torch, onnx or keras"),
    (["export", "DESK/run", "--to=flax"], "--to flax: no system is called so; there are torch, onnx, keras"),
    (["export", "DESK/run", "--out=a.txt"], "a.txt: its name says no system: give --to torch, onnx, keras"),
    (["export", "DESK/run", "--to=torch", "--out=DESK/run/a"], "would lie among the run's own files"),
    (["export", "DESK/run", "--to=torch"], "run.safetensors is there already: --out FILE names another"),
    (["export", "DESK/none", "--to=torch"], "is no such folder"),
    (["export", "DESK/truncated", "--to=torch"], "is not a whole checkpoint"),
    (["import", "none.safetensors"], "cannot read none.safetensors: No such file or directory"),
    (["import", "DESK/book.txt"], "book.txt: its name says no system: give --from torch, onnx, keras"),
    (["import", "DESK/book.txt", "--from=torch"], "is not a file of safetensors"),
    (["import", "old.pt"], "is a pickle, which is code, and is not read: in PyTorch"),
    (["import", "run.safetensors", "--cell=gru"], "it says itself which model it holds"),
    (["import", "run.safetensors", "--out=DESK/run"], "already holds a run"),
    (["import", "run.safetensors", "--vocabulary=none"], "none: no such file"),
]


@pytest.mark.parametrize(("arguments", "says"), ERRORS, ids=[says for _, says in ERRORS])
def test_what_cannot_be_is_a_line_and_leaves_nothing(
    arguments: list[str], says: str, desk: Path, here: Path, capsys: Capture
) -> None:
    assert bptt(["export", str(desk / "run"), "--to=torch"]) == 0
    Path("old.pt").write_bytes(b"\x80\x02}q\x00X\x01\x00\x00\x00a")
    before, _ = {path: path.stat().st_mtime_ns for path in here.rglob("*")}, capsys.readouterr()
    assert bptt([argument.replace("DESK", str(desk)) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*")} == before


def test_a_vocabulary_of_what_writes_nothing_is_left_out(here: Path, capsys: Capture) -> None:
    shapes = {
        "emb.weight": (2, 3),
        "rnn.weight_ih_l0": (4, 3),
        "rnn.weight_hh_l0": (4, 4),
        "fc.weight": (3, 4),
    }
    save_file({name: np.ones(of, np.float32) for name, of in shapes.items()}, "a.safetensors")
    Path("v.txt").write_text("a\nb\n")
    assert bptt(["import", "a.safetensors", "--out=run", "--vocabulary=v.txt", "--pool=last"]) == 0
    told = capsys.readouterr()
    assert "a.safetensors: its vocabulary is left out: the model tells something of texts" in told.err
    assert told.out.startswith("a.safetensors: rnn, 1 x 4 units, reads 2 tokens, embedding 3, 3 outputs, 46 ")
    assert Trained.load("run").model.pool == "last"


def test_a_series_goes_on_as_before(here: Path, capsys: Capture) -> None:
    Path("a.csv").write_text(table({"a": sold(0, 90), "b": 100 * sold(1, 75)}))
    asked = [f"--{name.replace('_', '-')}={value}" for name, value in ASKED.items()]
    assert bptt(["train", "a.csv", *asked, "--out=run"]) == 0
    capsys.readouterr()
    assert bptt(["export", "run", "--to=torch", "--last"]) == 0
    assert "note: how series are scaled, and the linear forecast" in capsys.readouterr().err
    assert bptt(["import", "run.safetensors", "--out=again"]) == 0
    capsys.readouterr()
    for folder in ("run", "again"):
        assert bptt(["forecast", folder, "a.csv", "--last"]) == 0
    out = capsys.readouterr().out
    assert out[: len(out) // 2] == out[len(out) // 2 :]
