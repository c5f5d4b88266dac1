"""What training has to say at a step, and the line of the log that it becomes."""

from dataclasses import dataclass
from typing import Any

from bptt.data.tasks import Verdict


@dataclass(frozen=True)
class Report:
    """What training has to say at a step.

    Attributes
    ----------
    step, steps : int
        Training steps done, and to do in all.
    epoch : float
        Passes over the data.
    tokens : int
        Targets trained on so far.
    seconds : float
        Of training, those before a resumption included.
    rate : float
        Tokens per second since the report before.
    train_loss : float
        Mean per target since the report before; nats for cross-entropies.
    lr : float
    valid_loss : float or None
        Where one was taken.
    best : bool
        Whether it is the lowest so far.
    verdict : Verdict or None
        On a generated task.
    """

    step: int
    steps: int
    epoch: float
    tokens: int
    seconds: float
    rate: float
    train_loss: float
    lr: float
    valid_loss: float | None = None
    best: bool = False
    verdict: Verdict | None = None

    def line(self) -> dict[str, Any]:
        """Return the line of the log."""
        line: dict[str, Any] = {
            "step": self.step,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
            "train_loss": self.train_loss,
            "lr": self.lr,
            "tokens_per_second": round(self.rate),
        }
        if self.valid_loss is not None:
            line["valid_loss"] = self.valid_loss
        if self.verdict is not None:
            line["solved"] = self.verdict.met
        return line
