"""Models and datasets as T13, T17 and T18 answer them; one statement each, however many there are."""

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from registry.models import ArtifactFile, ArtifactType, ArtifactVersion

Row = dict[str, Any]
COLUMNS = ("artifact__name", "size_bytes", "created_at", "link_name")
FACTS = ("dataset__sample_count", "dataset__format", "dataset__dimensions")
MIB = 1024**2


def model_rows() -> "QuerySet[ArtifactVersion, Row]":
    rows: QuerySet[ArtifactVersion, Row] = _newest(ArtifactType.MODEL).values(*COLUMNS)
    return rows


def dataset_rows() -> "QuerySet[ArtifactVersion, Row]":
    """Those of which it is known what they hold."""
    known = _newest(ArtifactType.DATASET).filter(dataset__isnull=False)
    rows: QuerySet[ArtifactVersion, Row] = known.values(*COLUMNS, *FACTS)
    return rows


def render_model(row: Row) -> Row:
    return {
        "name": row["artifact__name"],
        "size_mb": size_mb(row["size_bytes"]),
        "created_at": row["created_at"],
        "file_path": f"models/{row['link_name']}",
    }


def render_dataset(row: Row) -> Row:
    return {
        "name": row["artifact__name"],
        "size_mb": size_mb(row["size_bytes"]),
        "sample_count": row["dataset__sample_count"],
        "format": row["dataset__format"],
        "dimensions": row["dataset__dimensions"] or None,
        "created_at": row["created_at"],
        "file_path": f"datasets/{row['link_name']}",
    }


def size_mb(size_bytes: int) -> float:
    """In units of 1024 * 1024 bytes, not rounded."""
    return size_bytes / MIB


def _newest(type: ArtifactType) -> "QuerySet[ArtifactVersion]":
    # A version of this API has one file; of one that came through another API the first one stands for it.
    links = ArtifactFile.objects.filter(version=OuterRef("pk")).order_by("path").values("link_name")[:1]
    newest = ArtifactVersion.objects.newest_of_each(type).annotate(link_name=Subquery(links))
    return newest.order_by("-created_at", "-pk")
