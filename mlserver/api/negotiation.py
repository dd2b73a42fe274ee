"""Which renderer a view without a choice uses."""

from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class WhateverIsAccepted(DefaultContentNegotiation):
    """`Accept` is not looked at: what is answered follows from the path, and errors are JSON."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer: BaseRenderer = renderers[0]
        return renderer, str(renderer.media_type)
