"""PyTorch code is recognised, judged right where it is, and its wrong term named where it is not."""

from pathlib import Path
from typing import Any

import pytest

from bptt.checking import check_file, check_subject
from bptt.checking.adapters import find
from processes import run

torch: Any = pytest.importorskip("torch")


class LSTMStep(torch.autograd.Function):  # type: ignore[misc]
    """Gates i f g o, weights (4H, D) as PyTorch lays them."""

    @staticmethod
    def forward(ctx: Any, x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias: Any) -> Any:
        i, f, g, o = (x @ weight_ih.T + h @ weight_hh.T + bias).chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c_next = f * c + i * g
        h_next = o * c_next.tanh()
        ctx.save_for_backward(x, h, c, weight_ih, weight_hh, i, f, g, o, c_next)
        return h_next, c_next

    through_tanh = True

    @classmethod
    def terms(cls, ctx: Any, dh: Any, dc: Any) -> Any:
        x, h, c, weight_ih, weight_hh, i, f, g, o, c_next = ctx.saved_tensors
        t = c_next.tanh()
        dc = dc + dh * o * ((1 - t * t) if cls.through_tanh else 1)
        da = torch.cat(
            [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)], 1
        )
        return da @ weight_ih, da @ weight_hh, dc * f, da.T @ x, da.T @ h, da.sum(0)

    @staticmethod
    def backward(ctx: Any, dh: Any, dc: Any) -> Any:
        return LSTMStep.terms(ctx, dh, dc)


class WrongStep(LSTMStep):
    """Without the derivative of tanh(c)."""

    through_tanh = False

    @staticmethod
    def backward(ctx: Any, dh: Any, dc: Any) -> Any:
        return WrongStep.terms(ctx, dh, dc)


def test_right_function() -> None:
    [subject] = find({"LSTMStep": LSTMStep})
    judgement = check_subject(subject)
    assert judgement.verdict == "right", judgement
    assert {g.name for g in judgement.gradients} == {"x", "h", "c", "weight_ih", "weight_hh", "bias"}
    assert judgement.cell is not None
    assert (judgement.cell["name"], judgement.cell["gates"]) == ("lstm", "ifgo")
    assert not judgement.side_effects


def test_wrong_term_is_named() -> None:
    [subject] = find({"WrongStep": WrongStep}, "WrongStep")
    judgement = check_subject(subject)
    wrong = {g.name for g in judgement.gradients if g.verdict == "wrong"}
    assert wrong == {"x", "h", "c", "weight_ih", "weight_hh", "bias"}
    assert judgement.fault is not None
    assert "tanh" in judgement.fault["says"], judgement.fault


class Tiny(torch.nn.Module):  # type: ignore[misc]
    """Constructible with sizes."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.rnn = torch.nn.GRU(input_size, hidden_size)

    def forward(self, x: Any) -> Any:
        return self.rnn(x)[0]


class Wrapped(torch.nn.Module):  # type: ignore[misc]
    """A module over a Function whose backward is wrong."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.weight_ih = torch.nn.Parameter(torch.zeros(4 * hidden_size, input_size))
        self.weight_hh = torch.nn.Parameter(torch.zeros(4 * hidden_size, hidden_size))
        self.bias = torch.nn.Parameter(torch.zeros(4 * hidden_size))

    def forward(self, x: Any, h: Any, c: Any) -> Any:
        hs = []
        for t in range(len(x)):
            h, c = WrongStep.apply(x[t], h, c, self.weight_ih, self.weight_hh, self.bias)
            hs.append(h)
        return torch.stack(hs), c


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_instances_are_right(kind: str, batch_first: bool) -> None:
    before = torch.get_default_dtype()
    [subject] = find({"net": getattr(torch.nn, kind)(3, 4, batch_first=batch_first)})
    judgement = check_subject(subject)
    assert judgement.verdict == "right", judgement
    assert judgement.cell is not None
    assert judgement.cell["name"].startswith(kind.lower())
    assert "h0" in subject.roles.values()
    assert torch.get_default_dtype() == before


def test_class_with_sizes() -> None:
    [subject] = find({"Tiny": Tiny, "nn": torch.nn, "GRU": torch.nn.GRU})
    assert (subject.name, check_subject(subject).verdict) == ("Tiny", "right")


def test_module_over_a_wrong_function() -> None:
    [subject] = find({"Wrapped": Wrapped})
    judgement = check_subject(subject)
    assert judgement.verdict == "wrong"
    assert judgement.fault is not None
    assert "tanh" in judgement.fault["says"], judgement.fault


