"""N13: events of tasks, runs and nodes."""

from drf_spectacular.utils import extend_schema, extend_schema_view

from mlserver.api.reading import ReadSet, Row
from training.api.native.filters import EventFilters
from training.api.native.schemas import EventAnswer
from training.models import Event

COLUMNS = ("id", "type", "reason", "message", "count", "created_at", "last_at")


@extend_schema_view(
    list=extend_schema(tags=["events"], summary="List events"),
    retrieve=extend_schema(tags=["events"], summary="Read one event"),
)
class EventSet(ReadSet):
    """What happened to tasks, runs and nodes; newest first."""

    noun = "event"
    queryset = Event.objects.visible().values(*COLUMNS, "task_id", "run_id", "node__name")
    serializer_class = EventAnswer
    filterset_class = EventFilters

    def render(self, rows: list[Row]) -> list[Row]:
        return [
            {
                **{name: row[name] for name in COLUMNS},
                "task": row["task_id"],
                "run": row["run_id"],
                "node": row["node__name"],
            }
            for row in rows
        ]
