"""What an example that is a function closes over: its first line imports it from here, as copies."""

import contextlib
import copy
from collections.abc import Iterator, Mapping
from typing import Any

_HELD: dict[str, Any] = {}


@contextlib.contextmanager
def hold(values: Mapping[str, Any]) -> Iterator[None]:
    """Have values for examples meanwhile."""
    before = dict(_HELD)
    _HELD.update(values)
    try:
        yield
    finally:
        _HELD.clear()
        _HELD.update(before)


def __getattr__(name: str) -> Any:
    if name not in _HELD:
        raise AttributeError(name)
    with contextlib.suppress(TypeError):  # as a module cannot be copied, and needs not
        return copy.deepcopy(_HELD[name])
    return _HELD[name]
