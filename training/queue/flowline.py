"""The rules of FlowLine's dispatch loop, beside what machines and devices can take."""

from functools import cached_property

from training.models import DispatchLoop, DispatchRules, Run, Source


class DispatchCeiling:
    """How many more processes of FlowLine may start; asked for once in a pass. Call inside its transaction."""

    def __init__(self) -> None:
        self.taken = 0

    def refusal(self) -> str:
        """Why no further process starts; empty when one may."""
        if not self.rules.is_on:
            return "the dispatch loop of FlowLine is off"
        limit, active = self.rules.max_processes, self.active_before + self.taken
        if active < limit:
            return ""
        verb = "is" if active == 1 else "are"
        return f"{active} of {limit} processes of FlowLine {verb} running"

    def take(self) -> None:
        self.taken += 1

    @cached_property
    def rules(self) -> DispatchRules:
        return DispatchLoop.rules()

    @cached_property
    def active_before(self) -> int:
        """A process that was told to stop counts until it is gone."""
        return Run.objects.queued().active().filter(source=Source.FLOWLINE).count()
