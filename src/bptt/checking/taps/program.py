"""A file, the files beside it that it imports, and an example, run as often as wanted, from the start."""

import __future__

import ast
import contextlib
import functools
import importlib
import io
import random
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checking.file import (
    Source,
    definitions,
    in_double,
    leading_constants,
    neighbours,
    overridden,
    read,
    reads_file,
    stand_ins,
)
from bptt.checking.taps.example import LIBRARIES, ExampleError, code_names, parsed, with_names
from bptt.checking.taps.instrument import Table, Tapped

EXAMPLE = Path("the example")


NAME = "judged"


@dataclass
class Hooks:
    """What is called at each tap; the defaults leave everything as it is."""

    tap: Callable[[int, Any], Any] = lambda _k, value: value
    pre: Callable[[int], None] = lambda _j: None
    put: Callable[[int, Any], Any] = lambda _j, value: value
    post: Callable[[int, Any], None] = lambda _j, _value: None


@dataclass
class Call:
    """A call that the example makes: what it hands over, and what it gets."""

    at: int  # the example's statement
    text: str
    arguments: list[Any]
    result: Any
    tree: ast.Call
    given: list[Any]  # the arguments as they were before the call, which may change them


@dataclass
class Outcome:
    """What a run of the example leaves: its names, and its calls."""

    names: dict[str, Any]
    calls: list[Call] = field(default_factory=list)


@dataclass
class _File:
    """A file's statements, compiled one by one: those that may fail are left out where they do."""

    source: Source
    codes: list[tuple[Any, ast.stmt]]
    doubled: bool


class Program:
    """Somebody's file with an example, each expression of it tapped.

    Parameters
    ----------
    source : Source
        The file.
    example : str
        Statements that call its code once; they see its names, and ``np``.
    own : sequence of ast.stmt
        The file's own statements, run in place of an example.

    Attributes
    ----------
    table : Table
        The expressions and statements that are tapped.
    sources : dict
        The files, by their paths; those beside it appear when they are first imported.
    """

    def __init__(self, source: Source, example: str = "", *, own: Sequence[ast.stmt] = ()) -> None:
        self.source, self.table, self.example, self.own = source, Table(), example, tuple(own)
        self.files: dict[Path, _File] = {}
        self.left_out: dict[str, str] = {}
        self.notes: list[str] = []
        self._cache: dict[tuple[Path, str], Any] = {}
        if any(name.partition(".")[0] == "torch" for name in _imported(source.tree)):
            with contextlib.suppress(ImportError):
                importlib.import_module(
                    "torch"
                )  # before the first run, so that its random numbers are seeded
        self.neighbours = neighbours(source)
        self.neighbours.resolve = functools.lru_cache(None)(self.neighbours.resolve)  # type: ignore[method-assign]
        given = list(own) or parsed(example)
        self.code = frozenset() if own else code_names(source, given, self.neighbours.resolve)
        in_double(ast.Module(given, []))
        self.statements = given if own else list(with_names(given, source.tree, self.code))
        self.imports = any(self.neighbours.resolve(name) for name in _imported(source.tree))
        self.reads = any(reads_file(one) for one in ast.walk(source.tree) if isinstance(one, ast.stmt))
        self.constants = {} if own else leading_constants(example)
        self.main = self._file(source, overridden(definitions(source), self.constants))
        self.steps = [self._step(one) for one in self.statements]

    def replaced(self, sources: dict[Path, Source]) -> "Program":
        """Return the same program with other texts of some files; what stays is not compiled again."""
        other = object.__new__(Program)
        other.__dict__ |= self.__dict__
        other.files = {path: file for path, file in self.files.items() if path not in sources}
        for path, source in sources.items():
            constants = self.constants if path == self.source.path else {}
            file = other._file(source, overridden(definitions(source), constants))
            if path == self.source.path:
                other.source, other.main = source, file
        return other

    @property
    def sources(self) -> dict[Path, Source]:
        """The files, by their paths."""
        return {path: file.source for path, file in self.files.items()}

    def _file(self, source: Source, statements: list[ast.stmt]) -> _File:
        doubled = in_double(ast.Module(statements, []))
        codes = []
        for one in statements:
            key = (source.path, f"{one.lineno}:{ast.unparse(one)}")
            if key not in self._cache:
                self._cache[key] = self._code(source.path, [one])
            codes.append((self._cache[key], one))
        self.files[source.path] = file = _File(source, codes, doubled)
        return file

    def _code(self, path: Path, body: list[ast.stmt], *, example: bool = False) -> Any:
        modules = LIBRARIES | {
            (alias.asname or alias.name.split(".")[0])
            for one in ast.walk(ast.Module(body, []))
            if isinstance(one, ast.Import)
            for alias in one.names
        }
        tapped = Tapped(self.table, path, top=example, calls=self.code if example else None, modules=modules)
        module = ast.fix_missing_locations(ast.Module(tapped.statements(body), []))
        return compile(
            module, str(path), "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True
        )

    def _step(self, one: ast.stmt) -> Any:
        if isinstance(one, ast.Expr):  # what a call returns is looked at, too
            kept = ast.Assign([ast.Name("_", ast.Store())], one.value)
            one = ast.fix_missing_locations(ast.copy_location(kept, one))
        return self._code(self.source.path if self.own else EXAMPLE, [one], example=True)

    def run(
        self,
        hooks: Hooks | None = None,
        *,
        seed: int = 0,
        stop: int | None = None,
        after: Callable[[int, Outcome], None] | None = None,
    ) -> Outcome:
        """Execute the definitions, then the example.

        Parameters
        ----------
        hooks : Hooks, optional
        seed : int
            Of all random numbers; a seed that the code sets itself is moved by it.
        stop : int, optional
            The example's last statement to be executed; None: all.
        after : callable, optional
            Called with the number of the statement that was executed (-1: the definitions) and what is there.

        Raises
        ------
        ExampleError
            If a statement of the example fails.
        """
        hooks = hooks or Hooks()
        module = types.ModuleType(NAME)
        module.__file__ = str(self.source.path)
        names = module.__dict__
        outcome = Outcome(names)
        table = self.table
        current = [0]

        def call(k: int, function: Any, *arguments: Any, **keywords: Any) -> Any:
            handed = [*arguments, *keywords.values()]
            given = [_copied(one) for one in handed]
            result = function(*arguments, **keywords)
            tree = table.nodes[k].tree
            assert isinstance(tree, ast.Call)
            outcome.calls.append(Call(current[0], ast.unparse(tree.func), handed, result, tree, given))
            return result

        taps = {"TAP_": hooks.tap, "PRE_": hooks.pre, "PUT_": hooks.put, "POST_": hooks.post, "CALL_": call}
        with _held(self, seed, module, taps):
            self._fill(self.main, names, taps)
            if after:
                after(-1, outcome)
            for i, code in enumerate(self.steps):
                if stop is not None and i > stop:
                    break
                current[0] = i
                try:
                    exec(code, names)
                except Exception as error:
                    raise ExampleError(self._told(error, i)) from error
                if after:
                    after(i, outcome)
        return outcome

    def _fill(self, file: _File, names: dict[str, Any], taps: dict[str, Any]) -> None:
        names.update(taps, np=np)
        names["__builtins__"] = file.source.builtins
        for code, one in file.codes:
            try:
                exec(code, names)
            except Exception as error:
                self.left_out.setdefault(file.source.place(one.lineno), f"{type(error).__name__}: {error}")

    def beside(self, taps: dict[str, Any]) -> Callable[[Path, dict[str, Any]], None]:
        """Return what executes a module beside the file, with taps."""

        def execute(path: Path, names: dict[str, Any]) -> None:
            file = self.files.get(path)
            if file is None:
                source = read(path)
                file = self._file(source, definitions(source))
            self._fill(file, names, taps)

        return execute

    def _told(self, error: BaseException, step: int) -> str:
        """Return what happened in one line: the innermost place in somebody's file."""
        where, trace = f"line {self.statements[step].lineno} of the example", error.__traceback__
        while trace is not None:
            for path, file in self.files.items():
                if trace.tb_frame.f_code.co_filename == str(path):
                    where = file.source.place(trace.tb_lineno)
            trace = trace.tb_next
        return f"{where}: {type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"