FILE = """
import torch
from torch.autograd import Function

class LSTMFunction(Function):
    @staticmethod
    def forward(ctx, input, weights, bias, old_h, old_cell):
        X = torch.cat([old_h, input], dim=1)
        i, f, o, g = torch.nn.functional.linear(X, weights, bias).chunk(4, dim=1)
        i, f, o, g = torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o), torch.tanh(g)
        new_cell = f * old_cell + i * g
        ctx.save_for_backward(X, weights, i, f, o, g, new_cell, old_cell)
        return o * torch.tanh(new_cell), new_cell

    @staticmethod
    def backward(ctx, *grads):
        X, weights, i, f, o, g, new_cell, old_cell = ctx.saved_tensors
        t = torch.tanh(new_cell)
        d_o = grads[0] * t * o * (1 - o)
        d_cell = grads[1] + grads[0] * o * (1 - t ** 2)
        d_f = d_cell * old_cell * (1 - f)
        d_i = d_cell * g * i * (1 - i)
        d_g = d_cell * i * (1 - g ** 2)
        d_gates = torch.cat([d_i, d_f, d_o, d_g], dim=1)
        d_X = d_gates.mm(weights)
        n = old_cell.shape[1]
        return d_X[:, n:], d_gates.t().mm(X), d_gates.sum(0), d_X[:, :n], d_cell * f
"""


def test_a_file_with_joint_weights(tmp_path: Path) -> None:
    """Weights (4H, H + D) over [h, x], a backward of ``*grads``, an output without a name."""
    path = tmp_path / "lltm.py"
    path.write_text(FILE)
    [judgement] = check_file(path)
    assert {g.name for g in judgement.gradients if g.verdict == "wrong"} == {
        "input",
        "weights",
        "bias",
        "old_h",
    }
    assert judgement.fault is not None
    assert "f(1-f)" in judgement.fault["says"]
    assert "d_f =" in judgement.fault["lines"][0]["text"]
    path.write_text(FILE.replace("old_cell * (1 - f)", "old_cell * f * (1 - f)"))
    assert [j.verdict for j in check_file(path)] == ["right"]


class Tagger(torch.nn.Module):  # type: ignore[misc]
    """Of tokens; its sizes, and its forward's argument, are called as in many tutorials."""

    def __init__(self, embedding_dim: int, hidden_dim: int, vocab_size: int, tagset_size: int) -> None:
        super().__init__()
        self.embeddings = torch.nn.Embedding(vocab_size, embedding_dim)
        self.lstm = torch.nn.LSTM(embedding_dim, hidden_dim)
        self.tags = torch.nn.Linear(hidden_dim, tagset_size)

    def forward(self, sentence: Any) -> Any:
        embedded = self.embeddings(sentence)
        return self.tags(self.lstm(embedded.view(len(sentence), 1, -1))[0])


class Joint(torch.nn.Module):  # type: ignore[misc]
    """With the argument names of a custom extension, and the states in a tuple."""

    def __init__(self, input_features: int, state_size: int) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.zeros(4 * state_size, input_features + state_size))
        self.bias = torch.nn.Parameter(torch.zeros(4 * state_size))

    def forward(self, input: Any, state: Any) -> Any:
        old_h, old_c = state
        both = torch.cat([old_h, input], dim=1)
        i, f, o, g = torch.nn.functional.linear(both, self.weights, self.bias).chunk(4, dim=1)
        c = f.sigmoid() * old_c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class Decoder(torch.nn.Module):  # type: ignore[misc]
    """One token at a time."""

    def __init__(self, hidden_size: int, output_size: int, num_layers: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(output_size, hidden_size)
        self.gru = torch.nn.GRU(hidden_size, hidden_size, num_layers)

    def forward(self, input: Any, hidden: Any) -> Any:
        return self.gru(self.embedding(input).view(1, 1, -1), hidden)


@pytest.mark.parametrize(
    ("cls", "form", "cell"), [(Tagger, "sequence", None), (Joint, "step", "lstm"), (Decoder, "step", None)]
)
def test_constructors_and_tokens(cls: Any, form: str, cell: str | None) -> None:
    [subject] = find({cls.__name__: cls})
    judgement = check_subject(subject)
    assert (subject.form, judgement.verdict) == (form, "right")
    assert judgement.cell is None if cell is None else judgement.cell and judgement.cell["name"] == cell


def test_other_modules_are_left_alone() -> None:
    class Linear(torch.nn.Module):  # type: ignore[misc]
        def forward(self, image: Any) -> Any:
            return image

    assert find({"Linear": Linear, "torch": torch}) == []


def test_torch_is_not_imported() -> None:
    code = "import sys; from bptt.checking.adapters import find; find({}); sys.exit('torch' in sys.modules)"
    assert run(code).returncode == 0
