"""Strangers' code runs in a process of its own, which is ended whatever it does.

::

    our process   parent.py       starts the supervisor, yields the messages, says in one line how it ended
    └─ supervisor supervisor.py   keeps the bounds: time, memory, processes; ends all that was started
       └─ worker  worker.py       calls our function, which runs the strangers' code and sends messages

These are bounds against mistakes, and no sandbox: the code may read, write and send what the user may.
"""

from bptt.checking.child.parent import ChildError, Message, run

__all__ = ["ChildError", "Message", "run"]
