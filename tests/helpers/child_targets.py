"""A function that the child calls in the tests of it."""

from collections.abc import Mapping
from typing import Any

from bptt.checking.child.worker import Send


def execute(arguments: Mapping[str, Any], send: Send) -> None:
    """Say that it begins, execute a text, send what the text has left in ``answer``."""
    send("began", None)
    names: dict[str, Any] = {"send": send}
    exec(compile(arguments["code"], "net.py", "exec"), names)
    send("answer", names.get("answer"))
