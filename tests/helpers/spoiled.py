"""What a file may hold in the place of a state: JSON values of any type, range and depth."""

from collections.abc import Callable, Iterator
from typing import Any

from bptt.types import Generator

Path = tuple[str, ...]


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


STRANGE: list[Any] = [
    None,
    True,
    False,
    "",
    "PCG64",
    "MT19937",
    "x" * 10_000,
    "\n\x1b",
    "\ud800",
    [],
    {},
    [0],
    [[]],
]
STRANGE += [{"state": 1}, {"": {}}, deep(20_000), {str(k): k for k in range(100)}]
STRANGE += [-1, 0, 1, 2, 1 << 31, 1 << 32, 1 << 63, 1 << 64, 1 << 127, 1 << 128, 10**5000, -(10**400)]
STRANGE += [0.5, 1e300, float("nan"), float("inf"), -0.0]


def spoiled(state: Any, rng: Generator, some: int = 60) -> Iterator[Any]:
    """Yield what may stand in a state's place, and the state with one or two values replaced or gone."""
    yield from STRANGE
    for path in paths(state):
        old = state
        for key in path:
            old = old[key]
        near = [old + 1, -old, float(old), str(old), [old]] if isinstance(old, int) else []
        yield from (put(state, path, new) for new in [*STRANGE, *near, KeyError])
    for _ in range(some):
        yield changed(changed(state, rng), rng)


def paths(state: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(state, dict):
        for key, value in state.items():
            yield (*path, key)
            yield from paths(value, (*path, key))


def put(state: Any, path: Path, new: Any) -> Any:
    """Return a state with `new` at a place; KeyError takes the place away."""
    key, *rest = path
    kept = {name: value for name, value in state.items() if name != key or rest or new is not KeyError}
    if rest:
        kept[key] = put(state[key], tuple(rest), new)
    elif new is not KeyError:
        kept[key] = new
    return kept


def changed(state: Any, rng: Generator) -> Any:
    places = list(paths(state))[:50]
    if not places:
        return state
    values = [*STRANGE, KeyError]
    return put(state, places[rng.integers(len(places))], values[rng.integers(len(values))])


def taken(restore: Callable[[Any], object], state: Any, refusal: type[Exception]) -> bool:
    """Return whether a state is taken; a refusal must be of this kind, and a line that can be read."""
    said = ""
    try:
        restore(state)
    except refusal as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 500
    return not said
