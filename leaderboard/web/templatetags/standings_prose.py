"""Descriptions of tracks and reference models as HTML: they come from source files, wrapped at a line's length, with a little
markup. What people type is not prose in this sense: it is Markdown, through `web.markdown`."""

from __future__ import annotations

import re

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

from leaderboard.web.markdown import render

register = template.Library()

STRONG = re.compile(r"\*\*(\S(?:.*?\S)?)\*\*")
CODE = re.compile(r"`([^`]+)`")


@register.filter
def prose(text: str) -> SafeString:
    """Paragraphs between blank lines, their lines joined; indented lines (formulas, lists) keep their breaks. `**x**` is
    strong, "`x`" is code; everything else is escaped."""
    paragraphs = [paragraph for paragraph in re.split(r"\n\s*\n", text.strip("\n")) if paragraph.strip()]
    return mark_safe("".join(f"<p>{_inline(_joined(paragraph))}</p>" for paragraph in paragraphs))  # noqa: S308 - escaped


@register.filter
def markdown(text: str) -> SafeString:
    """What people typed, as harmless HTML."""
    return render(text)


@register.filter
def lead(text: str) -> str:
    """The first paragraph."""
    return _split(text)[0]


@register.filter
def rest(text: str) -> str:
    """What comes after the first paragraph."""
    return _split(text)[1]


def _split(text: str) -> tuple[str, str]:
    first, _, more = text.strip().partition("\n\n")
    return first, more


def _joined(paragraph: str) -> str:
    return re.sub(r"\n(?! )", " ", paragraph)


def _inline(text: str) -> str:
    escaped = CODE.sub(r"<code>\1</code>", STRONG.sub(r"<strong>\1</strong>", conditional_escape(text)))
    return re.sub(r"\n +", "<br>", escaped).strip()
