"""`manage.py gpus`."""

from io import StringIO

import pytest
from django.core.management import call_command

from tests.make import make_gpu, make_node

pytestmark = pytest.mark.django_db


def said() -> str:
    out = StringIO()
    call_command("gpus", stdout=out)
    return out.getvalue()


def test_it_says_so_when_there_is_no_gpu():
    assert "No GPU is known" in said()


def test_it_shows_each_gpu_with_its_state(django_assert_num_queries):
    node = make_node("box")
    make_gpu(node, used_memory_mib=123, utilization_percent=7.6, temperature_c=61, power_w=210.2)
    make_gpu(node, is_enabled=False, used_memory_mib=None)
    with django_assert_num_queries(1):
        first, second = said().splitlines()[1:]

    assert " ".join(first.split()) == "box 0 Test GPU 123 / 24576 8 % 61 °C 210 W takes work"
    assert " ".join(second.split()) == "box 1 Test GPU - / 24576 - - - switched off by an administrator"


def test_it_prints_names_as_they_are():
    make_gpu(name="[red]Odd[/red] name")

    assert "[red]Odd[/red] name" in said()
