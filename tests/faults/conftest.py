"""Checks are assertions outside of test files: pytest is to explain them too. After the tests it shows the recoveries."""

from __future__ import annotations

from collections import defaultdict

import pytest

pytest.register_assert_rewrite("tests.faults.checks", "tests.faults.drill")

RECOVERY = "recovery"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A table: how long it took after each fault until all that was posted before was over."""
    took: dict[str, list[float]] = defaultdict(list)
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == RECOVERY:
                took[value[0]].append(value[1])
    if took:
        terminalreporter.section("seconds of recovery: median, longest, drills")
    for kind, seconds in sorted(took.items()):
        middle = sorted(seconds)[len(seconds) // 2]
        terminalreporter.write_line(f"{kind:34} {middle:6.1f} {max(seconds):6.1f} {len(seconds):3}")
