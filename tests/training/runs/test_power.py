"""A machine that loses power: whatever the disk shows then goes on to the same bits."""

import random
import sys
from pathlib import Path

import pytest

from hostile.calls import Call
from hostile.crashes import Crashes
from hostile.disk import Disk, Tree
from sampling import count


@pytest.mark.skipif(sys.platform != "linux", reason="it forks a process that has threads")
@pytest.mark.parametrize("resumed", [False, True], ids=["begun", "resumed"])
def test_what_a_disk_shows_goes_on_to_the_same_bits(tmp_path: Path, resumed: bool) -> None:
    tally = Crashes(tmp_path, resumed=resumed).power(count(20, 50))
    assert tally.faults == []


def shown(*calls: Call) -> list[Tree]:
    disk = Disk()
    for call in calls:
        disk.do(call)
    return list(disk.shown(random.Random(0), 64))


def test_a_file_is_there_for_certain_once_it_and_its_folder_are_forced() -> None:
    made = [Call("open", "a", creates=True), Call("write", "a", data=b"0123")]
    assert {tree.get("a", b"none") for tree in shown(*made)} == {
        b"none",
        b"",
        b"0123",
        b"01",
        b"\0\0\0\0",
        b"\0\x0023",
        b"01\0\0",
    }
    assert shown(*made, Call("fsync", "a")) == [{"a": b"0123"}, {}]
    assert shown(*made, Call("fsync", "a"), Call("fsync", ".")) == [{"a": b"0123"}]


def test_a_name_is_the_old_file_or_the_new_until_the_folder_is_forced() -> None:
    old = [Call("open", "a", creates=True), Call("write", "a", data=b"old"), Call("fsync", "a")]
    new = [Call("open", "t", creates=True), Call("write", "t", data=b"new"), Call("fsync", "t")]
    calls = [*old, Call("fsync", "."), *new, Call("replace", "t", "a")]
    assert shown(*calls) == [{"a": b"new"}, {"a": b"old", "t": b"new"}, {"a": b"new"}, {"a": b"old"}]
    assert shown(*calls, Call("fsync", ".")) == [{"a": b"new"}]
    # nothing forced: the new name may come before the new bytes, which is what forcing them first prevents
    early = [call for call in calls if call != Call("fsync", "t")]
    assert {"a": b""} in shown(*early)
