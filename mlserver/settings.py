"""All settings; docs/settings.md explains each environment variable and is tested against this file."""

import os
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from mlserver.env import (
    env_account,
    env_bool,
    env_choice,
    env_choices,
    env_database_url,
    env_directory,
    env_hosts,
    env_images,
    env_indices,
    env_int,
    env_list,
    env_networks,
    env_origins,
    env_path,
    env_redis_url,
    env_simulated_gpus,
    env_str,
    env_variables,
)
from mlserver.home import load_secret_key, prepare_home, private_file
from mlserver.hosts import own_host_names
from mlserver.http_settings import (  # noqa: F401  Django reads them from here
    CORS_ALLOW_ALL_ORIGINS,
    CORS_ALLOW_CREDENTIALS,
    CORS_ALLOW_HEADERS,
    CORS_EXPOSE_HEADERS,
    CORS_URLS_REGEX,
    REST_FRAMEWORK,
    SPECTACULAR_SETTINGS,
)

BASE_DIR = Path(__file__).resolve().parent.parent

# -- state on disk
MLSERVER_HOME = env_path("MLSERVER_HOME", BASE_DIR / "var")
JOB_USER = env_account("MLSERVER_JOB_USER")
prepare_home(MLSERVER_HOME, has_job_user=bool(JOB_USER))
MODELS_DIR = env_directory("MODELS_DIR", MLSERVER_HOME / "models")
DATASETS_DIR = env_directory("DATASETS_DIR", MLSERVER_HOME / "datasets")
MAX_UPLOAD_BYTES = env_int("MAX_UPLOAD_MB", 16384, at_least=1) * 1024**2
MAX_MEDIA_BYTES = env_int("MLSERVER_MAX_MEDIA_MIB", 32, at_least=1, at_most=1024) * 1024**2
SECRET_KEY = load_secret_key(MLSERVER_HOME)

# -- the server
MLSERVER_ENV = env_choice("MLSERVER_ENV", "development", ("development", "production"))
DEBUG = False
API_HOST = env_str("API_HOST", "127.0.0.1")
API_PORT = env_int("API_PORT", 8000, at_least=1, at_most=65535)
LOG_LEVELS = ("critical", "error", "warning", "info", "debug", "trace")
LOG_LEVEL = env_choice("LOG_LEVEL", "info", LOG_LEVELS).replace("trace", "debug")
SERVER_LOG_BYTES = env_int("MLSERVER_SERVER_LOG_MIB", 10, at_least=0) * 1024**2
WEB_THREADS = env_int("MLSERVER_WEB_THREADS", 8, at_least=1, at_most=64)
ALLOWED_HOSTS = env_hosts("ALLOWED_HOSTS") or own_host_names()
ALLOWED_ORIGINS = env_origins("ALLOWED_ORIGINS")
TRUSTED_PROXIES = env_networks("TRUSTED_PROXIES")
TRUST_LOOPBACK = env_list("MLSERVER_TRUST_LOOPBACK")
if not set(TRUST_LOOPBACK) <= {"flowline", "runicorn"}:
    raise ImproperlyConfigured(
        f"MLSERVER_TRUST_LOOPBACK={','.join(TRUST_LOOPBACK)!r} is refused: it may name flowline and runicorn"
    )
if TRUST_LOOPBACK and TRUSTED_PROXIES:
    raise ImproperlyConfigured(
        "MLSERVER_TRUST_LOOPBACK is refused beside TRUSTED_PROXIES: behind a proxy every peer is loopback"
    )

# -- the Runicorn API: its old client takes no other health than "healthy"; limits are in rate_limits.json of the home
RUNICORN_HEALTH_STATUS = env_choice("RUNICORN_HEALTH_STATUS", "ok", ("ok", "healthy"))
RUNICORN_RATE_LIMIT = env_bool("RUNICORN_RATE_LIMIT", True)

# -- keys: API_KEYS set but empty is refused at start (accounts.bootstrap)
HAS_API_KEYS_VARIABLE = "API_KEYS" in os.environ
API_KEYS = env_list("API_KEYS")
FAILED_KEYS_PER_MINUTE = 10

