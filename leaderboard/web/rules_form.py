"""The forms of hosts: the rules of a board, made from the board's own fields, and what else they type."""

from __future__ import annotations

from typing import Any

from django import forms

from leaderboard.boards.hosting import RULES
from leaderboard.boards.models import Board, Track
from leaderboard.claims.models import Claim
from leaderboard.web.forms import RefusableForm

LABELS = {
    "opens_at": "Opens at (UTC)",
    "closes_at": "Closes at (UTC)",
    "about": "About it",
    "entry": "Who may submit",
    "visibility": "Who sees it",
    "daily_quota": "Submissions a day",
    "total_quota": "Submissions in all",
    "max_concurrent": "Evaluations at once",
    "ranking_metric": "Metric that orders the board",
    "eligible": "What is ranked besides",
    "counts": "What counts",
    "combination": "Combination of metrics",
    "public_share": "Public share of the test",
    "ladder": "Show public scores by the Ladder only",
    "shows": "Scores shown",
}
GROUPS = {
    "The board": ("title", "about", "visibility", "entry"),
    "Times and quotas": ("opens_at", "closes_at", "daily_quota", "total_quota", "max_concurrent"),
    "Hidden until it closes": ("public_share", "ladder", "shows"),
}
"""Whatever is in none of them stands under "Ranking"."""


WIDGETS: dict[str, type[forms.Widget] | forms.Widget] = {
    "about": forms.Textarea(attrs={"rows": 5}),
    "combination": forms.Textarea(attrs={"rows": 3, "class": "code", "spellcheck": "false"}),
}


class OptionalJsonField(forms.JSONField):
    """JSON, where nothing is an empty field."""

    def prepare_value(self, value: Any) -> Any:
        """The text in the field."""
        return "" if value is None else super().prepare_value(value)


class RulesForm(RefusableForm):
    """The RULES of a board. `values` are the arguments of `boards.hosting`."""

    def __init__(self, *, board: Board | None = None, track: Track | None = None, **given: Any) -> None:
        super().__init__(**given)
        made = forms.fields_for_model(Board, fields=RULES, widgets=WIDGETS, field_classes={"combination": OptionalJsonField})
        for name in RULES:
            field = made[name]
            if field is None:
                continue
            if isinstance(field, forms.SplitDateTimeField | forms.DateTimeField):
                field.widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
            if board is not None:
                field.initial = getattr(board, name)
            field.label = LABELS.get(name, field.label)
            self.fields[name] = field
        self.fields["about"].help_text = "Markdown. Links, lists, tables and code; no pictures and no HTML."
        if track is not None:
            self.fields["ranking_metric"] = _metric_field(track, initial=board.ranking_metric if board else "")

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields under their headings."""
        named = {title: [self[name] for name in names] for title, names in GROUPS.items()}
        placed = {name for names in GROUPS.values() for name in names}
        return [*named.items(), ("Ranking", [self[name] for name in RULES if name not in placed])]

    def values(self) -> dict[str, Any]:
        """Of a valid form."""
        return {name: self.cleaned_data[name] for name in RULES}


class NewBoardForm(RulesForm):
    """A board that does not exist yet."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        tracks = Track.objects.filter(available=True).order_by("family", "title")
        choices = [(track.slug, f"{track.title} ({track.slug})") for track in tracks]
        self.fields["track"] = forms.ChoiceField(label="Track", choices=choices, help_text="What is measured. It stays.")
        self.fields["slug"] = forms.SlugField(
            label="Address", max_length=80, help_text="Letters, digits, - and _: the board stands at /boards/…/. It stays."
        )
        self.order_fields(["track", "slug", *RULES])


class UsernameForm(RefusableForm):
    """Somebody who has an account."""

    username = forms.CharField(max_length=150, label="Username", widget=forms.TextInput(attrs={"autocomplete": "off"}))


class TeamNameForm(RefusableForm):
    """What a team is called."""

    name = forms.CharField(max_length=80, label="Name", help_text="As it stands on the boards.")


class ClaimForm(RefusableForm):
    """A claim of the host's own."""

    statement = forms.CharField(max_length=500, label="Claim", help_text="In words.")
    check_text = forms.CharField(
        max_length=2000,
        label="Check",
        widget=forms.Textarea(attrs={"rows": 3, "class": "code", "spellcheck": "false"}),
        help_text=str(Claim._meta.get_field("check_text").help_text),  # noqa: SLF001
    )
    note = forms.CharField(max_length=500, label="Note", required=False, help_text="What this board cannot show of it.")


def _metric_field(track: Track, *, initial: str) -> forms.ChoiceField:
    metrics = [metric for metric in track.spec["metrics"] if metric["direction"] != "none"]
    choices = [("", "The track's primary one"), *((metric["name"], metric["title"]) for metric in metrics)]
    return forms.ChoiceField(label=LABELS["ranking_metric"], choices=choices, required=False, initial=initial)
