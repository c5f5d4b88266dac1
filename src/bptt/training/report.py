"""What training has to say at a step, and the line of the log that it becomes."""

from dataclasses import dataclass, field
from typing import Any

from bptt.data.tasks import Verdict

LINE = (
    *("step", "tokens", "seconds", "train_loss", "lr", "tokens_per_second", "grad_norm"),
    *("valid_loss", "valid_tokens", "whole_loss", "solved", "stopped_early", "crc32"),
)
"""What a line of the log says beside the figures."""


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
    grad_norm : float or None
        Of the last step's gradient before it was clipped; None if that was not finite.
    valid_loss : float or None
        Where one was taken.
    best : bool
        Whether it is the lowest so far.
    verdict : Verdict or None
        On a generated task.
    figures : dict of float
        What else was measured on validation data, such as an accuracy.
    sampled : int or None
        How many tokens of the validation text the loss is of, where that is not all.
    whole_loss : float or None
        At the end: what the best parameters reach on all of it, where it was sampled until then.
    """

    step: int
    steps: int
    epoch: float
    tokens: int
    seconds: float
    rate: float
    train_loss: float
    lr: float
    grad_norm: float | None = None
    valid_loss: float | None = None
    best: bool = False
    verdict: Verdict | None = None
    figures: dict[str, float] = field(default_factory=dict)
    sampled: int | None = None
    whole_loss: float | None = None

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
        if self.grad_norm is not None:
            line["grad_norm"] = self.grad_norm
        if self.valid_loss is not None:
            line["valid_loss"] = self.valid_loss
            line |= self.figures
        if self.sampled is not None:
            line["valid_tokens"] = self.sampled
        if self.whole_loss is not None:
            line["whole_loss"] = self.whole_loss
        if self.verdict is not None:
            line["solved"] = self.verdict.met
        return line