# -- the engine
MAX_CONCURRENT_SESSIONS = env_int("MAX_CONCURRENT_SESSIONS", 1, at_least=1)
AGEING_S = env_int("MLSERVER_AGEING_S", 3600, at_least=0, at_most=31_622_400)
SESSION_RANKS = env_int("MLSERVER_SESSION_RANKS", 1, at_least=1, at_most=64)
JOB_IMAGES = env_images("JOB_IMAGES")
FLOWLINE_AUTOSTART = env_bool("FLOWLINE_AUTOSTART", True)
FLOWLINE_MAX_PROCESSES = env_int("FLOWLINE_MAX_PROCESSES", 4)
FLOWLINE_MIN_FREE_MIB = env_int("FLOWLINE_MIN_FREE_MIB", 10_000)
FLOWLINE_MAX_RETRIES = env_int("FLOWLINE_MAX_RETRIES", 3, at_most=100)
FLOWLINE_ALLOW_CPU = env_bool("FLOWLINE_ALLOW_CPU", True)
FLOWLINE_GPUS = env_indices("FLOWLINE_GPUS")
CPU_SLOTS = env_int("MLSERVER_CPU_SLOTS", os.cpu_count() or 1, at_least=1)
LOG_LIMIT_BYTES = env_int("MLSERVER_LOG_LIMIT_MIB", 2048, at_least=1) * 1024**2
LOG_ROTATE_BYTES = env_int("MLSERVER_LOG_ROTATE_MIB", 0, at_least=0) * 1024**2
LOG_KEPT = env_int("MLSERVER_LOG_KEPT", 4, at_least=0, at_most=100)
if LOG_ROTATE_BYTES >= LOG_LIMIT_BYTES:
    said = f"MLSERVER_LOG_ROTATE_MIB='{LOG_ROTATE_BYTES // 1024**2}'"
    raise ImproperlyConfigured(f"{said} is refused: it must be less than MLSERVER_LOG_LIMIT_MIB")
SYSTEM_METRICS_S = env_int("MLSERVER_SYSTEM_METRICS_S", 10, at_least=0, at_most=3600)
CAPTURE_ENVIRONMENT = env_bool("MLSERVER_CAPTURE_ENVIRONMENT", True)
METRIC_FILE_KINDS = ("tensorboard", "lines", "output")
METRIC_FILES = env_choices("MLSERVER_METRIC_FILES", METRIC_FILE_KINDS, METRIC_FILE_KINDS)
JOB_ENV_ALLOW = env_variables(
    "MLSERVER_JOB_ENV", ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
)
SIMULATED_GPUS = env_simulated_gpus("MLSERVER_SIMULATED_GPUS")
WEB_TERMINAL = env_bool("WEB_TERMINAL", True)
DEMO = env_bool("MLSERVER_DEMO", True)

# -- database: SQLite in the home unless DATABASE_URL says otherwise
DATABASE_BUSY_S = 10
DATABASE_CONNECT_S = 10
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": DATABASE_BUSY_S,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY",
}
DATABASE: Any
if DATABASE_URL := env_database_url("DATABASE_URL"):
    DATABASE = dj_database_url.parse(DATABASE_URL, conn_max_age=None, conn_health_checks=True)
else:
    path = env_path("DATABASE_PATH", MLSERVER_HOME / "db.sqlite3")
    # The last connection to close checkpoints the WAL, so connections are kept open.
    DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "CONN_MAX_AGE": None}
is_sqlite = DATABASE["ENGINE"].endswith("sqlite3")
if is_sqlite:
    private_file(Path(DATABASE["NAME"]))  # SQLite gives its -wal and -shm files the same mode
# Without a limit a host that does not answer holds the start, and later each thread, for minutes.
options = SQLITE_OPTIONS if is_sqlite else {"connect_timeout": DATABASE_CONNECT_S}
DATABASES = {"default": DATABASE | {"OPTIONS": options | DATABASE.get("OPTIONS", {})}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- django-q2: each value guards against a trap named in docs/queue.md; mlserver.checks refuses others
Q_REDIS_URL = env_redis_url("Q_REDIS_URL")
Q_CLUSTER = {
    "name": "mlserver",
    "workers": env_int("MLSERVER_QCLUSTER_WORKERS", 1, at_least=1, at_most=8),
    "timeout": 60,
    "retry": 90,
    "ack_failures": True,
    "max_attempts": 1,
    "queue_limit": 1,
    "bulk": 1,
    "recycle": 100_000,
    "save_limit": -1,
    "catch_up": False,
    "poll": 2,
    "guard_cycle": 1,
    "cpu_affinity": 0,
    "label": "Queue of the server",
}
if Q_REDIS_URL:
    Q_CLUSTER |= {"redis": Q_REDIS_URL, "broker_class": "mlserver.redis_broker.RedisBroker"}
else:
    Q_CLUSTER |= {"orm": "default", "broker_class": "mlserver.queue_broker.DatabaseBroker"}

# -- Django
ROOT_URLCONF = "mlserver.urls"
ASGI_APPLICATION = "mlserver.asgi.application"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "django_q",
    "mlserver",
    "mlserver.accounts",
    "gpus",
    "registry",
    "training",
]
MIDDLEWARE = [
    "mlserver.accounts.peers.PeerMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "mlserver.accounts.origins.OriginMiddleware",
    "mlserver.api.rate_limits.middleware.RateLimitMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "mlserver.formats"
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
LOGIN_URL = "/login"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024**2
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
CSRF_FAILURE_VIEW = "mlserver.api.failures.csrf_failure"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(role)s %(name)s: %(message)s"}},
    "filters": {"role": {"()": "mlserver.log_roles.RoleFilter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["role"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL.upper()},
    "loggers": {
        "django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "django.request": {"level": "ERROR"},  # a refused call is the caller's business, not the log's
    },
}
