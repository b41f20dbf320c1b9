"""`python -m evaluators.claim_orders` judges claims for a server, which keeps numerical libraries out of its own processes: an
order as JSON on stdin, findings and verdicts as JSON on stdout."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluators import registry
from evaluators.claim_estimates import is_coarse
from evaluators.claim_language import ClaimSyntaxError
from evaluators.claim_parser import parse
from evaluators.claim_rows import Entry
from evaluators.claim_verdicts import LEVEL, Finding, Verdict, claim_p, decide, worst
from evaluators.claims import judge
from evaluators.columns import Columns
from evaluators.ordering import holm
from evaluators.planning import more_seeds
from evaluators.track import Track


@dataclass
class _Shelf:
    """Columns by their path: what several claims read is read once."""

    tables: dict[str, Columns] = field(default_factory=dict)

    def columns(self, path: str) -> Columns:
        if path not in self.tables:
            self.tables[path] = Columns.from_bytes(Path(path).read_bytes())
        return self.tables[path]

    def forget(self, paths: set[str]) -> None:
        for path in paths & set(self.tables):
            del self.tables[path]


def answer(order: Mapping[str, Any]) -> dict[str, Any]:
    """order: {"track": slug, "families": [[claim, ...], ...]} with a claim {"id", "check", "entries": {entrant: {"columns":
    path, "slices": [...]}}}, and "findings" where it was judged before
    -> {"families": [[{"id", "findings", "p", "p_adjusted", "verdict", "more_seeds"}, ...], ...]}.

    The claims of a family are corrected together.
    """
    track = registry.get(order["track"])(secret=b"")
    shelf = _Shelf()
    answers = []
    kept = _paths_of_several(order["families"])
    for family in order["families"]:
        answers.append(_answer_family(track, family, shelf))
        shelf.forget(set(shelf.tables) - kept)
    return {"families": answers}


def _paths_of_several(families: Sequence[Sequence[Mapping[str, Any]]]) -> set[str]:
    """What more than one family reads: the rest can be forgotten with its family."""
    seen: set[str] = set()
    twice: set[str] = set()
    for family in families:
        own = {entry["columns"] for claim in family for entry in claim.get("entries", {}).values()}
        twice |= seen & own
        seen |= own
    return twice


def _answer_family(track: Track, claims: Sequence[Mapping[str, Any]], shelf: _Shelf) -> list[dict[str, Any]]:
    judged = [_findings(track, claim, shelf, claims=len(claims)) for claim in claims]
    p = [claim_p(findings) for findings in judged]
    known = [place for place, value in enumerate(p) if value is not None]
    adjusted = dict(zip(known, holm([p[place] or 0.0 for place in known]), strict=True))
    return [
        _answer(claim["id"], findings, p=p[place], p_adjusted=adjusted.get(place), level=_level(p, place))
        for place, (claim, findings) in enumerate(zip(claims, judged, strict=True))
    ]


def _answer(
    key: Any, findings: Sequence[Finding], *, p: float | None, p_adjusted: float | None, level: float
) -> dict[str, Any]:
    verdict = decide(findings, p_adjusted=p_adjusted)
    plan = worst(findings).plan if verdict == Verdict.UNDECIDED else None
    return {
        "id": key,
        "findings": [finding.as_document() for finding in findings],
        "p": p,
        "p_adjusted": p_adjusted,
        "verdict": verdict,
        "more_seeds": (more_seeds(plan, level=level) or None) if plan else None,
    }


def _level(p: Sequence[float | None], place: int) -> float:
    """The level at which Holm's procedure tests a claim while the others stay as they are."""
    own = p[place]
    return LEVEL / max(1, sum(1 for each in p if each is not None and own is not None and each >= own))


def _findings(track: Track, claim: Mapping[str, Any], shelf: _Shelf, *, claims: int) -> list[Finding]:
    before = [Finding.from_document(document) for document in claim.get("findings", ())]
    tests = claims * len(before)
    if before and not any(is_coarse(each.p or 0.0, resamples=each.resamples, tests=tests) for each in before):
        return before
    entries = {name: Entry(shelf.columns(entry["columns"]), tuple(entry["slices"])) for name, entry in claim["entries"].items()}
    try:
        return judge(track, parse(claim["check"]), entries, claims=claims)
    except ClaimSyntaxError as error:  # a track may have changed since the claim was written; the others are judged
        return [Finding(claim["check"], reason=str(error))]


def main() -> None:
    """Answer one order."""
    document = answer(json.load(sys.stdin))
    json.dump(_without_nan(document), sys.stdout, allow_nan=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    main()
