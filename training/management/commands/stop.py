"""`manage.py stop TASK_ID...`: end tasks, whatever they are doing."""

from training.management.acting import TaskCommand
from training.models import Task
from training.queue.control import stop_task


class Command(TaskCommand):
    help = "Stop tasks: running ones get TERM, their grace, then KILL; waiting ones never start."
    without_server = "what runs is ended when it is started"

    def act(self, task: Task) -> Task:
        return stop_task(task, "stopped from the command line")

    def said(self, task: Task) -> str:
        return f"task {task.pk} {task.status if task.has_ended else 'stopping'}"
