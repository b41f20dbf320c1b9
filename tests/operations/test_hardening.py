"""What a server behind a TLS proxy says of itself, and a cache that is away."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.core.cache.backends.base import BaseCache

from leaderboard.redis_cache import PatientRedisCache
from tests.services import ROOT, redis_server

BEHIND_A_PROXY = {"BEHIND_TLS_PROXY": "true", "ALLOWED_HOSTS": "bench.example.org", "HSTS_SUBDOMAINS": "true"}


def manage(*arguments: str, folder, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    environment = {**own, "STATE_DIR": str(folder), **environment}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_djangos_deployment_check_finds_nothing_behind_a_proxy(tmp_path):
    found = manage("check", "--deploy", "--fail-level", "WARNING", folder=tmp_path, **BEHIND_A_PROXY)
    assert found.returncode == 0, found.stderr


HEADERS = """
import django; django.setup()
from django.test import Client
from django.conf import settings
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
plain, secure = Client(HTTP_HOST="bench.example.org"), Client(HTTP_HOST="bench.example.org", HTTP_X_FORWARDED_PROTO="https")
away = plain.get("/accounts/login/")
print(away.status_code, away["Location"])
print(plain.get("/healthz").status_code)
page = secure.get("/accounts/login/")
print(page["Strict-Transport-Security"])
cookie = page.cookies["__Host-csrf"]
print(bool(cookie["secure"]), cookie["path"], cookie["domain"] or "none", cookie["samesite"])
"""


def test_behind_a_proxy_everything_is_tls(tmp_path):
    assert manage("migrate", "-v0", folder=tmp_path, **BEHIND_A_PROXY).returncode == 0
    environment = {**os.environ, "STATE_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "leaderboard.settings", **BEHIND_A_PROXY}
    done = subprocess.run(
        [sys.executable, "-c", HEADERS], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "301 https://bench.example.org/accounts/login/"
    assert lines[1] == "200"
    assert lines[2] == "max-age=31536000; includeSubDomains; preload"
    assert lines[3] == "True / none Lax"


@pytest.mark.parametrize(("name", "value"), [("TWO_FACTOR", "always"), ("EMAIL_VERIFICATION", "yes")])
def test_a_setting_that_means_nothing_stops_the_server(tmp_path, name, value):
    done = manage("check", folder=tmp_path, **{name: value})
    assert done.returncode != 0
    assert f'{name} is "{value}"; it may be' in done.stderr


def use(cache: BaseCache) -> list[object]:
    """One of each call."""
    try:
        counted: object = cache.incr("n")
    except ValueError:
        counted = "unknown"
    return [cache.add("a", 1), cache.get("a", "none"), cache.get_many(["a"]), cache.has_key("a"), counted, cache.delete("a")]


@pytest.mark.services
def test_a_cache_that_is_away_costs_speed_and_no_answer(tmp_path):
    with redis_server(tmp_path / "redis") as redis:
        cache = PatientRedisCache(redis.url, {"OPTIONS": {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}})
        cache.set("n", 1)
        assert use(cache) == [True, 1, {"a": 1}, True, 2, True]
        redis.process.kill()
        assert use(cache) == [True, "none", {}, False, "unknown", False]
        redis.restart()
        assert use(cache)[:4] == [True, 1, {"a": 1}, True]
