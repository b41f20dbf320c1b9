"""The table of who may do what in docs/security.md, against the module that decides."""

from pathlib import Path

from leaderboard.permissions import RULES, Action, Role

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"


def row(action: Action) -> str:
    who = {frozenset(Role): "everybody", frozenset(Role) - {Role.VISITOR}: "everybody with an account"}
    roles = RULES[action]
    return f"| {action} | {who.get(roles) or ', '.join(role for role in Role if role in roles)} |"


def test_the_table_of_permissions_is_that_of_the_module():
    table = SECURITY.read_text().partition("## Who may do what")[2].partition("\n## ")[0]
    written = [line for line in table.splitlines() if line.startswith("| ")]
    assert written[2:] == [row(action) for action in RULES]
