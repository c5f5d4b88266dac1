"""An example's statements: its arrays given names, and which names stand for the code under judgement."""

import ast
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bptt.checking.file import Source, bound, modules, root
from bptt.checking.taps.instrument import LIBRARIES
from bptt.errors import DataError

_MADE = (ast.Call, ast.BinOp, ast.List, ast.ListComp, ast.Subscript, ast.UnaryOp)
_OWN_NAMES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class ExampleError(DataError):
    """The example cannot be run: one line, the place in the file and what happened there."""


def parsed(example: str) -> list[ast.stmt]:
    """Return an example's statements; raises ExampleError where it is not Python."""
    try:
        return [part for one in ast.parse(example).body for part in _parts(one)]
    except SyntaxError as error:
        raise ExampleError(f"line {error.lineno} of the example is not Python: {error.msg}") from None


def _parts(one: ast.stmt) -> list[ast.stmt]:
    """Return ``net, x = Net(3), np.ones(3)`` as two statements: what the code has made, and the example."""
    match one:
        case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)) if len(targets) == len(values):
            read = {part.id for value in values for part in ast.walk(value) if isinstance(part, ast.Name)}
            if read.isdisjoint(bound(one)) and not any(isinstance(t, ast.Starred) for t in targets):
                parts = zip(targets, values, strict=True)
                return [ast.copy_location(ast.Assign([t], value), one) for t, value in parts]
    return [one]


def with_names(statements: list[ast.stmt], tree: ast.Module, code: frozenset[str]) -> Iterator[ast.stmt]:
    """Give names to arrays that are written within a call: ``f(np.ones(3))`` is ``x = np.ones(3); f(x)``.

    The name is the parameter's, where the file says it and nothing else has it.
    """
    functions = {one.name: one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}
    for one in ast.walk(tree):
        if isinstance(one, ast.ClassDef):
            methods = {method.name: method for method in one.body if isinstance(method, ast.FunctionDef)}
            functions |= {one.name: methods["__init__"]} if "__init__" in methods else {}
    taken = {part.id for one in statements for part in ast.walk(one) if isinstance(part, ast.Name)}
    taken |= {name for one in tree.body for name in bound(one)}
    for one in statements:
        calls = [*_calls(one)] if isinstance(one, ast.Assign | ast.Expr) else []
        for call in reversed([call for call in calls if root(call.func) in code]):
            function = functions.get(getattr(call.func, "attr", getattr(call.func, "id", "")))
            names = [arg.arg for arg in function.args.args] if function else []
            names = names[1:] if names[:1] in (["self"], ["cls"], ["ctx"]) else names
            for i, argument in enumerate(call.args):
                if not isinstance(argument, _MADE) or _is_constant(argument):
                    continue
                new = names[i] if i < len(names) else "given"
                while new in taken:
                    new += "_"
                taken.add(new)
                made = ast.Assign([ast.Name(new, ast.Store())], argument)
                yield ast.fix_missing_locations(ast.copy_location(made, one))
                call.args[i] = ast.copy_location(ast.Name(new, ast.Load()), argument)
        yield one


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of a statement, without those in comprehensions and lambdas, which have own names."""
    if isinstance(tree, ast.Call):
        yield tree
    for child in ast.iter_child_nodes(tree):
        if not isinstance(child, _OWN_NAMES):
            yield from _calls(child)


def _is_constant(tree: ast.expr) -> bool:
    """Return whether an argument is no array: a constant, or something with a function in it."""
    if any(isinstance(part, ast.Lambda) for part in ast.walk(tree)):
        return True
    try:
        ast.literal_eval(tree)
    except ValueError:
        return False
    return True


def code_names(
    source: Source, statements: Sequence[ast.stmt], resolve: Callable[[str], Path | None]
) -> frozenset[str]:
    """Return the names that stand for the file's code: what it defines, and what an example makes of that."""
    names: set[str] = set()
    for one in source.tree.body:
        is_relative = isinstance(one, ast.ImportFrom) and one.level
        if is_relative or not isinstance(one, ast.Import | ast.ImportFrom):
            names |= set(bound(one))
    for one in (*source.tree.body, *statements):
        if any(resolve(module) for _, module, _ in modules(one)):
            names |= set(bound(one))
    for one in statements:
        if any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(one)):
            names |= set(bound(one))
    return frozenset(names - LIBRARIES)


def calls_code(statement: ast.AST, names: frozenset[str]) -> bool:
    """Return whether a statement of the example calls the file's code, not only NumPy."""
    for node in ast.walk(statement):
        match node:
            case ast.Call(ast.Attribute(ast.BinOp() as value)):  # (a @ b).tanh(), of tensors of its own
                called = {one.id for one in ast.walk(value) if isinstance(one, ast.Name)} <= names
            case ast.Call(func):
                called = root(func) in names
            case ast.BinOp(ast.Name(left), _, ast.Name(right)):
                called = {left, right} <= names
            case _:
                continue
        if called:
            return True
    return False
