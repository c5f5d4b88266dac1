"""A cell in a package is PACKAGE.MODULE:NAME, with relative imports inside."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bptt
from bptt.cli import run
from bptt.errors import BpttError, ConfigError
from bptt.zoo import load

CELLS = """
import bptt
from .rates import KEEP

print("a module may print")

@bptt.cell
def leaky(a_h, h):
    return KEEP * h + tanh(a_h)

@bptt.cell(name="Other-one")
def other(a_h):
    return sigmoid(a_h)
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a package in the current folder."""
    folder = tmp_path / "wonderpkg" / "inner"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").write_text("from .cells import leaky as exported\n")
    (folder / "rates.py").write_text("KEEP = 0.25\n")
    (folder / "cells.py").write_text(CELLS)
    (tmp_path / "nearby.py").write_text(CELLS.replace("from .rates", "from wonderpkg.inner.rates"))
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question. " * 200)
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield folder
    assert sys.path == path
    for name in [n for n in sys.modules if n.split(".")[0] in ("wonderpkg", "nearby")]:
        del sys.modules[name]


def test_a_module_has_the_cell(capfd: pytest.CaptureFixture[str]) -> None:
    cell = load("wonderpkg.inner.cells:leaky")
    assert "0.25 * h" in cell.equations.text
    out, err = capfd.readouterr()
    assert (out, err) == ("", "a module may print\n")
    assert bptt.zoo.get("wonderpkg.inner.cells:leaky") is cell
    assert bptt.zoo.get("wonderpkg.inner:exported") is cell
    assert load("nearby:leaky").equations.text == cell.equations.text
    assert load("wonderpkg.inner.cells:Other_one").name == "Other-one"
    assert bptt.Model(inputs=3, outputs=3, hidden=4, cell="wonderpkg.inner.cells:leaky").stack.cell is cell


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("wonderpkg.inner.cells:none", "no cell is called 'none'; there are leaky, Other-one"),
        ("wonderpkg.inner.cells:", "wonderpkg.inner.cells has the cells leaky, Other-one: say which"),
        ("wonderpkg.missing:leaky", "wonderpkg.missing cannot be imported: there is no wonderpkg.missing in"),
        (
            "nowhere.cells:leaky",
            "nowhere.cells cannot be imported: there is no nowhere in the current folder",
        ),
        ("wonderpkg.inner.rates:leaky", "no cell is called 'leaky'; it defines none"),
        (".cells:leaky", "no cell is called '.cells:leaky'"),
        ("wonderpkg..cells:leaky", "no cell is called"),
        ("wonderpkg/inner/cells.py:leaky", "it is part of a package: say wonderpkg.inner.cells:NAME"),
        ("wonderpkg/inner/cells.py", "it is part of a package: say wonderpkg.inner.cells:NAME"),
    ],
)
def test_what_cannot_be_had_is_told(spec: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bptt.zoo.get(spec)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_folder_is_told_where_it_is_not_the_current_one(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(package)
    with pytest.raises(ConfigError) as caught:
        bptt.zoo.get("cells.py:leaky")
    assert f"say wonderpkg.inner.cells:NAME, with {package.parent.parent} as the" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import nothing_of_the_kind\n", "broken.py:1: ModuleNotFoundError: No module named 'nothing_of_the"),
        ("x = 1\n1 / 0\n", "broken.py:2: ZeroDivisionError: division by zero"),
        ("import json\njson.loads('{')\n", "broken.py:2: JSONDecodeError"),
        ("def\n", "broken.py:1: this is not Python"),
        ("raise SystemExit(3)\n", "broken.py:1: SystemExit: 3"),
        ("x = 1\nraise GeneratorExit\n", "broken.py:2: GeneratorExit"),
        ("class Stop(BaseException): pass\nraise Stop('here')\n", "broken.py:2: Stop: here"),
        ("class Mute(Exception):\n    __str__ = None\nraise Mute\n", "broken.py:3: Mute"),
        ("raise ValueError('two\\nlines \\x1b[31m')\n", r"broken.py:1: ValueError: two\nlines \x1b[31m"),
        ("import bptt\n@bptt.cell\ndef c(a_h):\n    return b\n", "broken.py:4: c: b is not known"),
    ],
)
@pytest.mark.parametrize("spec", ["wonderpkg.broken:leaky", "wonderpkg/broken.py:leaky"])
def test_a_module_that_fails_is_told_with_its_line(package: Path, text: str, says: str, spec: str) -> None:
    (package.parent / "broken.py").write_text(text)
    with pytest.raises(BpttError) as caught:
        bptt.zoo.get(spec)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["wonderpkg.broken:leaky", "wonderpkg/broken.py:leaky"])
def test_an_interruption_of_a_module_stays_one(package: Path, spec: str) -> None:
    (package.parent / "broken.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        bptt.zoo.get(spec)


@pytest.mark.parametrize("value", ["float('inf')", "-float('inf')", "float('nan')", "10**400", "-(10**400)"])
def test_a_number_of_the_file_is_a_number(package: Path, value: str) -> None:
    (package / "rates.py").write_text(f"KEEP = {value}\n")
    with pytest.raises(
        BpttError,
        match=r"cells.py:9: leaky: KEEP is (-?inf|nan), which is no number",
    ):
        bptt.zoo.get("wonderpkg.inner.cells:leaky")
    argument = "import bptt\nfrom wonderpkg.inner.rates import KEEP\n@bptt.cell\ndef c(a_h, k=KEEP):\n"
    argument += "    return k * a_h\n"
    Path("argument.py").write_text(argument)
    with pytest.raises(BpttError, match=r"argument.py:4: c: this is (-?inf|nan) and no number \(bptt derive"):
        bptt.zoo.get("argument.py:c")


def test_the_command_line_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["derive", "wonderpkg.inner.cells:leaky"]) == 0
    assert "0.25 h_prev" in capsys.readouterr().out
    small = ["--hidden", "4", "--steps", "2", "--batch", "2", "--chunk", "4", "--out", "run"]
    assert run(["train", "text.txt", "--cell", "wonderpkg.inner.cells:leaky", *small]) == 0
    assert "KEEP" not in Path("run/config.json").read_text()
    assert run(["train", "text.txt", "--cell", "wonderpkg.inner.cells:nothing", "--out", "no"]) == 2
    assert run(["eval", "run"]) == 0
