"""With what a run was made, as it is stored."""

import json
from typing import Any

import pytest

from tests.make import make_gpu, make_lease, make_node, make_run, make_sdk_run, make_task
from training import paths
from training.models import Event, Run, RunEnvironment
from training.tracking.environment import take_in_environment
from training.tracking.told import ToldFiles

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def run() -> Run:
    task = make_task(status="active", command="python train.py")
    run = make_run(task, node=make_node("box", driver_version="570.1"))
    run.directory.mkdir(parents=True)
    return run


def write(run: Run, content: Any) -> None:
    (run.directory / "environment.json").write_text(content if isinstance(content, str) else json.dumps(content))


def facts_of(run: Run) -> dict[str, Any]:
    take_in_environment(run)
    return RunEnvironment.objects.get(run=run).facts


def test_a_run_that_wrote_nothing_has_what_the_server_knows(run: Run) -> None:
    facts = facts_of(run)
    assert facts["command"] == {"argv": ["/bin/sh", "-c", "python train.py"], "cwd": str(run.directory)}
    assert facts["host"]["name"] == "box"
    assert "gpu" not in facts


def test_the_gpus_it_held_and_their_driver_are_known(run: Run) -> None:
    assert run.node is not None
    make_lease(run, make_gpu(run.node, uuid="GPU-a", name="H100"))
    facts = facts_of(run)
    assert facts["gpu"] == {"driver": "570.1", "models": ["H100"]}
    assert facts["leased_gpus"] == [{"index": 0, "uuid": "GPU-a", "name": "H100"}]


def test_what_was_captured_counts_more(run: Run) -> None:
    write(run, {"command": {"argv": ["train.py"]}, "host": None, "git": None, "packages": {"numpy": "2"}, "x": "a\0b"})
    facts = facts_of(run)
    assert facts["command"] == {"argv": ["train.py"]}
    assert (facts["host"]["name"], facts["git"], facts["packages"], facts["x"]) == ("box", None, {"numpy": "2"}, "ab")


def test_what_comes_later_takes_its_place_and_nothing_takes_no_place(run: Run) -> None:
    facts_of(run)
    write(run, {"packages": {"numpy": "1"}})
    facts_of(run)
    write(run, {"packages": {"numpy": "2"}})
    assert facts_of(run)["packages"] == {"numpy": "2"}
    (run.directory / "environment.json").unlink()
    assert facts_of(run)["packages"] == {"numpy": "2"}


@pytest.mark.parametrize("content", ["", "no json", "[1]", '{"a": ' * 2000, "x" * 1024**2])
def test_what_is_no_record_is_passed_over(run: Run, content: str) -> None:
    write(run, content)
    assert "host" in facts_of(run)


def test_one_that_is_nested_too_deep_is_left_out_with_an_event(run: Run) -> None:
    write(run, '{"a": ' * 40 + "1" + "}" * 40)
    assert "a" not in facts_of(run)
    assert Event.objects.get().reason == "EnvironmentRefused"


def test_a_link_is_no_record(run: Run, tmp_path: Any) -> None:
    (tmp_path / "secret.json").write_text('{"secret": 1}')
    (run.directory / "environment.json").symlink_to(tmp_path / "secret.json")
    assert "secret" not in facts_of(run)


def test_the_agent_takes_it_in_once_it_is_there(run: Run, django_assert_num_queries: Any) -> None:
    files = ToldFiles({paths.ENVIRONMENT_NAME: take_in_environment})
    assert run.node_id is not None
    files.take_in_all(run.node_id)
    assert not RunEnvironment.objects.exists()
    write(run, {"packages": {}})
    files.take_in_all(run.node_id)
    assert "packages" in RunEnvironment.objects.get().facts
    with django_assert_num_queries(1):
        files.take_in_all(run.node_id)


def test_a_run_outside_the_queue_has_no_command_of_ours() -> None:
    assert facts_of(make_sdk_run()) == {}
