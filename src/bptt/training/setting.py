"""A setting is declared once, and all that is said of it elsewhere is made from that.

::

    hidden: int = setting(128, "Hidden units in a layer", "model", "H", least=1)

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

Job: TypeAlias = Literal["stream", "lines", "labels", "series", "generated"]
"""What a run learns: of one long text, of sequences of tokens, of labelled ones, of series, or a task's."""

_WORDS = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a str"}


@dataclass(frozen=True)
class Setting:
    """What is declared of a setting, and what follows from that.

    Attributes
    ----------
    default : object
    help : str
        What it is, without a full stop.
    part : str
        What of a run it goes to.
    metavar : str or None
        What stands for its value in the command's help.
    keyword : str or None
        What its part calls it, where that is another name.
    least, most, above, below, unlimited
        Its limits, `above` and `below` themselves left out; whether infinity may be given for None.
    needs : (str, tuple of str) or None
        Another setting, and the values of it with which this one has an effect.
    jobs : tuple of str
        The jobs that it means something for; none: all of them.
    argument, may_change : bool
        Whether the command takes it without a name; it may be given anew when a run is resumed.
    name, types
        From the field: what a value may be an instance of, NoneType among it, or a Literal that has it.
    """

    default: Any
    help: str
    part: Part
    metavar: str | None = None
    keyword: str | None = None
    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    unlimited: bool = False
    needs: tuple[str, tuple[str, ...]] | None = None
    jobs: tuple[Job, ...] = ()
    argument: bool = False
    may_change: bool = False
    name: str = ""
    types: tuple[Any, ...] = ()

    @property
    def option(self) -> str:
        """What the command calls it."""
        no = "no-" if self.default is True else ""
        return str(self.metavar) if self.argument else f"--{no}{self.name.replace('_', '-')}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that a Literal has."""
        return get_args(self.types[0]) if get_origin(self.types[0]) is Literal else ()

    @property
    def says(self) -> str:
        """What it is, and what it goes with, as a sentence."""
        what = f"Without {self.help[0].lower()}{self.help[1:]}" if self.default is True else self.help
        if not self.needs:
            return f"{what}."
        *others, last = self.needs[1]
        return f"{what}, for {' and '.join([', '.join(others), last] if others else [last])}."

    @property
    def wanted(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        limits = {" from": self.least, " to": self.most, " above": self.above, " below": self.below}
        kinds = [
            _WORDS.get(kind, f"a {kind.__name__.lower()}") for kind in self.types if kind is not NoneType
        ]
        return " or ".join(kinds) + "".join(f"{k} {x:,}" for k, x in limits.items() if math.isfinite(x))

    def check(self, value: Any) -> None:
        """Raise a ConfigError unless the setting takes a value."""
        if self.choices:
            right = value in self.choices if isinstance(value, str) else isinstance(value, self.types[1:])
        elif value is None or not {int, float} & {*self.types}:
            right = isinstance(value, self.types)
        else:
            right = (
                type(value) in (int, *self.types)
                and self.least <= value <= self.most
                and self.above < value < self.below
                and (float not in self.types or abs(value) <= sys.float_info.max)
            )
        if not right:
            raise ConfigError(f"{self.name.replace('_', '-')} must be {self.wanted}, got {value!r}")


def setting(default: T, help: str, part: Part, metavar: str | None = None, **declared: Any) -> T:
    """Return a dataclass's field that is a setting; the arguments are attributes of :class:`Setting`."""
    kept = Setting(default, help, part, metavar, **declared)
    made: T = field(default=default, metadata={"setting": kept})
    return made


def declared_in(kind: Any) -> dict[str, Setting]:
    """Return the settings that a dataclass declares, by their names."""
    found, hints = {}, get_type_hints(kind)
    for f in fields(kind):
        hint = hints[f.name]
        types = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        found[f.name] = replace(f.metadata["setting"], name=f.name, types=types)
    return found


def documented(kind: Any, declared: dict[str, Setting]) -> str:
    """Return a dataclass's docstring with what is declared of each setting."""
    rows = (
        f"    {name} : {s.wanted}, default {s.default!r}\n        {s.says}" for name, s in declared.items()
    )
    return "\n".join((str(kind.__doc__), "\n    Attributes\n    ----------", *rows))


def shown(value: object) -> str:
    """Return a setting's value as one reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
