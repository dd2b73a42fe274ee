"""Tasks from a spreadsheet: one row each, first sheet, names of columns in the first row."""

import csv
import hashlib
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from django.contrib.auth.models import User

from mlserver.errors import Invalid
from training import flowline
from training.models import Source, Task
from training.models.task import UNENDED
from training.queue.spec import Refused, TaskSpec
from training.queue.submit import submit

RESERVED = ("name", "run_num", "need_run_num", "cmd")
FUNCTION_MODULE = "mlserver_client.task_function"
PARAMETERS = "FLOWLINE_PARAMETERS"
CSV, XLSX = ".csv", ".xlsx"

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class TableRow:
    """`number` counts from 0 below the header. `problem` says why it cannot be a task; empty when it can."""

    number: int
    name: str
    run_num: int
    need_run_num: int
    cmd: str
    parameters: Mapping[str, Any]
    problem: str = ""

    @property
    def remaining(self) -> int:
        return max(self.need_run_num - self.run_num, 0)


@dataclass
class Imported:
    """What became of each row: the task it is (new or known before), done already, or refused with the reason."""

    tasks: dict[int, Task] = field(default_factory=dict)
    new: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskFunction:
    """`module:function` that makes the command of each run, and where and by which Python it is found."""

    reference: str
    directory: Path
    python: str = sys.executable


def read_rows(path: Path, *, has_function: bool) -> list[TableRow]:
    """Raises OSError and ValueError for a file that cannot be read as a table."""
    lines = iter(read_cells(path))
    header = [str(cell).strip() if cell is not None else "" for cell in next(lines, [])]
    if not any(header):
        raise ValueError(f"{path} has no first row with the names of columns")
    rows = ((number, dict(zip(header, cells, strict=False))) for number, cells in enumerate(lines))
    if path.suffix.lower() == CSV:
        rows = ((number, {name: typed(name, cell) for name, cell in cells.items()}) for number, cells in rows)
    filled = ((number, cells) for number, cells in rows if not all(map(is_empty, cells.values())))
    return [row_of(number, cells, has_function) for number, cells in filled]


def read_cells(path: Path) -> Iterator[list[Cell]]:
    if path.suffix.lower() == CSV:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for line in csv.reader(file):
                yield list(line)
        return
    if path.suffix.lower() != XLSX:
        raise ValueError(f"{path.name} is neither .xlsx nor .csv")
    yield from sheet_cells(path)


def sheet_cells(path: Path) -> Iterator[list[Cell]]:
    from openpyxl import load_workbook  # a tenth of a second, which no other command should pay
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, BadZipFile, KeyError, OSError, SyntaxError) as error:
        raise ValueError(f"{path} is no workbook: {error}") from error
    try:
        for line in book.worksheets[0].iter_rows(values_only=True):
            yield [whole(cell) for cell in line]
    finally:
        book.close()


def typed(name: str, cell: Cell) -> Cell:
    """A cell of text as a spreadsheet would read it: numbers are numbers, whole ones whole; names are text."""
    text = str(cell)
    if name in ("name", "cmd"):
        return text
    for number in (int, float):
        try:
            found = number(text)
        except ValueError:
            continue
        return whole(found) if math.isfinite(found) else text
    return {"true": True, "false": False, "": None}.get(text.strip().lower(), text)


