"""The worker: calls the function that runs the strangers' code, and sends what it has to say.

What is used here after that code has begun was taken before: the code may replace the standard library's.
"""

import importlib
import json
import os
from collections.abc import Callable, Mapping
from os import _exit, close, getpid, write
from os import open as open_descriptor
from typing import Any, NoReturn

Send = Callable[[str, Any], None]
"""Sends a message's kind and its payload: JSON, and NumPy's numbers and arrays."""


def work(bounds: Mapping[str, Any]) -> NoReturn:
    """Call the function, send how it has ended, and end without the code's atexit functions and threads."""
    pipe, mark, worker = f"{bounds['folder']}/messages", bounds["mark"].encode(), getpid()
    encode = json.JSONEncoder(default=lambda value: value.tolist()).encode

    def post(kind: str | None, payload: Any) -> None:
        if getpid() != worker:  # the code has forked, and the copy has come out of it
            _exit(0)
        line = memoryview(mark + encode([kind, payload]).encode() + b"\n")
        descriptor = open_descriptor(pipe, os.O_WRONLY)
        try:
            while line:
                line = line[write(descriptor, line) :]
        finally:
            close(descriptor)

    try:
        module, _, name = bounds["target"].partition(":")
        function = getattr(importlib.import_module(module), name)
        close(3)  # the time begins
        function(bounds["arguments"], post)
        post(None, ["returned", ""])
    except BaseException as error:
        post(None, _said(error))
    _exit(0)


def _said(error: BaseException) -> tuple[str, str]:
    """Return the name of the error of ours that this is, or why `run` raises, and a text of one line."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, SystemExit):
        return "exit", f"sys.exit({text})"
    if isinstance(error, MemoryError):
        return "memory", text
    for kind in type(error).__mro__:
        if kind.__module__ == "bptt.errors":
            return kind.__name__, text
    return "failed", type(error).__name__ + (f": {text}" if text else "")
