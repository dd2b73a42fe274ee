"""Real datasets that come with the server: five of scikit-learn's, from its package data.

Read without importing it: the server would carry numpy and scipy for files of a few kilobytes.
"""

import csv
import gzip
import importlib.util
import io
import logging
import struct
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlserver.errors import Conflict, OutOfSpace
from registry.blobs import Incoming
from registry.datasets.facts import Facts
from registry.models import Artifact, ArtifactType
from registry.publish import publish

log = logging.getLogger(__name__)

IRIS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
WINE = [
    "alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids",
    "nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines", "proline",
]  # fmt: skip
CELL = [
    "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry",
    "fractal dimension",
]  # fmt: skip
BREAST_CANCER = [form.format(part) for form in ("mean {}", "{} error", "worst {}") for part in CELL]
DIABETES = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]


@dataclass(frozen=True)
class BuiltIn:
    name: str
    file_name: str
    facts: Facts
    read: Callable[[Path], bytes]


def register_built_ins() -> list[str]:
    """Names of the sets that were published now: those whose name no dataset has or ever had.

    Never fails a start: without scikit-learn, or without space, they are missing and the log says why.
    """
    names = [built_in.name for built_in in BUILT_INS]
    taken = set(Artifact.objects.filter(type=ArtifactType.DATASET, name__in=names).values_list("name", flat=True))
    missing = [built_in for built_in in BUILT_INS if built_in.name not in taken]
    folder = package_data() if missing else None
    if missing and folder is None:
        log.warning("scikit-learn is not installed: the datasets %s are missing", ", ".join(names))
        return []
    return [built_in.name for built_in in missing if folder is not None and register(built_in, folder)]


def register(built_in: BuiltIn, folder: Path) -> bool:
    try:
        with Incoming.create() as incoming:
            incoming.write(built_in.read(folder))
            publish(
                incoming,
                type=ArtifactType.DATASET,
                name=built_in.name,
                owner=None,
                file_name=built_in.file_name,
                facts=built_in.facts,
            )
    except (OSError, OutOfSpace, Conflict) as error:
        log.warning("the dataset %s is missing: %s", built_in.name, error)
        return False
    return True


def package_data() -> Path | None:
    """Where scikit-learn keeps its datasets; None when it is not installed."""
    spec = importlib.util.find_spec("sklearn")
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) / "datasets" / "data" if places else None


def digits(folder: Path) -> bytes:
    """`images` (n, 8, 8) uint8, values 0 to 16, and `labels` (n,) int64, as an npz that is the same each time."""
    with gzip.open(folder / "digits.csv.gz", "rt", encoding="ascii") as lines:
        rows = [bytes(map(int, line.split(","))) for line in lines]
    images, labels = b"".join(row[:-1] for row in rows), struct.pack(f"<{len(rows)}q", *(row[-1] for row in rows))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        add_array(archive, "images", "|u1", (len(rows), 8, 8), images)
        add_array(archive, "labels", "<i8", (len(rows),), labels)
    return file.getvalue()


def add_array(archive: zipfile.ZipFile, name: str, dtype: str, shape: Sequence[int], content: bytes) -> None:
    """In version 1.0 of NumPy's npy format (numpy.lib.format): the header ends at a multiple of 64 bytes."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}"
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("ascii")
    archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), start + content)


def with_class_names(file_name: str, header: list[str]) -> Callable[[Path], bytes]:
    """Of files whose first line is `<rows>,<columns>,<name of class 0>,...` and whose last column is the class."""

    def read(folder: Path) -> bytes:
        with (folder / file_name).open(newline="", encoding="ascii") as lines:
            rows = csv.reader(lines)
            _, _, *classes = next(rows)
            return as_csv(header, ([*row[:-1], classes[int(row[-1])]] for row in rows))

    return read


def diabetes(folder: Path) -> bytes:
    """The measured values, not the scaled ones, and how far the disease went after a year."""
    with (
        gzip.open(folder / "diabetes_data_raw.csv.gz", "rt", encoding="ascii") as features,
        gzip.open(folder / "diabetes_target.csv.gz", "rt", encoding="ascii") as targets,
    ):
        pairs = zip(features, targets, strict=True)
        return as_csv(DIABETES, ([*values.split(), repr(float(target))] for values, target in pairs))


def as_csv(header: list[str], rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, "target"])
    writer.writerows(rows)
    return text.getvalue().encode("ascii")


def table(rows: int, features: int, target: str, class_count: int | None = None) -> Facts:
    return Facts(
        format="csv",
        sample_count=rows,
        dimensions=str(features + 1),
        input_shape=(features,),
        target=target,
        class_count=class_count,
    )


BUILT_INS = (
    BuiltIn(
        "digits",
        "digits.npz",
        Facts(
            format="numpy",
            sample_count=1797,
            dimensions="1797x8x8",
            input_shape=(8, 8, 1),
            target="classes",
            class_count=10,
        ),
        digits,
    ),
    BuiltIn("iris", "iris.csv", table(150, 4, "classes", 3), with_class_names("iris.csv", IRIS)),
    BuiltIn("wine", "wine.csv", table(178, 13, "classes", 3), with_class_names("wine_data.csv", WINE)),
    BuiltIn(
        "breast_cancer",
        "breast_cancer.csv",
        table(569, 30, "classes", 2),
        with_class_names("breast_cancer.csv", BREAST_CANCER),
    ),
    BuiltIn("diabetes", "diabetes.csv", table(442, 10, "numbers"), diabetes),
)
