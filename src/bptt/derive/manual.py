"""What cells can say, from the page of the documentation that a release carries: docs/cells.md."""

import re
from pathlib import Path

_FIRST, _END = "## The notation", "## What becomes of it"
_OPTION = re.compile(r"\b(state|params|scalars|inputs|start|operand|maps|shapes|sizes|heads|bias|init)=")


def hint(says: str) -> str:
    """Return where what is right stands, of what a refusal says: the rows of an option that it names."""
    found = _OPTION.search(says)
    return f" (bptt derive --notation{f' {found[1]}' if found else ''})"


def notation(word: str = "") -> str:
    """Return how cells are written, as the documentation has it; or what of it has a word.

    Parameters
    ----------
    word : str
        An option, a function or another word; of tables and lists the rows that have it.

    Examples
    --------
    >>> "which has several" in notation(), "c_prev" in notation("operand"), notation("unheard")
    (False, True, '')
    """
    beside = Path(__file__).with_name("cells.md")  # as it is installed; else in a checkout
    page = beside if beside.exists() else Path(__file__).parents[3] / "docs" / "cells.md"
    text = page.read_text("utf-8").partition(_FIRST)[2].partition(_END)[0]
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", f"{_FIRST}{text}")
    if not word:
        return plain.rstrip() + "\n"
    own, found, above = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)"), [], False
    for block in plain.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if block.startswith("    "):  # an example, of what stands above it
            above = above or bool(own.search(block))
            found += [block.strip("\n")] * above
            continue
        kind = "|" if lines[0].startswith("|") else "- " if lines[0].startswith("- ") else ""
        rows = re.split(rf"\n(?={re.escape(kind)})", "\n".join(lines)) if kind else ["\n".join(lines)]
        some = [row for row in rows if own.search(row)]
        found += ["\n".join(some)] if some else []
        above = bool(some) and not kind
    return "\n\n".join(found) + "\n" * bool(found)
