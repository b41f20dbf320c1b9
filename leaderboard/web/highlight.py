"""Python source as HTML: escaped, a line for each line, with a class for comments, texts, numbers, keywords and names that are
defined. The classes have their colors in models.css. Pure; called by the page of a reference model."""

from __future__ import annotations

import builtins
import io
import keyword
import tokenize
from collections.abc import Iterator

from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

KINDS = {tokenize.COMMENT: "comment", tokenize.STRING: "text", tokenize.NUMBER: "number"}
DEFINING = frozenset({"def", "class"})
BUILTINS = frozenset(dir(builtins))


def highlighted(source: str) -> SafeString:
    """The source with spans; without any where it is no Python."""
    lines = source.splitlines(keepends=True)
    parts: list[str] = []
    row, column = 1, 0
    try:
        for kind, (start_row, start), (end_row, end) in _tokens(source):
            parts.append(conditional_escape(_between(lines, (row, column), (start_row, start))))
            text = conditional_escape(_between(lines, (start_row, start), (end_row, end)))
            parts.append(f'<span class="code-{kind}">{text}</span>')
            row, column = end_row, end
    except (tokenize.TokenError, SyntaxError):
        return conditional_escape(source)
    parts.append(conditional_escape(_between(lines, (row, column), (len(lines) + 1, 0))))
    return mark_safe("".join(parts))  # noqa: S308 - every part is escaped


def _tokens(source: str) -> Iterator[tuple[str, tuple[int, int], tuple[int, int]]]:
    """Kind, start and end of what has a color."""
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = KINDS.get(token.type, "")
        if token.type == tokenize.NAME:
            kind = _kind_of_name(token.string, before)
        if kind:
            yield kind, token.start, token.end
        before = token.string


def _kind_of_name(name: str, before: str) -> str:
    if keyword.iskeyword(name):
        return "keyword"
    if before in DEFINING:
        return "defined"
    return "builtin" if name in BUILTINS and before != "." else ""


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]] if start[0] <= len(lines) else ""
    last = lines[end[0] - 1][: end[1]] if end[0] <= len(lines) else ""
    return "".join([lines[start[0] - 1][start[1] :], *lines[start[0] : end[0] - 1], last])
