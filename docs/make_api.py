"""Write docs/api.md from the docstrings; the command is `python docs/make_api.py`.

What stands in ``bptt.__all__`` has its entry, in the group of the room that it comes from; a module's is its
own functions and classes. A docstring that speaks of a parameter that there is not is an error.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import bptt

PAGE = Path(__file__).parent / "api.md"

WIDTH = 110
"""Columns of a line of code."""

GROUPS = {
    "Cells and layers": ("bptt.cells", "bptt.layer", "bptt.kernels"),
    "Judging a backward pass": ("bptt.checking",),
    "Cells as equations": ("bptt.derive", "bptt.zoo", "bptt.maps"),
    "Models": ("bptt.nets", "bptt.types"),
    "Writing, measuring, converting": (
        "bptt.nets.sample",
        "bptt.nets.evaluate",
        "bptt.nets.conventions",
        "bptt.exchange",
        "bptt.flow",
    ),
    "Data": ("bptt.data",),
    "Training": ("bptt.training", "bptt.watching", "bptt.reporting"),
    "Errors and warnings": ("bptt.errors",),
}
"""The rooms of each; the longest name that fits decides."""

HEAD = """# The API

What `import bptt` gives, and what its public modules have; all else is the library's own and may change
without notice. Arrays are time-major, (T, N, ·); rows are examples; letters are the README's. Made from
the docstrings by `python docs/make_api.py`.
"""


def page() -> str:
    """Return the page."""
    groups: dict[str, list[tuple[str, Any]]] = {title: [] for title in GROUPS}
    for name, place in vars(bptt)["_PUBLIC"].items():
        groups[_group(".".join(place))].append((f"bptt.{name}", getattr(bptt, name)))
    contents, blocks = [], []
    for title, found in groups.items():
        found.sort(key=lambda entry: (inspect.ismodule(entry[1]), entry[0].lower()))  # modules last
        names = ", ".join(f"[`{name}`](#{_slug(name)})" for name, _ in found)
        contents.append(f"- [{title}](#{_slug(title)}): {names}")
        blocks.append(f"## {title}")
        blocks += [block for name, each in found for block in _entry(name, each, 3)]
    whole = "\n\n".join([HEAD.rstrip(), "\n".join(contents), *blocks]) + "\n"
    return re.sub(r"(\n- .*)\n\n(?=- )", r"\1\n", whole)  # lists that follow each other are one


def _group(path: str) -> str:
    titles = {room: title for title, rooms in GROUPS.items() for room in rooms}
    return titles[max((room for room in titles if f"{path}.".startswith(f"{room}.")), key=len)]


def _slug(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _entry(name: str, each: Any, level: int, within: str = "") -> Iterator[str]:
    """Yield the blocks of a function, a class, a module or a value, and of what it has."""
    doc, is_class = Doc.of(each), isinstance(each, type)
    yield f"{'#' * level} {name}"
    face = each.__name__ if isinstance(each, type | FunctionType) else ""
    if level > 3 and bptt.__dict__.get(face) is each:
        yield f"It is [`bptt.{face}`](#{_slug(f'bptt.{face}')})."
        return
    if isinstance(each, FunctionType) or (is_class and "Parameters" in doc.sections):
        yield f"```python\n{_call(name, each, doc)}\n```"
    if isinstance(each, dict):
        yield f"By name: {', '.join(f'`{key}`' for key in each)}."
    yield from doc.blocks()
    module = inspect.getmodule(each)
    if "module's t" in (each.__doc__ or "") and module and module.__name__ not in (within, each.__name__):
        yield Doc.of(module).rest
    own = f"{name}." if isinstance(each, ModuleType) else f"{name.rpartition('.')[2]}."
    members = _members(each) if isinstance(each, ModuleType) else _of_class(each, doc) if is_class else {}
    brief = {its: m for its, m in members.items() if not isinstance(m, type) and not Doc.of(m).sections}
    if brief:
        shown = {
            its: _call(f"{own}{its}", m) if isinstance(m, FunctionType) else its for its, m in brief.items()
        }
        yield "\n".join(f"- `{shown[its]}`. {Doc.of(m).summary}" for its, m in brief.items())
    for its, member in members.items():
        if its not in brief:
            yield from _entry(f"{own}{its}", member, level + 1, getattr(each, "__name__", within))


def _of_class(cls: type, doc: "Doc") -> dict[str, Any]:
    """Return a class's own properties and methods, without those among its attributes."""
    said = {its for names, _, _ in doc.items("Attributes") for its in names}
    own = {its: value for its, value in vars(cls).items() if not its.startswith("_") and its not in said}
    bare = {its: getattr(value, "__func__", value) for its, value in own.items()}
    return {its: m for its, m in bare.items() if isinstance(m, property | FunctionType) and m.__doc__}


def _members(module: ModuleType) -> dict[str, Any]:
    """Return a module's functions and classes: what it exports, or else all that it defines."""
    names = getattr(module, "__all__", None) or [
        its
        for its, m in vars(module).items()
        if getattr(m, "__module__", "") == module.__name__ and its[0] != "_"
    ]
    found = {its: getattr(module, its) for its in names}
    return {
        its: m
        for its, m in found.items()
        if isinstance(m, type | FunctionType) and m.__module__.startswith("bptt.")
    }


