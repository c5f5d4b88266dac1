"""A policy with a memory, learnt by PPO over episodes that end at different times.

The task is a corridor that ends in a T. A cue at its beginning says where to turn at its end, and nothing
says it again: who has no memory turns rightly half of the time. Many corridors are walked at once and each
begins anew when it has ended, so a rollout of T steps of N rows has episodes that begin and end at any
step, and no memory may cross these borders. ``bptt.torch.GRU`` takes them as ``resets=`` and runs all steps
in one call; what is usual is a loop over the steps with ``h * (1 - start)``, or each episode cut out and
packed. All three are here, with the same weights and losses, to be timed:

    python examples/recurrent_policy.py [--loop | --packed] [--threads K]
"""

import argparse
import os
import time
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

import bptt.torch

How = Literal["resets", "loop", "packed"]
FORWARD, LEFT, RIGHT = range(3)
SHORTEST, LONGEST = 5, 20  # steps to the junction


class Corridors:
    """N corridors at once; one that has ended begins anew."""

    def __init__(self, N: int, rng: np.random.Generator) -> None:
        self.rng, self.N = rng, N
        self.turn, self.left, self.starts = np.zeros(N, int), np.zeros(N, int), np.ones(N, bool)
        self._begin()

    def _begin(self) -> None:
        self.turn = np.where(self.starts, self.rng.integers(LEFT, RIGHT + 1, self.N), self.turn)
        self.left = np.where(self.starts, self.rng.integers(SHORTEST, LONGEST + 1, self.N), self.left)

    def seen(self) -> np.ndarray:
        """Return what is seen, (N, 3): the cue, at first alone; whether here is the junction; noise."""
        cue = np.where(self.turn == LEFT, -1.0, 1.0) * self.starts
        return np.stack([cue, self.left == 0, self.rng.normal(size=self.N)], -1).astype(np.float32)

    def step(self, action: np.ndarray) -> np.ndarray:
        """Return the rewards; an episode ends with what is done at the junction."""
        is_end = self.left == 0
        reward = np.where(is_end, np.where(action == self.turn, 1.0, -1.0), -0.1 * (action != FORWARD))
        self.left = self.left - ((action == FORWARD) & ~is_end)
        self.starts = is_end
        self._begin()
        return reward.astype(np.float32)


class Policy(nn.Module):  # type: ignore[misc]
    """What is seen, a memory, and two heads: the logits of the actions and the value."""

    def __init__(self, hidden: int, how: How) -> None:
        super().__init__()
        self.how = how
        self.read = nn.Linear(3, hidden)
        self.memory = (bptt.torch if how == "resets" else nn).GRU(hidden, hidden)
        self.heads = nn.Linear(hidden, 4)

    def forward(self, seen: Any, h: Any, starts: Any) -> Any:
        """Run T steps from the state h (1, N, H); `starts` (T, N) says where an episode begins."""
        x = torch.tanh(self.read(seen))
        if self.how == "resets":
            y, h = self.memory(x, h, resets=starts)
        else:
            y, h = (_by_loop if self.how == "loop" else _packed)(self.memory, x, h, starts)
        logits, value = self.heads(y).split((3, 1), -1)
        return torch.distributions.Categorical(logits=logits), value[..., 0], h


def _by_loop(memory: Any, x: Any, h: Any, starts: Any) -> Any:
    y, goes_on = [], (~starts).float()
    for t in range(len(x)):
        out, h = memory(x[t : t + 1], h * goes_on[t, :, None])
        y.append(out)
    return torch.cat(y), h


def _packed(memory: Any, x: Any, h: Any, starts: Any) -> Any:
    T, N, D = x.shape
    is_first = starts.T.clone()  # of the pieces: each row's steps one after the other, cut where one begins
    is_first[:, 0] = True
    at = is_first.flatten().nonzero()[:, 0]
    lengths = torch.diff(at, append=torch.tensor([T * N])).tolist()
    h_0 = torch.zeros(1, len(at), h.shape[-1])
    h_0[:, at % T == 0] = h * (~starts[0]).float()[:, None]
    pieces = x.transpose(0, 1).reshape(T * N, D).split(lengths)
    y, h_n = memory(pack_sequence(pieces, enforce_sorted=False), h_0)
    is_last = (at + torch.tensor(lengths)) % T == 0
    return torch.cat(unpack_sequence(y)).reshape(N, T, -1).transpose(0, 1), h_n[:, is_last]


