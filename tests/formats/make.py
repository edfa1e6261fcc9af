"""Writes the sample workbooks beside it, what each sample must give, and the published schema and value lists."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import openpyxl
import xlwt
from python_calamine import CalamineWorkbook

from gateway.domain.mappings import read_mapping
from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope, Format, formats
from gateway.mapping.canonical_json import schema, values
from gateway.mapping.integral_template import template
from gateway.mapping.mapped.table import Mapped
from gateway.settings import Limits
from tests.formats import make_heat, make_interval, make_maket, make_mapping, make_register, make_report
from tests.formats.make_meters import meters

HERE = Path(__file__).parent
PUBLISHED = HERE.parents[1] / "contracts_schema"
KINDS = (
    *("canonical_json", "heat_archive", "heat_report", "integral_workbook", "interval_workbook", "maket_80020"),
    *("mapping", "readings_register"),
)
MAKERS: dict[str, Any] = {
    "heat_archive": make_heat,
    "heat_report": make_report,
    "interval_workbook": make_interval,
    "maket_80020": make_maket,
    "mapping": make_mapping,
    "readings_register": make_register,
}


def reader_of(path: Path) -> Format:
    """What reads a sample: the format that its folder is named for, or the mapping beside it, by the longest beginning of its name."""
    documents = [one for one in path.parent.glob("*.toml") if path.stem.startswith(one.stem)]
    if documents:
        return Mapped(mapping=read_mapping(max(documents, key=lambda one: len(one.stem)).read_bytes()))
    return formats(Limits())[path.parent.name]


def outcome(path: Path, body: bytes, envelope: Envelope) -> list[dict[str, Any]]:
    """What the reader of a sample finds in these bytes, as plain data; a refusal is its problems."""
    try:
        things: list[MeterReading | Problem] = list(reader_of(path).decode(body, envelope))
    except Rejected as refused:
        things = list(refused.problems)
    return [{type(thing).__name__: _bare(msgspec.to_builtins(thing))} for thing in things]


def _bare(thing: Any) -> Any:
    """Without what says nothing; a block of interval values is a line."""
    if isinstance(thing, dict) and "written" in thing and "day" in thing and "step" in thing:
        return _line(thing)
    if isinstance(thing, dict):
        told = {key: _bare(value) for key, value in thing.items()}
        return {key: value for key, value in told.items() if value not in (None, "", [], {}, False, "valid", "arrival")}
    return [_bare(value) for value in thing] if isinstance(thing, (list, tuple)) else thing


def _line(block: dict[str, Any]) -> str:
    """A block in one line; `-` where there is no value."""
    flags = " ".join(name for name in ("ratio_applied", "losses_applied") if block[name])
    quality = f" [{' '.join(block['quality'])}]" if block["quality"] else ""
    values = " ".join(one or "-" for one in block["written"].split(","))
    return f"{block['day']} {block['register']} {block['step']} {block['where']}: {values}{quality}{f' {flags}' if flags else ''}"


def samples() -> list[Path]:
    """Every sample: the files whose expectation stands beside them."""
    return sorted(path for kind in KINDS for path in (HERE / kind).iterdir() if path.with_name(path.name + ".json").exists())


def expected(path: Path) -> tuple[Envelope, list[dict[str, Any]]]:
    """The envelope of a sample and what it must give."""
    told = json.loads(path.with_name(path.name + ".json").read_text("utf-8"))
    return Envelope(**told["envelope"]), _bare(told["found"])


def filled(cells: dict[str, str | float]) -> bytes:
    """The Russian template with these cells set."""
    book = openpyxl.load_workbook(io.BytesIO(template(meters(), agreement="90034", period="2022-10", language="ru")))
    for place, value in cells.items():
        book.worksheets[0][place] = value
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def as_xls(body: bytes) -> bytes:
    """The same cells in the old format."""
    book = xlwt.Workbook()
    read = CalamineWorkbook.from_filelike(io.BytesIO(body))
    for name in read.sheet_names:
        sheet = book.add_sheet(name)
        if name == "_meta":
            sheet.visibility = 1
        for row, line in enumerate(read.get_sheet_by_name(name).to_python(skip_empty_area=False)):
            for column, cell in enumerate(line):
                if cell != "":
                    sheet.write(row, column, cell)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def _rearranged() -> bytes:
    """By hand: other order, extra column, titles above, look-alike letters, no hidden sheet."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Лист1"
    sheet.append(["Показания за октябрь"])
    sheet.append([])
    # Latin letters of Cyrillic shape on purpose: «Teкyщиe», «ПУ»
    sheet.append(["№", "Teкyщие  показания", "ШКАЛА", "измеряемая величина (А+/А-)", "Номер ПУ", "Код ЭО", "Примечание"])
    sheet.append([1, "012442", "День", "A+", 1284918, 70001, "x"])
    sheet.append([2, "700,5", "Ночь", "А+", 1284918, 70001])
    sheet.append([3, 1.1 + 2.2, "Круглосуточно", "Р+", "ИКТ-258", "70002"])
    sheet.append([4, "н/д", None, "А+", "9", "70002"])
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


WORKBOOKS: dict[str, dict[str, str | float]] = {
    "comma_and_point": {"I2": "1843,7", "I3": "800.5"},
    "blanks_between_thousands": {"I4": "012 441,00", "I5": "012442"},
    "one_zone_of_two": {"I2": 1500, "I6": 101},
    "several_wrong_cells": {"I2": "18х3", "I3": 800, "I4": "1_000", "I5": "=I4", "I6": 101.5},
    "untouched": {},
}
FOREIGN = {"foreign_period": Envelope(agreement="90034", period="2022-11"), "foreign_agreement": Envelope(agreement="90035")}


def write_books() -> None:
    """Write every workbook."""
    books = HERE / "integral_workbook"
    for name, cells in WORKBOOKS.items():
        (books / f"{name}.xlsx").write_bytes(filled(cells))
    (books / "old_format.xls").write_bytes(as_xls(filled(WORKBOOKS["comma_and_point"])))
    (books / "rearranged.xlsx").write_bytes(_rearranged())
    for name in FOREIGN:
        (books / f"{name}.xlsx").write_bytes(filled({"I2": 1500, "I3": 800}))
    for kind, maker in MAKERS.items():
        for name, write in maker.SAMPLES.items():
            (HERE / kind / name).write_bytes(write())


def beside(path: Path) -> Envelope:
    """What is told beside a sample."""
    told: Envelope = FOREIGN.get(path.stem, Envelope(agreement="90034", period="2022-10"))
    if path.parent.name in MAKERS:
        told = MAKERS[path.parent.name].envelope(path.name)
    return told


def main() -> None:
    """Write everything; `keep` leaves the workbooks as they are."""
    if "keep" not in sys.argv:
        write_books()
    for kind in KINDS:
        for path in sorted((HERE / kind).iterdir()):
            if path.suffix == ".toml" or (len(path.suffixes) > 1 and path.suffix == ".json"):
                continue
            told = {"envelope": _bare(msgspec.to_builtins(beside(path))), "found": outcome(path, path.read_bytes(), beside(path))}
            path.with_name(path.name + ".json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")
    (PUBLISHED / "meter_readings.schema.json").write_text(published(schema()), "utf-8")
    (PUBLISHED / "values.json").write_text(published(values()), "utf-8")


def published(document: dict[str, Any]) -> str:
    """A document as it is committed."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    main()
