"""``bptt.cell``: a function's equations as a cell."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from bptt.derive.equation_cell import EquationCell, Init
from bptt.derive.equations import EquationError, Start
from bptt.derive.origin import place, read_function


def cell(
    function: Callable[..., Any] | None = None,
    *,
    state: str | tuple[str, ...] = "h",
    params: str | Mapping[str, Start] = "",
    scalars: str | Mapping[str, Start] = "",
    inputs: str = "",
    start: Mapping[str, float] | None = None,
    operand: Mapping[str, str] | None = None,
    shapes: Mapping[str, str] | None = None,
    sizes: Mapping[str, int | str] | None = None,
    heads: int = 1,
    bias: bool = True,
    init: Init | Mapping[str, float] | None = None,
    name: str | None = None,
    **unknown: object,
) -> Any:
    """Make a cell from a function that holds its equations.

    The function is read and never called: its body is assignments of arithmetic, of the functions in
    ``bptt.derive.FUNCTIONS`` (sigmoid, tanh, relu, exp, log, softplus, sqrt, abs, max, min, where, sin, cos,
    erf, Phi, sign, floor, stop, surrogate), of silu, gelu, logsigmoid, clip, mod, and of helpers, for one
    hidden unit, and it returns the states after the step. They need not be imported.

    Parameters
    ----------
    state : str
        The names of the states, the output first: ``"h c"``. As arguments: before the step.
    params : str or dict
        Arguments that are parameters of each hidden unit, as ``"p_i p_f"``, which start at zero, or with
        where they start, a number or bounds: ``{"u": (-1, 1)}``.
    scalars : str or dict
        Arguments that are parameters of the whole layer, one number each, as `params` has them.
    start : dict, optional
        Where states start, and after a reset start anew: ``{"m": -1e38}``. Default: zeros.
    inputs : str
        Arguments that are given at each step beside the input, such as times; ``x`` is the input itself.
    operand : dict, optional
        ``{"a_n": "q"}``: the recurrent product of a_n takes the value q in place of the output; several
        have an order. ``c_prev`` is a state before the step.
    shapes : dict, optional
        States, gates, parameters and inputs that have not one number for each unit: ``{"C": "unit key",
        "x_k x_q": "key", "m": "head", "t": "row"}``. Then ``sum(v)``, mean, max, softmax, cumsum and
        cumsoftmax go over a head's units, and ``sum(v, key)`` over its keys.
    sizes : dict, optional
        How many keys a head has: ``{"key": 16}``, or ``{"key": "unit"}``, as many as units.
    heads : int
        In how many heads of equal size the units are.
    bias : bool
        Whether the gates have biases.
    init : dict or function, optional
        Where the biases of gates start: ``{"a_f": 1.0}``, or a function of (rng, H) that returns such a dict.
    name : str, optional
        Default: the function's, with hyphens for underscores.

    Returns
    -------
    EquationCell

    Raises
    ------
    EquationError
        With the file, the line, and what is allowed.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> @bptt.cell(state="h c")
    ... def coupled(a_f, a_o, a_g, c):
    ...     f, o, g = sigmoid(a_f), sigmoid(a_o), tanh(a_g)
    ...     c = f * c + (1 - f) * g
    ...     h = o * tanh(c)
    ...     return h, c
    >>> model = bptt.Model(inputs=9, outputs=9, hidden=4, cell=coupled)
    >>> model.init(np.random.default_rng(0))["layers.0.U"].shape
    (4, 12)
    """
    options: dict[str, Any] = {"state": state, "params": params, "bias": bias} | unknown
    options |= {"scalars": scalars, "inputs": inputs, "heads": heads}
    mappings = {"start": start, "operand": operand, "shapes": shapes, "sizes": sizes}
    options |= {option: {} if given is None else given for option, given in mappings.items()}
    if name is not None:
        options["name"] = name

    def decorate(function: Callable[..., Any]) -> EquationCell:
        equations = read_function(function, options)
        try:
            made = EquationCell(equations, _init(equations.name, init))
            made.start(np.random.default_rng(0), heads)  # an init that names what is not there says so now
        except EquationError as error:
            raise EquationError(f"{place(function)}: {error}") from None
        made.__doc__ = function.__doc__
        return made

    return decorate if function is None else decorate(function)


def _init(name: str, init: Any) -> Init | dict[str, Any] | None:
    if init is None or callable(init):
        return cast(Init | None, init)
    if not isinstance(init, Mapping):
        wanted = '{"a_f": 1.0} or a function of (rng, H) that returns such a dict'
        raise EquationError(f"{name}: init= must be {wanted}; got {init!r}")
    return dict(init)
