"""Several threads and several processes: one layer in many threads, distributed training, a fork."""

import os
import sys
import threading
from typing import Any

import pytest

from torch_layers import (
    JUDGED,
    KINDS,
    assert_near,
    compiled_code,  # noqa: F401  a fixture
    flat,
    gradients,
    pair,
    sequence,
    states,
    torch,
    values_and_gradients,
)

trained_in_processes = pytest.importorskip("trained_in_processes")  # which imports torch itself
EACH = pytest.mark.parametrize("kind", KINDS)
no_windows = pytest.mark.skipif(sys.platform == "win32", reason="gloo and fork are tried on Linux and macOS")


@EACH
def test_one_layer_in_several_threads(kind: str) -> None:
    """Each thread its own lengths, so that what one leaves lying would not fit another."""
    ours, theirs = pair(kind, 3, 8, 2, bidirectional=True)
    wanted = [
        values_and_gradients(theirs, sequence(theirs, 3 + k, 1 + k), states(theirs, 1 + k)) for k in range(4)
    ]
    failures: list[Any] = []
    ready = threading.Barrier(4)

    def work(k: int) -> None:
        ready.wait()
        try:
            for _ in range(10):
                assert_near(
                    values_and_gradients(ours, sequence(ours, 3 + k, 1 + k), states(ours, 1 + k)), wanted[k]
                )
                with torch.no_grad():
                    assert_near(flat(ours(sequence(ours, 3 + k, 1 + k)))[0].shape, wanted[k][0].shape)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@EACH
def test_graphs_of_several_threads_in_one_backward(kind: str) -> None:
    ours, theirs = pair(kind, 3, 4)
    parts: dict[int, Any] = {}

    def work(k: int) -> None:
        parts[k] = ours(sequence(ours, 3 + k, 2))[0].square().sum()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = [theirs(sequence(theirs, 3 + k, 2))[0].square().sum() for k in range(3)]
    assert_near(
        gradients([sum(parts.values())], list(ours.parameters())),
        gradients([sum(wanted)], list(theirs.parameters())),
    )


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_bits(threads: int) -> None:
    ours, _ = pair("LSTM", 9, 33, 2, bidirectional=True)
    x = sequence(ours, 7, 13)
    before = torch.get_num_threads()
    once = values_and_gradients(ours, x)
    try:
        torch.set_num_threads(threads)
        again = values_and_gradients(ours, x)
    finally:
        torch.set_num_threads(before)
    assert_near(again, once, 1e-13)


@no_windows
@pytest.mark.skipif(
    not torch.distributed.is_available(), reason="PyTorch was built without torch.distributed"
)
def test_training_in_two_processes(tmp_path: Any) -> None:
    """DistributedDataParallel over gloo: both end with the weights that one process has of all rows."""
    trained_in_processes.train(tmp_path, JUDGED)
    alone = trained_in_processes.model("torch.nn")
    wanted = trained_in_processes.steps(alone, alone, slice(None))
    for rank in (0, 1):
        weights = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert [*weights] == [*wanted]
        assert_near([*weights.values()], [*wanted.values()], 1e-10)


@no_windows
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork")  # JAX, where it was imported, warns of any
def test_a_fork_after_use_computes(tmp_path: Any) -> None:
    """As a DataLoader's workers are made: the child has the weights, and must neither hang nor differ."""
    ours, _ = pair("LSTM", 3, 8, 2)
    x = sequence(ours, 20, 3)
    wanted = values_and_gradients(ours, x)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with torch.no_grad():
                assert torch.equal(ours(x)[0], wanted[0])
            code = 0
        finally:
            os._exit(code)
    timer = threading.Timer(20, os.kill, (child, 9))
    timer.start()
    _, status = os.waitpid(child, 0)
    timer.cancel()
    assert os.waitstatus_to_exitcode(status) == 0
