"""What PyTorch's exporter writes is read by its graph, whatever axes are exchanged on the way."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import BpttError
from bptt.exchange import onnx_file
from bptt.nets.losses import softmax
from bptt.types import Array
from onnx_graphs import N, T, ran, same

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
V, E, H = 11, 5, 6


def exported(path: Path, *, batch_first: bool = False, states: bool = False, **how: Any) -> Path:
    """Return the file that PyTorch's exporter writes of a module."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Module(nn.Module):  # type: ignore[name-defined,misc,unused-ignore]
        def __init__(
            self,
            kind: str = "LSTM",
            inputs: str = "embedding",
            outputs: Any = "each",
            after: Any = lambda out: out,
            tied: bool = False,
            **options: Any,
        ) -> None:
            super().__init__()
            self.embedding, self.inputs, self.outputs, self.after = nn.Embedding(V, E), inputs, outputs, after
            D = {"embedding": E, "one-hot": V, "real": 3}[inputs]
            self.layers = getattr(nn, kind)(D, options.pop("hidden", H), batch_first=batch_first, **options)
            self.linear = nn.Linear(self.layers.hidden_size * (2 if self.layers.bidirectional else 1), V)
            if tied:
                self.linear.weight = self.embedding.weight

        def forward(self, x: Any, *state: Any) -> Any:
            if self.inputs == "embedding":
                x = self.embedding(x)
            elif self.inputs == "one-hot":
                x = nn.functional.one_hot(x, V).float()
            y, state = self.layers(x, state if len(state) > 1 else state[0]) if state else self.layers(x)
            h = state[0] if isinstance(state, tuple) else state
            steps = 1 if batch_first else 0
            made = {
                "each": lambda: y,
                "flat": lambda: y.reshape(-1, y.shape[-1]),
                "last": lambda: y[:, -1] if batch_first else y[-1],
                "state": lambda: h[-1],
                "ends": lambda: torch.cat([y[-1, :, :H], y[0, :, H:]], 1),
                "ends, halved": lambda: torch.cat([y[:, :, :H][-1], y[:, :, H:][0]], 1),
                "both": lambda: torch.cat([h[-2], h[-1]], 1),
                "stacked": lambda: h.view(-1, 2, h.shape[1], H)[-1].transpose(0, 1).reshape(h.shape[1], -1),
                "mean": lambda: y.mean(steps),
            }.get(self.outputs, lambda: self.outputs(y))()
            return self.after(self.linear(nn.functional.dropout(made, 0.5, self.training))), state

    torch.manual_seed(0)
    x: Any = torch.zeros((4, 2), dtype=torch.int64)
    module = Module(**how).eval()
    if module.inputs == "real":
        x = torch.zeros((4, 2, 3))
    count = module.layers.num_layers * (2 if module.layers.bidirectional else 1)
    given = (torch.zeros((count, 2, H)),) * (states * (2 if isinstance(module.layers, nn.LSTM) else 1))
    names, axes = ["x", "h", "c"][: 1 + len(given)], {"x": {0: "a", 1: "b"}, "h": {1: "n"}, "c": {1: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (x, *given),
            str(path),
            dynamo=False,
            input_names=names,
            output_names=["out"],
            dynamic_axes={name: axes[name] for name in names},
        )
    return path


TORCH: dict[str, dict[str, Any]] = {
    "LSTM": {},
    "GRU, two layers": {"kind": "GRU", "num_layers": 2, "dropout": 0.3},
    "RNN": {"kind": "RNN"},
    "RNN with relu": {"kind": "RNN", "nonlinearity": "relu"},
    "no biases": {"bias": False},
    "batch first, two layers, both directions": {"batch_first": True, "num_layers": 2, "bidirectional": True},
    "one-hot": {"inputs": "one-hot"},
    "real inputs": {"inputs": "real", "kind": "GRU"},
    "steps in one axis": {"outputs": "flat"},
    "the last step": {"outputs": "last", "batch_first": True},
    "the last state": {"outputs": "state", "num_layers": 2},
    "both last states": {"outputs": "both", "bidirectional": True, "num_layers": 2},
    "the last of each direction": {"outputs": "ends", "bidirectional": True},
    "each direction's last": {"outputs": "ends, halved", "bidirectional": True, "kind": "GRU"},
    "both last states, of all": {"outputs": "stacked", "bidirectional": True, "num_layers": 2},
    "the mean": {"outputs": "mean", "batch_first": True},
    "the mean of the outputs": {"after": lambda out: out.mean(0), "kind": "GRU"},
    "the last output": {"after": lambda out: out[-1]},
    "given states": {"states": True, "num_layers": 2},
    "a given state": {"states": True, "kind": "GRU"},
    "a softmax": {"after": lambda out: out.softmax(-1)},
    "a tied matrix": {"hidden": E, "tied": True},
}


@pytest.mark.parametrize("name", TORCH)
def test_a_module_of_pytorch_is_read_by_its_graph(tmp_path: Path, name: str) -> None:
    how = TORCH[name]
    pool = "mean" if "mean" in name else "last" if "last" in name else None
    path = exported(tmp_path / "a.onnx", **how)
    content = onnx_file.read(path)
    model, rng = content.model, np.random.default_rng(0)
    x: Array = rng.integers(V, size=(T, N))
    if how.get("inputs") == "real":
        x = rng.normal(size=(T, N, 3)).astype(np.float32)
    first = how.get("batch_first", False)
    feeds = {"x": x.swapaxes(0, 1) if first else x}
    if how.get("states"):
        feeds |= dict.fromkeys("hc"[: 1 + (model.cell == "lstm")], np.zeros((model.layers, N, H), np.float32))
    found, wanted = ran(path, feeds)["out"], model.forward(content.params, x).outputs
    if name == "a softmax":
        wanted = softmax(wanted)
    if model.pool is not None:
        wanted = wanted[0]
    elif first:
        wanted = wanted.swapaxes(0, 1)
    assert np.abs(found.reshape(wanted.shape) - wanted).max() < 1e-5
    assert model.pool == pool
    assert all(array.flags.writeable and array.flags.c_contiguous for array in content.params.values())
    assert model.bias == ("none" if how.get("bias") is False else "two")
    assert model.tied == how.get("tied", False)
    assert content.vocabulary is None
    assert content.notes["source"].startswith("pytorch ")


def test_of_two_heads_the_first_is_read_and_the_layers_alone_can_be(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = exported(tmp_path / "a.onnx", after=lambda out: (out, out + 1)[0])
    plain = onnx_file.read(path)
    other = onnx.load(path)
    (product,) = (node for node in other.graph.node if node.op_type == "MatMul")
    other.graph.node.add(op_type="MatMul", input=[product.input[0], "M"], output=["second"])
    other.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((H, 3), np.float32), "M"))
    other.graph.output.add().CopyFrom(
        onnx.helper.make_tensor_value_info("second", onnx.TensorProto.FLOAT, ["a", "b", 3])
    )
    path.write_bytes(other.SerializeToString())
    assert same(onnx_file.read(path).params, plain.params)
    bare = torch.nn.GRU(3, 4, 2, bidirectional=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(bare, (torch.zeros((5, 2, 3)),), str(path), dynamo=False)
    with pytest.raises(
        BpttError, match="no output is a product of what its recurrent layers give and a matrix"
    ):
        onnx_file.read(path)
    stack, params = onnx_file.layers(path)
    x = torch.randn((5, 2, 3))
    y = stack.forward(params, x.numpy()).y
    assert np.abs(y - bare(x)[0].detach().numpy()).max() < 1e-6


@pytest.mark.parametrize(
    "taken",
    [
        lambda y: y[-1],
        lambda y: y[0],
        lambda y: y[:, :, H:][-1].repeat(1, 2),
        lambda y: y[-1, :, H:].repeat(1, 2),
        lambda y: y[0, :, :H].repeat(1, 2),
    ],
)
def test_of_the_reverse_direction_the_last_step_is_no_last_state(tmp_path: Path, taken: Any) -> None:
    path = exported(tmp_path / "a.onnx", outputs=taken, bidirectional=True)
    with pytest.raises(BpttError, match="of one direction it takes what has seen one step alone"):
        onnx_file.read(path)
