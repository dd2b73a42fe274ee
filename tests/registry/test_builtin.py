"""The datasets that come with the server are those of scikit-learn, read without it."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from registry import builtin
from registry.builtin import BUILT_INS, package_data, register_built_ins
from registry.datasets.describe import describe
from registry.models import Artifact, ArtifactVersion, DatasetFacts
from registry.publish import delete_versions, file_of, readable_path
from tests.registry.contents import published
from tests.serving import REPOSITORY, server_environment

NAMES = ["digits", "iris", "wine", "breast_cancer", "diabetes"]


def content(name: str) -> bytes:
    folder = package_data()
    assert folder is not None
    return next(built_in for built_in in BUILT_INS if built_in.name == name).read(folder)


@pytest.mark.django_db(transaction=True)
def test_it_registers_them_once_as_datasets_of_nobody(store: Path) -> None:
    assert register_built_ins() == NAMES
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert register_built_ins() == []
    assert len(queries) == 1
    digits = ArtifactVersion.objects.newest_of("dataset", "digits")
    assert digits is not None
    assert (digits.number, digits.owner, digits.artifact.owner) == (1, None, None)
    assert DatasetFacts.objects.get(version=digits).dimensions == "1797x8x8"
    assert readable_path(digits).parent == store / "datasets"
    assert ArtifactVersion.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_it_leaves_a_dataset_of_that_name_alone_even_a_deleted_one(store: Path) -> None:
    published("iris", type="dataset", file_name="mine.csv")
    delete_versions(published("wine", type="dataset", file_name="mine.csv").artifact)
    published("digits", type="model")
    assert register_built_ins() == ["digits", "breast_cancer", "diabetes"]
    assert file_of(ArtifactVersion.objects.get(artifact__name="iris")).path == "mine.csv"


@pytest.mark.django_db
def test_it_says_that_scikit_learn_is_missing(
    store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(builtin.importlib.util, "find_spec", lambda name: None)
    assert register_built_ins() == []
    assert "scikit-learn is not installed: the datasets digits, iris" in caplog.text
    assert not Artifact.objects.exists()


@pytest.mark.django_db
def test_it_goes_on_without_a_set_that_cannot_be_read(
    store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(builtin, "package_data", lambda: tmp_path)
    assert register_built_ins() == []
    assert "the dataset digits is missing: [Errno 2]" in caplog.text


@pytest.mark.parametrize("built_in", BUILT_INS, ids=lambda built_in: built_in.name)
def test_it_declares_the_facts_that_the_reader_finds(built_in: builtin.BuiltIn, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(content(built_in.name))
    assert describe(path, built_in.file_name) == built_in.facts


def test_it_writes_digits_as_numpy_reads_them() -> None:
    from sklearn.datasets import load_digits

    arrays, theirs = np.load(io.BytesIO(content("digits")), allow_pickle=False), load_digits()
    assert (arrays["images"].dtype, arrays["labels"].dtype) == (np.uint8, np.int64)
    assert np.array_equal(arrays["images"], theirs.images)
    assert np.array_equal(arrays["labels"], theirs.target)
    assert content("digits") == content("digits")


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_it_writes_the_tables_that_scikit_learn_loads(name: str) -> None:
    from sklearn import datasets

    theirs = datasets.load_diabetes(scaled=False) if name == "diabetes" else getattr(datasets, f"load_{name}")()
    header, *rows = csv.reader(io.StringIO(content(name).decode()))
    targets = [row[-1] for row in rows]
    wanted = theirs.target if name == "diabetes" else theirs.target_names[theirs.target]
    assert header == [*theirs.feature_names, "target"]
    assert np.array_equal(np.array([row[:-1] for row in rows], dtype=float), theirs.data)
    assert np.array_equal(np.array(targets, dtype=wanted.dtype), wanted)


@pytest.mark.process
def test_it_loads_neither_numpy_nor_scikit_learn_into_the_server(tmp_path: Path) -> None:
    code = (
        "import django, sys; django.setup(); import mlserver.serving.preparation;"
        "from registry.builtin import BUILT_INS, package_data;"
        "[one.read(package_data()) for one in BUILT_INS];"
        "print([name for name in ('numpy', 'PIL', 'sklearn', 'scipy', 'torch') if name in sys.modules])"
    )
    environment = server_environment(tmp_path) | {"DJANGO_SETTINGS_MODULE": "mlserver.settings"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
