"""How long the body of a request may be, by its path alone."""

import pytest

from mlserver.serving.request_body import SLACK_BYTES, limit_of, upload_limit_of

MIB = 1024**2


@pytest.mark.parametrize(
    ("path", "mib"),
    [
        ("/api/v1/tasks", 1), ("/api/v1/runs", 1), ("/api/v1/runs/x/summary", 1), ("/api/v1/runs/x/finish", 1),
        ("/api/v1/runs/x/metrics", 8), ("/api/v1/runs/x/logs", 8), ("/api/v1/runs/x/environment", 8),
        ("/api/v1/runs/x/y/logs", 1), ("/elsewhere/api/v1/runs/x/logs", 1),
    ],
)  # fmt: skip
def test_a_body_that_is_collected_has_a_limit(path: str, mib: int) -> None:
    assert limit_of(path) == mib * MIB + SLACK_BYTES


@pytest.mark.parametrize(
    ("method", "path", "is_streamed"),
    [
        ("POST", "/api/v1/models", True), ("POST", "/api/v1/runs/x/media", True),
        ("GET", "/api/v1/runs/x/media", False),
        ("POST", "/api/v1/runs/x/media/y", False), ("POST", "/api/v1/runs/x/logs", False),
    ],
)  # fmt: skip
def test_uploads_are_streamed(method: str, path: str, is_streamed: bool) -> None:
    assert (upload_limit_of({"method": method, "path": path}) is not None) is is_streamed


def test_a_picture_may_be_as_large_as_the_setting_says(settings) -> None:
    settings.MAX_MEDIA_BYTES = 5 * MIB
    assert upload_limit_of({"method": "POST", "path": "/api/v1/runs/x/media"}) == 5 * MIB + 64 * 1024
