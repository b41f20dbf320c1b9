"""The fields of a submission against its board's track: every fault is found, each as a FieldError that says what would be
right. Called by `submissions.intake` before anything is stored."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from evaluators import limits
from leaderboard.boards.models import Board, ReferenceModel, Track
from leaderboard.refusals import FieldError, InvalidSubmission
from leaderboard.submissions.configs import complete_config
from leaderboard.submissions.kinds import accepted_kinds, why_not_here
from leaderboard.submissions.models import Submission

NEEDS_MODEL = frozenset({Submission.Kind.CONFIG, Submission.Kind.WEIGHTS})
NEEDS_FILE = frozenset({Submission.Kind.WEIGHTS, Submission.Kind.ONNX, Submission.Kind.PREDICTIONS, Submission.Kind.PROGRAM})


@dataclass(frozen=True)
class Sent:
    """What somebody sent, unchecked: any field may be of any type. `has_file` says whether a file came with it."""

    name: Any
    kind: Any
    model: Any
    config: Any
    slices: Any
    description: Any
    visibility: Any
    has_file: bool
    team: Any = None


@dataclass(frozen=True)
class Entry:
    """A submission whose fields are right. `config` is complete; `slices` is in the track's order, and empty where it is all
    that such an entrant enters anyway: equal entries are equal."""

    name: str
    kind: str
    model: str
    config: dict[str, Any]
    slices: list[str]
    description: str
    visibility: str


def check_team(value: Any, teams: Collection[str]) -> str:
    """The slug of the team that something is sent for, one of those of the sender; empty: of none. Raises InvalidSubmission."""
    if value is None or value == "":
        return ""
    if isinstance(value, str) and value in teams:
        return value
    told = f"you are in {_listed(sorted(teams))}" if teams else "you are in no team"
    detail = f"you cannot send for the team {_cut(str(value))!r}: {told}{_suggestion(value, teams)}"
    raise InvalidSubmission(detail, errors=(FieldError("team", "not_a_choice", detail),))


@dataclass
class _Faults:
    errors: list[FieldError] = field(default_factory=list)

    def add(self, name: str, code: str, detail: str) -> None:
        self.errors.append(FieldError(name, code, detail))

    def raise_any(self) -> None:
        if len(self.errors) == 1:
            raise InvalidSubmission(self.errors[0].detail, errors=tuple(self.errors))
        if self.errors:
            names = ", ".join(dict.fromkeys(error.field for error in self.errors))
            raise InvalidSubmission(f"{len(self.errors)} things are wrong, in {names}", errors=tuple(self.errors))


def check_entry(sent: Sent, board: Board) -> Entry:
    """The checked entry. Raises InvalidSubmission with every fault."""
    faults = _Faults()
    name = _name(sent.name, faults)
    description = _description(sent.description, faults)
    visibility = _choice("visibility", sent.visibility, Submission.Visibility.values, faults)
    kind = _kind(sent.kind, board, faults)
    if kind:
        _check_file_is_there(sent, kind, board.track, faults)
    model = _model(sent.model, kind, board.track, faults) if kind else None
    config = _config(sent.config, kind, model, faults) if kind else {}
    slices = _slices(sent.slices, model, board.track, faults)
    faults.raise_any()
    return Entry(name, kind, model.name if model else "", config, slices, description, visibility)


def _name(value: Any, faults: _Faults) -> str:
    if not isinstance(value, str) or not value.strip():
        faults.add("name", "required", "give the submission a name, by which people will find it on the board")
        return ""
    name = unicodedata.normalize("NFC", value.strip())
    if len(name) > limits.MAX_NAME:
        faults.add("name", "too_long", f"the name has {len(name)} characters, at most {limits.MAX_NAME} are taken")
    if not name.isprintable():
        faults.add("name", "not_printable", "the name holds characters that cannot be printed, such as a line break")
    return name


def _description(value: Any, faults: _Faults) -> str:
    if not isinstance(value, str):
        faults.add("description", "wrong_type", "the description must be text")
        return ""
    text = value.strip().replace("\r\n", "\n")
    if len(text) > limits.MAX_DESCRIPTION:
        faults.add(
            "description", "too_long", f"the description has {len(text)} characters, at most {limits.MAX_DESCRIPTION} are taken"
        )
    if not all(character.isprintable() or character in "\n\t" for character in text if character not in "\u200d\ufe0f"):
        faults.add("description", "not_printable", "the description holds control characters, which cannot be shown")
    return text


def _choice(name: str, value: Any, choices: Sequence[str], faults: _Faults) -> str:
    if not isinstance(value, str) or value not in choices:
        faults.add(name, "not_a_choice", f"{name} must be one of {_listed(choices)}{_suggestion(value, choices)}")
        return ""
    return value


def _kind(value: Any, board: Board, faults: _Faults) -> str:
    known, track = Submission.Kind.values, board.track
    accepted = accepted_kinds(track.spec)
    if value == Submission.Kind.PROGRAM and not settings.ALLOW_CODE_FORMATS:
        detail = "this server takes no programs (TorchScript, exported programs), which are code: send an ONNX file"
        faults.add("kind", "not_accepted", detail)
        return ""
    if isinstance(value, str) and value in known and value not in accepted:
        faults.add("kind", "not_accepted", f'the track "{track.slug}" takes {_listed(accepted)}, not "{value}"')
        return ""
    kind = _choice("kind", value, accepted, faults)
    if kind and (problem := why_not_here(kind, pool=board.pool)):
        faults.add("kind", "not_accepted", problem)
        return ""
    return kind


def _check_file_is_there(sent: Sent, kind: str, track: Track, faults: _Faults) -> None:
    if kind in NEEDS_FILE and not sent.has_file:
        hint = f": {track.spec['predictions']}" if kind == Submission.Kind.PREDICTIONS else ""
        faults.add("file", "required", f'a submission of kind "{kind}" needs a file{hint}')
    if kind not in NEEDS_FILE and sent.has_file:
        faults.add("file", "not_accepted", f'a submission of kind "{kind}" takes no file; is it of kind "weights"?')


def _model(value: Any, kind: str, track: Track, faults: _Faults) -> ReferenceModel | None:
    if kind not in NEEDS_MODEL:
        if value:
            faults.add("model", "not_accepted", f'a submission of kind "{kind}" names no reference model')
        return None
    if not isinstance(value, str) or not value:
        faults.add("model", "required", f'a submission of kind "{kind}" names a reference model with the role {track.role}')
        return None
    models = {model.name: model for model in ReferenceModel.objects.filter(available=True)}
    fitting = [name for name, model in models.items() if model.role == track.role]
    found = models.get(value)
    if found is None:
        faults.add("model", "unknown_model", f'there is no reference model "{_cut(value)}"{_suggestion(value, fitting)}')
    elif found.role != track.role:
        detail = f'"{found.name}" is a {found.role}, and this track takes a {track.role}: {_listed(fitting)}'
        faults.add("model", "wrong_role", detail)
        return None
    return found


def _config(value: Any, kind: str, model: ReferenceModel | None, faults: _Faults) -> dict[str, Any]:
    if kind not in NEEDS_MODEL:
        if value:
            faults.add("config", "not_accepted", f'a submission of kind "{kind}" has no config')
        return {}
    if model is None:
        return {}
    try:
        return complete_config({} if value is None else value, model.schema)
    except InvalidSubmission as refusal:
        faults.errors.extend(refusal.errors)
        return {}


def _slices(value: Any, model: ReferenceModel | None, track: Track, faults: _Faults) -> list[str]:
    known: list[str] = [part["slug"] for part in track.spec["slices"]]
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        faults.add("slices", "wrong_type", "slices must be a list of names")
        return []
    for name in value:
        if name not in known:
            faults.add("slices", "unknown_slice", f'there is no slice "{_cut(name)}"{_suggestion(name, known)}')
    chosen = [name for name in known if name in value]
    missing = [part["slug"] for part in track.spec["slices"] if part["fill"] is None and part["slug"] not in chosen]
    if chosen and missing:
        faults.add("slices", "required", f"every submission must enter {_listed(missing)}: no baseline stands in there")
    return [] if chosen == _entered_anyway(model, track, known) else chosen


def _entered_anyway(model: ReferenceModel | None, track: Track, known: list[str]) -> list[str]:
    """The slices that count when none is named: those of the model's card at home, else all."""
    if model is not None and model.home == track.slug and model.slices:
        return [name for name in known if name in model.slices]
    return known


def _suggestion(value: Any, choices: Iterable[str]) -> str:
    choices = list(choices)
    near = difflib.get_close_matches(value[:200], choices, n=1) if isinstance(value, str) else []
    return f', did you mean "{near[0]}"?' if near else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
