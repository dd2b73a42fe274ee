"""A store of the test's own."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def store(home: Path, settings: Any) -> Path:
    """The home of an empty store, with MODELS_DIR and DATASETS_DIR inside; the server's own account runs jobs."""
    settings.MODELS_DIR = home / "models"
    settings.DATASETS_DIR = home / "datasets"
    settings.JOB_USER = ""
    return home
