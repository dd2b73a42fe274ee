"""Log runs from a training script: `import mlserver_client as rn`.

The standard library is all that logging needs. `mlserver_client.api` reads and drives a server.
"""

import importlib.util
import os

from mlserver_client.active import (
    finish,
    get_active_run,
    init,
    log,
    log_image,
    log_text,
    set_primary_metric,
    summary,
)
from mlserver_client.run import Run

__version__ = "0.1.0"

# Parts that are there. Delivery to a server is the modern storage; without it runs are files.
HAS_MODERN_STORAGE = os.environ.get("RUNICORN_DISABLE_MODERN_STORAGE", "").lower() not in ("1", "true", "yes")
HAS_ARTIFACTS = False
HAS_MONITORING = True
HAS_ENV_CAPTURE = True
HAS_PIL = importlib.util.find_spec("PIL") is not None
HAS_NUMPY = importlib.util.find_spec("numpy") is not None

__all__ = [
    "HAS_ARTIFACTS",
    "HAS_ENV_CAPTURE",
    "HAS_MODERN_STORAGE",
    "HAS_MONITORING",
    "HAS_NUMPY",
    "HAS_PIL",
    "Run",
    "__version__",
    "finish",
    "get_active_run",
    "init",
    "log",
    "log_image",
    "log_text",
    "set_primary_metric",
    "summary",
]
