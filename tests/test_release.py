"""What is said of a release where it is said: one version, in the code, the changelog and the citation."""

import re
import tomllib
from pathlib import Path

import bptt

ROOT = Path(__file__).parent.parent
VERSION: str = vars(bptt)["__version__"]


def test_the_version_is_the_changelog_s_newest_and_the_citation_s() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\d\S*)", changelog, re.MULTILINE)[0] == VERSION
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (\S+)$", citation, re.MULTILINE) == [VERSION]


def test_what_is_said_to_be_supported_is_what_may_be_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (numpy,) = (need for need in project["dependencies"] if need.startswith("numpy"))
    page = (ROOT / "docs" / "stability.md").read_text(encoding="utf-8")
    assert f"| Python | {project['requires-python'].removeprefix('>=')} or later |" in page
    assert f"| NumPy | {numpy.removeprefix('numpy>=')} or later |" in page
