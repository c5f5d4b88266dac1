"""The arrays of a Keras model's layers, by classes as new files have them, or by names as old ones do."""

from collections.abc import Iterator

from bptt.errors import DataError
from bptt.exchange.keras_model.container import Container
from bptt.exchange.keras_model.nodes import Node
from bptt.types import Array

DEEPEST = 12


class Weights:
    """The arrays of a file, each given out once."""

    def __init__(self, file: Container) -> None:
        self.file, self.is_old, self._root = file, file.is_old, file.root
        self._taken: set[str] = set()
        self._next: dict[str, list[str]] = {}

    def take(self, node: Node, count: int, inside: str = "") -> list[Array]:
        """Return a layer's arrays, or those of a part of it.

        DataError if there are not as many: the file is of another model.
        """
        if self.is_old:
            if node.top not in self._next:
                self._next[node.top] = old_names(self.file, self._root, node.top)
            own, self._next[node.top] = self._next[node.top][:count], self._next[node.top][count:]
            place, there = node.top, len(own)
        else:
            place = f"{node.place}{inside}/vars"
            names = self.file.tree.names(place)
            if not names:  # as Keras 2.12 and 2.13 have it
                place = place.replace("layers", "_layer_checkpoint_dependencies")
                names = self.file.tree.names(place)
            there, own = len(names), [f"{place}/{k}" for k in range(len(names))]
        if there != count:
            raise DataError(f"{place} has {there} arrays, and should have {count}: it is of another model")
        self._taken |= set(own)
        return [self.file.tree.array(path) for path in own]

    def expect_all_taken(self) -> None:
        """Raise a DataError for an array of a layer that nothing wanted."""
        if self.is_old:
            left = (path for paths in self._next.values() for path in paths)
        else:
            left = (path for path in arrays_below(self.file, "layers") if path not in self._taken)
        if (path := next(left, None)) is not None:
            raise DataError(f"it has an array {path}, which the model as it is described does not")


def old_names(file: Container, root: str, name: str) -> list[str]:
    """Return where the arrays of a layer are in an old file, in its order."""
    at = f"{root}/{name}".strip("/")
    return [f"{at}/{own}" for own in file.tree.texts("weight_names", at) or []]


def arrays_below(file: Container, path: str, depth: int = 0) -> Iterator[str]:
    """Yield where the arrays are in a group and those in it, but for the state of random numbers."""
    names = file.tree.names(path)
    if depth > DEEPEST:
        raise DataError(f"{path:.200} is nested too deeply")
    for name in names:
        if name == "seed_generator":
            continue
        place = f"{path}/{name}".strip("/")
        if path.rpartition("/")[2] == "vars":
            yield place
        else:
            yield from arrays_below(file, place, depth + 1)
