"""Reading settings from the environment beyond what django-environ does."""

from __future__ import annotations

import environ
from django.core.exceptions import ImproperlyConfigured


def one_of(env: environ.Env, name: str, choices: tuple[str, ...]) -> str:
    """The variable `name`, which must be one of `choices`; the first where it is unset. Raises ImproperlyConfigured."""
    value: str = env.str(name, choices[0])
    if value not in choices:
        raise ImproperlyConfigured(f'{name} is "{value}"; it may be {", ".join(choices)}')
    return value
