"""A cell whose inputs at each step are the same number at all of them."""

import ast
import math
from collections.abc import Mapping
from typing import Any

from bptt.derive.axes import SHAPES
from bptt.derive.equations import Equations
from bptt.derive.reader import read
from bptt.derive.source import FunctionText
from bptt.errors import ConfigError


def fixed(eq: Equations, numbers: Mapping[str, float]) -> Equations:
    """Return equations in which inputs are constants, with the same parameters; such a constant may be there.

    Raises
    ------
    ConfigError
        If there is no such input, or what is given is no number.
    """
    numbers = {name: value for name, value in numbers.items() if eq.constants.get(name) != value}
    reads = [name for name in eq.inputs if name != "x"]
    if not numbers:
        return eq
    if odd := sorted(numbers.keys() - {*reads}):
        raise ConfigError(
            f"{eq.name} reads {', '.join(reads) or 'nothing'} at each step beside its input; "
            f"got {', '.join(odd)}"
        )
    if wrong := next((n for n, value in numbers.items() if not math.isfinite(value)), None):
        raise ConfigError(f"{eq.name}: {wrong} must be a number, got {numbers[wrong]}")
    function = ast.parse(eq.text).body[0]
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    arguments.args = [a for a in arguments.args if a.arg not in numbers] + [ast.arg(n) for n in numbers]
    arguments.defaults += [ast.parse(repr(float(value)), mode="eval").body for value in numbers.values()]
    words = {axes: shape for shape, axes in SHAPES.items()}
    options: dict[str, Any] = FunctionText(eq.text, None, "<equations>", 1).options() | {
        "maps": dict(eq.maps),
        "inputs": [name for name in eq.inputs if name not in numbers],
        "shapes": {name: words[axes] for name, axes in eq.shapes.items() if name not in numbers},
    }
    return read(
        ast.unparse(function), name=eq.name, file=f"{eq.name} with {', '.join(numbers)}", options=options
    )
