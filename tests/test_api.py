"""The page of public names lists all of them, each once; what stands on a name's page is its docstring."""

import re
from pathlib import Path

import pytest

import bptt

PAGE = (Path(__file__).parent.parent / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_public_name_is_listed_once() -> None:
    listed = re.findall(r"^   bptt\.(\w+)$", PAGE, re.MULTILINE)
    assert sorted(listed) == vars(bptt)["__all__"]


def test_every_public_name_says_what_it_is() -> None:
    for name in vars(bptt)["__all__"]:
        public = getattr(bptt, name)
        if not isinstance(public, dict):
            assert (public.__doc__ or "").strip().splitlines()[0].endswith((".", ":")), name


def test_a_docstring_that_speaks_of_no_parameter_is_told() -> None:
    """The site's build asks numpydoc for this: PR02 (docs/conf.py)."""
    validate = pytest.importorskip("numpydoc.validate").validate
    found = {
        f"bptt.{name}": said
        for name in vars(bptt)["__all__"]
        if callable(getattr(bptt, name))
        and (said := [text for code, text in validate(f"bptt.{name}")["errors"] if code == "PR02"])
    }
    assert found == {}
