"""Redis as the shared cache, such that its absence costs speed and never an answer: what cannot be read is a miss, what
cannot be written is dropped. Named in the settings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis import RedisError

logger = logging.getLogger(__name__)


class PatientRedisCache(RedisCache):
    """Django's, with a client that survives an absent server."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _Client


def _or(answer: Any, method: Callable[..., Any]) -> Callable[..., Any]:
    """The method; `answer` while Redis is away."""

    def guarded(self: _Client, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except RedisError as error:
            logger.warning("the cache is away: %s", error)
            return answer

    return guarded


class _Client(RedisCacheClient):
    """What `RedisCache` asks of Redis."""

    # True: a lock that cannot be kept is given. Else the limits of log-ins, which take one, would refuse everybody.
    add = _or(True, RedisCacheClient.add)
    set = _or(None, RedisCacheClient.set)
    touch = _or(False, RedisCacheClient.touch)
    delete = _or(False, RedisCacheClient.delete)
    get_many = _or({}, RedisCacheClient.get_many)
    has_key = _or(False, RedisCacheClient.has_key)
    set_many = _or(None, RedisCacheClient.set_many)
    delete_many = _or(None, RedisCacheClient.delete_many)
    clear = _or(False, RedisCacheClient.clear)

    def get(self, key: Any, default: Any) -> Any:
        """The value, or `default`."""
        return _or(default, RedisCacheClient.get)(self, key, default)

    def incr(self, key: Any, delta: int) -> int:
        """The new value. Raises ValueError, as for a key that is not there."""
        try:
            return int(super().incr(key, delta))
        except RedisError as error:
            raise ValueError(f"the cache is away: {error}") from error
