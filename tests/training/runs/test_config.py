"""What describes a run: its configuration and its vocabulary, damaged or of another kind."""

import contextlib
import json
from pathlib import Path

import pytest

from bptt import RunError, Trained, Trainer
from bptt.errors import BpttError
from bptt.training.runs.folder import Run
from bptt.training.runs.format import FORMAT
from hostile.templates import copied
from resealing import read_config, write_config, write_vocabulary
from small_runs import assert_one_line
from small_runs import run as run
from small_runs import trained as trained


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe", b'{"settings": {', b"{}\0"])
def test_a_broken_config_is_said_in_one_line(trained: Path, tmp_path: Path, data: bytes) -> None:
    folder = copied(trained, tmp_path / "run")
    folder.joinpath("config.json").write_bytes(data)
    for use in (Trainer.resume, Trained.load):
        with pytest.raises(RunError, match=r"config\.json") as error:
            use(folder)
        assert_one_line(error)


@pytest.mark.parametrize("part", ["settings", "model", "data", "cell"])
@pytest.mark.parametrize("value", [None, [], 7, "x"])
def test_a_config_that_lacks_a_part_is_said(trained: Path, tmp_path: Path, part: str, value: object) -> None:
    folder = copied(trained, tmp_path / "run")
    whole = read_config(folder)
    for config in ({**whole, part: value}, {k: v for k, v in whole.items() if k != part}):
        write_config(folder, config)
        for use in (Trained.load, Trainer.resume):
            with pytest.raises(RunError, match=rf"config\.json: {part}: ") as error:
                use(folder)
            assert_one_line(error)


def test_a_setting_of_another_type_is_said(trained: Path, tmp_path: Path) -> None:
    folder = copied(trained, tmp_path / "run")
    whole = read_config(folder)
    odd: list[object] = [{}, [7], -1, 2.5, "odd", True]
    for part in ("settings", "model"):
        for name in whole[part]:
            for value in odd:
                write_config(folder, {**whole, part: {**whole[part], name: value}})
                try:
                    Trained.load(folder)
                    Trainer.resume(folder).close()
                except BpttError as error:
                    assert len(str(error).splitlines()) == 1  # noqa: PT017  some of the values are good
        write_config(folder, {**whole, part: {**whole[part], "from-the-future": 1}})
        with pytest.raises(BpttError, match="unknown field `from-the-future`"):
            Trainer.resume(folder)


@pytest.mark.parametrize("spec", ["mine.py", "mine.py:own", "./mine.py", "mine:own", "lstm"])
def test_a_config_names_no_code(
    trained: Path, tmp_path: Path, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("mine.py").write_text("open('ran', 'w')\n")
    folder = copied(trained, tmp_path / "run")
    whole = read_config(folder)
    for config in (
        {**whole, "cell": {"name": spec}, "model": {**whole["model"], "cell": spec}},
        {**whole, "settings": {**whole["settings"], "cell": spec}},
        {**{k: v for k, v in whole.items() if k != "cell"}, "model": {**whole["model"], "cell": spec}},
    ):
        write_config(folder, config)
        for use in (Trained.load, Trainer.resume):
            with contextlib.suppress(BpttError):
                made = use(folder)
                assert spec == "lstm"
                if isinstance(made, Trainer):
                    made.close()
    assert not tmp_path.joinpath("ran").exists()


@pytest.mark.parametrize("found", [None, 0, FORMAT + 1, "1", True, 10**30])
def test_a_config_of_another_format_is_not_read(run: Run, found: object) -> None:
    run.path("config.json").write_text(json.dumps({"format": found, "settings": {}}))
    with pytest.raises(RunError, match=r"config\.json.* (has format|out of range)"):
        Run.open(run.folder).config()


def test_a_vocabulary_that_is_lost_or_anothers_is_said(trained: Path, tmp_path: Path) -> None:
    folder = copied(trained, tmp_path / "run")
    whole = json.loads(folder.joinpath("vocabulary.json").read_text())
    write_vocabulary(folder, {**whole, "tokens": whole["tokens"][1:]})
    with pytest.raises(RunError, match="holds 27 tokens, the model has 28"):
        Trained.load(folder)
    folder = copied(trained, tmp_path / "lost")
    folder.joinpath("vocabulary.json").unlink()
    with pytest.raises(RunError, match=r"vocabulary\.json is missing; bptt train --resume makes it anew"):
        Trained.load(folder)
    Trainer.resume(folder).close()  # knows it from the data, and writes it
    assert Trained.load(folder).vocabulary is not None
