"""The devices runs hold, or held."""

from collections import defaultdict
from collections.abc import Collection

from mlserver.api.reading import Row
from training.models import Lease


def gpus_of_runs(run_ids: Collection[str]) -> dict[str, list[Row]]:
    """Run id -> its devices by index, and the energy it used on each.

    Released leases count too, so an ended run says where it ran.
    """
    if not run_ids:
        return {}
    leases = Lease.objects.filter(run_id__in=run_ids).order_by("gpu__index", "pk")
    devices: dict[str, dict[str, Row]] = defaultdict(dict)
    for run_id, index, uuid, energy_wh in leases.values_list("run_id", "gpu__index", "gpu__uuid", "energy_wh"):
        before_wh = devices[run_id][uuid]["energy_wh"] if uuid in devices[run_id] else 0.0
        devices[run_id][uuid] = {"index": index, "uuid": uuid, "energy_wh": before_wh + energy_wh}
    return {run_id: list(by_uuid.values()) for run_id, by_uuid in devices.items()}
