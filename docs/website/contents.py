"""What the site's side lists, by what a reader wants."""

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

CONTENTS = {
    "Learn": ["derivations", "judged", "flow", "notebooks", "look"],
    "A backward pass": ["check"],
    "A cell": ["cells", "derived/index", "literature"],
    "Train": ["training", "lists", "labels", "series", "optimiser", "report", "processes"],
    "With other systems": ["torch", "exchange", "onnx"],
    "Reference": ["api", "settings", "format", "stability"],
    "Measured": ["results", "speed"],
    "The project": ["../CHANGELOG", "../SECURITY", "../CONTRIBUTING", "architecture"],
}
"""Pages of `docs` under each heading: those there are; one that is named nowhere comes last, under More."""


def setup(app: Any) -> None:
    """Have the first page carry the list, which where the code is hosted would be in the way."""
    app.connect("source-read", _append)


def _append(app: Any, page: str, source: list[str]) -> None:
    if page == app.config.root_doc:
        source[0] += lists(app.env.found_docs)


def lists(found: set[str]) -> str:
    """Return the lists of what is found, as MyST has them."""
    named = {c: [f"docs/{n}".replace("docs/../", "") for n in names] for c, names in CONTENTS.items()}
    told = {"README", *(page for pages in named.values() for page in pages)}
    pages = {page for page in found if page.count("/") == page.startswith("docs/")}  # the rest hangs on these
    named["More"] = sorted(pages - told)
    lists = {caption: [page for page in pages if page in found] for caption, pages in named.items()}
    return "".join(
        "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", *pages, "```", ""])
        for caption, pages in lists.items()
        if pages
    )
