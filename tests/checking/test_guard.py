"""A user's functions cannot hang, flood or end the check."""

import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bptt.checking.guard import KEPT, guard, guarded
from bptt.checking.source import load
from bptt.checking.subject import SubjectError
from bptt.errors import ConfigError
from source_files import Write
from source_files import write as write

LOOPS = """
def hang():
    while True:
        pass
def catch():
    while True:
        try:
            sum(range(10000))
        except:
            pass
def flood():
    while True:
        print("x" * 1000)
"""


class TestGuard:
    @pytest.mark.parametrize("name", ["hang", "catch", "flood"])
    @pytest.mark.parametrize("on_main", [True, False])
    def test_code_that_does_not_end_is_stopped(self, write: Write, name: str, on_main: bool) -> None:
        function = load(write(LOOPS)).namespace[name]
        said: list[str] = []

        def call() -> None:
            with pytest.raises(SubjectError) as caught:
                guarded(function, seconds=0.2)
            said.append(str(caught.value))

        started, tracer = time.monotonic(), sys.gettrace()
        if on_main:
            call()
        else:
            thread = threading.Thread(target=call)
            thread.start()
            thread.join(10)
        assert time.monotonic() - started < 5
        assert said
        assert "lstm.py:" in said[0]
        assert "not finished within 0.2 s" in said[0]
        assert sys.gettrace() is tracer

    def test_the_outer_time_holds_inside(self, write: Write) -> None:
        function = load(write(LOOPS)).namespace["hang"]
        started = time.monotonic()
        with pytest.raises(SubjectError, match="not finished"), guard(0.2):
            guarded(function, seconds=60.0)
        assert time.monotonic() - started < 5

    def test_time_left_over_does_not_ring_later(self) -> None:
        with guard(0.1):
            assert guarded(lambda: 1, seconds=5.0) == 1
        time.sleep(0.2)

    def test_code_between_calls_is_bounded_too(self) -> None:
        with pytest.raises(SubjectError, match=r"^not finished within 0\.1 s$"), guard(0.1):
            _ = [0 for _ in iter(int, 1)]

    def test_output_is_kept_up_to_a_bound(self, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
        with guard(20.0) as printed:
            for _ in range(100):
                guarded(print, "x" * 10_000)
                guarded(print, "error", file=sys.stderr)
        assert len(printed) == KEPT
        assert capsys.readouterr() == ("", "")

    def test_warnings_and_floating_point_errors_are_silent_inside_and_as_before_outside(self) -> None:
        def noisy() -> Any:
            warnings.warn("old", DeprecationWarning, stacklevel=1)
            np.seterr(over="raise")
            return np.array([1.0]) / 0

        before = np.geterr()
        assert np.isinf(guarded(noisy))
        assert np.geterr() == before
        with pytest.warns(UserWarning, match="seen"):
            warnings.warn("seen", UserWarning, stacklevel=1)

    def test_exceptions_name_the_line_of_the_users_file(self, write: Write) -> None:
        text = (
            "import numpy as np\nimport sys\n"
            "def f(x):\n    return np.linalg.inv(\n        x)\n"
            "def g():\n    sys.exit('done')\n"
            "def h():\n    raise KeyError\n"
            "def r():\n    return r()\n"
            "def s():\n    exec('1 / 0')\n"
        )
        names = load(write(text)).namespace
        calls: list[tuple[Callable[[], Any], str]] = [
            (lambda: guarded(names["f"], np.zeros((2, 2))), r"lstm\.py:4: LinAlgError: Singular matrix$"),
            (lambda: guarded(names["g"]), r"lstm\.py:7: SystemExit: done$"),
            (lambda: guarded(names["h"]), r"lstm\.py:9: KeyError$"),
            (lambda: guarded(names["r"]), r"lstm\.py:11: RecursionError"),
            (lambda: guarded(names["s"]), r"lstm\.py:13: ZeroDivisionError"),
            (lambda: guarded(names["f"]), r"TypeError: f\(\) missing 1 required"),
        ]
        for call, says in calls:
            with pytest.raises(SubjectError, match=says):
                call()

    def test_a_person_can_still_interrupt(self) -> None:
        def interrupted() -> None:
            signal.raise_signal(signal.SIGINT)

        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
        try:
            with pytest.raises(KeyboardInterrupt):
                guarded(interrupted)
        finally:
            signal.signal(signal.SIGINT, before)

    def test_arguments_are_passed_as_they_are(self) -> None:
        assert guarded(lambda *a, **k: (a, k), 1, 2, function=3) == ((1, 2), {"function": 3})

    @pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf")])
    def test_times_that_are_none(self, seconds: float) -> None:
        with pytest.raises(ConfigError, match="seconds must be above 0"), guard(seconds):
            pass

    def test_a_call_costs_little_inside_a_guard(self) -> None:
        def nothing() -> None:
            pass

        with guard(20.0):
            best = min(self.timed(nothing) for _ in range(5))
        assert best < 30e-6

    @staticmethod
    def timed(function: Callable[[], None]) -> float:
        started = time.perf_counter()
        for _ in range(1000):
            guarded(function)
        return (time.perf_counter() - started) / 1000
