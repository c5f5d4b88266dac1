"""One training step, prepared once: forward, loss, backward, clipping and update as a few native calls.

::

    (1)  loss, gradients, their squares, the state to carry     a program of the model's (bptt.nets.planned)
    (2)  ‖g‖, lr and t                                          numbers of this step
    (3)  g = g limit/‖g‖;  the optimiser moves p                a program of the optimiser's equations

For each form of batches the first steps run as :meth:`bptt.Model.backprop` and the optimiser's own update do,
to the same bits; then the works that these asked for are played over arrays that stay where they are. What
cannot be laid out (masks of large batches, a loss in NumPy) runs as it did.
"""

import math
from collections.abc import Hashable
from operator import is_

import numpy as np

from bptt.errors import ConfigError
from bptt.kernels.backends import uses_kernels
from bptt.kernels.runtime.programs import shapes_of
from bptt.nets import planned
from bptt.nets.model import Model
from bptt.training import optim
from bptt.types import Array, Batch, Generator, Params

CLIPPED = "g = where(g - limit, limit, where(-limit - g, -limit, g))"
"""Each value to its limit, as :func:`bptt.optim.clip_values` does; where(u, a, b) is a where u is above 0."""

FORMS, FEW = 16, 4
"""Forms of batches for which arrays are kept, and where these have more than `SMALL` bytes."""

SMALL = 1 << 26


