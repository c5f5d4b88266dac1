"""Out to other systems and back: a run's weights, vocabulary and settings as their files.

======  ============================================  =========================
system  file                                          wants
======  ============================================  =========================
torch   safetensors, in the names of a plain module   nothing
onnx    a graph, with states in and out               the extra ``bptt[onnx]``
keras   ``.weights.h5``, ``.keras``                   the extra ``bptt[keras]``
======  ============================================  =========================

A file's module is ``NAME_file``, with ``write(content, path)`` and ``read(path)``. Files of others are data:
nothing in them is unpickled or run.
"""

from bptt.exchange.content import Content
from bptt.exchange.formats import FORMATS
from bptt.exchange.moving import export_run, import_run, read, write
from bptt.exchange.state_dict import layers

__all__ = ["FORMATS", "Content", "export_run", "import_run", "layers", "read", "write"]
