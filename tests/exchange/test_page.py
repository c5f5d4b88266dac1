"""What docs/exchange.md shows is so: its code runs, and its command prints what stands there."""

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import bptt
from bptt.cli import run

PAGE = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_on_exchange_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for snippet in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(snippet, names)
    assert names["content"].model.stack.cell.name == "gru"
    assert names["outputs"].shape == (3, 1, 5)
    assert names["run"].y.shape == (7, 2, 4)
    assert set(names["one"]) == {"weight_ih", "weight_hh"}
    assert bptt.Trained.load(names["folder"]).vocabulary is None


def test_the_page_shows_what_the_export_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["--hidden=16", "--embedding=8", "--steps=1", "--batch=2", "--chunk=8", "--valid-sample=256"]
    assert run(["train", "pydoc", *asked, "--out=run"]) == 0
    capsys.readouterr()
    (block,) = re.findall(r"^    \$ (bptt export .*)\n((?:(?:    .*)?\n)+)", PAGE, re.MULTILINE)
    assert run(block[0].split()[1:]) == 0
    shown, printed = dedent(block[1]).rstrip(), capsys.readouterr().out.rstrip()

    def steady(text: str) -> str:  # the settings that it notes grow, and so does pydoc with Python
        return re.sub(r"[\d,]+ bytes|\b103\b|\b\d{3}(?=[,)])", "", text)

    assert steady(printed) == steady(shown)
