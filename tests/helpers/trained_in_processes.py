"""A model about a recurrent layer, trained by two processes; run as a script it is one of them."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from processes import start


def model(source: str) -> Any:
    """Return the model, with the layers of a module: bptt.torch or torch.nn."""
    layers: Any = import_module(source)
    torch.manual_seed(0)
    rnn = layers.LSTM(3, 5, 2, batch_first=True, bidirectional=True, dtype=torch.float64)

    class Model(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = rnn
            self.output = torch.nn.Linear(10, 2, dtype=torch.float64)

        def forward(self, x: Any) -> Any:
            return self.output(self.rnn(x)[0])

    return Model()


def steps(model: Any, called: Any, rows: slice) -> Any:
    """Train for three steps on some rows of the same batch; return the weights."""
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        x = torch.randn(4, 6, 3, generator=generator, dtype=torch.float64)[rows]
        optimizer.zero_grad()
        called(x).square().mean().backward()
        optimizer.step()
    return model.state_dict()


def train(folder: Path, source: str) -> None:
    """Have two processes train, each on half the rows, and leave their weights as RANK.pt."""
    both = [start(__file__, source, str(folder), str(rank)) for rank in (0, 1)]
    for process in both:
        with process:
            _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors.decode()


def main(source: str, folder: str, rank: str) -> None:
    """Be one of the two."""
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=int(rank), world_size=2
    )
    own = model(source)
    parallel = torch.nn.parallel.DistributedDataParallel(own)
    torch.save(steps(own, parallel, slice(2 * int(rank), 2 * int(rank) + 2)), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
