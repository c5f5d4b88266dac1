"""A file, the files beside it that it imports, and an example, run as often as wanted, from the start."""

import __future__

import ast
import contextlib
import importlib
import inspect
import io
import random
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bptt.checking.file import (
    Source,
    define,
    definitions,
    guards,
    in_double,
    leading_constants,
    modules,
    neighbours,
    overridden,
    read,
    unguarded,
    without_unread,
)
from bptt.checking.taps.example import ExampleError, code_names, parsed, with_names
from bptt.checking.taps.instrument import Table, Tapped
from bptt.checking.taps.values import entry

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
    tree: ast.Call
    arguments: list[Any]
    given: list[Any]  # the arguments as they were before the call, which may change them
    result: Any
    function: Any = None
    keywords: tuple[str, ...] = ()  # the names of the last arguments

    @property
    def names(self) -> list[str]:
        """The names of the arguments, as the function calls them; empty where it does not say."""
        try:
            own = list(inspect.signature(self.function).parameters)
        except (TypeError, ValueError):
            own = []
        count = len(self.arguments) - len(self.keywords)
        return [*(own + [""] * count)[:count], *self.keywords]

    @property
    def text(self) -> str:
        """What is called, as it is written."""
        return ast.unparse(self.tree.func)


@dataclass
class Outcome:
    """What a run of the example leaves: its names, and its calls."""

    names: dict[str, Any]
    calls: list[Call] = field(default_factory=list)


@dataclass
class File:
    """A file's statements, compiled one by one: those that may fail are left out where they do."""

    source: Source
    codes: list[tuple[Any, ast.stmt]]
    doubled: bool
    guarded: bool


class Program:
    """Somebody's file with an example, statements that call its code once; each expression is tapped."""

    def __init__(self, source: Source, example: str = "", *, guarded: bool = True) -> None:
        self.source, self.table, self.example, self.guarded = source, Table(), example, guarded
        self.files: dict[Path, File] = {}  # those beside it appear when they are first imported
        self.left_out: dict[str, str] = {}  # statements that fail when the file is read, by their places
        self._cache: dict[tuple[Path, str], Any] = {}
        self.neighbours = neighbours(source)
        given = self.given = parsed(example)
        imported = {module for tree in (source.tree, *given) for _, module, _ in modules(tree)}
        if any(module.partition(".")[0] == "torch" for module in imported):
            with contextlib.suppress(ImportError):  # before a run, so that its random numbers are seeded
                importlib.import_module("torch")
        self.code = code_names(source, given, self.neighbours.resolve)
        in_double(ast.Module(given, []))
        self.statements = list(with_names(given, source.tree, self.code))
        self.imports = any(map(self.neighbours.resolve, imported))
        self.constants = leading_constants(example)
        self.main = self._file(source, self._defined(source))
        tapped = Tapped(self.table, EXAMPLE, top=True, calls=self.code)
        self.steps = [self._compiled(tapped, one) for one in map(_kept, self.statements)]

    def replaced(self, sources: dict[Path, Source]) -> "Program":
        """Return the same program with other texts of some files; what stays is not compiled again."""
        other = object.__new__(Program)
        other.__dict__ |= self.__dict__
        other.files = {path: file for path, file in self.files.items() if path not in sources}
        for path, source in sources.items():
            main = path == self.source.path
            file = other._file(source, self._defined(source) if main else definitions(source))
            if main:
                other.source, other.main = source, file
        return other

    def patched(self, path: Path, owner: ast.ClassDef | None, function: ast.FunctionDef) -> "Program":
        """Return the same program with another body of a function, whose statements alone are tapped.

        This takes a fraction of the time of `replaced`: the function gets its code when all is defined.
        """
        other = object.__new__(Program)
        other.__dict__ |= self.__dict__
        other.table, other.left_out = Table(self.table.nodes, [*self.table.statements]), {}
        file = self.files[path]
        if file.doubled:
            in_double(ast.Module([function], []))
        if not self.guarded:
            unguarded(ast.Module([function], []))
        outer, dot = (owner.name, f".{function.name}") if owner else (function.name, "")
        text = f"was_ = {outer}\n0\nwas_{dot}.__code__ = {outer}{dot}.__code__\n{outer} = was_\ndel was_"
        swap = ast.parse(text)
        swap.body[1] = ast.ClassDef(outer, [], [], [function], []) if owner else function
        tapped = Tapped(other.table, path, expressions=False)
        code = self._compiled(tapped, ast.If(ast.Constant(value=True), swap.body, []))
        new = File(file.source, [*file.codes, (code, function)], file.doubled, file.guarded)
        other.files = {**self.files, path: new}
        if file is self.main:
            other.main = new
        return other

    @property
    def sources(self) -> dict[Path, Source]:
        """The files, by their paths."""
        return {path: file.source for path, file in self.files.items()}

    @property
    def notes(self) -> list[str]:
        """What has stood in for files that are not there."""
        return self.source.builtins["open"].notes  # type: ignore[no-any-return]

    def _defined(self, source: Source) -> list[ast.stmt]:
        return overridden(without_unread(definitions(source), self.given), self.constants)

    def _file(self, source: Source, statements: list[ast.stmt]) -> File:
        tree = ast.Module(statements, [])
        doubled, guarded = in_double(tree), bool(guards(tree))
        if not self.guarded:
            unguarded(tree)
        tapped, codes = Tapped(self.table, source.path), []
        for one in statements:
            key = (source.path, f"{one.lineno}:{ast.unparse(one)}")
            if key not in self._cache:
                self._cache[key] = self._compiled(tapped, one)
            codes.append((self._cache[key], one))
        self.files[source.path] = file = File(source, codes, doubled, guarded)
        return file

    def _compiled(self, tapped: Tapped, statement: ast.stmt) -> Any:
        flags, module = __future__.annotations.compiler_flag, tapped.module([statement])
        return compile(module, str(tapped.file), "exec", flags=flags, dont_inherit=True)

    def run(
        self,
        hooks: Hooks | None = None,
        *,
        seed: int = 0,
        stop: int | None = None,
        after: Callable[[int, Outcome], None] = lambda _i, _outcome: None,
    ) -> Outcome:
        """Execute the definitions, then the example, up to its statement `stop`; ExampleError if one fails.

        The seed is that of all random numbers; one that the code sets itself is moved by it. `after` is told
        the number of each statement that was executed (-1: the definitions), and what is there.
        """
        hooks = hooks or Hooks()
        module = types.ModuleType(NAME)
        module.__file__ = str(self.source.path)
        names, nodes, step = module.__dict__, self.table.nodes, 0
        outcome = Outcome(names)

        def call(k: int, function: Any, *arguments: Any, **keywords: Any) -> Any:
            handed = [*arguments, *keywords.values()]
            given = [_copied(one) for one in handed]
            result = function(*arguments, **keywords)
            tree = nodes[k].tree
            assert isinstance(tree, ast.Call)
            outcome.calls.append(Call(step, tree, handed, given, result, function, tuple(keywords)))
            return result

        taps = {"TAP_": hooks.tap, "PRE_": hooks.pre, "PUT_": hooks.put, "POST_": hooks.post}
        taps |= {"CALL_": call, "ENTRY_": entry}

        def beside(path: Path, names: dict[str, Any]) -> None:
            if path not in self.files:
                source = read(path)
                self._file(source, definitions(source))
            self._fill(self.files[path], names, taps)

        imports = self.neighbours.importable(beside) if self.imports else contextlib.nullcontext()
        with _held(str(self.source.path), seed, module), imports:
            self._fill(self.main, names, taps)
            after(-1, outcome)
            for step, code in enumerate(self.steps[: None if stop is None else stop + 1]):
                try:
                    exec(code, names)
                except Exception as error:
                    raise ExampleError(self._told(error, step)) from error
                after(step, outcome)
        return outcome

    def _fill(self, file: File, names: dict[str, Any], taps: dict[str, Any]) -> None:
        names.update(taps, np=np, __builtins__=file.source.builtins)
        for code, one in [*file.codes]:
            try:
                define(code, names, one)
            except Exception as error:
                file.codes.remove((code, one))  # the next run would end there again
                if isinstance(error, NameError):
                    continue  # it reads what was left out
                self.left_out.setdefault(file.source.place(one.lineno), f"{type(error).__name__}: {error}")

    def _told(self, error: BaseException, step: int) -> str:
        """Return what happened in one line: the innermost place in somebody's file."""
        where, trace = f"line {self.statements[step].lineno} of the example", error.__traceback__
        while trace is not None:
            file = self.files.get(Path(trace.tb_frame.f_code.co_filename))
            where = file.source.place(trace.tb_lineno) if file else where
            trace = trace.tb_next
        return f"{where}: {type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"


