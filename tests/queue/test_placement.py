"""Where a task fits: pure decisions over a ledger."""

from typing import Any

import pytest

from training.queue.placement import Demand, GpuLedger, Holder, NodeLedger, Placement, place, take

GIB = 1024


def demand(**values: Any) -> Demand:
    """One whole GPU, unless told otherwise."""
    whole = {"gpus": 1, "gpu_memory_mib": None, "is_exclusive": True, "cpus": 0, "memory_mib": 0, "pool": "default"}
    return Demand(**{**whole, **values})


def shared(mib: int, gpus: int = 1) -> Demand:
    return demand(gpus=gpus, gpu_memory_mib=mib, is_exclusive=False)


def gpu(index: int, **values: Any) -> GpuLedger:
    return GpuLedger(**{"id": index, "index": index, "memory_mib": 24 * GIB, **values})


def node(*gpus: GpuLedger, **values: Any) -> NodeLedger:
    made = {"id": 1, "name": "box", "cpu_slots": 4, "memory_mib": 64 * GIB, **values}
    used = Holder(made.pop("used_cpus", 0), made.pop("used_memory_mib", 0))
    return NodeLedger(gpus=list(gpus), holders={"run-z": used}, **made)


def placed(wanted: Demand, *nodes: NodeLedger) -> tuple[str, list[int]]:
    answer = place(wanted, nodes)
    assert isinstance(answer, Placement), answer
    return answer.node.name, [each.index for each in answer.gpus]


def refused(wanted: Demand, *nodes: NodeLedger) -> str:
    answer = place(wanted, nodes)
    assert isinstance(answer, str), answer
    return answer


def test_it_gives_all_gpus_or_none() -> None:
    assert placed(demand(gpus=2), node(gpu(0), gpu(1))) == ("box", [0, 1])
    said = refused(demand(gpus=2), node(gpu(0), gpu(1, held_by=["run-a"], is_exclusive=True)))
    assert said == "needs 2 GPUs, 1 of 2 free: GPU 1: held by run run-a"


def test_it_places_nothing_exclusive_beside_anybody() -> None:
    sharing = gpu(0, held_by=["run-a", "run-b"], reserved_mib=2 * GIB)
    assert refused(demand(), node(sharing)) == "needs 1 GPU, 0 of 1 free: GPU 0: held by run run-a, run-b"


def test_it_places_nobody_beside_an_exclusive_run() -> None:
    assert "held by run run-a" in refused(shared(1), node(gpu(0, held_by=["run-a"], is_exclusive=True)))


def test_it_shares_a_device_up_to_its_memory() -> None:
    machine = node(gpu(0))
    for run_id in ("run-a", "run-b"):
        answer = place(shared(10 * GIB), [machine])
        assert isinstance(answer, Placement)
        assert [mib for _, mib in take(answer, shared(10 * GIB), run_id)] == [10 * GIB]
    assert refused(shared(10 * GIB), machine) == "needs 1 GPU with 10240 MiB, 0 of 1 free: GPU 0: only 4096 MiB free"
    assert placed(shared(4 * GIB), machine) == ("box", [0])


def test_it_reserves_the_whole_device_for_an_exclusive_run() -> None:
    machine = node(gpu(0))
    answer = place(demand(), [machine])
    assert isinstance(answer, Placement)
    assert [mib for _, mib in take(answer, demand(), "run-a")] == [24 * GIB]
    assert machine.gpus[0].free_mib() == 0


def test_it_counts_what_the_driver_says_when_that_is_more_than_was_reserved() -> None:
    overdrawn = gpu(0, reserved_mib=4 * GIB, own_used_mib=20 * GIB, held_by=["run-a"])
    assert "only 4096 MiB free" in refused(shared(8 * GIB), node(overdrawn))


def test_it_counts_memory_of_outsiders() -> None:
    assert "only 23976 MiB free" in refused(shared(24 * GIB), node(gpu(0, foreign_memory_mib=600)))


def test_it_never_promises_more_than_a_device_has() -> None:
    assert "GPU 0: only 24576 MiB in all" in refused(shared(25 * GIB), node(gpu(0)))
    assert "GPU 0: only 24576 MiB in all" in refused(demand(gpu_memory_mib=25 * GIB), node(gpu(0)))


def test_it_says_that_no_memory_is_free_rather_than_less_than_none() -> None:
    assert "only 0 MiB free" in refused(shared(1), node(gpu(0, own_used_mib=30 * GIB)))


@pytest.mark.parametrize("wanted", [demand(), shared(1)])
def test_it_leaves_devices_with_a_problem_alone_and_says_which(wanted: Demand) -> None:
    machine = node(gpu(0, problem="in use outside this server: 1 process, 900 MiB"), gpu(1, problem="quarantined: x"))
    said = refused(wanted, machine)
    assert said.endswith("0 of 2 free: GPU 0: in use outside this server: 1 process, 900 MiB; GPU 1: quarantined: x")
    machine.gpus.append(gpu(2))
    assert placed(wanted, machine) == ("box", [2])


