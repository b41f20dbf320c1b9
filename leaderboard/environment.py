"""Reading settings from the environment: django-environ, and choices."""

from __future__ import annotations

import environ
from django.core.exceptions import ImproperlyConfigured


class Env(environ.Env):
    """The process's environment."""

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        """The variable `name`, which must be one of `choices`; the first where it is unset. Raises ImproperlyConfigured."""
        value: str = self.str(name, choices[0])
        if value not in choices:
            raise ImproperlyConfigured(f'{name} is "{value}"; it may be {", ".join(choices)}')
        return value
