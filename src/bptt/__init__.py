"""Recurrent networks with explicit backpropagation through time.

=============================================  ==========================================================
`cells`, `unroll`                              a cell's equations, forward and backward; a layer through time
`check`, `assert_gradients`, `checking`        whether anybody's backward is right, and what makes it so
`cell`, :mod:`bptt.derive`, :mod:`bptt.zoo`    a cell written as its equations; its backward derived, proven
`Model`, `losses`, `Batch`, `Gradients`        layers and losses; ``loss_and_grads``
`Trainer`, `Settings`, `optim`, `schedules`    training, and the folder that a run leaves; `watch` shows it
`text`, `tasks`                                corpora and streams; generated tasks
`sample`, `evaluate`, `conventions`, `flow`    writing; measuring; other libraries' layouts; gradient flow
=============================================  ==========================================================

What stands here is loaded when it is asked for. The names, and where each lives, are the imports of
``__init__.pyi`` beside this file, which type checkers read, too.
"""

__version__ = "0.9.0"

import sys
from typing import Any

if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)] == "bptt":
    from bptt_command import begin

    begin()  # python -m bptt: an interruption of what is imported below is the command's
    del begin


def _face() -> dict[str, tuple[str, str]]:
    """Return each public name's module and its name there."""
    import ast
    from pkgutil import get_data  # also from within a zip

    stub = ast.parse(get_data("bptt", "__init__.pyi") or "")
    imports = (node for node in stub.body if isinstance(node, ast.ImportFrom))
    return {a.asname or a.name: (str(node.module), a.name) for node in imports for a in node.names}


_PUBLIC = _face()
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bptt' has no attribute {name!r}")
    from importlib import import_module

    module, its = _PUBLIC[name]
    room = import_module(module)
    value = getattr(room, its, None) if module != "bptt" else None
    if value is None:  # a module in a room
        value = import_module(f"{module}.{its}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