def _call(name: str, each: Any, doc: "Doc | None" = None) -> str:
    """Return how it is called; the docstring says the types."""
    given = {n: p for n, p in inspect.signature(each).parameters.items() if n not in ("self", "cls")}
    if doc and (odd := [n for names, _, _ in doc.items("Parameters") for n in names if n not in given]):
        raise ValueError(f"{name}: its docstring has what is no parameter: {', '.join(odd)}")
    empty = inspect.Parameter.empty
    shown = [
        p.replace(annotation=empty, default=empty if p.default is empty else _Default(p.default))
        for n, p in given.items()
        if not n.startswith("_")
    ]
    call = str(inspect.Signature(shown))
    if len(name + call) <= WIDTH or doc is None:
        return f"{name}{call}"
    return f"{name}(\n{textwrap.fill(call[1:-1], WIDTH, initial_indent='    ', subsequent_indent='    ')}\n)"


@dataclass
class _Default:
    """A parameter's default as it is shown."""

    value: Any

    def __repr__(self) -> str:
        shown = repr(self.value).replace("'", '"')
        return "..." if shown.startswith(("<", "array")) else shown


@dataclass
class Doc:
    """A numpydoc docstring."""

    text: str
    sections: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, each: Any) -> "Doc":
        """Return that of a thing; a class's own, never its parent's."""
        text = inspect.cleandoc(each.__doc__ or "") if not isinstance(each, dict) else ""
        first, *rest = re.split(r"^(\w[\w ]*)\n-{3,}\n", text, flags=re.MULTILINE)
        return cls(
            first.strip(), dict(zip(rest[::2], (part.strip("\n") for part in rest[1::2]), strict=True))
        )

    @property
    def summary(self) -> str:
        """The first paragraph."""
        return _markdown(self.text).split("\n\n")[0].replace("\n", " ")

    @property
    def rest(self) -> str:
        """All paragraphs but the first."""
        return _markdown(self.text.partition("\n\n")[2])

    def items(self, section: str) -> list[tuple[list[str], str, str]]:
        """Return what a section lists: names, their type as it is typed, and the text beneath."""
        found = re.findall(r"^(\S.*)\n?((?:(?:[ ]+.*)?\n?)*)", self.sections.get(section, ""), re.MULTILINE)
        heads = [(*head.partition(" : ")[::2], text) for head, text in found]
        return [
            (
                [its.strip("*") for its in names.split(", ")],
                _markdown(kind),
                " ".join(_markdown(inspect.cleandoc(text)).split()),
            )
            for names, kind, text in heads
        ]

    def blocks(self) -> Iterator[str]:
        """Yield it as blocks of Markdown."""
        if self.text:
            yield _markdown(self.text)
        listed = []
        for section in ("Attributes", "Parameters", "Returns", "Yields", "Raises"):
            said = "" if section in ("Attributes", "Parameters") else f"{section} "
            for names, kind, text in self.items(section):
                head = ", ".join(f"`{its}`" for its in names) + (f" : {kind}" if kind else "")
                if section in ("Returns", "Yields") and not kind:  # without a name it is the type
                    head = ", ".join(names)
                listed.append(f"- {said}{head}" + (f". {text}" if text else ""))
        if listed:
            yield "\n".join(listed)
        if "Notes" in self.sections:
            yield _markdown(self.sections["Notes"])
        if "Examples" in self.sections:
            yield f"```pycon\n{self.sections['Examples']}\n```"


def _markdown(text: str) -> str:
    """Return a docstring's text as Markdown; what follows two colons stays as it is typed."""
    text = re.sub(r":\w+:`~?([^`]+)`", _link, text.replace("``", "`"))
    text = re.sub(r"^(=[= ]+=)\n(?:.+\n)+\1$", lambda m: _table(m[0].splitlines()), text, flags=re.MULTILINE)
    text = re.sub(r"^>>> (?:.+\n?)*", lambda m: f"```pycon\n{m[0].rstrip()}\n```", text, flags=re.MULTILINE)
    verbatim = r"(^|.)::\n\n((?:    .*\n|\n)*    .*)"
    return re.sub(verbatim, _verbatim, text, flags=re.MULTILINE)


def _link(found: re.Match[str]) -> str:
    """Return a link to what is named, where this page has it; by the name that the face gives it."""
    places = {".".join(place): f"bptt.{name}" for name, place in vars(bptt)["_PUBLIC"].items()}
    name = places.get(found[1], found[1])
    return f"[`{name}`](#{_slug(name)})" if name in places.values() else f"`{name}`"


def _verbatim(found: re.Match[str]) -> str:
    before = f"{found[1]}:\n\n" if found[1] else ""
    return f"{before}```text\n{inspect.cleandoc(found[2])}\n```"


def _table(lines: list[str]) -> str:
    """Return a table of reStructuredText as one of Markdown."""
    starts = [m.start() for m in re.finditer("=+", lines[0])]
    ends = [*(start - 2 for start in starts[1:]), None]
    rows = [[line[a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in lines[1:-1]]
    head = rows.pop(0) if lines[2] == lines[0] else [""] * len(starts)
    shown = [head, ["---"] * len(starts), *(row for row in rows if set(row[0]) != {"="})]
    return "\n".join(f"| {' | '.join(row)} |" for row in shown)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
