"""`runicorn export-data`: the numbers of one run as a table, or what came of it as a page."""

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from training.api.runicorn.export import csv_text, shown_of
from training.api.runicorn.report import html, markdown, sections_of
from training.management.runicorn.choosing import add_storage, the_run
from training.models import Run

# What a sheet of Excel holds.
MOST_ROWS, MOST_COLUMNS = 1_048_576, 16_384
NAMES = {"excel": "{}_metrics.xlsx", "markdown": "{}_report.markdown", "html": "{}_report.html"}


def add_export_data(parser: ArgumentParser) -> None:
    add_storage(parser)
    parser.add_argument("--run-id", required=True, metavar="ID")
    parser.add_argument("--format", choices=["csv", *NAMES], default="csv")
    parser.add_argument("--output", metavar="FILE", help="default: csv is printed, others are named after the run")


def export_data(options: dict[str, Any], out: OutputWrapper) -> None:
    run, form = the_run(options), options["format"]
    if form == "csv" and not options["output"]:
        print_csv(run, out)
        return
    path = Path(options["output"] or NAMES[form].format(run.pk)).expanduser()
    try:
        write(run, form, path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error
    out.write(f"Exported to {path}")


def write(run: Run, form: str, path: Path) -> None:
    if form == "excel":
        workbook(run).save(path)
    elif form == "csv":
        with path.open("wb") as file:
            file.writelines(csv_text(shown_of(run)))
    else:
        make = markdown if form == "markdown" else html
        path.write_text(make(f"Run {run.pk}", sections_of(run)), encoding="utf-8")


def print_csv(run: Run, out: OutputWrapper) -> None:
    for piece in csv_text(shown_of(run)):
        out.write(piece.decode().replace("\r\n", "\n"), ending="")


def workbook(run: Run) -> Workbook:
    """One row for each step. Raises CommandError for more than a sheet holds."""
    shown = shown_of(run)
    if len(shown) >= MOST_ROWS or len(shown.columns) > MOST_COLUMNS:
        raise CommandError(
            f"a sheet holds {MOST_ROWS - 1:,} steps of {MOST_COLUMNS:,} names; run {run.pk} has {len(shown):,} of"
            f" {len(shown.columns):,}: export it as csv"
        )
    book = Workbook(write_only=True)
    sheet = book.create_sheet("metrics")
    sheet.append(list(map(cell, shown.columns)))
    for row in rows_of(shown.pieces()):
        sheet.append(row)
    return book


def rows_of(pieces: Iterable[Any]) -> Iterator[list[Any]]:
    for columns in pieces:
        yield from (list(map(cell, row)) for row in zip(*(values.tolist() for _, values in columns), strict=True))


def cell(value: Any) -> Any:
    """Empty for a number that is none; text without what a sheet cannot hold, and never a formula."""
    if isinstance(value, str):
        text = ILLEGAL_CHARACTERS_RE.sub("", value)
        return f"'{text}" if text.startswith("=") else text
    is_none = isinstance(value, float) and (value != value or abs(value) == float("inf"))
    return None if is_none else value
