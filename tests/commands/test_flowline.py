"""`manage.py flowline` and `manage.py import_tasks`."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.utils import timezone

from gpus.inventory import node_name
from gpus.models import Gpu
from mlserver.accounts.bootstrap import first_admin
from tests.make import make_gpu, make_lease, make_node, make_process, make_run, make_task, make_user
from training.management.commands.import_tasks import Table
from training.management.flowline_prompt import Prompt
from training.models import DispatchLoop, Task

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture(autouse=True)
def admin():
    return make_user("root", is_admin=True)


def at_prompt(*lines: str) -> str:
    out = io.StringIO()
    prompt = Prompt(stdin=io.StringIO("".join(f"{line}\n" for line in lines)), stdout=OutputWrapper(out))
    prompt.use_rawinput = False
    prompt.cmdloop()
    return out.getvalue()


def test_it_flips_the_loop_and_sets_its_bounds():
    said = at_prompt("run", "max 2", "min 500", "max x", "exit", "run")
    assert "the dispatch loop is off" in said and "'x' is not a whole number" in said
    rules = DispatchLoop.rules()
    assert (rules.is_on, rules.max_processes, rules.min_free_mib) == (False, 2, 500)


def test_it_lists_processes_tasks_and_gpus():
    gpu = make_gpu(make_node(node_name()), utilization_percent=63, power_w=61.7, power_limit_w=72, temperature_c=58)
    run = make_run(
        make_task(name="fit", command="python fit.py", config={"lr": 0.1}, status="active", source="flowline")
    )
    process = make_process(run, pid=500)
    make_lease(run, gpu)
    said = at_prompt("ls", "gpus", "task")
    assert any(
        line.split()[:5] == [str(process.pk - 1), "500", str(run.task_id), "0", "running"] for line in said.splitlines()
    )
    assert "1 / 4 processes of FlowLine" in said
    assert "24576/24576" in said and "62/72" in said and "63%" in said
    assert "lr=0.1" in said and "0/1" in said


def test_it_kills_by_number_and_by_gpu():
    gpu = make_gpu(make_node(node_name()))
    processes = [make_process(make_run(make_task(status="active"))) for _ in range(2)]
    make_lease(processes[1].run, gpu)
    said = at_prompt(
        f"kill {processes[0].pk - 1}", f"kill {processes[0].pk - 1}", "kill 99999", "killgpu 0", "killgpu 7"
    )
    assert f"process {processes[0].pk - 1} is told to end" in said and "is ending already" in said
    assert "no process 99999 is running" in said and "1 processes on GPU 0" in said and "there is no GPU 7" in said
    assert Task.objects.exclude(stop_requested_at=None).count() == 2


def test_it_flips_a_gpu_and_answers_what_it_does_not_know():
    make_gpu(make_node(node_name()))
    said = at_prompt("gpu 0", "gpu 3", "frob", "", "help")
    assert "GPU 0 is off" in said and "there is no GPU 3" in said and "there is no command 'frob'" in said
    assert not Gpu.objects.get().is_enabled and "killgpu" in said


def test_import_reports_each_row_and_refuses_with_its_number(tmp_path: Path, capsys):
    (tmp_path / "todo.csv").write_text("name,cmd,lr\nfirst,true,0.1\nsecond,,0.2\n")
    with pytest.raises(CommandError, match="1 of 2 rows were refused"):
        call_command("import_tasks", str(tmp_path / "todo.csv"))
    said = capsys.readouterr().out
    assert "row 0: task" in said and "row 1 is refused: cmd is empty" in said and "1 queued, 0 done, 1 refused" in said
    assert Task.objects.get().command == "true --lr 0.1"
    call_command("import_tasks", str(tmp_path / "todo.csv"), dry_run=True)
    assert Task.objects.count() == 1
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_tasks", str(tmp_path / "gone.csv"))


def test_a_watched_table_gets_its_numbers_written_back_and_its_new_rows_queued(tmp_path: Path):
    path = tmp_path / "todo.csv"
    path.write_text("name,run_num,need_run_num,cmd\nfirst,1,3,true\n")
    table = Table(path, None)
    table.take_in()
    task = Task.objects.get()
    assert (task.owner, task.repeat) == (first_admin(), 2)
    assert table.look() == []
    Task.objects.filter(pk=task.pk).update(runs_completed=1)
    assert table.look() == ["row 0: run_num is 2"]
    assert table.look() == []
    path.write_text(path.read_text() + "second,0,1,false\n")
    import os

    os.utime(path, (0, 0))
    assert any("row 1: task" in line for line in table.look())
    Task.objects.filter(pk=task.pk).update(runs_completed=2, status="completed", ended_at=timezone.now())
    assert table.look() == ["row 0: run_num is 3"]
    # A watch that was ended and begun again counts on from what the file says.
    again = Table(path, None)
    rows, found = again.take_in()
    assert found.done == [0] and found.new == []


def test_a_watch_that_is_begun_again_counts_what_finished_meanwhile(tmp_path: Path):
    path = tmp_path / "todo.csv"
    path.write_text("run_num,need_run_num,cmd\n0,3,true\n")
    first = Table(path, None)
    first.take_in()
    Task.objects.update(runs_completed=1)
    first.look()
    Task.objects.update(runs_completed=2)
    again = Table(path, None)
    again.take_in()
    assert again.look() == ["row 0: run_num is 2"]
    assert path.read_text().splitlines()[1] == "2,3,true"
