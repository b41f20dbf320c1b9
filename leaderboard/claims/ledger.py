"""The ledger as a document: every claim with its verdict, and what it rests on. Values from the database; text as Markdown or
JSON. Called by `manage.py claims`."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from django.conf import settings

from evaluators.claim_verdicts import Finding
from evaluators.claim_verdicts import Verdict as Words
from evaluators.versions import PUBLISHED_SECRET, library_versions
from leaderboard.claims.models import Claim, Verdict
from leaderboard.evaluations.models import Evaluation

DIGITS = 3
DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Line:
    """A claim as the ledger has it. Numbers are those of the clause that decides; `clauses` has them all."""

    paper: str
    title: str
    system: str
    family: str
    track: str
    track_version: str
    statement: str
    check: str
    note: str
    verdict: str
    effect: float | None
    ci_low: float | None
    ci_high: float | None
    p: float | None
    p_adjusted: float | None
    more_seeds: int | None
    reason: str
    clauses: list[dict[str, Any]]
    evaluations: dict[str, str]
    decided_at: str


@dataclass(frozen=True)
class Ledger:
    """All lines, and what they were made with."""

    commit: str
    secret: str
    libraries: dict[str, str]
    lines: tuple[Line, ...]

    def counts(self) -> dict[str, int]:
        """How many claims have each verdict, in a fixed order; all verdicts are there."""
        counted = Counter(line.verdict for line in self.lines)
        return {word.value: counted[word.value] for word in Words}


def read_ledger(*, family: str | None = None) -> Ledger:
    """The claims of papers, by family and paper."""
    claims = Claim.objects.filter(available=True).exclude(paper=None).select_related("paper", "board__track", "verdict")
    if family:
        claims = claims.filter(board__track__family=family)
    lines = sorted((_line(claim) for claim in claims), key=lambda line: (line.family, line.track, line.paper))
    return Ledger(commit=_commit(), secret=_secret(), libraries=library_versions(), lines=tuple(lines))


def _line(claim: Claim) -> Line:
    verdict = claim.verdict or Verdict(verdict=Words.NOT_EVALUATED.value, reason="its entrants were not evaluated yet")
    paper = claim.paper
    assert paper is not None  # noqa: S101 - they were left out
    return Line(
        paper=paper.pk,
        title=paper.title,
        system=paper.system,
        family=claim.board.track.family,
        track=claim.board.track_id,
        track_version=verdict.track_version or claim.board.track.version,
        statement=claim.statement,
        check=claim.check_text,
        note=claim.note,
        verdict=verdict.verdict,
        effect=verdict.effect,
        ci_low=verdict.ci_low,
        ci_high=verdict.ci_high,
        p=verdict.p,
        p_adjusted=verdict.p_adjusted,
        more_seeds=verdict.more_seeds,
        reason=verdict.reason,
        clauses=verdict.clauses,
        evaluations=_keys(verdict),
        decided_at=f"{verdict.decided_at:%Y-%m-%d}" if verdict.pk else "",
    )


def _keys(verdict: Verdict) -> dict[str, str]:
    """The evaluation keys that it rests on: unlike row numbers they mean the same on every server."""
    found = Evaluation.objects.in_bulk(list(verdict.evaluations.values()))
    return {name: found[number].key for name, number in verdict.evaluations.items() if number in found}


def _commit() -> str:
    """The commit of the installed sources, marked where files were changed since; "unknown" outside a repository."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=, with local changes", "--exclude=*"],
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _secret() -> str:
    """Which secret seeded the hidden test splits, without giving one away."""
    own = settings.TRACK_SECRET.encode()
    digest = hashlib.sha256(own).hexdigest()[:12]
    return f"published ({digest})" if own == PUBLISHED_SECRET else f"of this server ({digest})"


# --- text


def as_json(ledger: Ledger) -> str:
    """The whole ledger."""
    return json.dumps({**asdict(ledger), "counts": ledger.counts()}, indent=2) + "\n"


def as_markdown(ledger: Ledger) -> str:
    """A page to read: counts, how to read it, a table for each track, and the clauses below."""
    parts = [_head(ledger)]
    for (family, track), lines in groupby(ledger.lines, key=lambda line: (line.family, line.track)):
        parts.append(_section(family, track, list(lines)))
    return "\n".join(parts)


