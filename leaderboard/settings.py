"""Settings, all from the environment and safe by default. What is unset is the embedded deployment: SQLite, an in-process
broker, files below var/. docs/deployment.md lists every variable."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from evaluators import limits
from leaderboard.environment import Env
from leaderboard.secrets import kept_secret

BASE_DIR = Path(__file__).resolve().parent.parent
env = Env()

DEBUG = env.bool("DEBUG", False)
STATE_DIR = Path(env.str("STATE_DIR", str(BASE_DIR / "var"))).absolute()
STATE_DIR.mkdir(parents=True, exist_ok=True)

DATABASE_URL = env.str("DATABASE_URL", "")
BROKER_URL = env.str("REDIS_URL", "")
EMBEDDED = not DATABASE_URL

# A server of its own may keep its secrets in its state folder; several machines must be given the same ones.
SECRET_KEY = env.str("SECRET_KEY", "") or kept_secret("secret_key", folder=STATE_DIR, allowed=EMBEDDED, variable="SECRET_KEY")
TRACK_SECRET = env.str("TRACK_SECRET", "") or kept_secret(
    "track_secret", folder=STATE_DIR, allowed=EMBEDDED, variable="TRACK_SECRET"
)

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "leaderboard.urls"
WSGI_APPLICATION = "leaderboard.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

INSTALLED_APPS = [
    "leaderboard.web",  # first: its templates of the log-in and error pages win over those of the libraries
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_htmx",
    "django_include_bootstrap",
    "leaderboard.accounts",
    "leaderboard.audit",
    "leaderboard.boards",
    "leaderboard.submissions",
    "leaderboard.evaluations",
    "leaderboard.standings",
    "leaderboard.claims",
    "leaderboard.webhooks",
    "leaderboard.operations",
    "leaderboard.api",
]

MIDDLEWARE = [
    "leaderboard.api.middleware.problems_and_request_ids",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "leaderboard.accounts.two_factor.require_second_factor",
    "django_htmx.middleware.HtmxMiddleware",
    "leaderboard.web.middleware.RefusalPages",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "leaderboard.web.context.server",
            ]
        },
    }
]

if EMBEDDED:
    # Measured: WAL for speed, IMMEDIATE against "database is locked", a long timeout for long holders.
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": STATE_DIR / "standings.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
                "PRAGMA journal_size_limit=67108864;PRAGMA cache_size=-20000;",
            },
        }
    }
else:
    # A request waits `timeout` for a database that is away, and is then told so. Without the limit on reconnecting, the pool's
    # own pauses double, and an outage would last up to twice as long. Connections are looked at before they are used.
    POOL = {"min_size": 2, "max_size": 16, "timeout": 4, "reconnect_timeout": 2}
    DATABASES = {"default": {**env.db_url("DATABASE_URL"), "CONN_HEALTH_CHECKS": True, "OPTIONS": {"pool": POOL}}}

_REDIS_CACHE = {
    "BACKEND": "leaderboard.redis_cache.PatientRedisCache",
    "LOCATION": BROKER_URL,
    "OPTIONS": {"socket_timeout": 1.0, "socket_connect_timeout": 1.0},
}
# "limits" counts calls: without Redis in memory, by each web process for itself, since no read should write the database.
CACHES = (
    {"default": _REDIS_CACHE, "limits": _REDIS_CACHE}
    if BROKER_URL
    else {
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"},
        "limits": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}},
    }
)

# --- files
MEDIA_ROOT = STATE_DIR / "files"
STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
ALLOW_CODE_FORMATS = env.bool("ALLOW_CODE_FORMATS", False)
MAX_ARTIFACT_BYTES = limits.MAX_ARTIFACT_BYTES
FULL_DATA_DIR = env.str("FULL_DATA_DIR", "")

# --- accounts
BOARD_CREATION = env.one_of("BOARD_CREATION", ("administrators", "everybody"))
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "allauth.account.auth_backends.AuthenticationBackend"]
_VALIDATORS = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATORS}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATORS}.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": f"{_VALIDATORS}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATORS}.NumericPasswordValidator"},
]
ACCOUNT_ADAPTER = "leaderboard.accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = env.one_of("EMAIL_VERIFICATION", ("none", "optional", "mandatory"))
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # before an e-mail address changes
SENDS_MAIL = not env.str("EMAIL_URL", "consolemail://").startswith("consolemail")
ACCOUNT_EMAIL_NOTIFICATIONS = SENDS_MAIL  # of changes to the account
# Log-in and sign-up: tries per address, and failed ones per account name, which locks it for five minutes.
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key", "signup": "20/m/ip"}
OPEN_SIGNUP = env.bool("OPEN_SIGNUP", True)
MFA_ADAPTER = "leaderboard.accounts.adapters.TwoFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_ALLOW_UNVERIFIED_EMAIL = True  # else nobody can set it up where e-mail is not verified
TWO_FACTOR = env.one_of("TWO_FACTOR", ("optional", "administrators", "everybody"))
RATE_LIMITS = {
    "calls": env.int("CALLS_PER_MINUTE", 1200),
    "visitor_calls": env.int("VISITOR_CALLS_PER_MINUTE", 600),
    "submissions": env.int("SUBMISSIONS_PER_MINUTE", 60),
    "bad_tokens": env.int("BAD_TOKENS_PER_MINUTE", 30),
}
PROXY_COUNT = env.int("PROXY_COUNT", 0)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
KNOX_TOKEN_MODEL = "accounts.ApiToken"  # noqa: S105
MIGRATION_MODULES = {"knox": None}  # ours replaces its table; an unused one, with a key to users, blocks TRUNCATE
REST_KNOX = {"TOKEN_PREFIX": "st_", "TOKEN_TTL": timedelta(days=90), "AUTH_HEADER_PREFIX": "Bearer"}
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))

# --- REST
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "leaderboard.api.authentication.BearerAuthentication",
        "leaderboard.api.authentication.BrowserAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_PARSER_CLASSES": ["leaderboard.api.parsing.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["leaderboard.api.rendering.StrictJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "leaderboard.api.schema.ProblemSchema",
    "EXCEPTION_HANDLER": "leaderboard.api.problems.handle_exception",
    "URL_FORMAT_OVERRIDE": None,  # `format` is a checked parameter of the one call that has it
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Standings",
    "DESCRIPTION": "Submit configs and models, read standings. Errors are application/problem+json: see /api/docs/problems.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "ENUM_NAME_OVERRIDES": {
        "SubmissionKind": "leaderboard.submissions.models.Submission.Kind",
        "SubmissionOrigin": "leaderboard.submissions.models.Submission.Origin",
        "SubmissionVisibility": "leaderboard.submissions.models.Submission.Visibility",
        "BoardVisibility": "leaderboard.boards.models.Board.Visibility",
        "EvaluationState": "leaderboard.evaluations.models.State",
        "ClaimVerdict": "leaderboard.claims.reading.VERDICTS",
    },
}

# --- hardening
SECURE_PROXY = env.bool("BEHIND_TLS_PROXY", False)
if SECURE_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # probes come past the proxy
    SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", 31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.bool("HSTS_SUBDOMAINS", False)
    # Names that a browser takes from this host over TLS only, so that no neighboring host can plant them.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- webhooks: public addresses by https, unless the operator opens more
WEBHOOKS_BY_HTTP = env.bool("WEBHOOKS_BY_HTTP", False)
WEBHOOK_NETWORKS = env.list("WEBHOOK_NETWORKS", default=[])

# --- the life of an evaluation, in seconds
LEASE_SECONDS = env.float("LEASE_SECONDS", 15.0)
HEARTBEAT_SECONDS = env.float("HEARTBEAT_SECONDS", 3.0)
REAP_EVERY_SECONDS = env.float("REAP_EVERY_SECONDS", 3.0)
REPUBLISH_AFTER_SECONDS = env.float("REPUBLISH_AFTER_SECONDS", 15.0)
MAX_ATTEMPTS = 3
STOP_GRACE_SECONDS = env.float("STOP_GRACE_SECONDS", 5.0)
OVERDUE_WAIT_SECONDS = env.float("OVERDUE_WAIT_SECONDS", 3600.0)

# --- broker and Celery (measured; the reasons for a task's flags stand at leaderboard.celery.task)
CELERY_BROKER_URL = BROKER_URL or "fssafe://localhost"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {
        # Longer than the longest task: Redis delivers again what is unacknowledged for longer. A worker that died is noticed
        # by its lease, in seconds, not by this.
        "visibility_timeout": 6 * 3600,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        # What a post waits at most for a broker that hangs. `manage.py worker`, which blocks on reading, waits longer.
        "socket_timeout": 2.0,
        "socket_connect_timeout": 2.0,
        "socket_keepalive": True,
        "queue_order_strategy": "priority",
        "priority_steps": list(range(10)),
        "sep": ":",
        "max_retries": 0,
    }
    if BROKER_URL
    else {"folder": str(STATE_DIR / "queue")}
)
CELERY_IMPORTS = ("leaderboard.evaluations.tasks", "leaderboard.standings.tasks")
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 120.0  # a pool process warms its runtime before it says that it is up
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = bool(BROKER_URL)  # cancelling and health go through the database
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
