"""The site's side lists every page there is, those nobody has placed last."""

import runpy
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
CONTENTS: dict[str, Any] = runpy.run_path(str(DOCS / "website" / "contents.py"))


def test_every_page_has_its_place() -> None:
    pages = {f"docs/{path.stem}" for path in DOCS.glob("*.md")}
    listed = CONTENTS["lists"](pages | {"README", "docs/derived/index", "docs/derived/lstm"}).split()
    assert pages <= set(listed)
    assert "docs/derived/lstm" not in listed  # its place is on the page that lists the cells
    assert "README" not in listed


def test_a_page_that_is_new_comes_last() -> None:
    lists = CONTENTS["lists"]({"README", "docs/flow", "docs/new"})
    assert lists.count(":caption:") == 2
    assert lists.index("docs/flow") < lists.index(":caption: More") < lists.index("docs/new")