def _copied(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple):
        return type(value)(_copied(one) for one in value)
    return {key: _copied(one) for key, one in value.items()} if type(value) is dict else value


def _imported(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or node.names[0].name


@contextlib.contextmanager
def _held(program: Program, seed: int, module: types.ModuleType, taps: dict[str, Any]) -> Iterator[None]:
    """Everything that a run sets for the code, and takes back: seeds, modules, the current output."""
    changed: list[tuple[Any, str, Any]] = []

    def change(owner: Any, name: str, new: Any) -> None:
        changed.append((owner, name, getattr(owner, name)))
        setattr(owner, name, new)

    def moved(make: Any) -> Any:
        def seeded(given: Any = None, *more: Any) -> Any:
            return make((given * 31 + seed if isinstance(given, int) else seed) % 2**32, *more)

        return seeded

    torch = sys.modules.get("torch")
    module.__dict__["__package__"] = program.neighbours.package
    sys.modules[NAME] = module
    try:
        np.random.seed(seed)  # noqa: NPY002  the code under judgement draws from it
        random.seed(seed)
        change(np.random, "seed", moved(np.random.seed))
        change(np.random, "default_rng", moved(np.random.default_rng))
        change(random, "seed", moved(random.seed))
        if torch is not None:
            torch.manual_seed(seed)
            torch.set_default_dtype(torch.float64)
        change(sys, "argv", [str(program.source.path)])
        out = io.StringIO()
        beside: Any = program.neighbours.importable(program.beside(taps)) if program.imports else None
        files: Any = stand_ins(program.source) if program.reads else None
        with (
            beside or contextlib.nullcontext(),
            files or contextlib.nullcontext([]) as notes,
            contextlib.redirect_stdout(out),
            np.errstate(all="ignore"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
            program.notes = notes
    finally:
        for owner, name, old in reversed(changed):
            setattr(owner, name, old)
        sys.modules.pop(NAME, None)
        if torch is not None:
            torch.set_default_dtype(torch.float32)
