"""R73: what a run was and what came of it, as a page to keep."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.template.loader import render_to_string
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from mlserver.api.rendering import to_json
from mlserver.api.runicorn_view import RunicornView
from mlserver.api.text_answers import attachment
from mlserver.errors import Invalid, shown
from training.api.runicorn.lookup import find_run
from training.api.runicorn.schemas import RUN, TAGS
from training.api.runicorn.statuses import STATUSES
from training.models import Run, RunEnvironment

FORMATS = {"markdown": ("md", "text/markdown; charset=utf-8"), "html": ("html", "text/html; charset=utf-8")}
SERIES_COLUMNS = ("name", "count", "first", "last", "min", "max", "latest_step")
HEADER = ("Metric", "Points", "First", "Last", "Least", "Greatest", "Last step")
# What has a meaning in Markdown, wherever it stands.
SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>&:@])")

Fact = tuple[str, str]


@dataclass(frozen=True)
class Section:
    """A table without header of names and values, or one of numbers with `header`."""

    title: str
    rows: list[tuple[str, ...]]
    header: tuple[str, ...] = ()


class Report(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_export_report",
        summary="Report of a run",
        description="What it was, how it ended, the summary of each metric and what it was made with; a file to save.",
        parameters=[
            RUN,
            OpenApiParameter("format", str, enum=list(FORMATS), description="default `markdown`"),
        ],
        responses={
            (200, "text/markdown"): OpenApiResponse(bytes),
            (200, "text/html"): OpenApiResponse(bytes),
        },
    )
    def get(self, request: Request, run_id: str) -> HttpResponse:
        form = request.query_params.get("format", "markdown")
        if form not in FORMATS:
            raise Invalid.field("format", f"{shown(form)} must be one of {', '.join(FORMATS)}")
        run = find_run(run_id)
        title, sections = f"Run {run.pk}", sections_of(run)
        text = markdown(title, sections) if form == "markdown" else html(title, sections)
        suffix, content_type = FORMATS[form]
        return HttpResponse(text, content_type=content_type, headers=attachment(f"{run.pk}.{suffix}"))


def sections_of(run: Run) -> list[Section]:
    environment = RunEnvironment.objects.filter(run=run).values_list("facts", flat=True).first() or {}
    series = [tuple(map(said, row)) for row in run.series.values_list(*SERIES_COLUMNS)]
    found = [
        Section("Run", facts_of(run)),
        Section("Summary", flat(run.summary)),
        Section("Configuration", flat(run.config)),
        Section("Metrics", series, HEADER),
        Section("Environment", flat({name: value for name, value in environment.items() if name != "packages"})),
        Section("Packages", flat(environment.get("packages") or {})),
    ]
    return [section for section in found if section.rows]


def facts_of(run: Run) -> list[tuple[str, ...]]:
    best = f"{run.best_metric_name} = {said(run.best_metric_value)}" if run.best_metric_name else ""
    ended = f" ({run.exit_reason})" if run.exit_reason else ""
    facts = [
        ("Project", run.project),
        ("Name", run.name),
        ("Status", STATUSES[run.status] + ended),
        ("Created", moment(run.created_at)),
        ("Started", moment(run.started_at)),
        ("Ended", moment(run.ended_at)),
        ("Duration", duration(run)),
        ("Tags", ", ".join(map(str, run.tags))),
        ("Notes", run.notes),
        ("Best metric", best),
        ("Directory", str(run.directory)),
    ]
    return [fact for fact in facts if fact[1]]


def flat(values: Any) -> list[tuple[str, ...]]:
    """Members of an object, those of inner objects as `outer.inner`."""
    if not isinstance(values, Mapping):
        return []
    rows: list[tuple[str, ...]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += [(f"{name}.{inner}", said(text)) for inner, text in value.items()]
        else:
            rows.append((str(name), said(value)))
    return rows


def said(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value).decode()


def moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def duration(run: Run) -> str:
    if run.started_at is None or run.ended_at is None:
        return ""
    return f"{(run.ended_at - run.started_at).total_seconds():.0f} s"


def html(title: str, sections: list[Section]) -> str:
    """Everything is escaped by the template."""
    return render_to_string("run_report.html", {"title": title, "sections": sections})


def markdown(title: str, sections: list[Section]) -> str:
    lines = [f"# {plain(title)}", ""]
    for section in sections:
        header = section.header or ("", "")
        lines += [f"## {section.title}", "", row(header), row(("---",) * len(header), is_plain=False)]
        lines += [*map(row, section.rows), ""]
    return "\n".join(lines)


def row(cells: tuple[str, ...], *, is_plain: bool = True) -> str:
    return "| " + " | ".join(plain(cell) if is_plain else cell for cell in cells) + " |"


def plain(text: str) -> str:
    """`text` as Markdown shows it unchanged: no link, no markup, no HTML, on one line of a table."""
    escaped = SPECIAL.sub(lambda it: {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(it[1], f"\\{it[1]}"), text)
    return re.sub(r"\r\n|[\r\n\v\f\x85\u2028\u2029]", "<br>", escaped)
