"""What a page of documentation shows: code, commands with their output, and what is neither."""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from textwrap import dedent
from typing import Literal

STARTS = re.compile(r"(import|from|@|def|class)\b|# \S+\.py$")
"""What an indented block of Python begins with."""
PROGRAMS = ("bptt", "python", "pip")


@dataclass(frozen=True)
class Block:
    """A piece of a page.

    `text` of a command is without what is said of it at its right; `output` is what stands under one that
    has a dollar sign.
    """

    line: int
    kind: Literal["python", "command", "other"]
    text: str
    output: str = ""


def blocks(page: str) -> list[Block]:
    """Return a page's blocks, in order."""
    found: list[Block] = []
    for line, language, text in _raw(page.splitlines()):
        if language == "python":
            found.append(Block(line, "python", text))
        elif language == "":
            found += _split(line, text)
    return found


def in_tables(page: str) -> list[Block]:
    """Return the commands that stand in a page's tables, row by row."""
    return [
        Block(k, "command", code)
        for k, line in enumerate(page.splitlines(), 1)
        if line.startswith("|")
        for code in re.findall(r"`(bptt [^`]*)`", line)
    ]


def _raw(lines: list[str]) -> Iterator[tuple[int, str, str]]:
    """Yield fenced and indented blocks: the line where one begins, its language, its text."""
    k = 0
    while k < len(lines):
        fence = re.match(r" *```(.*)", lines[k])
        if fence:
            end = next(j for j in range(k + 1, len(lines)) if lines[j].strip() == "```")
            yield k + 2, fence[1] or "text", dedent("\n".join(lines[k + 1 : end]))
            k = end + 1
        elif lines[k].startswith("    ") and (k == 0 or not lines[k - 1].strip()):
            ends = (j for j in range(k, len(lines)) if lines[j].strip() and lines[j][:4] != "    ")
            end = next(ends, len(lines))
            yield k + 1, "", dedent("\n".join(lines[k:end])).rstrip()
            k = end
        else:
            k += 1


def _split(line: int, text: str) -> Iterator[Block]:
    """Yield the pieces of an indented block."""
    lines = text.splitlines()
    k = 0
    while k < len(lines):
        begin = k
        if lines[k].startswith("$ "):
            k = _last(lines, k, _next)
            output = "\n".join(lines[begin + 1 : k + 1]).rstrip()
            yield Block(line + begin, "command", lines[begin][2:], output)
        elif _is_command(lines[k]):
            command = _command(lines[k])
            while _is_open(command):
                k += 1
                goes_on = command.endswith("\\")
                command = command[:-1] + lines[k].lstrip() if goes_on else f"{command}\n{lines[k]}"
            yield Block(line + begin, "command", command)
            while k + 1 < len(lines) and lines[k + 1].startswith(" "):  # what is said of it goes on
                k += 1
        elif STARTS.match(lines[k]):
            k = _last(lines, k, lambda before, line: line.startswith("$ ") or _is_command(line))
            yield Block(line + begin, "python", "\n".join(lines[begin : k + 1]))
        elif lines[k].strip():
            k = _last(lines, k, lambda before, line: not line.strip() or _is_command(line))
            yield Block(line + begin, "other", "\n".join(lines[begin : k + 1]))
        k += 1


def _last(lines: list[str], k: int, ends: Callable[[str, str], bool]) -> int:
    """Return the last line of a piece that begins at k; `ends` is told a line and what comes before it."""
    return next((j for j in range(k, len(lines) - 1) if ends(lines[j], lines[j + 1])), len(lines) - 1)


def _next(before: str, line: str) -> bool:
    """Return whether an output is over."""
    return line.startswith("$ ") or (not before.strip() and _is_command(line))


def _is_command(line: str) -> bool:
    return line.split(" ")[0] in PROGRAMS


def _is_open(command: str) -> bool:
    """Return whether a command goes on in the next line."""
    try:
        shlex.split(command)
    except ValueError:
        return True
    return command.endswith("\\")


def _command(line: str) -> str:
    """Return a command without what is said of it: that stands to the right, after more blanks than one."""
    return re.split(r"(?<=\S)\s{2,}(?=\S)", line)[0]
