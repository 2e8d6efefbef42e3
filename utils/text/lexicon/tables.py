"""Reading a CSV table: its shape, its cells, and the error that names file, row and column.

Rows are counted as a spreadsheet counts them: the header is row 1. `-` marks a cell that is empty on purpose.
"""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from utils.errors import DataError

NONE = "-"


@dataclass
class Row:
    """One row of a table, with the checks that a cell can be put to."""

    file: str
    number: int
    cells: dict[str, str]

    def fail(self, column: str, complaint: str) -> DataError:
        """The error that names file, row and column."""
        return DataError(f"{self.file}, row {self.number}, column {column}: {complaint}.")

    def text(self, column: str) -> str:
        """A cell that must hold something other than `-`."""
        if self.cells[column] == NONE:
            raise self.fail(column, "this cell must not be '-'; write the form")
        return self.cells[column]

    def optional(self, column: str) -> str:
        """A cell, or the empty string for `-`."""
        return "" if self.cells[column] == NONE else self.cells[column]

    def choice(self, column: str, good: tuple[str, ...]) -> str:
        """A cell that must be one of `good` (where `-` may be among them, it becomes the empty string)."""
        if self.cells[column] not in good:
            raise self.fail(column, f"unknown value '{self.cells[column]}'; write one of: {', '.join(good)}")
        return self.optional(column)

    def several(self, column: str, good: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A cell of values separated by `|`, each one of `good`; `-` gives none."""
        parts = tuple(part.strip() for part in self.optional(column).split("|") if part.strip())
        for part in parts:
            if good is not None and part not in good:
                raise self.fail(column, f"unknown value '{part}'; write some of: {', '.join(good)}, separated by |")
        return parts

    def capitalised(self, column: str) -> str:
        """A German noun form: it begins with a capital."""
        form = self.text(column)
        if not form[0].isupper():
            raise self.fail(column, f"the German noun '{form}' must begin with a capital")
        return form


@dataclass
class Table:
    """The rows of one CSV file, and the values that must not occur twice."""

    file: str
    rows: list[Row]
    seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def unique(self, row: Row, column: str, value: str, within: str = "") -> None:
        """Raise if `value` already stood in an earlier row (of the same group `within`)."""
        first = self.seen.setdefault((within or column, value), row.number)
        if first != row.number:
            raise row.fail(column, f"'{value}' already stands in row {first}; delete one of the two or tell them apart")


def read_table(folder: Path, file: str, columns: tuple[str, ...], minimum: int = 1) -> Table:
    """Read one CSV file (UTF-8, with or without BOM, comma or semicolon) and check its shape."""
    path = Path(folder) / file
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); restore it from the repository.") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(f"{file}, row {line}: not valid UTF-8; save the table as 'CSV UTF-8'.") from error
    header_line = text.split("\n", 1)[0]
    delimiter = ";" if header_line.count(";") > header_line.count(",") else ","
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    header = [cell.strip() for cell in lines[0]] if lines else []
    for column in columns:
        if header.count(column) != 1:
            found = "is missing" if column not in header else "occurs twice"
            raise DataError(f"{file}, row 1: column {column} {found}; the columns are: {', '.join(columns)}.")
    rows = [_read_row(file, number, header, cells) for number, cells in enumerate(lines[1:], start=2) if any(cells)]
    if len(rows) < minimum:
        raise DataError(f"{file} has {len(rows)} entries, but the corpus needs at least {minimum}; add rows.")
    return Table(file, rows)


def _read_row(file: str, number: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        raise DataError(
            f"{file}, row {number}: {len(cells)} cells under {len(header)} columns; "
            "add or remove separators, or quote a cell that holds one."
        )
    row = Row(file, number, {column: cell.strip() for column, cell in zip(header, cells, strict=True)})
    for column, cell in row.cells.items():
        if not cell:
            raise row.fail(column, "empty cell; fill it in, or write '-' where there is nothing to say")
    return row
