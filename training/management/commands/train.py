"""`manage.py train resnet18 digits --epochs 5 ...`: start a training session as the first administrator."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlserver.accounts.bootstrap import first_admin
from mlserver.errors import Invalid, ServerError
from mlserver.serving.presence import say_when_not_running
from training import sessions
from training.management.acting import said_of
from training.management.following import follow_task, interruptible
from training.management.numbers import number_in
from training.models import Source
from training.trainer.catalog import ARCHITECTURES, LOSS_FUNCTIONS, OPTIMIZERS


class Command(BaseCommand):
    help = "Train an architecture on a dataset, both by name, with the built-in trainer."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model_architecture", metavar="ARCHITECTURE", help=", ".join(ARCHITECTURES))
        parser.add_argument("dataset_name", metavar="DATASET", help="a registered dataset, e.g. digits")
        parser.add_argument("--epochs", type=number_in, metavar="N", required=True, help="1-1000")
        parser.add_argument("--learning-rate", type=number_in, metavar="X", required=True, help="0.0001-1")
        parser.add_argument("--batch-size", type=number_in, metavar="N", required=True, help="1-256")
        parser.add_argument("--optimizer", metavar="NAME", help=f"{', '.join(OPTIMIZERS)} (default: adam)")
        parser.add_argument("--loss-function", metavar="NAME", help=f"{', '.join(LOSS_FUNCTIONS)} (default: the first)")
        parser.add_argument("--follow", action="store_true", help="print its log, exit with its success")

    def handle(self, *args: Any, **options: Any) -> None:
        data = {name: options[name] for name in sessions.FIELDS if options[name] is not None}
        try:
            session = sessions.start(data, owner=first_admin(), source=Source.COMMAND_LINE)
        except Invalid as error:
            said = [f"{name}: {' '.join(rules)}" for name, rules in sorted(error.errors.items())]
            raise CommandError("\n".join(said)) from error
        except ServerError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"training session {session.pk}, {said_of(session.task)}")
        say_when_not_running(self.stderr, "the training starts when it is started")
        if options["follow"]:
            self.stdout.flush()
            with interruptible(self.stderr):
                follow_task(session.task_id, self.stdout, self.stderr)
