"""The pages of cells: what each is, its equations as they were written, and their derivation."""

import re
import runpy
import warnings
from pathlib import Path
from typing import Any

from bptt.derive import EquationCell, page
from bptt.errors import ZeroGradientWarning
from bptt.zoo.papers import EVERY, GROUPS

DOCS = Path(__file__).parents[1]
FOLDER = DOCS / "derived"

FACTS = """\
---
orphan: true
---

# {name}

{says}

| states | parameters of a layer | cost beside the LSTM |
|---|---|---|
| {states} | {parameters} | {cost} |

    bptt derive {name}
    bptt train TEXT --cell {name}

[All cells](index.md). [How to read a derivation](../derivations.md#how-to-read-one).

## As it is written

```python
{equations}
```

"""


def setup(app: Any) -> None:
    """Have the pages written before any is read."""
    app.connect("builder-inited", write)


def write(app: Any) -> None:
    """Write all pages, those that have changed."""
    FOLDER.mkdir(exist_ok=True)
    make = runpy.run_path(str(DOCS / "make_cells.py"))
    cost = make["costs"]((DOCS / "cells.md").read_text("utf-8"), None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroGradientWarning)  # what does not learn is told on the page
        pages = {
            n: facts(c, make["parameters"](c), cost.get(n, "")) + derivation(c) for n, c in EVERY.items()
        }
    pages["index"] = index(make)
    for name, text in pages.items():
        path = FOLDER / f"{name}.md"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for path in FOLDER.glob("*.md"):
        if path.stem not in pages:
            path.unlink()


def facts(cell: EquationCell, parameters: str, cost: str) -> str:
    """Return what stands above a derivation."""
    return FACTS.format(
        name=cell.name,
        says=cell.equations.doc,
        states=" ".join(cell.states),
        parameters=parameters,
        cost=cost or "not measured",
        equations=cell.equations.text.rstrip(),
    )


def derivation(cell: EquationCell) -> str:
    """Return a derivation's page of HTML as Markdown that has its headings, and between them its HTML."""
    body = page(cell, "html").partition("</h1>")[2].partition("</main>")[0]
    _, *rest = re.split(r"<h2>(.*?)</h2>", body)
    parts = zip(rest[::2], rest[1::2], strict=True)
    return "".join(f"## {heading}\n\n```{{raw}} html\n{html.strip()}\n```\n\n" for heading, html in parts)


def index(make: dict[str, Any]) -> str:
    """Return the page that lists them; at the side of every page they would be too many."""
    own = {n: c for n, c in EVERY.items() if not any(n in group for group in GROUPS.values())}
    lines = ["# The cells, derived\n"]
    for title, group in {"The best known.": own, **GROUPS}.items():
        lines += [title, "", "| | |", "|---|---|"]
        lines += [f"| [{name}]({name}.md) | {make['said'](cell)} |" for name, cell in group.items()]
        lines.append("")
    return "\n".join(lines)