class Step:
    """A training step of a model whose parameters stay where they are.

    Parameters
    ----------
    model : Model
    params : dict of arrays
        Moved in place.
    optimizer : Optimizer, optional
        Without it a step finds the gradients, clipped, and moves nothing.
    slots : dict of arrays, optional
        What the optimiser remembers, moved in place; by default as ``optimizer.init`` makes it.
    clip_value, clip_norm : float, optional
        Limits of each entry of the gradients, and of the norm of all together.

    Attributes
    ----------
    each : (T, N)
        Every position's own loss at the last step.
    grads : dict of arrays
        As the last step used them. The next writes over these arrays.
    norm : float
        Of the last step's gradient, before it was clipped; nan before the first.
    state : dict of (N, H)
        Where the last step's sequences ended. The next writes over these arrays, and may begin with them.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> rng = np.random.default_rng(0)
    >>> model = bptt.Model(inputs=9, outputs=9, hidden=16)
    >>> params = model.init(rng)
    >>> step = bptt.Step(model, params, bptt.optim.Adam(), clip_norm=5.0)
    >>> text = np.tile(np.arange(9), 20)[:, None]
    >>> losses = [step(bptt.Batch(text[:-1], text[1:]), lr=0.02) for _ in range(30)]
    >>> losses[-1] < 0.2 < 2.0 < losses[0]
    True
    """

    def __init__(
        self,
        model: Model,
        params: Params,
        optimizer: optim.Optimizer | None = None,
        slots: Params | None = None,
        *,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        fixed = [name for name, array in params.items() if not array.flags.writeable]
        if optimizer is not None and fixed:
            raise ConfigError(f"params are moved in place, and {fixed[0]} cannot be written to: give a copy")
        self.model, self.params, self.optimizer = model, params, optimizer
        self.slots = slots or ({} if optimizer is None else optimizer.init(params))
        self.clip_value, self.clip_norm = clip_value, clip_norm
        self.each, self.grads, self.state = np.empty((0, 0)), Params(), Params()
        self.norm = math.nan
        self._forms: dict[Hashable, _Form] = {}
        self._size = 0  # bytes that these have
        self._held: tuple[Array, ...] = ()

    @property
    def total(self) -> float:
        """The sum of all positions' losses at the last step."""
        return float(np.add.reduce(self.each, None, np.float64))

    def __call__(
        self,
        batch: Batch,
        lr: float = 0.0,
        state: Params | None = None,
        *,
        rng: Generator | None = None,
        done: planned.Done | None = None,
    ) -> float:
        """Take a step and return the loss before it; where that is not finite nothing is moved.

        Parameters
        ----------
        batch : Batch
        lr : float
        state : dict of (N, H), optional
            Where its sequences begin; zeros by default.
        rng : Generator, optional
            Draws the dropout.
        done : callable, optional
            Called with gradients that are there while others are computed, before they are clipped (see
            :meth:`bptt.Model.backprop`).
        """
        if not isinstance(batch, Batch):
            raise ConfigError(
                f"a step takes a batch, bptt.Batch(inputs, targets); got a {type(batch).__name__}"
            )
        if not math.isfinite(lr):
            raise ConfigError(f"lr must be a finite number, got {lr}")
        key = (
            batch.inputs.shape, batch.inputs.dtype, batch.targets.shape, batch.targets.dtype, state is None,
            batch.mask is None, batch.target_mask is None, batch.reset is None, batch.features is None,
            rng is None,
        )  # fmt: skip
        arrays = (*self.params.values(), *self.slots.values())
        if len(arrays) != len(self._held) or not all(map(is_, arrays, self._held)):
            self._forms, self._size, self._held = {}, 0, arrays  # somebody has put others in their place
        form = self._forms.get(key)
        if form is None and len(self._forms) < (FORMS if self._size < SMALL else FEW):
            form = self._made(key, batch, state, rng)
        if form is not None and form.model.run(batch, state, rng, done):
            self.each, self.grads, self.state = form.each, form.grads, form.state
            w, c = form.model.counted.w.ravel(), form.model.counted.c
            loss = float(w @ form.flat)
            if form.spread is not None:
                loss += self.model.label_smoothing * float(w @ form.spread)
            if form.cost is not None:
                loss += float(form.cost.sum(dtype=np.float64))
            if c is not None:
                self.each = (form.each * c).astype(form.each.dtype)
            if math.isfinite(loss):
                form.factor[0] = 1.0
                if form.squares is None or (self.clip_norm is not None and self.clip_value is not None):
                    self._clip()  # (2)
                else:  # values are clipped in (3)
                    self.norm = math.sqrt(math.fsum(form.squares.tolist()))
                    if self.clip_norm is not None and self.clip_norm < self.norm < math.inf:
                        form.factor[0] = self.clip_norm / self.norm
                if self.optimizer is not None:
                    self.slots["t"] += 1
                    form.numbers[...] = self.optimizer.numbers(float(self.slots["t"]), float(lr))
                form.move.run()  # (3)
            return loss
        model = self.model
        loss, self.each, (self.grads, *_), self.state = model.backprop(
            self.params, batch, state, rng=rng, done=done
        )
        if math.isfinite(loss):
            self._clip()
            if self.optimizer is not None:
                self.optimizer.update(self.params, self.grads, self.slots, lr, backend=model.backend)
        return loss

    def _clip(self) -> None:
        self.norm = optim.global_norm(self.grads, backend=self.model.backend)
        if self.clip_value is not None:
            optim.clip_values(self.grads, self.clip_value)
        if self.clip_norm is not None:
            optim.clip_norm(self.grads, self.clip_norm, backend=self.model.backend)

    def _made(
        self, key: Hashable, batch: Batch, state: Params | None, rng: Generator | None
    ) -> "_Form | None":
        """Return what is kept for batches of a form from now on, if it can be had by now."""
        self.grads = Params()  # not to be held beside those that are to come
        bound = self.model.bound(self.params, batch, state, rng=rng)
        moved = [*self.params.values(), *(a for name, a in self.slots.items() if name != "t")]
        if bound is not None and all(
            a.flags.c_contiguous and uses_kernels(self.model.backend, a.dtype) for a in moved
        ):
            self._forms[key] = _Form(self, bound)
            self._size += bound.size
        return self._forms.get(key)


class _Form:
    """What a step of batches of one form runs."""

    def __init__(self, step: Step, bound: planned.Bound) -> None:
        from bptt.kernels.runtime.program import Program

        self.model, found = bound, bound.results
        self.each, self.squares = found["each"], found.get("squares")
        self.flat = self.each.ravel()
        self.spread = found["spread"].ravel() if "spread" in found else None
        self.cost = found.get("cost")
        self.grads = {name: found["d." + name] for name in step.params}
        self.state = {name: found["last." + name] for name in step.model.stack.state_names}
        optimizer = step.optimizer
        self.numbers = np.array([[0.0]] * 2 if optimizer is None else optimizer.numbers(1.0, 0.0))
        self.factor, limit = np.ones(1), np.array([step.clip_value or 0.0])
        slots = {name: array for name, array in step.slots.items() if name != "t"}
        arrays = {f"p.{name}": array for name, array in step.params.items()}
        arrays |= {f"s.{name}": array for name, array in slots.items()} | {"numbers": self.numbers}
        given = {f"g.{name}": array for name, array in self.grads.items()}

        def part(all_of_them: Params, prefix: str) -> Params:
            return {name[2:]: array for name, array in all_of_them.items() if name.startswith(prefix)}

        def move(arrays: Params) -> Params:
            from bptt.kernels.ops.update import update

            grads = part(arrays, "g.")
            for g in grads.values():
                if step.clip_norm is not None:
                    update(("g = factor*g",), {"g": g}, ("factor",), arrays["factor"])
                elif step.clip_value is not None:
                    update((CLIPPED,), {"g": g}, ("limit",), arrays["limit"])
            if optimizer is not None:
                params, slots = part(arrays, "p."), part(arrays, "s.")
                optimizer.move(params, grads, slots, arrays["numbers"], step.model.backend)
            return {}

        arrays |= given | {"factor": self.factor, "limit": limit}
        made = Program.of(lambda **own: move(own), shapes_of(arrays), stays=True)
        self.move = made.bind(list(arrays.values()))
