"""What ``bptt verify`` says of a run whose files are whole, damaged, missing, or another run's."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import Settings, Trained, Trainer
from bptt.cli import run as command
from bptt.errors import BpttError
from bptt.training.runs import format as run_format
from bptt.training.runs.verify import verify
from resealing import read_config, write_checkpoint, write_config
from small_runs import LINES

FILES = ["config.json", "vocabulary.json", "last.safetensors", "best.safetensors", "log.jsonl"]


def trained(folder: Path, **settings: Any) -> Path:
    folder.parent.joinpath("text.txt").write_text(LINES)
    given: dict[str, Any] = {"hidden": 4, "embedding": 2, "batch": 2, "chunk": 4, "steps": 4}
    given |= {"data": str(folder.parent / "text.txt"), "report_every": 2, "eval_every": 2}
    asked = Settings.of(**given | settings)
    for _ in Trainer.start(asked, folder).reports():
        pass
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return trained(tmp_path / "run")


def states(run: Path) -> dict[str, str]:
    return {finding.file: finding.state for finding in verify(run)}


def test_a_whole_run_is_whole(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert states(run) == dict.fromkeys(FILES, "whole")
    assert command(["verify", str(run)]) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        [f, "whole"] for f in FILES
    ]


def test_a_task_has_no_vocabulary(tmp_path: Path) -> None:
    settings = Settings.of(data="reber", hidden=4, steps=1)
    for _ in Trainer.start(settings, tmp_path / "run").reports():
        pass
    assert states(tmp_path / "run") == {f: "whole" for f in FILES if f != "vocabulary.json"}


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flipped, cut, emptied, Path.unlink])
@pytest.mark.parametrize("file", FILES)
def test_damage_is_found_in_every_file(
    run: Path, file: str, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    if file == "config.json" and damage is Path.unlink:
        return  # then it is no run
    damage(run / file)
    assert states(run)[file] == "damaged"
    assert command(["verify", str(run), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "damaged"
    assert all(len(found["says"].splitlines()) == 1 for found in said["files"])


@pytest.mark.parametrize("file", FILES[1:])
def test_a_file_of_another_run_is_found(run: Path, tmp_path: Path, file: str) -> None:
    other = trained(tmp_path / "other", seed=1, tokens="byte" if file == "vocabulary.json" else "char")
    shutil.copy(other / file, run / file)
    expected = "whole" if file == "log.jsonl" else "damaged"  # a log belongs to none
    assert states(run)[file] == expected


def test_a_best_that_is_not_the_last_one_written_is_found(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", steps=2)
    old = run.joinpath("best.safetensors").read_bytes()
    for _ in Trainer.resume(run, steps=6).reports():
        pass
    assert set(states(run).values()) == {"whole"}
    run.joinpath("best.safetensors").write_bytes(old)
    assert states(run)["best.safetensors"] == "damaged"


@pytest.mark.parametrize("left", [0, 1, 2])
def test_lost_lines_at_the_end_of_a_log_are_found(tmp_path: Path, left: int) -> None:
    run = trained(tmp_path / "run", steps=5)  # 2, 4, and the end
    lines = run.joinpath("log.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    run.joinpath("log.jsonl").write_bytes(b"".join(lines[:left]))
    assert states(run)["log.jsonl"] == "damaged"
    run.joinpath("log.jsonl").unlink()
    assert states(run)["log.jsonl"] == "damaged"


@pytest.mark.parametrize("data", [b"\n" * 5_000_000, b"{}\n" * 1_000_000, b"x" * 20_000_000])
def test_a_log_that_is_none_is_left_soon(run: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    run.joinpath("log.jsonl").write_bytes(data)
    read, calls = run_format.read_line, 0

    def counting(text: bytes, **how: bool) -> Any:
        nonlocal calls
        calls += 1
        return read(text, **how)

    monkeypatch.setattr(run_format, "read_line", counting)
    assert states(run)["log.jsonl"] == "damaged"
    assert calls <= 5000


def test_a_vocabulary_in_another_order_is_not_evaluated(run: Path) -> None:
    vocabulary = json.loads(run.joinpath("vocabulary.json").read_text())
    turned = {**vocabulary, "tokens": vocabulary["tokens"][::-1]}
    run.joinpath("vocabulary.json").write_text(json.dumps(turned))
    with pytest.raises(BpttError, match=r"vocabulary\.json: it is not as it was written"):
        Trained.load(run)


@pytest.mark.parametrize("name", ["params.output.b", "optimizer.v.output.b"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_arrays_that_are_no_numbers_are_told(run: Path, name: str, value: float) -> None:
    checkpoint = Trainer.resume(run).run.load("best")
    arrays = {f"{group}.{k}": a for group, part in checkpoint.arrays.items() for k, a in part.items()}
    arrays[name][1] = value
    write_checkpoint(run, "best", checkpoint.values, arrays)
    assert command(["eval", str(run)]) == 2
    (said,) = [finding.says for finding in verify(run) if finding.state == "damaged"]
    assert f"{name} holds what is no finite number" in said


def test_enormous_sizes_are_refused_before_anything_is_made(run: Path) -> None:
    whole = read_config(run)
    for name, size in (("hidden", 10**8), ("layers", 1000), ("embedding", 10**8), ("inputs", 10**9)):
        config = {**whole, "model": {**whole["model"], name: size}}
        if name != "inputs":
            config["settings"] = {**whole["settings"], name: size}
        write_config(run, config)
        for use in (Trained.load, Trainer.resume):
            with pytest.raises(BpttError, match="not those of the model"):
                use(run)


def test_a_step_beyond_all_bounds_takes_no_memory(run: Path) -> None:
    checkpoint = Trainer.resume(run).run.load("last")
    arrays = {f"{group}.{k}": a for group, part in checkpoint.arrays.items() for k, a in part.items()}
    write_checkpoint(run, "last", {**checkpoint.values, "step": 1 << 53}, arrays)
    assert {k for k, state in states(run).items() if state == "damaged"} == {"log.jsonl"}


def test_settings_that_contradict_the_model_are_told(run: Path) -> None:
    whole = read_config(run)
    for name, value in (
        ("hidden", 5),
        ("embedding", 3),
        ("bias", "two"),
        ("init", "normal"),
        ("dropout", 0.5),
    ):
        write_config(run, {**whole, "settings": {**whole["settings"], name: value}})
        with pytest.raises(BpttError, match=f"its model's {name}.* is not that of its settings"):
            Trained.load(run)


def test_where_there_is_no_run_the_code_is_2(tmp_path: Path) -> None:
    assert command(["verify", str(tmp_path)]) == 2
    assert command(["verify", str(tmp_path / "nothing")]) == 2
