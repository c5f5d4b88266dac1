"""The API page is what its command prints: whoever changes a docstring or a signature prints it again."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_is_what_the_command_prints() -> None:
    page = runpy.run_path(str(DOCS / "make_api.py"))["page"]()
    kept = (DOCS / "api.md").read_text(encoding="utf-8")
    assert kept == page, "the docstrings have changed: python docs/make_api.py"
