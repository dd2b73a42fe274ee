"""N13: leases of GPUs."""

from drf_spectacular.utils import extend_schema, extend_schema_view

from mlserver.api.reading import ReadSet, Row
from training.api.native.filters import LeaseFilters
from training.api.native.schemas import LeaseAnswer
from training.models import Lease

COLUMNS = ("id", "memory_mib", "created_at", "released_at")


@extend_schema_view(
    list=extend_schema(tags=["leases"], summary="List leases"),
    retrieve=extend_schema(tags=["leases"], summary="Read one lease"),
)
class LeaseSet(ReadSet):
    """A run holds a GPU, or part of its memory."""

    noun = "lease"
    queryset = Lease.objects.values(
        *COLUMNS, "is_exclusive", "run_id", "run__task_id", "gpu_id", "gpu__index", "gpu__uuid", "gpu__node__name"
    )
    serializer_class = LeaseAnswer
    filterset_class = LeaseFilters

    def render(self, rows: list[Row]) -> list[Row]:
        return [
            {
                **{name: row[name] for name in COLUMNS},
                "exclusive": row["is_exclusive"],
                "run": row["run_id"],
                "task": row["run__task_id"],
                "gpu": row["gpu_id"],
                "gpu_index": row["gpu__index"],
                "gpu_uuid": row["gpu__uuid"],
                "node": row["gpu__node__name"],
            }
            for row in rows
        ]
