"""The pages about the zoo say what there is."""

import re
import runpy
from pathlib import Path

import pytest

from bptt.training.settings import Settings
from bptt.zoo.papers import EVERY

DOCS = Path(__file__).parents[2] / "docs"
MAKER = runpy.run_path(str(DOCS / "make_cells.py"))


def test_the_table_of_cells_is_made_of_them() -> None:
    text = (DOCS / "cells.md").read_text(encoding="utf-8")
    assert MAKER["page"](text) == text, "the zoo has changed: python docs/make_cells.py"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("gru", "3DH + 3H² + 3H"), ("lstm-no-bias", "4DH + 4H²"), ("fastgrnn", "DH + H² + 2H + 2")],
)
def test_parameters_are_counted(name: str, wanted: str) -> None:
    assert MAKER["parameters"](EVERY[name]) == wanted


def test_what_the_list_of_forms_names_is_there() -> None:
    text = (DOCS / "literature.md").read_text(encoding="utf-8")
    rows = [row.split(" | ")[2] for row in re.findall(r"^\| (?!form|-).*$", text, re.MULTILINE)]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    options = {name.removeprefix("--").replace("-", "_") for name in named if name.startswith("--")}
    assert options <= {*Settings.__dataclass_fields__}
    cells = {name for name in named if not name.startswith("--")}
    assert {*EVERY} - cells == {"lstm-no-bias"}
    assert cells <= {*EVERY}
