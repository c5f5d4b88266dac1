"""The states of other people's PyTorch modules, by whatever names, give models of the same numbers."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.exchange import layers, read

torch: Any = pytest.importorskip("torch")
safe: Any = pytest.importorskip("safetensors.torch")
nn = torch.nn

V, E, H, T, N = 11, 5, 6, 7, 3
TOKENS = np.random.default_rng(3).integers(V, size=(T, N))


class Model(nn.Module):  # type: ignore[misc, name-defined]
    """An embedding, a recurrent module and a linear output, by any names."""

    def __init__(
        self,
        names: tuple[str, str, str] = ("encoder", "rnn", "decoder"),
        kind: str = "LSTM",
        E: int = E,
        tied: bool = False,
        out_bias: bool = True,
        one_hot: bool = False,
        **how: Any,
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.names, self.one_hot = names, one_hot
        if not one_hot:
            self.add_module(names[0], nn.Embedding(V, E))
        self.add_module(names[1], getattr(nn, kind)(V if one_hot else E, H, **how))
        width = H * (2 if how.get("bidirectional") else 1)
        self.add_module(names[2], nn.Linear(width, V, bias=out_bias))
        if tied:
            getattr(self, names[2]).weight = getattr(self, names[0]).weight
        for parameter in self.parameters():  # biases, too, are none of them zero
            nn.init.normal_(parameter, 0, 0.5)

    def forward(self, tokens: Any) -> Any:
        below, rnn, above = (getattr(self, name, nn.Identity()) for name in self.names)
        x = nn.functional.one_hot(tokens, V).float() if self.one_hot else tokens
        return above(rnn(below(x))[0])


def saved(module: Any, path: Path) -> Path:
    safe.save_file({name: array.clone().contiguous() for name, array in module.state_dict().items()}, path)
    return path


def assert_same(module: Any, path: Path, **told: Any) -> bptt.Model:
    content = read(path, **told)
    found = content.model.forward(content.params, TOKENS).outputs
    wanted = module(torch.from_numpy(TOKENS)).detach().numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-5, rtol=1e-5)
    assert list(content.params) == list(content.model.shapes)
    return content.model


@pytest.mark.parametrize(
    ("how", "is_so"),
    [
        ({}, {"embedding": E, "bias": "two"}),
        ({"kind": "GRU", "num_layers": 2}, {"layers": 2}),
        ({"kind": "RNN", "bidirectional": True, "num_layers": 2}, {"bidirectional": True}),
        ({"bias": False, "out_bias": False, "bidirectional": True}, {"bias": "none", "output_bias": False}),
        ({"names": ("word_embeddings", "lstm", "hidden2tag"), "E": H}, {"tied": False}),
        ({"names": ("b", "a", "c"), "E": H}, {"tied": False}),  # the bias tells the output
        ({"names": ("emb", "gru", "fc"), "kind": "GRU", "E": H, "out_bias": False}, {"output_bias": False}),
        ({"one_hot": True, "kind": "GRU"}, {"embedding": None, "token_inputs": True}),
        ({"E": H, "tied": True}, {"tied": True}),
        ({"E": H, "tied": True, "out_bias": False, "names": ("x", "y", "z")}, {"tied": True}),
    ],
)
def test_a_language_model_gives_its_numbers(how: Any, is_so: dict[str, Any], tmp_path: Path) -> None:
    module = Model(**how)
    model = assert_same(module, saved(module, tmp_path / "a.safetensors"))
    assert {name: getattr(model, name) for name in is_so} == is_so


def test_what_wraps_a_module_is_looked_through(tmp_path: Path) -> None:
    module = Model()
    compiled = nn.ModuleDict({"_orig_mod": module})  # as torch.compile names it, which takes seconds to load
    for k, wrapped in enumerate((nn.DataParallel(module), compiled, nn.Sequential(module))):
        assert_same(module, saved(wrapped, tmp_path / f"{k}.safetensors"))


def test_weight_norm_and_weight_drop_are_undone(tmp_path: Path) -> None:
    module = Model(num_layers=2)
    nn.utils.parametrizations.weight_norm(module.rnn, "weight_hh_l1")
    with pytest.warns(FutureWarning, match="deprecated"):
        nn.utils.weight_norm(module.decoder)
    for name, parameter in module.named_parameters():
        if name.endswith(("_g", "original0")):
            nn.init.uniform_(parameter, 0.5, 2)
    path = saved(module, tmp_path / "a.safetensors")
    assert {"decoder.weight_g", "rnn.parametrizations.weight_hh_l1.original1"} <= safe.load_file(path).keys()
    assert_same(module, path)

    module = Model()
    state = {name: array.clone() for name, array in module.state_dict().items()}
    raw = {"rnn.weight_hh_l0_raw": state.pop("rnn.weight_hh_l0")}
    dropped = raw | {name.replace("rnn.", "rnn.module."): array for name, array in state.items()}
    dropped["rnn.module.weight_hh_l0"] = torch.zeros(4 * H, H)  # as the last drop left it
    safe.save_file(dropped, tmp_path / "b.safetensors")
    assert_same(module, tmp_path / "b.safetensors")


def test_what_pruning_and_spectral_norm_keep_is_made_one(tmp_path: Path) -> None:
    prune = importlib.import_module("torch.nn.utils.prune")
    module = Model(num_layers=2)
    prune.l1_unstructured(module.rnn, "weight_hh_l0", amount=0.3)
    prune.random_unstructured(module.decoder, "weight", amount=0.2)
    nn.utils.parametrizations.spectral_norm(module.rnn, "weight_ih_l1")
    nn.utils.spectral_norm(module.rnn, "weight_hh_l1")
    module.eval()
    path = saved(module, tmp_path / "a.safetensors")
    own = {"decoder.weight_mask", "rnn.parametrizations.weight_ih_l1.0._u", "rnn.weight_hh_l1_orig"}
    assert own <= safe.load_file(path).keys()
    assert_same(module, path)


def test_a_tied_matrix_that_is_kept_once_is_found(tmp_path: Path) -> None:
    module = Model(E=H, tied=True)
    safe.save_model(module, str(tmp_path / "a.safetensors"))
    assert len(safe.load_file(tmp_path / "a.safetensors")) == len(module.state_dict()) - 1
    assert assert_same(module, tmp_path / "a.safetensors").tied


class Several(nn.Module):  # type: ignore[misc, name-defined]
    """Layers that are modules of their own, or cells."""

    def __init__(self, cells: bool) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.cells, self.embed = cells, nn.Embedding(V, E)
        made = [nn.LSTMCell if cells else nn.LSTM] * 11  # so that 10 comes after 9, and not after 1
        self.rnns = nn.ModuleList([make(H if k else E, H) for k, make in enumerate(made)])
        self.head = nn.Linear(H, V)

    def forward(self, tokens: Any) -> Any:
        x = self.embed(tokens)
        for rnn in self.rnns:
            if self.cells:
                state, outputs = None, []
                for x_t in x:
                    state = rnn(x_t, state)
                    outputs.append(state[0])
                x = torch.stack(outputs)
            else:
                x = rnn(x)[0]
        return self.head(x)


@pytest.mark.parametrize("cells", [False, True])
def test_layers_that_are_modules_of_their_own_are_one_stack(cells: bool, tmp_path: Path) -> None:
    module = Several(cells)
    assert assert_same(module, saved(module, tmp_path / "a.safetensors")).layers == 11


def test_what_the_state_does_not_say_can_be_told(tmp_path: Path) -> None:
    module = Model(kind="RNN", nonlinearity="relu")
    path = saved(module, tmp_path / "a.safetensors")
    assert assert_same(module, path, cell="rnn-relu").stack.cell.name == "rnn-relu"
    with pytest.raises(bptt.ConfigError, match=r"rnn, layer 0 has 1 gates, as rnn has, and is no lstm"):
        read(path, cell="lstm")
    with pytest.raises(
        bptt.ConfigError, match="PyTorch has no slstm: its layers are rnn, rnn-relu, lstm, gru"
    ):
        read(path, cell="slstm")
    hot = saved(Model(one_hot=True), tmp_path / "b.safetensors")
    content = read(hot, numbers=True, pool="mean")
    assert (content.model.token_inputs, content.model.pool, content.model.loss) == (
        False,
        "mean",
        "squared_error",
    )


@pytest.mark.parametrize("kind", ["float64", "float16", "bfloat16"])
def test_numbers_of_any_width_are_read_as_they_are(kind: str, tmp_path: Path) -> None:
    module = Model().to(getattr(torch, kind))
    content = read(saved(module, tmp_path / "a.safetensors"))
    found, wanted = content.params["embedding"], module.encoder.weight.detach()
    assert found.dtype == (np.float64 if kind == "float64" else np.float32)
    assert np.array_equal(found, wanted.double().numpy())
    W = module.rnn.weight_ih_l0.detach().double().numpy()
    assert np.array_equal(content.params["layers.0.W"][:, :H], W[:H].T)


def test_layers_alone_are_read_from_python() -> None:
    module = nn.ModuleDict({"attention": nn.Linear(3, 3), "enc": nn.GRU(E, H, 2, bidirectional=True)})
    stack, params = layers(module.state_dict())
    x = np.random.default_rng(0).normal(size=(T, N, E)).astype(np.float32)
    wanted = module["enc"](torch.from_numpy(x))[0].detach().numpy()
    np.testing.assert_allclose(stack.forward(params, x).y, wanted, atol=1e-5)


def without(state: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: array for name, array in state.items() if name not in names}


STATE = {name: array.clone() for name, array in Model().state_dict().items()}
TWO = {name: array.clone() for name, array in Model(num_layers=2, bidirectional=True).state_dict().items()}


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"a.weight": torch.zeros(2, 2)}, r"it has no weight_hh_l0: .* it has a\.weight \(2, 2\)"),
        (
            STATE | {"norm.weight": torch.ones(H), "norm.bias": torch.ones(H)},
            r"norm\.weight \(6,\).* beside its",
        ),
        (STATE | {"h0": torch.ones(1, 1, H)}, r"h0 \(1, 1, 6\) beside its layers"),
        (STATE | {"more.weight": torch.ones(V, V)}, r"more\.weight \(11, 11\) beside its layers"),
        (without(STATE, "rnn.weight_hh_l0"), r"it lacks rnn\.weight_hh_l0, which"),
        (without(STATE, "rnn.weight_ih_l0"), r"it lacks rnn\.weight_ih_l0, which PyTorch's layer has"),
        (without(STATE, "rnn.bias_hh_l0"), r"it lacks rnn\.bias_hh_l0, which PyTorch's layer has"),
        (without(STATE, "encoder.weight", "decoder.weight", "decoder.bias"), "it has recurrent layers alone"),
        ({"rnn.bias_hh_l1": torch.ones(4)}, "it lacks rnn.bias_ih_l0 and 1 more"),
        ({"rnn.weight_hh_l999999999": torch.ones(4, 1)}, "it lacks rnn.weight_ih_l0 and 1 more"),
        (
            without(STATE, "decoder.weight", "decoder.bias"),
            r"encoder\.weight \(11, 5\), and what fits its layers",
        ),
        (STATE | {"rnn.weight_hh_l0": torch.zeros(5 * H, H)}, r"weight_hh must be .* got \(30, 6\)"),
        (STATE | {"rnn.weight_hh_l0": torch.zeros(0, 0)}, r"weight_hh must be .* got \(0, 0\)"),
        (STATE | {"rnn.bias_hh_l0": torch.zeros(3)}, r"rnn, layer 0: pytorch lstm: bias_hh must be floats"),
        (STATE | {"decoder.bias": torch.zeros(3)}, r"decoder\.bias must be \(K,\) = \(11,\), got \(3,\)"),
        (STATE | {"rnn.weight_hr_l0": torch.zeros(2, H)}, "has a projection"),
        (STATE | {"other.weight_hh_l0": torch.zeros(4, 1)}, "several recurrent modules, other, rnn"),
        (STATE | {"rnn.weight_hh_l2": torch.zeros(4 * H, H)}, "it lacks rnn.weight_ih_l1 and"),
        (without(TWO, "rnn.weight_hh_l1_reverse"), r"it lacks rnn\.weight_hh_l1_reverse, which"),
        (
            {name: array for name, array in TWO.items() if "l1_reverse" not in name},
            "it lacks rnn.weight_ih_l1_reverse and 3 more",
        ),
        (
            TWO | {"rnn.weight_ih_l1": torch.zeros(4 * H, H)},
            r"rnn, layer 1 has 6 inputs and 6 units; above 6",
        ),
        (STATE | {"a.weight_g": torch.ones(2)}, "beside its layers"),
        (STATE | {"module.encoder.weight": torch.ones(V, E)}, r"two different arrays encoder\.weight"),
        (STATE | {"decoder.weight_g": torch.ones(2, 1), "decoder.weight_v": torch.ones(V, H)}, "do not fit"),
        (STATE | {"decoder.weight_orig": torch.ones(2, 1), "decoder.weight_mask": torch.ones(V)}, "mask"),
        (STATE | {f"a_{end}": torch.ones(2) for end in ("orig", "u", "v")}, "spectral norm's arrays"),
    ],
)
def test_what_is_no_model_is_told_in_a_line(state: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    safe.save_file({name: array.contiguous() for name, array in state.items()}, path)
    with pytest.raises((bptt.ConfigError, bptt.ShapeError), match=says) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_two_matrices_that_could_be_either_are_not_guessed(tmp_path: Path) -> None:
    module = Model(names=("a", "b", "c"), E=H, out_bias=False)
    path = saved(module, tmp_path / "a.safetensors")
    with pytest.raises(
        bptt.ConfigError, match=r"is a\.weight or c\.weight the embedding\? name it embedding"
    ):
        read(path)
