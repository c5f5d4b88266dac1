"""axe-core's rules over an open page: can who does not see or point use it."""

from pathlib import Path

import pytest

from browser import Opened

AXE = Path(__file__).parents[2] / ".ci" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
"""Where `npm install --prefix .ci/axe axe-core` puts it."""

RUN = "const done = arguments[0]; axe.run({ resultTypes: ['violations'] }).then(done);"


def needs_axe() -> None:
    """Skip where axe-core is missing."""
    if not AXE.is_file():
        pytest.skip("no axe-core here: npm install --prefix .ci/axe axe-core")


def violations(opened: Opened) -> list[str]:
    """Return each element that breaks a rule, and which."""
    opened.driver.set_script_timeout(60)
    opened.js(AXE.read_text("utf-8"))
    found = opened.driver.execute_async_script(RUN)["violations"]
    return [f"{one['id']}: {node['html'][:150]}" for one in found for node in one["nodes"]]
