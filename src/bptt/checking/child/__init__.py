"""Strangers' code runs in a process of its own, which is ended whatever it does: bounds, and no sandbox.

parent.py, our process, starts supervisor.py, which keeps the bounds of worker.py, which calls our function.
"""

from bptt.checking.child.parent import ChildError, Message, run

__all__ = ["ChildError", "Message", "run"]
