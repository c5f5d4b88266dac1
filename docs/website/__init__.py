"""What the site has beside the pages that stand in the repository."""

from typing import Any

from . import cells, contents, links, mathml, names


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx what is made, and when."""
    for part in (cells, contents, links, mathml, names):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
