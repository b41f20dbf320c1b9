"""Makes what an evaluation said fit for the database: texts that every database can hold, JSON that every parser can read,
logs of bounded length."""

from __future__ import annotations

import math
from typing import Any

from evaluators import limits


def plain_text(text: str) -> str:
    """The text without NUL (which PostgreSQL refuses) and without lone surrogates (which UTF-8 cannot encode)."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def plain_json(value: Any) -> Any:
    """The value with texts made plain, tuples as lists, and NaN and Inf (which are not JSON) as null."""
    if isinstance(value, dict):
        return {plain_text(str(name)): plain_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return plain_text(value) if isinstance(value, str) else value


def tail(log: str) -> str:
    """The end of a log, where the error is: at most limits.MAX_LOG_BYTES, and a first line that says what was cut."""
    if len(log) <= limits.MAX_LOG_BYTES:
        return log
    kept = log[-limits.MAX_LOG_BYTES :]
    return f"[{len(log) - len(kept)} characters before this were cut]\n{kept}"