def _head(ledger: Ledger) -> str:
    counted = ", ".join(f"{word} {count}" for word, count in ledger.counts().items() if count)
    libraries = ", ".join(
        f"{name} {version}" for name, version in ledger.libraries.items() if name in ("torch", "numpy", "scipy")
    )
    return f"""# The claims ledger

What the papers behind the reference models claim, checked on this project's own tracks: {len(ledger.lines)} claims \
({counted or "none is judged"}). The verdicts stand as they fell; `manage.py claims --run --out docs/claims.md` writes \
this page.

| made with | |
| --- | --- |
| commit | {ledger.commit} |
| secret of the hidden test splits | {ledger.secret} |
| libraries | {libraries} |

How to read it. A claim is one or more clauses, all of which must hold; the worst decides. **Effect** is by how much its \
deciding clause lies beyond its bound, in the metric's unit: more than 0 where it holds. The **interval** has 95 %, over \
test units and over training seeds together, paired wherever the entrants share them, and is not corrected for several \
claims. **p** is two-sided, that the truth lies on the bound; for several clauses the largest counts, or, where some point \
the other way, their smallest times the number of clauses. The p of all claims of a track are corrected together (Holm). A \
claim *holds* or *does not hold* only if the intervals and the corrected p (at 5 %) both say so; else it is *undecided*, and \
the number of further seeds that would decide it is given where that can be estimated: an order of magnitude, no promise. \
Below each claim stand the date of its verdict and the beginnings of the keys of the evaluations that it rests on.

These are statements about small, generated or bundled problems under a fixed budget, and about one implementation of each \
method. Where a claim does not hold here, that says what its mechanism does at this scale, not that the paper is wrong at \
its own.
"""


def _section(family: str, track: str, lines: Sequence[Line]) -> str:
    rows = "\n".join(_row(line) for line in lines)
    versions = ", ".join(sorted({line.track_version[:12] for line in lines}))
    details = "\n".join(_details(line) for line in lines)
    return f"""## {track}

Family {family}, track version {versions}.

| paper | claim | verdict | effect | 95 % interval | p | p, corrected |
| --- | --- | --- | --- | --- | --- | --- |
{rows}

{details}"""


def _row(line: Line) -> str:
    cells = [
        f"{line.system} ({line.paper})",
        line.statement,
        f"**{line.verdict}**{_more(line)}",
        number(line.effect, sign=True),
        interval(line.ci_low, line.ci_high),
        probability(line.p),
        probability(line.p_adjusted),
    ]
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _more(line: Line) -> str:
    if line.more_seeds:
        return f" (about {line.more_seeds} more seed{'s' if line.more_seeds > 1 else ''})"
    return f" ({line.reason})" if line.reason else ""


def _details(line: Line) -> str:
    clauses = "\n".join(_clause(Finding.from_document(document)) for document in line.clauses)
    note = f"\n\n{line.note}" if line.note else ""
    return f"### {line.system}\n\n{line.title} ({line.paper}).{note}\n\n{clauses}\n{_rests(line)}"


def _rests(line: Line) -> str:
    """The evaluations by the beginning of their keys, and the date."""
    if not line.evaluations:
        return ""
    found = ", ".join(f"{name} `{key[:12]}`" for name, key in sorted(line.evaluations.items()))
    return f"\nDecided {line.decided_at}, from the evaluations {found}.\n"


def _clause(finding: Finding) -> str:
    if finding.effect is None:
        return f"- `{finding.text}`: {finding.reason}"
    values = ", ".join(f"{each.text} = {number(each.value)}{_around(each.ci_low, each.ci_high)}" for each in finding.values)
    numbers = (
        f"effect {number(finding.effect, sign=True)}{_around(finding.ci_low, finding.ci_high)}, p {probability(finding.p)}"
    )
    return f"- `{finding.text}`: {numbers} ({finding.method}).\n  {values}"


def _around(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({interval(low, high)})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def number(value: float | None, *, sign: bool = False) -> str:
    """Three significant digits; a dash for none."""
    if value is None:
        return DASH
    return f"{value:{'+' if sign else ''}.{DIGITS}g}"


def interval(low: float | None, high: float | None) -> str:
    """Its ends."""
    return DASH if low is None or high is None else f"{number(low)} … {number(high)}"


def probability(p: float | None) -> str:
    """Two significant digits, not below 0.0001."""
    if p is None:
        return DASH
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def words_of(lines: Iterable[Line]) -> str:
    """One line of counts for a terminal."""
    counted = Counter(line.verdict for line in lines)
    return ", ".join(f"{counted[word.value]} {word.value}" for word in Words if counted[word.value])
