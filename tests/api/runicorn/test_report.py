"""GET /api/export/{run_id}/report (R73)."""

import re
from html.parser import HTMLParser

import pytest

from tests.api.runicorn.refusals import assert_refuses_other_runs
from tests.make import make_run, make_series, make_task
from training.models import Run, RunEnvironment

pytestmark = pytest.mark.django_db
EVIL = "<script>alert(1)</script> [x](javascript:1) | `a` **b**\n# title & more"


@pytest.fixture
def run() -> Run:
    run = make_run(
        make_task(project="vision", name="baseline"), status="failed", tags=["a", EVIL], notes=EVIL,
        summary={"accuracy": 0.9, EVIL: EVIL}, config={"optimizer": {"lr": 0.1}}, exit_reason="exit code 3",
    )  # fmt: skip
    make_series(run, EVIL, count=3, first=2.0, last=0.5, min=0.5, max=2.0, latest_step=7)
    RunEnvironment.objects.create(run=run, facts={"python": {"version": "3.11"}, "packages": {"numpy": "2.0"}})
    return run


def report(client, run, query=""):
    answer = client.get(f"/api/export/{run.pk}/report{query}")
    assert answer.status_code == 200
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["X-Content-Type-Options"] == "nosniff"
    return answer


class Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_it_reports_in_html_and_escapes_everything(client, run):
    answer = report(client, run, "?format=html")
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="{run.pk}.html"'
    page = Texts()
    page.feed(answer.content.decode())
    assert "script" not in page.tags and "a" not in page.tags
    assert page.texts.count(EVIL) == 4  # notes, name and value of the summary, metric
    for text in ("vision", "failed (exit code 3)", "accuracy", "0.9", "optimizer.lr", "python.version", "numpy", "7"):
        assert text in page.texts, text


@pytest.mark.parametrize("query", ["", "?format=markdown"])
def test_it_reports_in_markdown_and_escapes_everything(query, client, run):
    answer = report(client, run, query)
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="{run.pk}.md"'
    text = answer.content.decode()
    assert text.startswith("# Run ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Run", "Summary", "Configuration", "Metrics", "Environment", "Packages",
    ]  # fmt: skip
    escaped = (
        r"&lt;script&gt;alert\(1\)&lt;/script&gt; \[x\]\(javascript\:1\) \| \`a\` \*\*b\*\*<br>\# title &amp; more"
    )
    assert text.count(escaped) == 5
    assert "<script" not in text
    assert f"| {escaped} | 3 | 2\\.0 | 0\\.5 | 0\\.5 | 2\\.0 | 7 |" in text
    assert all(line.startswith(("#", "|")) or not line for line in text.splitlines())


def test_it_reports_a_run_that_said_nothing(client):
    run = make_run()
    assert "## Run" in report(client, run).content.decode()
    assert "## Metrics" not in report(client, run).content.decode()


@pytest.mark.parametrize("form", ["pdf", "HTML", ""])
def test_returns_400_when_the_format_is_unknown(form, client, run):
    answer = client.get(f"/api/export/{run.pk}/report?format={form}")
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])
    assert "markdown, html" in answer.json()["detail"]


def test_it_asks_the_database_little(client, run, django_assert_num_queries):
    report(client, run)
    with django_assert_num_queries(4):
        report(client, run)


def test_it_refuses_runs_that_are_not_there(client):
    assert_refuses_other_runs(client, "/api/export/{}/report")
