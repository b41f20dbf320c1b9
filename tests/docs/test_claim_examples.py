"""Every check that docs/writing-claims.md shows can be read, and means what the table says it does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from evaluators.claim_language import entrants_of, written
from evaluators.claim_parser import parse
from leaderboard.claims import keeping_up, trials, wording

TEXT = (Path(__file__).parents[2] / "docs" / "writing-claims.md").read_text(encoding="utf-8")
RELATIONS = re.findall(r"^\| `([^`]+)` \|", TEXT, re.MULTILINE)
(DECLARED,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("check", RELATIONS)
def test_every_relation_of_the_table_is_read_as_it_stands(check):
    assert written(parse(check)).split() == check.split()


def test_the_table_shows_every_relation():
    shown = " ".join(RELATIONS)
    named = ("better(", "not_worse(", "equal(", "slope(", "increasing(", "contains(", "share(", ">=", "in [")
    assert [word for word in named if word not in shown] == []


def test_the_declared_claim_names_its_own_models():
    ((paper, claim),) = tomllib.loads(DECLARED).items()
    assert re.fullmatch(r"\d{3}-\d{3}", paper)
    assert "grand" in entrants_of(parse(claim["check"]))


def test_the_claim_about_a_submission_is_read():
    (check,) = re.findall(r"as in `([^`]+)`", TEXT)
    assert entrants_of(parse(check)) == ["#1f0c9a2e", "nin"]


def test_the_numbers_of_the_page_are_those_of_the_code():
    assert wording.LEAST_DIGITS == 8
    assert "at least eight digits" in TEXT
    assert keeping_up.PATIENCE_SECONDS == 5 * 60
    assert "after five minutes" in TEXT
    assert f"the {trials.BEST} best submissions of a board\nand its {trials.NEWEST} newest results" in TEXT
