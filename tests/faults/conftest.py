"""Checks are assertions outside of test files: pytest is to explain them too."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.faults.checks", "tests.faults.drill")
