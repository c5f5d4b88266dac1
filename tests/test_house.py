"""What holds the house: no name hides a module, the face is light and whole, files stay short."""

import pkgutil
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import bptt
import bptt.flow
from processes import run

ROOT = Path(__file__).parents[1]
PACKAGES = ["bptt", *(info.name for info in pkgutil.walk_packages(bptt.__path__, "bptt.") if info.ispkg)]
HEAVY = "click rich pooch platformdirs safetensors threadpoolctl msgspec sympy llvmlite matplotlib torch"
LONG = {
    "a model's description, half of it documentation, and the chain of its parts": "bptt/nets/model.py",
}
"""Why some files, or those of a folder, may be longer."""


def hiding(package: ModuleType) -> set[str]:
    """Return what of a package's face has the name of one of its modules and is none."""
    modules = {info.name for info in pkgutil.iter_modules(package.__path__)}
    named = modules & {*vars(package), *getattr(package, "__all__", ())}
    return {name for name in named if not isinstance(getattr(package, name), ModuleType)}


@pytest.mark.parametrize("name", PACKAGES)
def test_no_name_of_a_face_hides_a_module(name: str) -> None:
    package = import_module(name)
    for public in getattr(package, "__all__", ()):
        assert hasattr(package, public), public
    assert not hiding(package)


def test_a_function_that_hides_a_module_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bptt.flow, "report", lambda: None, raising=False)
    assert hiding(bptt.flow) == {"report"}


@pytest.mark.parametrize(("module", "most", "brings"), [("bptt", 30, []), ("bptt.cli", 70, ["click"])])
def test_an_import_is_light(module: str, most: int, brings: list[str]) -> None:
    loaded = run(f"import sys, {module}; print(*sys.modules)").stdout.split()
    assert [name for name in HEAVY.split() if name in loaded] == brings
    assert len([name for name in loaded if name.split(".")[0] == "bptt"]) < most


def test_every_public_name_can_be_had() -> None:
    done = run(
        "import bptt\nshown = dir(bptt)\n"
        "for name in bptt.__all__: assert name in shown and getattr(bptt, name) is not None, name"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(vars(bptt)["__all__"]) > 30
    with pytest.raises(AttributeError, match="module 'bptt' has no attribute 'nothing'"):
        _: Any = bptt.nothing  # type: ignore[attr-defined]


def too_long(folder: Path, most: int) -> list[str]:
    files = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.py")}
    long = [name for name, text in files.items() if text.count("\n") > most]
    return [name for name in long if not name.startswith(tuple(" ".join(LONG.values()).split()))]


def test_no_file_is_too_long_to_read() -> None:
    assert too_long(ROOT / "src", 350) == []
    assert too_long(ROOT / "tests", 400) == []


def test_no_test_file_imports_another() -> None:
    """What tests share is in tests/helpers."""
    files = (ROOT / "tests").rglob("*.py")
    found = [f for f in files if re.search(r"^\s*(from|import) (test_|tests\b)", f.read_text("utf-8"), re.M)]
    assert found == []