def _kept(one: ast.stmt) -> ast.stmt:
    """Return a statement that keeps what it returns, so that it is looked at, too."""
    if not isinstance(one, ast.Expr):
        return one
    kept = ast.Assign([ast.Name("_", ast.Store())], one.value)
    return ast.fix_missing_locations(ast.copy_location(kept, one))


def _copied(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple):
        return type(value)(_copied(one) for one in value)
    return {key: _copied(one) for key, one in value.items()} if type(value) is dict else value


@contextlib.contextmanager
def _held(path: str, seed: int, module: types.ModuleType) -> Iterator[None]:
    """Everything that a run sets for the code, and takes back: seeds, modules, the current output."""

    def moved(make: Any) -> Any:
        def seeded(given: Any = None, *more: Any) -> Any:
            return make((given * 31 + seed if isinstance(given, int) else seed) % 2**32, *more)

        return seeded

    own = seed

    class Seeded(np.random.RandomState):
        """A generator of a module's own, which without a seed is another one in every run."""

        def __init__(self, seed: Any = None) -> None:
            super().__init__(own if seed is None else seed)

    torch = sys.modules.get("torch")
    changes: list[tuple[Any, str, Any]] = [(sys, "argv", [path]), (random, "seed", moved(random.seed))]
    changes += [(np.random, name, moved(getattr(np.random, name))) for name in ("seed", "default_rng")]
    changes += [(np.random, "RandomState", Seeded)]
    before = [getattr(owner, name) for owner, name, _ in changes]
    np.random.seed(seed)  # noqa: NPY002  the code under judgement draws from it
    random.seed(seed)
    sys.modules[NAME] = module
    if torch is not None:
        torch.manual_seed(seed)
        torch.set_default_dtype(torch.float64)
    for owner, name, new in changes:
        setattr(owner, name, new)
    try:
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for (owner, name, _), old in zip(changes, before, strict=True):
            setattr(owner, name, old)
        sys.modules.pop(NAME, None)
        if torch is not None:
            torch.set_default_dtype(torch.float32)
