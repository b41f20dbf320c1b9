"""The table of limits in docs/security.md and on the page of the API, against the module that holds them."""

from pathlib import Path

import pytest

from evaluators.limits import LIMITS

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"


def row(limit) -> str:
    star = "*" if limit.settable else ""
    code = f"`{limit.answer}`" if limit.answer else ""
    return (
        f"| `{limit.name}`{star} | {limit.about} | {f'{limit.value:,} {limit.unit}'.strip()} | {limit.where.value} | {code} |"
    )


def test_the_table_of_limits_is_that_of_the_module():
    written = [line for line in SECURITY.read_text().splitlines() if line.startswith(("| `MAX_", "| `MIN_"))]
    assert written == [row(limit) for limit in LIMITS.values()]


@pytest.mark.django_db
def test_the_page_for_submitters_shows_every_limit(client):
    page = client.get("/api/docs/problems").content.decode()
    for limit in LIMITS.values():
        assert f"{limit.about[:1].upper()}{limit.about[1:]}" in page.replace("&#x27;", "'")
        assert f"{limit.value} {limit.unit}" in page


def test_an_operator_overrides_a_limit_by_its_variable():
    import subprocess
    import sys

    script = "from evaluators import limits; print(limits.MAX_ONNX_NODES, limits.MAX_NAME)"
    environment = {"MAX_ONNX_NODES": "7", "MAX_NAME": "7", "PYTHONPATH": str(SECURITY.parents[1])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["7", "80"]
