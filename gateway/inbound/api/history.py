"""GET /v1/history: the readings of an agreement or meter with what became of each, or their sums by month or year; also as a workbook."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, QueryParameter

from gateway import texts
from gateway.domain.history import Past, Place, Reach, Step, Sum, bounded, within
from gateway.domain.problems import Problem, Rejected
from gateway.domain.profile import Profile
from gateway.domain.readings import INTERVALS, REGISTERS
from gateway.domain.status import ReadingStatus
from gateway.domain.windows import day_read, month
from gateway.inbound.api.coverage import Code
from gateway.inbound.api.errors import language_of, refusals
from gateway.inbound.api.look import XLSX, download, reader
from gateway.inbound.arriving import zone_of
from gateway.inbound.parts import Parts, parts_of
from gateway.mapping.cells import CellError, text_code
from gateway.store import history, people
from gateway.store.people import Sender
from gateway.texts import Language

ROWS: Final = 10_000
"""So many readings, or months of meters, go into one workbook."""


class PlaceView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a meter hangs."""

    agreement: str
    location: str
    address: str
    point: str
    point_name: str
    meter: str


class PastValue(msgspec.Struct, frozen=True, kw_only=True):
    """One value. `name`: its register in words. `settled`: the volume that billing settled of it, by `method`, None before it said so."""

    register: str
    name: str
    value: Decimal
    previous: Decimal | None
    consumption: Decimal | None
    unit: str
    volume: bool
    settled: Decimal | None
    method: str


class PastReading(PlaceView, frozen=True, kw_only=True):
    """One reading. `day`: the day it belongs to; `source`: who read it, else its channel; `text`, `source_text`: the utility's words."""

    reading: str
    period: str
    day: date | None
    at: datetime | None
    received_at: datetime
    status: str
    text: str
    source: str
    source_text: str
    revision: int
    same_as: str | None
    values: list[PastValue]


class PastSum(PlaceView, frozen=True, kw_only=True):
    """What a register used in a month or year by the readings that stand. `last`: the last value of its dial."""

    span: str
    register: str
    name: str
    unit: str
    readings: int
    consumption: Decimal | None
    last: Decimal | None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A page, newest first. `sums`: with a step, instead of readings. `next`: the `before` of the next page, none on the last."""

    readings: list[PastReading]
    sums: list[PastSum]
    next: str | None


Moment = Annotated[str, QueryParameter(max_length=10)]
From = Annotated[str, QueryParameter(max_length=10, name="from")]


@get(
    "/v1/history",
    responses=refusals(400, 401, 403, 404, 422, 503)
    | {200: ResponseSpec(History, generate_examples=False, description="A page of readings, or of sums")},
    operation_id="getHistory",
    tags=["readings"],
)
async def get_history(
    request: Request[Any, Any, Any],
    agreement: Code = "",
    meter: Code = "",
    location: Code = "",
    address: Code = "",
    from_: From = "",
    to: Moment = "",
    status: FromQuery[ReadingStatus | None] = None,
    step: FromQuery[Step | None] = None,
    before: Annotated[str, QueryParameter(max_length=60)] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> Response[bytes]:
    """What was ever handed in for an agreement or a meter, newest period first, whoever handed it in and whatever became of it.

    `from`, `to`: periods (YYYY-MM) or days (YYYY-MM-DD), both included. `location`: an object's code; `address`: a part of its address.
    `step`: sums of the readings that stand, by `month` or `year`. A key for some agreements need not name one.
    """
    told = {"agreement": agreement, "meter": meter, "location": location, "address": address, "from": from_, "to": to}
    sender = await reader(request)
    body = await asyncio.to_thread(_page, parts_of(request), sender, told, status, step, before, limit, language_of(request))
    return Response(body, media_type="application/json")


@get(
    "/v1/history/workbook",
    responses=refusals(400, 401, 403, 422, 503)
    | {200: ResponseSpec(bytes, generate_examples=False, media_type=XLSX, description="The same as a workbook")},
    operation_id="getHistoryWorkbook",
    tags=["readings"],
    media_type=XLSX,
)
async def get_history_workbook(
    request: Request[Any, Any, Any],
    agreement: Code = "",
    meter: Code = "",
    location: Code = "",
    address: Code = "",
    from_: From = "",
    to: Moment = "",
    status: FromQuery[ReadingStatus | None] = None,
    step: FromQuery[Step | None] = None,
) -> Response[bytes]:
    """All that `getHistory` tells page by page, as a workbook to hand on, in the language asked for."""
    told = {"agreement": agreement, "meter": meter, "location": location, "address": address, "from": from_, "to": to}
    sender = await reader(request)
    body = await asyncio.to_thread(_workbook, parts_of(request), sender, told, status, step, language_of(request))
    return download(body, "history.xlsx")


def _page(
    parts: Parts,
    sender: Sender,
    told: Mapping[str, str],
    status: ReadingStatus | None,
    step: Step | None,
    before: str,
    limit: int,
    language: Language,
) -> bytes:
    span, after = _after(before)
    readings: list[Past] = []
    sums: list[Sum] = []
    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        profiles = people.profiles(connection, sender.utility_id)
        reach = _reach(told, status, zone_of(profiles, parts.settings.zone), sender)
        if step is None:
            readings = history.readings(connection, sender, reach, before=(span, _id(after)) if before else None, limit=limit + 1)
        else:
            sums = history.sums(connection, sender, reach, step, before=(span, _number(after)) if before else None, limit=limit + 1)
    places = list(dict.fromkeys((one.span, one.meter_id) for one in sums))
    ends = [f"{one.period}.{one.id.hex}" for one in readings] or [f"{span}.{meter}" for span, meter in places]
    shown = set(places[:limit])
    page = History(
        readings=[_reading(one, profiles, language) for one in readings[:limit]],
        sums=[_sum(one, language) for one in sums if (one.span, one.meter_id) in shown],
        next=ends[limit - 1] if len(ends) > limit else None,
    )
    return msgspec.json.encode(page)


def _workbook(
    parts: Parts, sender: Sender, told: Mapping[str, str], status: ReadingStatus | None, step: Step | None, language: Language
) -> bytes:
    from gateway.mapping.history_sheet import READINGS, SUMS, write  # noqa: PLC0415 - the writer of workbooks is slow to import

    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        profiles = people.profiles(connection, sender.utility_id)
        reach = _reach(told, status, zone_of(profiles, parts.settings.zone), sender)
        if step is None:
            found = within(history.readings(connection, sender, reach, limit=ROWS + 1), ROWS)
            return write(READINGS, _rows([_reading(one, profiles, language) for one in found], language), language)
        sums = within(history.sums(connection, sender, reach, step, limit=ROWS + 1), ROWS)
    return write(SUMS, _sum_rows([_sum(one, language) for one in sums], language), language)


def _reach(told: Mapping[str, str], status: ReadingStatus | None, zone: str, sender: Sender) -> Reach:
    """The question. Raises Rejected with everything in it that nobody could have meant."""
    problems = []
    for name in ("agreement", "meter", "location", "address"):
        try:
            text_code(told[name])
        except CellError as error:
            problems.append(error.at(name))
    limits: dict[str, Any] = {}
    for name, period, instant in (("from", "first", "since"), ("to", "last", "until")):
        try:
            limits |= _limit(told[name], period, instant, zone)
        except ValueError:
            problems.append(Problem(code="period_invalid", where=name, values={"period": told[name]}))
    if problems:
        raise Rejected(*problems)
    named: dict[str, Any] = {name: told[name].strip() for name in ("agreement", "meter", "location", "address")}
    return bounded(Reach(**named, **limits, status=status), sender.agreement_ids)


def _limit(text: str, period: str, instant: str, zone: str) -> dict[str, Any]:
    """A period as it is; a day as the instant at which it begins or ends: a midnight belongs to the day before it. Raises ValueError."""
    if len(text) <= 7:
        return {period: f"{month(text):%Y-%m}"} if text else {}
    day = date.fromisoformat(text)
    month(f"{day:%Y-%m}")
    return {instant: datetime.combine(day + timedelta(days=instant == "until"), time(microsecond=1), ZoneInfo(zone))}


def _after(before: str) -> tuple[str, str]:
    """The period or year and the rest of a page's end. Raises Rejected for what ends no page."""
    span, _, after = before.partition(".")
    if not span.isprintable():
        raise Rejected(Problem(code="not_found", where="before"))
    return span, after


