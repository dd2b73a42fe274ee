"""`manage.py flowline`: the command prompt of FlowLine, as the first administrator."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from mlserver.serving.presence import say_when_not_running
from training.management.flowline_prompt import Prompt


class Command(BaseCommand):
    help = "A prompt that shows and steers the tasks, processes and GPUs of this machine. `help` lists its commands."

    def handle(self, *args: Any, **options: Any) -> None:
        say_when_not_running(self.stderr, "what is asked for is done when it is started")
        prompt = Prompt(stdin=sys.stdin, stdout=self.stdout)  # type: ignore[arg-type]  # passes on to a file
        prompt.use_rawinput = sys.stdin.isatty()
        try:
            prompt.cmdloop()
        except KeyboardInterrupt:
            self.stdout.write("")
