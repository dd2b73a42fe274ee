"""N13: processes of runs."""

from drf_spectacular.utils import extend_schema, extend_schema_view

from mlserver.api.reading import ReadSet, Row
from training.api.native.filters import ProcessFilters
from training.api.native.schemas import ProcessAnswer
from training.models import RunProcess

COLUMNS = (
    "id", "rank", "pid", "supervisor_pid", "started_at", "ended_at", "exit_code", "exit_signal", "max_rss_mib", "cpu_s",
)  # fmt: skip


@extend_schema_view(
    list=extend_schema(tags=["processes"], summary="List processes"),
    retrieve=extend_schema(tags=["processes"], summary="Read one process"),
)
class ProcessSet(ReadSet):
    """One process of a run, rank 0 first."""

    noun = "process"
    queryset = RunProcess.objects.filter(run__deleted_at=None).values(
        *COLUMNS, "run_id", "run__task_id", "run__node__name"
    )
    serializer_class = ProcessAnswer
    filterset_class = ProcessFilters

    def render(self, rows: list[Row]) -> list[Row]:
        return [
            {
                **{name: row[name] for name in COLUMNS},
                "run": row["run_id"],
                "task": row["run__task_id"],
                "node": row["run__node__name"],
            }
            for row in rows
        ]
