"""`metergate mapping ...`: a mapping is proposed from a sample, tried, accepted with the sample, and held to it ever after."""

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway import texts
from gateway.cli import OK, SOME
from gateway.cli.common import columns, settings_of
from gateway.cli.offline import Asked, body_of, print_found, register_of
from gateway.domain.crosswalks import read_crosswalk
from gateway.domain.intervals import exact_sum
from gateway.domain.mappings import read_mapping
from gateway.domain.problems import Misconfigured, Problem, Rejected
from gateway.domain.readings import INTERVALS, Aggregation, MeterReading, reading_type
from gateway.mapping import Envelope
from gateway.mapping.mapped.infer import MAPPING, Proposal, infer
from gateway.mapping.mapped.infer_text import grade
from gateway.mapping.mapped.partner import Codes, codes_of, crosswalk_text
from gateway.mapping.mapped.table import Mapped
from gateway.settings import Limits

DOCUMENT, CROSSWALK, BESIDE, EXPECTED, SAMPLE = "mapping.toml", "crosswalk.csv", "beside.json", "expected.jsonl", "sample"
_SHOWN: Final = 20
"""So many differences of a sample are printed."""

Thing = MeterReading | Problem


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What was told beside an accepted sample, so that it is read the same on every machine."""

    zone: str
    point: str = ""
    period: str = ""
    name: str = ""


def propose(args: argparse.Namespace) -> int:
    """Run `metergate mapping infer`. Returns 0 when nothing is left to ask, 1 with questions, 2 when no mapping can be made of it."""
    settings = settings_of(args)
    proposal = infer(body_of(args.file, settings.limits), settings.limits, args.file.name, args.name, settings.zone)
    sys.stdout.write(proposal.toml())
    _explain(proposal)
    return SOME if proposal.questions else OK


def attempt(args: argparse.Namespace) -> int:
    """Run `metergate mapping try`."""
    asked, _, format_, beside = _asked(args)
    return print_found(
        lambda: _decoded(format_, asked.path, asked.limits, beside),
        asked,
        sys.stdout,
        ("place", "meter", "register", "value", "period", "at"),
        _rows,
    )


def accept(args: argparse.Namespace) -> int:
    """Run `metergate mapping accept`. Returns the codes of `try`, and writes nothing when nothing can be read."""
    asked, document, format_, beside = _asked(args)
    things = list(_decoded(format_, asked.path, asked.limits, beside))
    folder = args.into / (args.name or format_.mapping.name)
    kept = _sample(folder)
    body = asked.path.read_bytes()
    if kept is not None and kept.read_bytes() != body:
        raise Misconfigured(f"{folder} holds another sample; give this one a --name of its own")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{SAMPLE}{asked.path.suffix}").write_bytes(body)
    (folder / DOCUMENT).write_bytes(document)
    if args.crosswalk is not None:
        (folder / CROSSWALK).write_bytes(crosswalk_text(args.crosswalk.read_bytes(), asked.limits))
    (folder / BESIDE).write_bytes(msgspec.json.encode(beside) + b"\n")
    (folder / EXPECTED).write_text("".join(f"{line}\n" for line in _lines(things)), "utf-8")
    problems = sum(1 if isinstance(thing, Problem) else len(thing.problems) for thing in things)
    print(f"{folder}: {len(things)} lines, {problems} problems", file=sys.stderr)
    return SOME if problems else OK


def replay(args: argparse.Namespace) -> int:
    """Run `metergate mapping test`. Returns 1 when a sample is read otherwise than it was accepted, 2 when there is none."""
    limits = settings_of(args).limits
    folders = sorted(path.parent for path in args.folder.rglob(EXPECTED))
    if not folders:
        raise Misconfigured(f"{args.folder}: there is no accepted sample in it")
    code = OK
    for folder in folders:
        different = list(_different(folder, limits))
        print(f"{'differs' if different else 'same'}  {folder.relative_to(args.folder)}")
        for line in different[:_SHOWN]:
            print(f"  {line}")
        if len(different) > _SHOWN:
            print(f"  and {len(different) - _SHOWN} more")
        code = SOME if different else code
    return code


def _explain(proposal: Proposal) -> None:
    """Say on stderr how sure each choice is, and what is left to ask."""
    found = ", ".join(filter(None, (proposal.container, proposal.encoding, {"\t": "tab"}.get(proposal.delimiter, proposal.delimiter))))
    print(f"{proposal.file_name}: {found}", file=sys.stderr)
    if proposal.kind != MAPPING:
        print(f"read as it is by {proposal.kind}", file=sys.stderr)
    rows = [(one.key, grade(one.sure), f"{one.sure:.2f}", one.why) for one in proposal.choices]
    for line in columns(rows):
        print(f"  {line}", file=sys.stderr)
    for question in proposal.questions:
        print(f"question: {question.key}: {question.text}", file=sys.stderr)


def _asked(args: argparse.Namespace) -> tuple[Asked, bytes, Mapped, Beside]:
    settings = settings_of(args)
    asked = Asked(path=args.file, zone=args.zone or settings.zone, language=settings.language, limits=settings.limits)
    document = args.mapping.read_bytes()
    format_ = _format(document, args.crosswalk, settings.limits)
    return asked, document, format_, Beside(zone=asked.zone, point=args.point, period=args.period, name=args.file.name)


def _format(document: bytes, crosswalk: Path | None, limits: Limits) -> Mapped:
    """The format that a document and its crosswalk make. Raises Misconfigured."""
    mapping = read_mapping(document)
    if mapping.crosswalk and crosswalk is None:
        raise Misconfigured(f"the mapping names the crosswalk {mapping.crosswalk!r}; give it with --crosswalk")
    text = crosswalk_text(crosswalk.read_bytes(), limits) if crosswalk is not None else b""
    codes = codes_of(read_crosswalk(text), only=mapping.crosswalk_only) if crosswalk is not None else Codes()
    return Mapped(mapping=mapping, codes=codes, limits=limits)


def _decoded(format_: Mapped, path: Path, limits: Limits, beside: Beside) -> Iterator[Thing]:
    body = body_of(path, limits)
    if not body:
        raise Rejected(Problem(code="file_empty"))
    return format_.decode(body, Envelope(zone=beside.zone, meter=beside.point, period=beside.period, file_name=beside.name))


def _rows(meter: MeterReading, language: texts.Language) -> Iterator[tuple[str, ...]]:
    """A row for each reading, and for each block its sum or, where values are not added up, how many there are."""
    whose = meter.meter or meter.point
    at = f"{meter.at:%Y-%m-%d}" if isinstance(meter.at, datetime) else ""
    for reading in meter.readings:
        value = f"{reading.value:f} {texts.word(f'unit.{reading_type(reading.register).unit}', language)}"
        yield reading.where, whose, register_of(reading.register, language), value, meter.period, at
    for block in meter.blocks:
        kind, values = INTERVALS[block.register], [value for value in block.values if value is not None]
        total = f"{exact_sum(values):f} {texts.word(f'unit.{kind.unit}', language)}, " if kind.aggregation is Aggregation.SUM else ""
        yield (
            block.where,
            whose,
            register_of(block.register, language),
            f"{total}{len(values)} x {block.step}",
            meter.period,
            f"{block.day}",
        )


def _lines(things: list[Thing]) -> Iterator[str]:
    """What was read, a canonical line for each meter reading and each problem of the file."""
    for thing in things:
        name = "problem" if isinstance(thing, Problem) else "reading"
        yield msgspec.json.encode({name: thing}).decode()


def _sample(folder: Path) -> Path | None:
    return next((path for path in sorted(folder.glob(f"{SAMPLE}*")) if path.is_file()), None)


def _different(folder: Path, limits: Limits) -> Iterator[str]:
    """What is read otherwise than it was accepted: the line, the key, what it was and what it is."""
    sample = _sample(folder)
    if sample is None:
        raise Misconfigured(f"{folder}: the sample is missing")
    crosswalk = folder / CROSSWALK
    beside = msgspec.json.decode((folder / BESIDE).read_bytes(), type=Beside)
    try:
        format_ = _format((folder / DOCUMENT).read_bytes(), crosswalk if crosswalk.exists() else None, limits)
        now = list(_lines(list(_decoded(format_, sample, limits, beside))))
    except Rejected as refused:
        now = list(_lines(list(refused.problems)))
    was = (folder / EXPECTED).read_text("utf-8").splitlines()
    for number, (before, after) in enumerate(zip_longest(was, now), 1):
        if before == after:
            continue
        old, new = (dict(_flat(msgspec.json.decode(line))) if line else {} for line in (before, after))
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                yield f"line {number}, {key}: was {_said(old.get(key))}, is {_said(new.get(key))}"


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """Every leaf of a decoded line by its path."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _flat(one, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _flat(one, f"{path}[{place}]")
    else:
        yield path, value


def _said(value: object) -> str:
    return "nothing" if value is None else msgspec.json.encode(value).decode()
