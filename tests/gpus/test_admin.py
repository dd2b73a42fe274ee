"""Nodes and GPUs in the Django admin."""

import pytest
from django.urls import reverse

from gpus.models import Gpu
from tests.make import make_gpu, make_node, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client):
    client.force_login(make_user(is_admin=True))
    return client


def act(browser, action: str, *gpus: Gpu):
    data = {"action": action, "_selected_action": [gpu.pk for gpu in gpus]}
    return browser.post(reverse("admin:gpus_gpu_changelist"), data, follow=True)


def test_it_lists_gpus_with_the_reason_they_take_no_work(browser):
    make_gpu(is_enabled=False)
    page = browser.get(reverse("admin:gpus_gpu_changelist"), {"q": "Test"}).content.decode()

    assert "switched off by an administrator" in page


def test_it_lists_nodes_with_their_gpus(browser):
    node = make_node("box")
    make_gpu(node)
    page = browser.get(reverse("admin:gpus_node_changelist"), {"q": "box"}).content.decode()

    assert "box" in page and '<td class="field-gpu_count">1</td>' in page


@pytest.mark.parametrize("query", ["is_enabled__exact=0", "is_present__exact=1", "quarantined_at__isempty=0"])
def test_it_filters_gpus(browser, query):
    make_gpu()

    assert browser.get(f"{reverse('admin:gpus_gpu_changelist')}?{query}").status_code == 200


def test_it_opens_each_form(browser):
    gpu = make_gpu()

    assert browser.get(reverse("admin:gpus_gpu_change", args=[gpu.pk])).status_code == 200
    assert browser.get(reverse("admin:gpus_node_change", args=[gpu.node_id])).status_code == 200


def test_it_switches_gpus_off_and_on_and_asks_for_a_pass(browser, django_capture_on_commit_callbacks):
    gpu, off = make_gpu(), make_gpu(is_enabled=False)
    with django_capture_on_commit_callbacks() as passes:
        page = act(browser, "disable", gpu, off)
    assert "Switched off: 1" in page.content.decode() and len(passes) == 1
    act(browser, "enable", gpu, off)

    assert list(Gpu.objects.values_list("is_enabled", flat=True)) == [True, True]


def test_it_releases_quarantines(browser):
    gpu = make_gpu()
    gpu.quarantine("stuck")
    page = act(browser, "release", gpu, make_gpu())
    gpu.refresh_from_db()

    assert "Released: 1" in page.content.decode() and gpu.quarantined_at is None


def test_it_offers_the_switches_and_no_facts(browser):
    gpu = make_gpu(make_node("box"))
    for name, row, fields in (("gpu", gpu, ["is_enabled"]), ("node", gpu.node, ["is_enabled"])):
        page = browser.get(reverse(f"admin:gpus_{name}_change", args=[row.pk]))
        assert list(page.context["adminform"].form.fields) == fields
        assert browser.get(reverse(f"admin:gpus_{name}_add")).status_code == 403


def test_a_form_writes_its_own_columns_and_asks_for_a_pass(browser, django_capture_on_commit_callbacks):
    gpu = make_gpu(make_node("box"))
    with django_capture_on_commit_callbacks() as passes:
        browser.post(reverse("admin:gpus_gpu_change", args=[gpu.pk]), {})
        browser.post(reverse("admin:gpus_node_change", args=[gpu.node_id]), {})
    gpu = Gpu.objects.select_related("node").get()
    assert (gpu.is_enabled, gpu.node.is_enabled, len(passes)) == (False, False, 2)
