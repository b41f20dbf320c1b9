"""Pages of promises name the test behind each sentence: every named test exists, and no promise is without one.

A promise is a list item (`- ...`) of a page in PROMISES, and names its tests as `tests/area/test_file.py::test_name`."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.faults.faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PROMISES = ("reliability.md", "data.md")
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?(?:\[[^\]]*\])?`")
ITEM = re.compile(r"^- .*(?:\n(?!- |#|\n).*)*", re.MULTILINE)


def promises_of(text: str) -> list[str]:
    """The list items of a page, each with its continuation lines."""
    return ITEM.findall(text)


@cache
def defined_in(path: Path) -> set[str]:
    """Names of the functions and classes at the top of a test file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, kinds)}


def missing(text: str, *, root: Path = ROOT) -> list[str]:
    """What a page names that is not there."""
    found = []
    for path, name in NAMED.findall(text):
        there = (root / path).is_file() and (not name or name in defined_in(root / path))
        found += [] if there else [f"{path}::{name}"]
    return found


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    assert missing(page.read_text()) == []


@pytest.mark.parametrize("name", PROMISES)
def test_every_promise_names_its_test(name: str) -> None:
    promises = promises_of((ROOT / "docs" / name).read_text())
    assert promises
    assert [promise for promise in promises if not any(test for _, test in NAMED.findall(promise))] == []


def test_the_checker_sees_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text("def test_one():\n    assert True\n")
    page = "- Kept. `tests/test_a.py::test_one`\n- Broken,\n  over two lines. `tests/test_a.py::test_two`\n- Bare.\n"
    assert missing(page, root=tmp_path) == ["tests/test_a.py::test_two"]
    assert [len(NAMED.findall(promise)) for promise in promises_of(page)] == [1, 1, 0]
    assert missing("`tests/test_b.py::test_one[case]`", root=tmp_path) == ["tests/test_b.py::test_one"]


def test_every_fault_that_the_drills_know_is_promised() -> None:
    """And every fault that the page names is one of them."""
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert sorted(re.findall(r"test_everything_is_over_exactly_once_after\[([^\]]+)\]", page)) == sorted(FAULTS)