def whole(cell: Any) -> Cell:
    """64 and not 64.0; dates and the like as text."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return cell if cell is None or isinstance(cell, str | int | float | bool) else str(cell)


def is_empty(cell: Cell) -> bool:
    return cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))


def row_of(number: int, cells: Mapping[str, Cell], has_function: bool) -> TableRow:
    said = {name: cell for name, cell in cells.items() if name and not is_empty(cell)}
    parameters = {name: cell for name, cell in said.items() if name not in RESERVED}
    problems = [
        *number_problems("run_num", said.get("run_num", 0), 0),
        *number_problems("need_run_num", said.get("need_run_num", 1), 1),
    ]
    if "cmd" not in said and not has_function:
        problems.append("cmd is empty, and no function makes the command")
    problems += parameter_problems(parameters)
    return TableRow(
        number,
        str(said.get("name", f"Task:{number}")),
        0 if problems else int(said.get("run_num", 0) or 0),
        1 if problems else int(said.get("need_run_num", 1) or 1),
        str(said.get("cmd", "")),
        parameters,
        "; ".join(problems),
    )


def number_problems(name: str, cell: Cell, least: int) -> Iterable[str]:
    if isinstance(cell, bool) or not isinstance(cell, int) or cell < least:
        yield f"{name} is {cell!r}, not a whole number of at least {least}"


def parameter_problems(parameters: Mapping[str, Any]) -> Iterable[str]:
    try:
        flowline.parameters(parameters)
    except Refused as refusal:
        yield str(refusal)


def import_rows(
    path: Path, rows: Iterable[TableRow], *, owner: User, function: TaskFunction | None = None, dry_run: bool = False
) -> Imported:
    """Submit what each row still needs. A row whose task of an earlier import has not ended is that task."""
    known = tasks_of_table(path, owner)
    found = Imported()
    for row in rows:
        if row.problem:
            found.refused[row.number] = row.problem
        elif not row.remaining:
            found.done.append(row.number)
        elif row.number in known:
            found.tasks[row.number] = known[row.number]
        else:
            take_row(path, row, found, owner=owner, function=function, dry_run=dry_run)
    return found


def take_row(
    path: Path, row: TableRow, found: Imported, *, owner: User, function: TaskFunction | None, dry_run: bool
) -> None:
    try:
        spec = spec_of(path, row, function)
        if not dry_run:
            found.tasks[row.number] = submit(spec, owner=owner, source=Source.FLOWLINE)
        found.new.append(row.number)
    except (Invalid, Refused) as error:
        found.refused[row.number] = str(error)


def spec_of(path: Path, row: TableRow, function: TaskFunction | None) -> TaskSpec:
    fields: dict[str, Any] = {
        "name": flowline.name(row.name),
        "repeat": row.remaining,
        "tags": [mark(path, row.number)],
    }
    if function is None:
        return flowline.spec_of(flowline.shell_command(row.cmd), row.parameters, cwd=str(path.parent), **fields)
    command = [function.python, "-m", FUNCTION_MODULE, function.reference]
    env = {PARAMETERS: flowline.parameters_json(row.parameters), "PATH": os.environ.get("PATH", os.defpath)}
    return flowline.spec_of(command, row.parameters, cwd=str(function.directory), env=env, **fields)


def mark(path: Path, number: int) -> str:
    """The tag by which the task of a row is found again."""
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]
    return f"table:{digest}:{number}"


def tasks_of_table(path: Path, owner: User) -> dict[int, Task]:
    """Row number -> its task that has not ended. Anybody may give any tag to a task of their own."""
    number = re.compile(re.escape(mark(path, 0)[:-1]) + r"(\d{1,9})", re.ASCII)
    mine = Task.objects.visible().filter(owner=owner, source=Source.FLOWLINE, status__in=UNENDED).order_by("pk")
    return {int(found[1]): task for task in mine for tag in task.tags if (found := number.fullmatch(tag))}


def write_run_numbers(path: Path, numbers: Mapping[int, int]) -> None:
    """Write `run_num` of rows into the file, whole or not at all; other cells and sheets stay as they are."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix.lower() == CSV:
            write_csv(path, draft, numbers)
        else:
            write_xlsx(path, draft, numbers)
        draft.chmod(path.stat().st_mode & 0o777)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_csv(path: Path, draft: Path, numbers: Mapping[int, int]) -> None:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.reader(file))
    column = lines[0].index("run_num") if "run_num" in lines[0] else len(lines[0])
    if column == len(lines[0]):
        lines[0].append("run_num")
    for number, value in numbers.items():
        line = lines[number + 1]
        line += [""] * (column + 1 - len(line))
        line[column] = str(value)
    with draft.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)


def write_xlsx(path: Path, draft: Path, numbers: Mapping[int, int]) -> None:
    from openpyxl import load_workbook

    book = load_workbook(path)
    sheet = book.worksheets[0]
    header = [cell.value for cell in sheet[1]]
    column = header.index("run_num") + 1 if "run_num" in header else len(header) + 1
    sheet.cell(1, column, "run_num")
    for number, value in numbers.items():
        sheet.cell(number + 2, column, value)
    with draft.open("wb") as file:  # its name tells openpyxl nothing
        book.save(file)
