"""J7 followed: lines as Server-Sent Events."""

import pytest

from training.api.jobs.pod_streams import events_of
from training.tracking.logs import Line


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("one", "data: one\n\n"),
        ("", "data: \n\n"),
        ("10%\r20%", "data: 10%\ndata: 20%\n\n"),
        ("of Windows\r", "data: of Windows\n\n"),
        ("a\x0cb\u2028c\x1cd", "data: a\x0cb\u2028c\x1cd\n\n"),
    ],
)
def test_only_a_carriage_return_divides_the_data_of_a_line(text, event):
    assert events_of([Line(0, 1, text)]).decode() == event
