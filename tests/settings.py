"""Settings of the tests: the real ones, on a home that is thrown away."""

import atexit
import os
import shutil
import tempfile

if "MLSERVER_HOME" not in os.environ:
    os.environ["MLSERVER_HOME"] = tempfile.mkdtemp(prefix="mlserver-test-")
    atexit.register(shutil.rmtree, os.environ["MLSERVER_HOME"], ignore_errors=True)
os.environ.setdefault("MLSERVER_DEMO", "0")
os.environ.setdefault("LOG_LEVEL", "warning")

from mlserver.settings import *  # noqa: E402, F403
from mlserver.settings import DATABASES, MLSERVER_HOME  # noqa: E402

# A file, not memory: tests of two threads at once need two connections to one database.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": MLSERVER_HOME / "test.sqlite3"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
