"""What the README shows from Python runs as it stands there."""

import re
from pathlib import Path
from typing import Any

README = Path(__file__).parent.parent / "README.md"


def test_the_code_runs() -> None:
    snippets = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {}
    for snippet in snippets[snippets.index(next(s for s in snippets if "import bptt" in s)) :]:
        exec(snippet, names)
    assert names["loss"] > 0
    assert names["grads"].x.shape == names["x"].shape


def test_every_file_that_is_linked_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert len(links) > 10
    assert not [link for link in links if not README.parent.joinpath(link).exists()]
