"""Markdown that people type, as HTML that can harm nobody: HTML in it is text, a sanitiser lets through a few tags and no
attribute but a link's address, and pictures become their words. Called by the pages, through the template filter `markdown`;
the API gives the text as it was typed."""

from __future__ import annotations

from collections.abc import Iterable

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

DEMOTED = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}
"""A page has its own h1 and h2."""
TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "a", "h3", "h4", "h5", "h6"),
    *("ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td"),
}
SCHEMES = {"http", "https", "mailto"}

_parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])


def render(text: str) -> SafeString:
    """CommonMark with tables and strikethrough. Links say nofollow to search engines, and nothing of this page to where they
    lead."""
    html = _parser.renderer.render(_tamed(_parser.parse(text)), _parser.options, {})
    return mark_safe(  # noqa: S308 - what the sanitiser lets through
        nh3.clean(
            str(html),
            tags=TAGS,
            attributes={"a": {"href", "title"}},
            url_schemes=SCHEMES,
            link_rel="nofollow noopener noreferrer",
        )
    )


def _tamed(tokens: Iterable[Token]) -> list[Token]:
    """Headings below the page's own, and the words of pictures in their place."""
    found = []
    for token in tokens:
        if token.type == "image":
            found.append(Token("text", "", 0, content=_words(token.children or [])))
            continue
        token.tag = DEMOTED.get(token.tag, token.tag)
        if token.children:
            token.children = _tamed(token.children)
        found.append(token)
    return found


def _words(tokens: Iterable[Token]) -> str:
    return "".join(_words(token.children) if token.children else token.content for token in tokens)
