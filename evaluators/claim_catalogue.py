"""Papers and their claims as plain values, for a server's tables: torch-free, and without a numerical library."""

from __future__ import annotations

from typing import Any

from evaluators import versions
from reference_models import registry
from reference_models.claims import claims
from reference_models.papers import papers


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """{"papers": [...], "claims": [...]}, JSON-ready, in the order of papers.csv. Checks are not read here."""
    return {
        "papers": [paper._asdict() for paper in papers().values()],
        "claims": [{"paper": paper, **claim.model_dump()} for paper, claim in claims().items()],
    }


def source_file(model: str) -> str:
    """Where a reference model's source is, below the repository's root; empty for an unknown name."""
    return registry.MODELS[model].partition(":")[0].replace(".", "/") + ".py" if model in registry.MODELS else ""


def source_text(model: str) -> str:
    """The text of a reference model's file. Raises LookupError for an unknown name: no other file is ever read."""
    if model not in registry.MODELS:
        raise LookupError(f'there is no reference model "{model}"')
    return versions.source_of_module(registry.MODELS[model].partition(":")[0])
