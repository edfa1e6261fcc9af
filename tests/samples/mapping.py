"""What makes the formats and their gates say each of their codes."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from gateway.cli.offline import Asked, print_values
from gateway.domain.problems import Problem, Rejected
from gateway.mapping import Envelope, Format
from gateway.mapping.canonical_json import CanonicalJson
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.mapped.table import Mapped
from gateway.mapping.tables import read_tables
from gateway.settings import Limits
from tests.formats.make import filled
from tests.hostile.files import ARCHIVES, FAKES, WORKBOOKS, good, sheet, workbook

Codes = Callable[[], Iterable[str]]


def found(format_: Format, body: Callable[[], bytes], envelope: Envelope | None = None) -> Codes:
    """The codes that decoding a file yields, whole or row by row."""

    def codes() -> Iterable[str]:
        try:
            things = list(format_.decode(body(), envelope or Envelope()))
        except Rejected as refused:
            return [problem.code for problem in refused.problems]
        problems = [problem for thing in things for problem in ([thing] if isinstance(thing, Problem) else thing.problems)]
        return [problem.code for problem in problems]

    return codes


def posted(text: str) -> Codes:
    """The codes of a JSON body."""
    return found(CanonicalJson(), text.encode)


def row(fields: str) -> Codes:
    """The codes of one row of canonical JSON."""
    return posted(f'{{"readings":[{{{fields}}}]}}')


def value(written: str) -> Codes:
    """The codes of one value of canonical JSON."""
    return row(f'"meter":"1","registers":[{{"register":"A+","value":{written}}}]')


def cells(written: str, limits: Limits | None = None) -> Codes:
    """The codes of a sheet of these rows."""

    def codes() -> Iterable[str]:
        try:
            return [problem.code for table in read_tables(workbook(sheet(written)), limits or Limits()) for problem in table.problems]
        except Rejected as refused:
            return [problem.code for problem in refused.problems]

    return codes


def book(set_cells: dict[str, str | float], envelope: Envelope | None = None, limits: Limits | None = None) -> Codes:
    """The codes of the Russian template with these cells filled."""
    return found(Mapped(mapping=shipped("integral_workbook"), limits=limits or Limits()), lambda: filled(set_cells), envelope)


def offline(body: bytes, kind: str = "", limits: Limits | None = None) -> Codes:
    """The codes that `metergate read` prints."""

    def codes() -> Iterable[str]:
        out = io.StringIO()
        with TemporaryDirectory() as folder:
            path = Path(folder) / "file.bin"
            path.write_bytes(body)
            print_values(Asked(path=path, kind=kind, limits=limits or Limits()), out)
        return [msgspec.json.decode(line)["problem"] for line in out.getvalue().splitlines()]

    return codes


def hostile() -> dict[str, Codes]:
    """One file for each code of the hostile ones; the slow ones have smaller twins below."""
    slow = {"three million cells", "long string"}
    return {
        file.code: found(Mapped(mapping=shipped("integral_workbook")), file.make)
        for name, file in (ARCHIVES | WORKBOOKS | FAKES).items()
        if name not in slow
    }


TWO = '<row r="1"><c r="A1"><v>1</v></c><c r="A1"><v>2</v></c></row>'
SAMPLES: dict[str, Codes] = hostile() | {
    "file_type_mismatch": found(Mapped(mapping=shipped("integral_workbook")), lambda: b"%PDF-1.7\n"),
    "at_invalid": row('"meter":"1","at":"2026-02-30T00:00:00Z","registers":[{"register":"A+","value":"1"}]'),
    "cell_duplicate": cells(TWO),
    "cell_error": cells('<row r="1"><c r="A1" t="e"><v>#REF!</v></c></row>'),
    "cell_formula_no_value": cells('<row r="1"><c r="A1"><f>1+1</f></c></row>'),
    "cell_not_text": book({"I2": 1500, "D2": 1.3115000111300312e17}),
    "code_too_long": row(f'"meter":"{"1" * 101}","registers":[{{"register":"A+","value":"1"}}]'),
    "code_unprintable": row('"meter":"1\\u202e2","registers":[{"register":"A+","value":"1"}]'),
    "column_missing": book({"I2": 1500, "F1": "?"}),
    "file_too_costly": cells("".join(f'<row r="{row}"><c><v>1</v></c></row>' for row in range(1, 50_001)), Limits(child_seconds=0.01)),
    "file_too_large": offline(b"{}" * 10, limits=Limits(file_bytes=5)),
    "format_unknown": offline(b"a;b\n"),
    "header_not_found": found(Mapped(mapping=shipped("integral_workbook")), good),
    "json_duplicate_key": row('"meter":"1","meter":"1","registers":[]'),
    "json_encoding": posted("\ufeff{}"),
    "json_malformed": posted("{"),
    "json_missing_key": row('"registers":[]'),
    "json_shape": posted("[]"),
    "json_too_deep": posted("[" * 100_000),
    "json_unknown_key": row('"meter":"1","colour":"red","registers":[]'),
    "not_a_number": value('"1_000"'),
    "nothing_to_take": book({}),
    "number_not_finite": value('"NaN"'),
    "number_too_long": value("1" * 16),
    "template_mismatch": book({"I2": 1500}, Envelope(period="2022-11")),
    "too_many_problems": book({"I2": "x", "I3": "y"}, limits=Limits(file_problems=1)),
    "xlsx_string_too_long": cells('<row r="1"><c t="inlineStr"><is><t>' + "x" * 100_000 + "</t></is></c></row>"),
    "xlsx_too_long": cells('<row r="5"><c r="A5"><v>1</v></c></row>', Limits(sheet_rows=4)),
    "xlsx_too_many_cells": cells('<row r="5"><c r="A1"><v>1</v></c><c r="E5"><v>1</v></c></row>', Limits(sheet_cells=9)),
    "xlsx_too_wide": cells('<row r="1"><c r="E1"><v>1</v></c></row>', Limits(sheet_columns=4)),
}