def test_it_fills_the_fullest_device_that_fits_first() -> None:
    machine = node(gpu(0), gpu(1, reserved_mib=20 * GIB, held_by=["run-a"]), gpu(2, reserved_mib=8 * GIB))
    assert placed(shared(4 * GIB), machine) == ("box", [1])
    assert placed(shared(6 * GIB), machine) == ("box", [2])


def test_it_takes_the_node_with_the_fewest_usable_gpus_that_suffice() -> None:
    big = node(*(gpu(index) for index in range(4)), id=1, name="big")
    small = node(gpu(0), gpu(1), id=2, name="small")
    assert placed(demand(gpus=2), big, small) == ("small", [0, 1])
    assert placed(demand(gpus=3), big, small) == ("big", [0, 1, 2])


def test_it_never_splits_a_task_over_nodes() -> None:
    said = refused(demand(gpus=2), node(gpu(0), name="a"), node(gpu(0), id=2, name="b"))
    assert said == "needs 2 GPUs, node a has 1; needs 2 GPUs, node b has 1"


def test_it_uses_another_node_when_the_first_is_full() -> None:
    full, free = node(id=1, name="a", used_cpus=4), node(id=2, name="b")
    assert placed(demand(gpus=0, cpus=1), full, free) == ("b", [])


def test_it_stays_in_the_pool_that_was_asked_for() -> None:
    assert placed(demand(pool="fast"), node(gpu(0)), node(gpu(0), id=2, name="racer", pools={"fast"})) == ("racer", [0])
    assert refused(demand(pool="slow"), node(gpu(0))) == "no node of pool 'slow' is registered"


def test_it_takes_the_single_devices_of_a_pool_and_no_others() -> None:
    box = node(gpu(0), gpu(1, pools={"fast"}), gpu(2, pools={"fast"}))
    assert placed(demand(pool="fast", gpus=2), box) == ("box", [1, 2])
    assert refused(demand(pool="fast", gpus=3), box) == "needs 3 GPUs, node box has 2 in pool 'fast'"
    assert placed(demand(pool="fast", gpus=0, cpus=1), box) == ("box", [])


def test_everything_is_in_the_default_pool() -> None:
    assert placed(demand(gpus=2), node(gpu(0), gpu(1, pools={"fast"}), pools={"slow"})) == ("box", [0, 1])


def test_it_says_that_no_node_is_registered() -> None:
    assert refused(demand()) == "no node of pool 'default' is registered"


def test_it_places_nothing_on_a_node_that_is_off() -> None:
    assert refused(demand(gpus=0, cpus=1), node(problem="is switched off")) == "node box is switched off"


def test_a_stale_sample_bars_gpus_but_not_cpu_slots() -> None:
    stale = node(gpu(0), gpu_problem="has not been sampled by its agent yet")
    assert refused(demand(), stale) == "needs 1 GPU, node box has not been sampled by its agent yet"
    assert placed(demand(gpus=0, cpus=1), stale) == ("box", [])


@pytest.mark.parametrize(
    ("wanted", "used", "sentence"),
    [
        ({"cpus": 2}, {"used_cpus": 3}, "needs 2 CPU slots, 1 of 4 are free"),
        ({"cpus": 1}, {"used_cpus": 9}, "needs 1 CPU slot, 0 of 4 are free"),
        ({"cpus": 5}, {}, "needs 5 CPU slots, node box has 4"),
        ({"memory_mib": 100 * GIB}, {}, "needs 102400 MiB of memory, node box has 65536"),
        (
            {"memory_mib": 2 * GIB},
            {"used_memory_mib": 63 * GIB},
            "needs 2048 MiB of memory, 1024 of 65536 are unreserved",
        ),
    ],
)
def test_it_says_which_slots_or_memory_are_missing(wanted: dict[str, int], used: dict[str, int], sentence: str) -> None:
    assert refused(demand(**{"gpus": 0, **wanted}), node(**used)) == sentence


def test_a_task_that_asks_for_no_slot_meets_no_ceiling() -> None:
    assert placed(demand(gpus=0), node(used_cpus=9, used_memory_mib=65 * GIB)) == ("box", [])


def test_taking_a_place_fills_the_ledger() -> None:
    machine = node(gpu(0))
    wanted = demand(gpus=0, cpus=3, memory_mib=GIB)
    answer = place(wanted, [machine])
    assert isinstance(answer, Placement)
    assert take(answer, wanted, "run-a") == []
    assert (machine.used_cpus, machine.used_memory_mib) == (3, GIB)


def test_a_decision_reserves_nothing() -> None:
    machine = node(gpu(0))
    place(demand(), [machine])
    assert (machine.gpus[0].reserved_mib, machine.gpus[0].held_by) == (0, [])


def test_it_says_the_place_in_words() -> None:
    assert Placement(node(), []).where() == "box"
    assert Placement(node(), [gpu(0), gpu(3)]).where() == "box, GPU 0 and 3"
