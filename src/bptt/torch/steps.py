"""One step of a cell as a torch.autograd.Function, made from the text that ``bptt derive`` prints."""

import copyreg
import hashlib
import sys
from types import ModuleType
from typing import Any

from bptt import zoo
from bptt.cells import Cell
from bptt.derive import EquationCell, page
from bptt.derive.as_torch import class_name
from bptt.errors import ConfigError


def function(cell: str | Cell) -> Any:
    """Return one step of a cell as a ``torch.autograd.Function``.

    Its backward is the derived one, as ``bptt derive CELL --format torch`` prints it, in PyTorch's own
    operations: on any device and in any dtype, under autocast and ``torch.compile``, too. It has no second
    derivative.

    Parameters
    ----------
    cell : str or Cell
        A cell made of equations: its name, or ``"FILE.py:NAME"``, or the cell itself.

    Returns
    -------
    type
        Its ``apply`` takes x (N, D), the states before the step, each (N, H), and the parameters that
        :func:`bptt.unroll` takes for the cell: W (D, G·H), U (H, G·H), b (G·H,), the units' own (H,). It
        returns the states after the step. Its docstring has their names and order. It is the same for the
        same equations, and a module that holds it pickles.

    Raises
    ------
    ConfigError
        If there is no such cell, if it is not made of equations, or where torch is not installed.
    ProofError
        If the derived backward is not the numerical gradient.

    Examples
    --------
    >>> import torch
    >>> from bptt.torch.steps import function
    >>> step = function("lstm")
    >>> print(step.__doc__.splitlines()[0])
    One step: h, c = LstmStep.apply(x, h_prev, c_prev, W, U, b).
    >>> D, H = 3, 4
    >>> W, U, b = (torch.randn(*shape, 4 * H, requires_grad=True) for shape in ((D,), (H,), ()))
    >>> h = c = torch.zeros(2, H)
    >>> for x in torch.randn(6, 2, D):
    ...     h, c = step.apply(x, h, c, W, U, b)
    >>> h.sum().backward()
    >>> W.grad.shape
    torch.Size([3, 16])
    """
    found = zoo.get(cell)
    made = zoo.equations_of(found)
    if made is None:
        raise ConfigError(
            f"{found.name}: a step is derived from equations, and this cell has none (see bptt.cell)"
        )
    key = made.name, made.equations.text
    if key not in _MADE:
        _MADE[key] = _made(made)
    return _MADE[key]


_MADE: dict[tuple[str, str], Any] = {}


def _made(cell: EquationCell) -> Any:
    try:
        import torch
    except ImportError:
        raise ConfigError("a torch.autograd.Function wants PyTorch: pip install 'bptt[torch]'") from None

    text, name = page(cell, "torch"), class_name(cell.name)
    # torch.compile looks up by its name the module that a function is of
    module = ModuleType(f"{__package__}.{name}_{hashlib.sha256(text.encode()).hexdigest()[:12]}")
    sys.modules[module.__name__] = module
    exec(compile(text, f"<{module.__name__}>", "exec"), vars(module))
    made = vars(module)[name]
    _CELLS[made] = cell
    copyreg.pickle(type(torch.autograd.Function), _reduced)
    return made


_CELLS: dict[Any, EquationCell] = {}


def _reduced(made: Any) -> Any:
    """Return how a Function pickles: one of ours as its cell, any other by its name, as without us."""
    return (function, (_CELLS[made],)) if made in _CELLS else made.__qualname__
