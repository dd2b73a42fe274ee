"""The ceiling of training sessions, beside what machines and devices can take."""

from functools import cached_property

from django.conf import settings

from training.models import Run


class SessionCeiling:
    """How many more sessions may run; counted once, at the first question of a pass. Call inside its transaction."""

    def __init__(self) -> None:
        self.taken = 0

    def refusal(self) -> str:
        """Why no further session starts; empty when one may."""
        limit = settings.MAX_CONCURRENT_SESSIONS
        active = self.active_before + self.taken
        if active < limit:
            return ""
        verb = "is" if active == 1 else "are"
        return f"{active} of {limit} training sessions {verb} running (MAX_CONCURRENT_SESSIONS)"

    def take(self) -> None:
        self.taken += 1

    @cached_property
    def active_before(self) -> int:
        """A session that was told to stop counts until its processes are gone."""
        return Run.objects.active().filter(task__is_session=True).count()
