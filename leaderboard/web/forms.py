"""Forms: what people type, read into the arguments of one function, and that function's refusals put back to the fields.
They check what HTML cannot carry (a number is a number, JSON is JSON); every rule is intake's or the tokens'."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.forms.boundfield import BoundField

from leaderboard.accounts.models import DEFAULT_SCOPES, Scope
from leaderboard.api.parsing import strict_json
from leaderboard.boards.models import ReferenceModel, Track
from leaderboard.refusals import FieldError, Refusal
from leaderboard.submissions.models import Submission
from leaderboard.web import schema_fields
from leaderboard.webhooks.outgoing import LONGEST_URL

CONFIG = "config."
EXPECTED_FILES = {
    Submission.Kind.WEIGHTS: (".safetensors", "A .safetensors file with the weights of the model above, under its own names."),
    Submission.Kind.ONNX: (".onnx", "One .onnx file, without external data."),
    Submission.Kind.PROGRAM: (".pt,.pt2", "A TorchScript module (.pt) or an exported program (.pt2)."),
    Submission.Kind.PREDICTIONS: (".npz,.npy,.csv,.parquet", "A .npz, .npy, .csv or .parquet file."),
}


class RefusableForm(forms.Form):
    """A form that can show a refusal of the function that it feeds."""

    def refuse(self, refusal: Refusal) -> None:
        """Put each error to its field, and above the form what has none: there, each sentence stands alone."""
        placed = [self._place(error) for error in refusal.errors]
        if not any(placed):
            self.add_error(None, refusal.detail)
        elif not all(placed):
            self.add_error(None, [error.detail for error, done in zip(refusal.errors, placed, strict=True) if not done])

    def _place(self, error: FieldError) -> bool:
        name = self.field_of(error.field)
        if name is not None:
            self.add_error(name, ValidationError(error.detail.removeprefix(CONFIG), code=error.code))
        return name is not None

    def field_of(self, path: str) -> str | None:
        """The form's field for a field of the refusal; None if it has no such field."""
        return path if path in self.fields else None


