"""The step in JAX: lax.scan over the cell's equations, the input's products out of it, all of it compiled."""

from typing import Any

import numpy as np

from bptt.bench.contenders import Kind, Work
from bptt.bench.settings import Setting
from bptt.nets.stack import layer_params
from bptt.types import Array
from bptt.zoo.step import step_of, with_equations


def prepare(kind: Kind, setting: Setting, cell: str, option: str) -> Work:
    """Return what takes a step, or writes a token."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_platforms", "cpu")
    made, drops = with_equations(cell), setting.drops(cell)
    advance = step_of(drops.cell, _functions(), lambda a, count: jnp.split(a, count, -1))
    model = setting.model(cell, "reference")
    _, drawn = model.unmapped(model.init(np.random.default_rng(0)))
    params = {name: jnp.asarray(array) for name, array in drawn.items()}
    tokens = jnp.asarray(setting.tokens())

    def forward(params: Any, inputs: Any, state: Any, masks: Any = None) -> tuple[Any, Any]:
        x, after = params["embedding"][inputs], []
        for k in range(setting.layers):
            layer = layer_params(params, k)
            a_x = x @ layer["W"] + layer.get("b", 0)
            layer |= masks[k] if masks else {}

            def body(states: Any, a_t: Any, layer: Any = layer) -> tuple[Any, Any]:
                states = advance(a_t, states, layer)
                return states, states[0]

            states, x = jax.lax.scan(body, state[k], a_x)
            after.append(states)
        return x @ params["output.W"] + params["output.b"], after

    def first(N: int) -> Any:
        states = tuple(jnp.asarray(s) for s in made.first_states(N, setting.H, np.float32))
        return [states for _ in range(setting.layers)]

    if kind == "sampling":

        def written(params: Any, token: Any, state: Any, key: Any) -> Any:
            logits, state = forward(params, token, state)
            key, own = jax.random.split(key)
            return jax.random.categorical(own, logits), state, key

        now = jnp.zeros((1, 1), tokens.dtype), first(1), jax.random.key(0)
        write_next = jax.jit(written)

        def write() -> None:
            nonlocal now
            now = jax.block_until_ready(write_next(params, *now))

        return write

    def trained(params: Any, tokens: Any, state: Any, masks: Any) -> Any:
        def loss_of(params: Any) -> tuple[Any, Any]:
            logits, after = forward(params, tokens[:-1], state, masks)
            own = jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[1:, :, None], -1)
            return -own.mean(), after

        return jax.value_and_grad(loss_of, has_aux=True)(params)

    carried, train = first(setting.N), jax.jit(trained)

    def step() -> tuple[float, Array]:
        nonlocal carried
        masks = [drops.draw(setting.N, setting.H) for _ in range(setting.layers)]
        (loss, carried), grads = jax.block_until_ready(train(params, tokens, carried, masks))
        return float(loss), np.asarray(grads["embedding"])

    return step


def _functions() -> dict[str, Any]:
    import jax
    import jax.numpy as jnp

    return {
        f: getattr(jnp, f) for f in ("tanh", "exp", "log", "sqrt", "abs", "sin", "cos", "sign", "floor")
    } | {
        "sigmoid": jax.nn.sigmoid,
        "erf": jax.scipy.special.erf,
        "Phi": jax.scipy.stats.norm.cdf,
        "stop": jax.lax.stop_gradient,
        "relu": jax.nn.relu,
        "softplus": jax.nn.softplus,
        "max": jnp.maximum,
        "min": jnp.minimum,
        "where": lambda u, v, w: jnp.where(u > 0, v, w),
        "sum": lambda a, at: a.sum(at, keepdims=True),
        "largest": lambda a, at: a.max(at, keepdims=True),
        "cumsum": jnp.cumsum,
        "broadcast_to": jnp.broadcast_to,
    }
