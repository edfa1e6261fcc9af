"""`metergate read FILE` and `metergate check FILE`: what a file says and what is wrong with it, with no server and no database."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec

from gateway import texts
from gateway.cli import OK, REFUSED, SOME
from gateway.cli.common import columns, settings_of
from gateway.domain.intervals import exact_sum, spans
from gateway.domain.problems import Problem, Rejected, Severity
from gateway.domain.readings import INTERVALS, REGISTERS, IntervalBlock, MeterReading, Quality, reading_type
from gateway.domain.windows import month
from gateway.mapping import Envelope, formats
from gateway.mapping.recognising import recognise
from gateway.settings import Limits


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of a file; `kind` is empty when its bytes must tell."""

    path: Path
    kind: str = ""
    zone: str = "UTC"
    point: str = ""
    period: str = ""
    language: texts.Language = "ru"
    limits: Limits = Limits()
    formats: Mapping[str, Mapping[str, object]] = {}


def read(args: argparse.Namespace) -> int:
    """Run `metergate read`."""
    return print_values(_asked(args), sys.stdout)


def check(args: argparse.Namespace) -> int:
    """Run `metergate check`."""
    return print_check(_asked(args), sys.stdout)


def print_values(asked: Asked, out: TextIO) -> int:
    """Write every value and every problem as JSON lines. Returns 0 when all is good, 1 with problems, 2 when nothing could be read."""
    code = OK
    try:
        for thing in _decoded(asked):
            for line in _lines(thing, asked):
                code = SOME if "problem" in line else code
                _write(line, out)
    except Rejected as refused:
        for problem in refused.problems:
            _write(_problem(problem, asked.language), out)
        return REFUSED
    return code


def print_check(asked: Asked, out: TextIO) -> int:
    """The same for people: a table of the values, days of intervals by their sums, then each problem with what to do. The same codes."""
    return print_found(lambda: _decoded(asked), asked, out, ("meter", "register", "value", "unit", "period", "place"), _rows)


def print_found(
    found: Callable[[], Iterable[MeterReading | Problem]],
    asked: Asked,
    out: TextIO,
    head: Sequence[str],
    rows_of: Callable[[MeterReading, texts.Language], Iterable[tuple[str, ...]]],
) -> int:
    """Write the rows of what was found below the words of `head`, then each problem with what to do. Returns the same codes."""
    rows: list[tuple[str, ...]] = []
    problems: list[Problem] = []
    code = OK
    try:
        for thing in found():
            problems += [thing] if isinstance(thing, Problem) else thing.problems
            if isinstance(thing, MeterReading):
                rows += rows_of(thing, asked.language)
        code = SOME if problems else OK
    except Rejected as refused:
        problems, code = list(refused.problems), REFUSED
    if rows:
        named = tuple(texts.word(f"word.{name}", asked.language) for name in head)
        out.writelines(f"{line}\n" for line in columns([named, *rows]))
    for problem in problems:
        text, todo = texts.problem(problem.code, asked.language, problem.values)
        weight = texts.word(f"severity.{problem.severity}", asked.language)
        out.write(f"{weight}: {problem.where or asked.path.name}: {text} {todo} [{problem.code}]\n")
    return code


def register_of(code: str, language: texts.Language) -> str:
    """A register as people call it, by its published code; one that is in archives alone goes by its code."""
    if code not in REGISTERS:
        return code
    kind = reading_type(code)
    told = texts.word(f"quantity.{kind.quantity}", language)
    return f"{told}, {texts.word(f'zone.{kind.zone}', language)}" if kind.zone else told


def body_of(path: Path, limits: Limits) -> bytes:
    """The bytes of a file that is not too large. Raises Rejected."""
    if path.stat().st_size > limits.file_bytes:
        raise Rejected(Problem(code="file_too_large", values={"limit": str(limits.file_bytes)}))
    return path.read_bytes()


