"""Links that hold on the site what they hold in the repository, and those that only the site can have."""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes

from bptt.zoo.papers import EVERY

ON_CELLS = {"docs/cells", "docs/literature", "docs/results"}
"""Pages on which a name that is a cell's means the cell."""


def setup(app: Any) -> None:
    """See to links once pages are read."""
    app.connect("doctree-read", _folders)
    app.connect("doctree-resolved", _names)


def _folders(app: Any, tree: Any) -> None:
    """Leave a link to a folder as text: a site has no page for it."""
    for link in list(tree.findall(addnodes.pending_xref)):
        beside = Path(app.env.doc2path(app.env.docname)).parent
        if link["reftype"] == "myst" and (beside / link["reftarget"]).is_dir():
            link.replace_self(link.children)


def _names(app: Any, tree: Any, page: str) -> None:
    """Link a public name and a cell's, where they stand as code, to their pages."""
    objects = app.env.get_domain("py").objects
    for code in list(tree.findall(nodes.literal)):
        name = code.astext().split("(")[0]
        if isinstance(code.parent, nodes.reference | nodes.title):
            continue
        if name.startswith("bptt.") and name in objects:
            to, at = objects[name].docname, f"#{objects[name].node_id}"
        elif page in ON_CELLS and name in EVERY:
            to, at = f"docs/derived/{name}", ""
        else:
            continue
        uri = app.builder.get_relative_uri(page, to) + at
        link = nodes.reference("", "", internal=True, refuri=uri)
        code.replace_self(link)
        link += code
