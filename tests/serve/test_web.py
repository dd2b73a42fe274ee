"""How many connections the web process takes."""

import resource

import pytest

from mlserver.serving import web

ENDLESS = resource.RLIM_INFINITY
WANTED = web.MOST_CONNECTIONS + web.OTHER_FILES


@pytest.mark.parametrize(
    ("soft", "hard", "raised_to", "connections"),
    [
        (1024, 4096, WANTED, web.MOST_CONNECTIONS),
        (1024, ENDLESS, WANTED, web.MOST_CONNECTIONS),
        (1024, 1024, 1024, 1024 - web.OTHER_FILES),
        (100, 100, 100, 1),
        (4096, 4096, None, web.MOST_CONNECTIONS),
        (ENDLESS, ENDLESS, None, web.MOST_CONNECTIONS),
    ],
)
def test_it_takes_no_more_connections_than_there_may_be_files(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised_to: int | None, connections: int
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert web.raise_file_limit() == connections
    assert asked == ([] if raised_to is None else [(raised_to, hard)])