class Rollout(NamedTuple):
    """T steps of N rows."""

    seen: Any
    starts: Any
    action: Any
    log_prob: Any
    value: Any
    reward: Any


@torch.no_grad()  # type: ignore[untyped-decorator]
def play(policy: Policy, maze: Corridors, h: Any, T: int) -> tuple[Rollout, Any, Any]:
    """Return a rollout, the value after it, and the state."""
    steps = []
    for _ in range(T):
        seen, starts = torch.from_numpy(maze.seen())[None], torch.from_numpy(maze.starts)[None]
        actions, value, h = policy(seen, h, starts)
        action = actions.sample()
        reward = torch.from_numpy(maze.step(action[0].numpy()))[None]
        steps.append(Rollout(seen, starts, action, actions.log_prob(action), value, reward))
    after = policy(torch.from_numpy(maze.seen())[None], h, torch.from_numpy(maze.starts)[None])[1]
    return Rollout(*(torch.cat(each) for each in zip(*steps, strict=True))), after, h


def advantages(played: Rollout, after: Any, ends: Any, discount: float = 0.97, decay: float = 0.9) -> Any:
    """Return generalised advantages (T, N); `ends` (T, N) says after which steps nothing follows."""
    found, next_value, ahead = torch.zeros_like(played.value), after[0], torch.zeros_like(after[0])
    for t in reversed(range(len(found))):
        goes_on = discount * (~ends[t]).float()
        surprise = played.reward[t] + goes_on * next_value - played.value[t]
        found[t] = ahead = surprise + decay * goes_on * ahead
        next_value = played.value[t]
    return found


def main(how: How = "resets", updates: int = 40, N: int = 64, T: int = 64, hidden: int = 64) -> Any:
    """Return the loss of every update, and the part of right turns in the last rollouts."""
    torch.manual_seed(0)
    policy, maze = Policy(hidden, how), Corridors(N, np.random.default_rng(0))
    adam = torch.optim.Adam(policy.parameters(), lr=3e-3)
    h, losses, turns, seconds = torch.zeros(1, N, hidden), [], [], np.zeros(2)
    for update in range(updates):
        began, h_0 = time.perf_counter(), h
        played, after, h = play(policy, maze, h, T)
        ends = torch.cat([played.starts[1:], torch.from_numpy(maze.starts)[None]])
        turns.append(float((played.reward[ends] > 0).float().mean()))
        gain = advantages(played, after, ends)
        wanted, gain = gain + played.value, (gain - gain.mean()) / gain.std()
        seconds[0] += time.perf_counter() - began
        began = time.perf_counter()
        for _ in range(4):
            for rows in torch.randperm(N).chunk(4):
                # one call over (T, N / 4), from the state before the rollout
                actions, value, _ = policy(played.seen[:, rows], h_0[:, rows], played.starts[:, rows])
                ratio = torch.exp(actions.log_prob(played.action[:, rows]) - played.log_prob[:, rows])
                clipped = ratio.clamp(0.8, 1.2)
                policy_loss = -torch.minimum(ratio * gain[:, rows], clipped * gain[:, rows]).mean()
                value_loss = (value - wanted[:, rows]).square().mean()
                loss = policy_loss + 0.5 * value_loss - 0.01 * actions.entropy().mean()
                adam.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
                adam.step()
                losses.append(loss.item())
        seconds[1] += time.perf_counter() - began
        if update % 10 == 9:
            print(f"update {update + 1:4}  loss {losses[-1]:8.5f}  right turns {np.mean(turns[-10:]):.0%}")
    print(f"{how}: {seconds[0]:.1f} s of playing, {seconds[1]:.1f} s of learning")
    return losses, float(np.mean(turns[-10:]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", dest="how", action="store_const", const="loop", default="resets")
    parser.add_argument("--packed", dest="how", action="store_const", const="packed")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    os.environ["BPTT_THREADS"] = str(asked.threads)
    main(asked.how)
