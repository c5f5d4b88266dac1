"""What is declared of a setting, once; all that is said of it elsewhere is made from that.

::

    hidden: int = setting(128, "Hidden units in a layer", part="model", metavar="H", least=1)

is the field of :class:`bptt.Settings`, its check with its message, an option of ``bptt train``, an argument
of :class:`bptt.Model`, the type of a value in a run's files, and a row of ``docs/settings.md``.
"""

import math
import sys
from dataclasses import dataclass, field, fields, replace
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from bptt.errors import ConfigError

T = TypeVar("T")

Part: TypeAlias = Literal["data", "model", "optimizer", "schedule", "loop"]
"""What of a run a setting goes to."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting's declaration.

    Attributes
    ----------
    default : object
    help : str
        What it is, without a full stop.
    part : str
        What of a run it goes to.
    keyword : str or None
        What the part calls it, where that is another name.
    metavar : str or None
        What stands for its value in the command's help; None: the type, or the choices.
    least, most, above : number
        Its limits, with `above` left out.
    unlimited : bool
        Whether infinity may be given for None.
    needs : (str, tuple of str) or None
        Another setting, and the values of it with which this one has an effect.
    is_argument : bool
        Whether the command takes it without an option's name.
    of_text : bool
        Whether it means nothing for a generated task.
    may_change : bool
        Whether it may be another when a run is resumed.
    name, type
        As the field has them.
    """

    default: Any
    help: str
    part: Part
    keyword: str | None = None
    metavar: str | None = None
    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    unlimited: bool = False
    needs: tuple[str, tuple[str, ...]] | None = None
    is_argument: bool = False
    of_text: bool = False
    may_change: bool = False
    name: str = ""
    type: Any = None

    @property
    def option(self) -> str:
        """What the command calls it."""
        words = self.name.replace("_", "-")
        return str(self.metavar) if self.is_argument else f"--{'no-' * (self.default is True)}{words}"

    @property
    def types(self) -> tuple[Any, ...]:
        """What a value may be an instance of, or the one Literal that has it."""
        given = get_args(self.type) if get_origin(self.type) in (Union, UnionType) else (self.type,)
        return tuple(kind for kind in given if kind is not NoneType)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that a Literal has."""
        return get_args(self.types[0]) if get_origin(self.types[0]) is Literal else ()

    @property
    def says(self) -> str:
        """What it is, and what it goes with, as a sentence."""
        return f"{self.help}{f', for {_listed(self.needs[1])}' if self.needs else ''}."

    @property
    def wanted(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        limits = f" from {self.least:,}" if self.least > -math.inf else ""
        limits += f" to {self.most:,}" if self.most < math.inf else ""
        limits += f" above {self.above:,}" if self.above > -math.inf else ""
        words = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a str"}
        return " or ".join(words.get(kind, f"a {kind.__name__.lower()}") for kind in self.types) + limits

    def check(self, value: object) -> None:
        """Raise a ConfigError unless the setting takes a value."""
        if not self._takes(value):
            raise ConfigError(f"{self.name.replace('_', '-')} must be {self.wanted}, got {value!r}")

    def _takes(self, value: Any) -> bool:
        if value is None:
            return NoneType in get_args(self.type)
        if self.choices:
            return isinstance(value, str) and value in self.choices
        if self.types not in ((int,), (float,)):
            return isinstance(value, self.types)
        if type(value) not in (int, *self.types) or (float in self.types and not abs(value) <= _LARGEST):
            return False
        return bool(self.least <= value <= self.most and value > self.above)


_LARGEST = sys.float_info.max


def setting(default: T, help: str, **declared: Any) -> T:
    """Return a dataclass's field that is a setting; the arguments are attributes of :class:`Setting`."""
    kept = Setting(default=default, help=help, **declared)
    made: T = field(default=default, metadata={"setting": kept})
    return made


def declared_in(kind: Any) -> dict[str, Setting]:
    """Return the settings that a dataclass declares, by their names."""
    hints = get_type_hints(kind)
    return {f.name: replace(f.metadata["setting"], name=f.name, type=hints[f.name]) for f in fields(kind)}


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def shown(value: object) -> str:
    """Return a setting's value as one reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
