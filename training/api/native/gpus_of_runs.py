"""The devices runs hold, or held."""

from collections import defaultdict
from collections.abc import Collection

from mlserver.api.reading import Row
from training.models import Lease


def gpus_of_runs(run_ids: Collection[str]) -> dict[str, list[Row]]:
    """Run id -> its devices by index; released leases count too, so an ended run says where it ran."""
    if not run_ids:
        return {}
    leases = Lease.objects.filter(run_id__in=run_ids).order_by("gpu__index", "pk")
    devices: dict[str, dict[str, Row]] = defaultdict(dict)
    for run_id, index, uuid in leases.values_list("run_id", "gpu__index", "gpu__uuid"):
        devices[run_id][uuid] = {"index": index, "uuid": uuid}
    return {run_id: list(by_uuid.values()) for run_id, by_uuid in devices.items()}
