"""What the tests of the Training API share."""

from pathlib import Path
from typing import Any

import pytest

from tests.registry.conftest import store  # noqa: F401  a fixture


@pytest.fixture(autouse=True)
def stores(home: Path, settings: Any) -> None:
    """Directories of models and datasets that are this test's alone."""
    settings.MODELS_DIR, settings.DATASETS_DIR = home / "models", home / "datasets"
