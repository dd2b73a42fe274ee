"""Datasets whose bytes are in the store, for tests that start trainings."""

from typing import Any

from registry.blobs import path_of
from registry.models import ArtifactVersion
from tests.make import make_dataset


def stored_dataset(name: str = "digits", **facts: Any) -> ArtifactVersion:
    """As `make_dataset`; its one file has content, though none that could be trained on. Needs the fixture `stores`."""
    version = make_dataset(name, **facts)
    path = path_of(version.files.get().blob_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"0123456789")
    return version
