"""When the server started: `serve` imports this before it forks, so its children know, those of a restart too."""

import time

STARTED_AT = time.monotonic()
