"""Graphs that others wrote, by hand: weights are found where they are used, and odd nodes are named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import BpttError
from bptt.exchange import onnx_file
from bptt.exchange.content import Content
from bptt.exchange.graphs import protobuf, writing
from bptt.exchange.graphs.following import follow
from bptt.types import Array
from onnx_graphs import network, same

onnx = pytest.importorskip("onnx")


def graph(changed: dict[str, Any] | None = None, **attributes: Any) -> Any:
    """Return a small model: tokens, an embedding, an LSTM, a product, a bias; with some parts changed."""
    parts = parts_of() | (changed or {})
    helper, kinds = onnx.helper, onnx.TensorProto
    attributes = {"hidden_size": 2} | attributes
    nodes = [
        helper.make_node("Gather", ["E", "tokens"], ["x"], name="lookup"),
        *parts["before"],
        helper.make_node(parts["op"], ["x", *parts["inputs"]], ["Y", "Y_h"], name="layer", **attributes),
        *parts["after"],
        helper.make_node("MatMul", ["y", "V"], ["z"]),
        helper.make_node("Add", ["z", "b"], ["out"]),
    ]
    made = helper.make_graph(
        [node for node in nodes if node.output[0] not in parts["without"]],
        "g",
        [helper.make_tensor_value_info("tokens", kinds.INT64, ["T", "N"]), *parts["ports"]],
        [helper.make_tensor_value_info("out", kinds.FLOAT, ["A", "B", "K"])],
        [
            tensor if not isinstance(tensor, np.ndarray) else onnx.numpy_helper.from_array(tensor, name)
            for name, tensor in parts["arrays"].items()
        ],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", parts["opset"])], ir_version=10)


def parts_of() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    sizes = {"E": (5, 3), "W": (1, 8, 3), "R": (1, 8, 2), "B": (1, 16), "V": (2, 4), "b": (4,)}
    arrays: dict[str, Any] = {k: rng.normal(size=size).astype(np.float32) for k, size in sizes.items()}
    arrays["one"] = np.array([1])
    after = [onnx.helper.make_node("Squeeze", ["Y", "one"], ["y"])]
    others = {"inputs": ["W", "R", "B"], "ports": [], "opset": 22, "op": "LSTM", "without": []}
    return {"arrays": arrays, "before": [], "after": after} | others


def read(tmp_path: Path, model: Any) -> Content:
    onnx.checker.check_model(model, full_check=True)
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    return onnx_file.read(path)


def node(op: str, inputs: str, output: str, **attributes: Any) -> Any:
    return onnx.helper.make_node(op, inputs.split(), [output], name=f"its {op}", **attributes)


def test_weights_are_computed_where_a_graph_makes_them_of_others(tmp_path: Path) -> None:
    plain = read(tmp_path, graph()).params
    arrays = parts_of()["arrays"]
    arrays |= {
        "W1": arrays["W"][0, :4],
        "W2": arrays["W"][0, 2:],
        "zero": np.array([0]),
        "two": np.array([2]),
    }
    arrays |= {"six": np.array([6]), "Vt": arrays["V"].T.copy(), "shape": np.array([1, 0, -1])}
    del arrays["W"], arrays["V"]
    before = [
        node("Constant", "", "R0", value=onnx.numpy_helper.from_array(arrays.pop("R"))),
        node("Identity", "R0", "R"),
        node("Slice", "W2 two six zero", "W3"),
        node("Concat", "W1 W3", "W0", axis=0),
        node("Unsqueeze", "W0 zero", "W4"),
        node("Cast", "W4", "W5", to=11),
        node("Cast", "W5", "W", to=1),
        node("Transpose", "Vt", "V"),
    ]
    found = read(tmp_path, graph({"arrays": arrays, "before": before})).params
    assert all((found[name] == array).all() for name, array in plain.items())


def test_a_shape_that_is_computed_of_others_is_counted(tmp_path: Path) -> None:
    arrays = parts_of()["arrays"] | {str(k): np.array([k]) for k in range(5)} | {"flat": np.array([-1])}
    after = [
        node("Transpose", "Y", "turned", perm=[0, 2, 1, 3]),
        node("Shape", "turned", "sizes", start=0),
        *(node("Slice", f"sizes {k} {k + 1}", f"size{k}") for k in range(4)),
        node("Mul", "size2 size3", "wide"),  # the directions side by side, as PyTorch's newer exporter has it
        node("Reshape", "wide flat", "width"),
        node("Concat", "size0 size1 width", "shape", axis=0),
        node("Reshape", "turned shape", "y"),
    ]
    found, plain = read(tmp_path, graph({"arrays": arrays, "after": after})), read(tmp_path, graph())
    assert same(found.params, plain.params)


def test_older_files_and_the_other_layout_are_read(tmp_path: Path) -> None:
    plain = read(tmp_path, graph()).params
    arrays = parts_of()["arrays"]
    weights = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, array.shape)
        for name, array in arrays.items()
        if name != "one"
    ]  # which named them among the inputs
    squeeze = [node("Squeeze", "Y", "y", axes=[1])]
    older = read(tmp_path, graph({"opset": 7, "after": squeeze, "ports": weights}))
    two = arrays | {"one": np.array([2])}
    turned = [node("Transpose", "x", "x_t", perm=[1, 0, 2])]
    model = graph({"before": turned, "arrays": two, "opset": 14}, layout=1)
    model.graph.node[2].input[0] = "x_t"
    for found in (older, read(tmp_path, model)):
        assert all((found.params[name] == array).all() for name, array in plain.items())


def test_peepholes_and_half_precision_are_read(tmp_path: Path) -> None:
    arrays = parts_of()["arrays"]
    P = {"P": np.arange(6, dtype=np.float32)[None]}
    found = read(tmp_path, graph({"arrays": arrays | P, "inputs": ["W", "R", "B", "", "", "", "P"]}))
    assert found.model.cell == "lstm-peephole"
    assert [found.params[f"layers.0.p_{gate}"].tolist() for gate in "iof"] == [[0, 1], [2, 3], [4, 5]]
    halves = {name: a.astype(np.float16) for name, a in arrays.items() if name != "one"} | {
        "one": arrays["one"]
    }
    model = graph({"arrays": halves})
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    low = read(tmp_path, model).params
    assert low["layers.0.U"].dtype == np.float32
    assert (low["embedding"] == halves["E"]).all()


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "clipped": ({}, {"clip": 3.0}, "node LSTM 'layer' is not understood: its gates are clipped"),
    "coupled": ({}, {"input_forget": 1}, "or its input gate is coupled"),
    "backwards": (
        {},
        {"direction": "reverse"},
        "its direction is 'reverse'; layers here go forward, or in both",
    ),
    "activations": ({}, {"activations": ["Relu", "Tanh", "Tanh"]}, "its activations are 'relu, tanh, tanh'"),
    "a size": (
        {"arrays": {"E": np.ones((5, 4), np.float32)}},
        {},
        r"layers.0.W must be \(4, 8\), got \(3, 8\)",
    ),
    "a size of R": ({"arrays": {"R": np.ones((1, 8, 3), np.float32)}}, {}, "onnx lstm: R must be floats"),
    "not finite": (
        {"arrays": {"b": np.full(4, np.nan, np.float32)}},
        {},
        "output.b holds what is not finite",
    ),
    "integers": ({"arrays": {"E": np.ones((5, 3), np.int64)}}, {}, "embedding is int64; weights are float32"),
    "an end": ({"without": ["out"]}, {}, "'out' is read, and made nowhere: it is damaged"),
    "a start": ({"without": ["x"]}, {}, "'x' is read, and made nowhere: it is damaged"),
}


@pytest.mark.parametrize(("changed", "attributes", "match"), REFUSED.values(), ids=REFUSED)
def test_what_no_model_here_is_is_refused_by_its_node(
    tmp_path: Path, changed: dict[str, Any], attributes: dict[str, Any], match: str
) -> None:
    changed = changed | {"arrays": parts_of()["arrays"] | changed.get("arrays", {})}
    path = tmp_path / "a.onnx"
    path.write_bytes(graph(changed, **attributes).SerializeToString())
    with pytest.raises(BpttError, match=match) as caught:
        onnx_file.read(path)
    assert "\n" not in str(caught.value)


def between(place: str, *added: Any, **arrays: Array) -> Any:
    return graph({place: [*added], "arrays": parts_of()["arrays"] | arrays})


def test_a_node_on_the_way_is_no_part_of_a_model(tmp_path: Path) -> None:
    squeeze = node("Squeeze", "Y one", "y0")
    square, three = np.eye(2, dtype=np.float32), np.eye(3, dtype=np.float32)
    start = {"h_0": np.ones((1, 1, 2), np.float32)}
    models = {
        "node Relu 'its Relu' is not understood": between("after", squeeze, node("Relu", "y0", "y")),
        "a second layer after": between("after", squeeze, node("MatMul", "y0 M", "y"), M=square),
        "it adds what is no bias": between("after", squeeze, node("Add", "y0 M", "y"), M=square[0]),
        "takes a part of what": between(
            "after", squeeze, node("Slice", "y0 s e", "y"), s=np.array([1]), e=np.array([3])
        ),
        "no mean over": between("after", squeeze, node("ReduceMean", "y0 one", "y", keepdims=1)),
        "neither zero nor an input": graph(
            {"arrays": parts_of()["arrays"] | start, "inputs": ["W", "R", "B", "", "h_0"]}
        ),
    }
    layer = between("before", node("MatMul", "x M", "x1"), M=three)
    layer.graph.node[2].input[0] = "x1"
    models["a layer before the recurrent ones"] = layer
    ones = onnx.numpy_helper.from_array(np.ones(1, np.float32))
    shape = [
        node("Shape", "x", "s"),
        node("Slice", "s zero one", "s1"),
        node("Concat", "one s1 two", "s2", axis=0),
    ]
    filled = between("before", *shape, node("ConstantOfShape", "s2", "h_0", value=ones), zero=np.array([0]))
    filled.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2]), "two"))
    filled.graph.node[5].input.extend(["", "h_0"])
    models["node ConstantOfShape 'its ConstantOfShape' .*: it is no state of zeros"] = filled
    turned = [squeeze, node("Transpose", "y0", "y1", perm=[1, 0, 2])]
    second = onnx.helper.make_node("LSTM", ["y1", "W2", "R"], ["Y2"], hidden_size=2)
    models["its time is another axis than in the layer before"] = between(
        "after", *turned, second, node("Squeeze", "Y2 one", "y"), W2=np.ones((1, 8, 2), np.float32)
    )
    mean = node("ReduceMean", "y0 zero", "y", keepdims=1)
    models["it takes what lies beyond a sequence's end"] = graph(
        {
            "arrays": parts_of()["arrays"] | {"zero": np.array([0])},
            "inputs": ["W", "R", "B", "lengths"],
            "ports": [onnx.helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, ["N"])],
            "after": [squeeze, mean],
        }
    )
    wrong = {"c_0": np.zeros((1, 1, 3), np.float32)}
    models["its states are of another size: is a projection left out"] = graph(
        {"arrays": parts_of()["arrays"] | wrong, "inputs": ["W", "R", "B", "", "", "c_0"]}
    )
    named = between("after", squeeze, node("Identity", "y0", "y"))
    named.graph.node[3].domain = "com.example"
    named.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    models[r"node com.example.Identity 'its Identity' is not understood"] = named
    for match, model in models.items():
        (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(BpttError, match=match) as caught:
            onnx_file.read(tmp_path / "a.onnx")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cell", ["rnn", "rnn-relu", "lstm", "gru", "gru-cho", "lstm-peephole"])
def test_what_bptt_wrote_is_followed_without_its_metadata(cell: str) -> None:
    cases: list[dict[str, Any]] = [
        {"layers": 2, "bidirectional": True, "bias": "two"},
        {"embedding": None, "bias": "none", "pool": "last", "bidirectional": True},
        {"token_inputs": False, "embedding": None, "pool": "mean", "output_bias": False},
        {"embedding": 4, "tied": True, "pool": "last"},
    ]
    for options in cases:
        model, params = network(cell, **options)
        data = protobuf.encode(writing.graph_of(model, params, lengths=False), {}, "")
        found, arrays = follow(protobuf.decode(data, protobuf.Beside(Path("a.onnx")))).model()
        assert found == model
        assert same(arrays, params)
