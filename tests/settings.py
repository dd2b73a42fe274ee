"""Settings of the tests: the real ones, on a home that is thrown away."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "MLSERVER_HOME" not in os.environ:
    os.environ["MLSERVER_HOME"] = tempfile.mkdtemp(prefix="mlserver-test-")
    atexit.register(shutil.rmtree, os.environ["MLSERVER_HOME"], ignore_errors=True)
# Each worker of a parallel run has its own home and its own part of Redis; pytest-django gives it its own database.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if WORKER and Path(os.environ["MLSERVER_HOME"]).name != WORKER:
    os.environ["MLSERVER_HOME"] += f"/{WORKER}"
    if "Q_REDIS_URL" in os.environ:
        server, _, number = os.environ["Q_REDIS_URL"].rpartition("/")
        os.environ["Q_REDIS_URL"] = f"{server}/{int(number) + 1 + int(WORKER.removeprefix('gw'))}"
os.environ.setdefault("MLSERVER_DEMO", "0")
os.environ.setdefault("LOG_LEVEL", "warning")
# All tests are one address.
os.environ.setdefault("RUNICORN_RATE_LIMIT", "off")

from mlserver.settings import *  # noqa: E402, F403
from mlserver.settings import DATABASES, MLSERVER_HOME  # noqa: E402

# A file, not memory: tests of two threads at once need two connections to one database.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": MLSERVER_HOME / "test.sqlite3"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
