import logging
from typing import Any

import pytest

from mlserver.log_roles import RoleFilter, role_of


@pytest.mark.parametrize(
    ("title", "role"),
    [
        ("mlserver: web", "web"),
        ("mlserver: serve", "serve"),
        ("qcluster worker idle", "qcluster"),
        ("python manage.py tasks", "manage.py"),
    ],
)
def test_a_line_says_which_process_it_is_from(title: str, role: str) -> None:
    assert role_of(title) == role


def test_every_line_of_the_log_has_a_role(settings: Any) -> None:
    assert settings.LOGGING["handlers"]["stderr"]["filters"] == ["role"]
    record = logging.LogRecord("x", logging.INFO, "", 0, "said", None, None)
    assert RoleFilter().filter(record)
    line = logging.Formatter(settings.LOGGING["formatters"]["line"]["format"]).format(record)
    assert "INFO manage.py x: said" in line
