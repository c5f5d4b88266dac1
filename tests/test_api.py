"""The API page is what its command prints: whoever changes a docstring or a signature prints it again."""

import re
import runpy
from pathlib import Path

import pytest

import bptt

DOCS = Path(__file__).parent.parent / "docs"
MAKER = runpy.run_path(str(DOCS / "make_api.py"))
PAGE = (DOCS / "api.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_command_prints() -> None:
    assert MAKER["page"]() == PAGE, "the docstrings have changed: python docs/make_api.py"


def test_every_name_has_its_entry_and_every_link_leads_to_one() -> None:
    titles = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    assert {f"bptt.{name}" for name in vars(bptt)["__all__"]} <= set(titles)
    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= {MAKER["_slug"](title) for title in titles}


def test_a_docstring_that_speaks_of_no_parameter_is_told() -> None:
    def f(a: int, *more: int) -> None:
        """Do it.

        Parameters
        ----------
        a, b : int
        *more : int
        """

    with pytest.raises(ValueError, match=r"f: its docstring has what is no parameter: b$"):
        MAKER["_call"]("f", f, MAKER["Doc"].of(f))