class EntryForm(RefusableForm):
    """One submission. Which fields there are depends on the track, the kind, the model, and how the config is written:
    a field for each of the model's settings ("config.epochs"), or one JSON text ("config")."""

    name = forms.CharField(max_length=80, label="Name on the board")
    description = forms.CharField(
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Optional: what is special about it, links, how it was trained. Markdown; no pictures and no HTML.",
    )
    visibility = forms.ChoiceField(choices=Submission.Visibility.choices, initial="public", label="Who sees its page")
    idempotency_key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(
        self,
        *,
        track: Track,
        kind: str,
        model: ReferenceModel | None,
        as_json: bool,
        initial: Mapping[str, Any],
        teams: Sequence[tuple[str, str]] = (),
        **given: Any,
    ) -> None:
        super().__init__(initial={"idempotency_key": uuid.uuid4().hex, **initial}, **given)
        self.track, self.kind, self.model, self.as_json = track, kind, model, as_json
        if model is not None:
            self._add_config(model.schema)
        if kind in EXPECTED_FILES:
            self._add_file(Submission.Kind(kind))
        self._add_slices()
        self._add_team(teams)
        self.duplicate_of = ""

    def refuse(self, refusal: Refusal) -> None:
        """A duplicate is known by the submission that it repeats; the page links to it."""
        super().refuse(refusal)
        self.duplicate_of = next((error.detail for error in refusal.errors if error.field == "submission"), "")

    def field_of(self, path: str) -> str | None:
        """Errors deep inside a setting ("config.widths.1") belong to the setting, or to the whole JSON text."""
        parts = path.split(".")
        candidates = [path, ".".join(parts[:2]), parts[0]]
        return next((name for name in candidates if name in self.fields), None)

    def groups(self) -> Iterator[tuple[str, list[BoundField]]]:
        """The settings of the model by group, in the order of the class."""
        named: dict[str, list[BoundField]] = {}
        for each in schema_fields.properties(self.model.schema if self.model and not self.as_json else {}):
            named.setdefault(each.group, []).append(self[CONFIG + each.name])
        yield from named.items()

    def about_fields(self) -> list[BoundField]:
        """What every kind has."""
        return [self[name] for name in ("name", "description", "team", "visibility") if name in self.fields]

    def typed_config(self) -> dict[str, Any]:
        """The config that was typed so far, as far as it can be read: it is carried over from fields to JSON and back."""
        self.full_clean()
        return self._config()

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of `intake.submit`, but for the person and the board. Only of a valid form."""
        kept = ("name", "description", "visibility", "idempotency_key")
        return {
            **{name: self.cleaned_data[name] for name in kept},
            "kind": self.kind,
            "model": self.model.name if self.model else "",
            "config": self._config(),
            "slices": tuple(self.cleaned_data.get("slices", ())),
            "file": self.cleaned_data.get("file"),
            "team": self.cleaned_data.get("team", ""),
        }

    def clean_config(self) -> dict[str, Any]:
        """The JSON text, as an object. Only its form is checked here."""
        try:
            config = strict_json(self.cleaned_data["config"] or "{}")
        except ValueError as error:
            raise ValidationError(f"This is not JSON: {error}.", code="invalid") from None
        if not isinstance(config, dict):
            raise ValidationError('Write a JSON object, like {"epochs": 10}.', code="invalid")
        return config

    def _config(self) -> dict[str, Any]:
        if "config" in self.fields:
            return dict(self.cleaned_data.get("config", {}))
        typed = {name.removeprefix(CONFIG): value for name, value in self.cleaned_data.items() if name.startswith(CONFIG)}
        return schema_fields.config_from(typed)

    def _add_config(self, schema: Mapping[str, Any]) -> None:
        carried = self.initial.get("carried_config", {})
        if self.as_json:
            text = json.dumps({**schema_fields.defaults(schema), **carried}, indent=2)
            widget = forms.Textarea(attrs={"rows": min(24, text.count("\n") + 3), "spellcheck": "false", "class": "code"})
            self.fields["config"] = forms.CharField(
                label="Config as JSON",
                initial=text,
                required=False,
                widget=widget,
                help_text="What you leave out has its default.",
            )
            return
        for each in schema_fields.properties(schema):
            field = schema_fields.field_for(each)
            if each.name in carried:
                field.initial = carried[each.name]
            self.fields[CONFIG + each.name] = field

    def _add_file(self, kind: Submission.Kind) -> None:
        accept, expected = EXPECTED_FILES[kind]
        widget = forms.FileInput(attrs={"accept": accept})
        self.fields["file"] = forms.FileField(label="File", help_text=expected, widget=widget, allow_empty_file=True)

    def _add_slices(self) -> None:
        """Only where there is something to choose: slices that a baseline can fill."""
        slices = self.track.spec["slices"]
        if not any(each.get("fill") for each in slices):
            return
        entered = (self.model.slices if self.model else None) or [each["slug"] for each in slices]
        self.fields["slices"] = forms.MultipleChoiceField(
            label="Slices that it enters",
            choices=[(each["slug"], _slice_label(each)) for each in slices],
            initial=entered,
            widget=forms.CheckboxSelectMultiple,
            help_text="A slice that is not entered is scored with its baseline, and the board says so.",
        )

    def _add_team(self, teams: Sequence[tuple[str, str]]) -> None:
        """Only for people who are in one."""
        if teams:
            self.fields["team"] = forms.ChoiceField(
                label="Send as",
                choices=[("", "Myself, alone"), *((slug, f"Team {name}") for slug, name in teams)],
                required=False,
                help_text="On this board you compete alone or for one team: your first submission decides.",
            )


class TokenForm(RefusableForm):
    """A new API token."""

    name = forms.CharField(
        max_length=80, label="Name", help_text="Where you will use it, so that you know which one to revoke."
    )
    days = forms.IntegerField(
        min_value=1,
        max_value=365,
        initial=90,
        label="Valid for (days)",
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )

    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        initial=DEFAULT_SCOPES.split(),
        label="It may",
        widget=forms.CheckboxSelectMultiple,
        help_text="As little as its program needs: a token that is lost can do no more.",
    )

    def field_of(self, path: str) -> str | None:
        """The lifetime is typed in days."""
        return "days" if path == "lifetime" else super().field_of(path)


class LeavingForm(RefusableForm):
    """The deletion of one's account: what becomes of the submissions, and the password, so that nobody else does it."""

    submissions = forms.ChoiceField(
        choices=[("withdraw", "Withdraw them all"), ("keep", "Leave them on the boards, without my name")],
        widget=forms.RadioSelect,
        label="What I have submitted alone",
    )
    password = forms.CharField(widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}), label="Your password")
    sure = forms.BooleanField(label="I am sure: this cannot be undone")


class WebhookForm(RefusableForm):
    """A new webhook. boards: (slug, title) of those that the person hosts."""

    url = forms.CharField(max_length=LONGEST_URL, label="Address", help_text="A public address that begins with https://.")
    board = forms.ChoiceField(required=False, label="Tell of")

    def __init__(self, *args: Any, boards: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = cast("forms.ChoiceField", self.fields["board"])
        field.choices = [("", "My submissions, and my teams'"), *((slug, f"All of {title}") for slug, title in boards)]


def _slice_label(each: Mapping[str, Any]) -> str:
    return f"{each['title']} (else filled by {each['fill']})" if each.get("fill") else f"{each['title']} (required)"