def _id(text: str) -> UUID:
    try:
        return UUID(hex=text)
    except ValueError:
        raise Rejected(Problem(code="not_found", where="before")) from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Rejected(Problem(code="not_found", where="before"))
    return int(text)


def _place(place: Place) -> dict[str, str]:
    return {name: getattr(place, name) for name in PlaceView.__struct_fields__}


def _word(profile: Profile | None, name: str, language: Language) -> str:
    """A word as the utility's manual has it; what has no word is shown as it is."""
    if not texts.known(name):
        return name.partition(".")[2]
    return texts.word(name, language) if profile is None else profile.word(name, language)


def _unit(register: str) -> str:
    kind = REGISTERS.get(register) or INTERVALS.get(register)
    return "" if kind is None else str(kind.unit)


def _reading(one: Past, profiles: Mapping[str, Profile], language: Language) -> PastReading:
    profile = profiles.get(one.place.profile)
    return PastReading(
        **_place(one.place),
        reading=f"rdg_{one.id.hex}",
        period=one.period,
        day=None if one.at is None or profile is None else day_read(one.at, profile.zone),
        at=one.at,
        received_at=one.received_at,
        status=str(one.status),
        text=_word(profile, f"status.{one.status}", language),
        source=one.source,
        source_text=_word(profile, f"source.{one.source}", language),
        revision=one.revision,
        same_as=None if one.same_as is None else f"rdg_{one.same_as.hex}",
        values=[
            PastValue(
                register=value.register,
                name=texts.register(value.register, language),
                value=value.value,
                previous=value.previous,
                consumption=value.consumption,
                unit=_unit(value.register),
                volume=value.volume,
                settled=None if value.settled is None else value.settled.volume,
                method="" if value.settled is None else value.settled.method,
            )
            for value in one.values
        ],
    )


def _sum(one: Sum, language: Language) -> PastSum:
    return PastSum(
        **_place(one.place),
        span=one.span,
        register=one.register,
        name=texts.register(one.register, language),
        unit=_unit(one.register),
        readings=one.readings,
        consumption=one.consumption,
        last=one.last,
    )


def _rows(readings: Sequence[PastReading], language: Language) -> Iterator[tuple[str | Decimal | None, ...]]:
    for one in readings:
        day = "" if one.day is None else one.day.isoformat()
        head = (one.period, day, one.agreement, one.location, one.address, one.point, one.meter)
        if not one.values:
            yield (*head, "", None, None, "", one.source_text, one.text, None)
        for value in one.values:
            told = (value.name, value.value, value.consumption, _word(None, f"unit.{value.unit}", language))
            yield (*head, *told, one.source_text, one.text, value.settled)


def _sum_rows(sums: Sequence[PastSum], language: Language) -> Iterator[tuple[str | int | Decimal | None, ...]]:
    for one in sums:
        head = (one.span, one.agreement, one.location, one.address, one.point, one.meter, one.name)
        yield (*head, one.readings, one.consumption, _word(None, f"unit.{one.unit}", language), one.last)
