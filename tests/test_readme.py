"""What the README shows is so: its code runs, its commands print what stands there, its links exist."""

import re
import runpy
import shlex
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from bptt.cli import run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shown(first: str, page: str = README) -> str:
    """Return an indented block of a page, from a line of it on, without its indentation."""
    (block,) = re.findall(rf"^ {{4,6}}{re.escape(first)}\n(?:(?:    .*)?\n)*", page, re.MULTILINE)
    return dedent(str(block)).rstrip()


def steady(text: str) -> str:
    """Return a text without rounding errors and separators of folders, which are each machine's own."""
    return re.sub(
        r"[ \t]+$", "", re.sub(r"\d+e[-+]\d\d", "tiny", text).replace("\\", "/"), flags=re.MULTILINE
    )


def test_the_code_runs() -> None:
    snippets = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names: dict[str, Any] = {"dh": 1.0, "dc": 1.0, "c_prev": 1.0, "tanh_c": 0.5}
    names |= dict.fromkeys("ifog", 0.5)
    for snippet in snippets:
        exec(snippet, names)
    assert names["loss"] > 0
    assert names["grads"].inputs.shape == names["x"].shape


def test_the_judgement_is_what_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    command, _, judgement = shown("$ bptt check docs/faulty_lstm.py").partition("\n")
    assert run(command.split()[2:]) == 1
    assert steady(capsys.readouterr().out.rstrip()) == steady(judgement)


def test_the_cell_s_derivation_is_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mycell.py").write_text(shown("import bptt"), encoding="utf-8")
    command, _, page = shown("$ bptt derive mycell.py").partition("\n")
    lines = page.split("...")[1].strip("\n")
    assert run(command.split()[2:]) == 0
    assert "dh_prev = " in lines
    assert lines in capsys.readouterr().out


CHECK = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ +\$ (bptt check .*)$", CHECK, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_page_on_judging_shows_is_printed(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for code, name in re.findall(r"```python\n(# (\S+)\n.*?)```", CHECK, flags=re.DOTALL):
        Path(name).write_text(code.removeprefix(f"# {name}\n") if name == "how.py" else code, "utf-8")
    wanted = steady(shown(f"$ {command}", CHECK).partition("\n")[2])
    assert run(shlex.split(command)[1:]) == 1
    found = steady(capsys.readouterr().out.rstrip())
    if wanted.startswith("..."):
        wanted = wanted[3:].strip("\n")
        found = found[-len(wanted) :]
    assert found == wanted


def test_the_page_on_judging_has_commands_and_code_that_runs() -> None:
    assert len(COMMANDS) == 3
    code = [block for block in re.findall(r"```python\n(.*?)```", CHECK, flags=re.DOTALL) if block[0] != "#"]
    assert len(code) == 1
    pytest.importorskip("torch")
    exec(code[0], {})


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_every_file_that_is_linked_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert page.name != "README.md" or len(links) > 30
    assert not [link for link in links if not page.parent.joinpath(link).exists()]


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_every_heading_that_is_linked_exists(page: Path) -> None:
    for name, anchor in re.findall(r"\]\(([\w./-]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        text = (page.parent / name if name else page).read_text(encoding="utf-8")
        headings = re.findall(
            r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.M
        )
        anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
        assert anchor in anchors, f"{name}#{anchor}"


def test_the_code_of_the_page_on_training_runs() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "page"}
    for snippet in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(snippet, names)
    assert names["forecaster"].backtest().windows == 3
    assert names["loss"] < 1


def test_every_room_has_its_line_in_the_table() -> None:
    table = README.partition("## What's where")[2].partition("\n## ")[0]
    src = ROOT / "src" / "bptt"
    rooms = {path.parent.name for path in src.glob("*/__init__.py")}
    assert rooms == set(re.findall(r"\(src/bptt/(\w+)\)", table))


def test_the_code_of_the_page_on_pytorch_runs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    page = (ROOT / "docs" / "torch.md").read_text(encoding="utf-8")
    file = tmp_path / "page.py"  # for a cell is read from a file
    file.write_text("\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)), encoding="utf-8")
    names = runpy.run_path(str(file))
    assert names["model"].lstm.runs_on.startswith("compiled for ")
    assert names["layer"].runs_on.startswith("compiled for ")


@pytest.mark.parametrize("name", ["notebooks", "report"])
def test_a_page_s_code_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names: dict[str, Any] = {}
    for snippet in snippets:
        exec(snippet, names)
    assert snippets
    if name == "report":
        assert names["found"].differ == [("cell", ["gru", "rnn"])]
        assert Path("report.html").is_file()
    else:
        assert names["trained"].step == 60