def _asked(args: argparse.Namespace) -> Asked:
    settings = settings_of(args)
    return Asked(
        path=args.file,
        kind=args.format,
        zone=args.zone or settings.zone,
        point=args.point,
        period=args.period,
        language=settings.language,
        limits=settings.limits,
        formats=settings.formats,
    )


def _decoded(asked: Asked) -> Iterator[MeterReading | Problem]:
    if asked.period and not _is_period(asked.period):
        raise Rejected(Problem(code="period_invalid", where="period", values={"period": asked.period[:40]}))
    body = body_of(asked.path, asked.limits)
    known = formats(asked.limits, asked.formats)
    kind = asked.kind or recognise(known, body, asked.path.name)
    if kind not in known:
        raise Rejected(Problem(code="format_unknown", values={"format": kind[:40]}))
    if not body:
        raise Rejected(Problem(code="file_empty"))
    return known[kind].decode(body, Envelope(zone=asked.zone, meter=asked.point, period=asked.period, file_name=asked.path.name))


def _is_period(text: str) -> bool:
    try:
        month(text)
    except ValueError:
        return False
    return True


def _lines(thing: MeterReading | Problem, asked: Asked) -> Iterator[dict[str, Any]]:
    if isinstance(thing, Problem):
        yield _problem(thing, asked.language)
        return
    for reading in thing.readings:
        missing = reading.quality in (Quality.MISSING, Quality.NO_READ)
        yield {
            "point": thing.point or thing.meter or asked.point or None,
            "location": thing.location or None,
            "meter": thing.meter or None,
            "code": reading.code or reading.register,
            "register": reading.register,
            "at": thing.at.isoformat() if thing.at else None,
            "period": thing.period or None,
            "value": None if missing else f"{reading.value:f}",
            "unit": str(reading_type(reading.register).unit),
            "quality": str(reading.quality),
            "where": reading.where,
        }
    for block in thing.blocks:
        yield from _interval_lines(thing, block, asked)
    for problem in thing.problems:
        yield _problem(problem, asked.language)


def _interval_lines(thing: MeterReading, block: IntervalBlock, asked: Asked) -> Iterator[dict[str, Any]]:
    """A line for each interval of a block; its place is that of the whole block."""
    qualities = block.quality or (Quality.VALID,) * block.count
    for (start, end), value, quality in zip(spans(block, asked.zone), block.values, qualities, strict=True):
        yield {
            "point": thing.point or thing.meter or asked.point or None,
            "location": thing.location or None,
            "meter": thing.meter or None,
            "code": block.register,
            "register": block.register,
            "start": start.isoformat(),
            "end": end.isoformat(),
            "period": thing.period or None,
            "value": None if value is None else f"{value:f}",
            "unit": str(INTERVALS[block.register].unit),
            "quality": str(quality if value is not None else Quality.MISSING),
            "where": block.where,
        }


def _write(line: dict[str, Any], out: TextIO) -> None:
    out.write(msgspec.json.encode(line).decode() + "\n")


def _problem(problem: Problem, language: texts.Language) -> dict[str, str]:
    told = {"problem": problem.code, "where": problem.where, "text": " ".join(texts.problem(problem.code, language, problem.values))}
    return told if problem.severity is Severity.ERROR else {**told, "severity": str(problem.severity)}


def _rows(meter: MeterReading, language: texts.Language) -> Iterator[tuple[str, ...]]:
    for reading in meter.readings:
        unit = texts.word(f"unit.{reading_type(reading.register).unit}", language)
        yield meter.meter, register_of(reading.register, language), f"{reading.value:f}", unit, meter.period, reading.where
    for block in meter.blocks:
        if block.register in REGISTERS:
            total = exact_sum(value for value in block.values if value is not None)
            unit = texts.word(f"unit.{INTERVALS[block.register].unit}", language)
            yield meter.meter, register_of(block.register, language), f"{total:f}", unit, block.day.isoformat(), block.where
