"""The middle of the line: which format a file has, which meter a reading is about, and what the rules say of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from uuid import UUID

import msgspec

from gateway.domain.belief import believe
from gateway.domain.calendars import Calendar
from gateway.domain.judging import Judged, judge
from gateway.domain.mappings import version_of
from gateway.domain.problems import Problem, Rejected
from gateway.domain.profile import Profile
from gateway.domain.readings import ESTIMATED, MeterReading
from gateway.domain.rules import duplicate_reading
from gateway.domain.sources import Told, rank, rank_of
from gateway.domain.status import ReadingStatus
from gateway.domain.supply import key
from gateway.domain.suspicion import Around, hints
from gateway.domain.windows import period_of
from gateway.mapping import Envelope, Format
from gateway.mapping.recognising import recognise
from gateway.pipeline import blocks
from gateway.pipeline.translators import named
from gateway.store import Connection, intake, people, readings, supply
from gateway.store.corrections import Row
from gateway.store.intake import Entry
from gateway.store.people import Sender
from gateway.store.supply import Known

Found = MeterReading | Problem
Stored = Mapping[int, Mapping[tuple[str, str], Decimal]]
_NONE: Final[Mapping[tuple[str, str], Decimal]] = MappingProxyType({})
_LATELY: Final = timedelta(days=92)
"""A reading that names no period is of none that is older."""


def decode(formats: Mapping[str, Format], body: bytes, envelope: Envelope) -> tuple[str, list[Found]]:
    """Read a file in the format it was said or seen to have; return that format and what was found, problems of the whole among it."""
    kind = envelope.kind
    try:
        kind = kind or recognise(formats, body, envelope.file_name)
        if kind not in formats:
            return "", [Problem(code="format_unknown", values={"format": kind})]
        return named(formats, kind), list(formats[kind].decode(body, envelope))
    except Rejected as refusal:
        return named(formats, kind), list(refusal.problems)


def weigh(connection: Connection, utility: int, arrivals: Sequence[tuple[Entry, Iterable[Found]]]) -> None:
    """Give every meter reading of these submissions its meter and its verdict, in order, and its row in the entry.

    The registers of all meters concerned are held until the transaction ends, so what one row is compared with is what the row before
    it left behind, whoever sent that one.
    """
    entries: list[tuple[Entry, list[MeterReading]]] = []
    for entry, found in arrivals:
        things = list(found)
        entry.problems = tuple(thing for thing in things if isinstance(thing, Problem))
        entry.rows = []
        entries.append((entry, [thing for thing in things if isinstance(thing, MeterReading)]))
    known = supply.lock_meters(connection, utility, {new.meter or entry.envelope.meter for entry, news in entries for new in news})
    if bare := {new.point for _, news in entries for new in news if new.point and not new.meter}:
        known |= {_at(point): found for point, found in supply.lock_points(connection, utility, bare, known).items()}
    named = _points_named(connection, utility, entries, known)
    profiles = people.profiles(connection, utility) if known else {}
    calendars = people.calendars(connection, utility) if any(one.calendar for one in profiles.values()) else {}
    past = _Past(connection, known)
    stored = _stored(connection, entries, known, profiles)
    around = Around([*{one.meter.id: one.meter for same in known.values() for one in same}.values()])
    for entry, news in entries:
        for new in news:
            told = _filled(new, entry.envelope)
            try:
                fitting = candidates(known, named, told, entry.sender)
            except Rejected as refusal:
                entry.rows.append(_refused(told, refusal.problems))
                continue
            entry.rows.append(_row(connection, entry, told, fitting, profiles, calendars, past, around, stored))
        if any(new.blocks for new in news):
            policies = {name: profile.reading.intervals == "keep" for name, profile in profiles.items()}
            keep = [row.known is not None and policies[row.known.profile] for row in entry.rows]
            blocks.compare(connection, utility, entry, keep)


def _filled(new: MeterReading, envelope: Envelope) -> MeterReading:
    """What the file does not say, the envelope may."""
    told = {
        name: getattr(envelope, name)
        for name in ("agreement", "period", *(() if new.point else ("meter",)))
        if not getattr(new, name) and getattr(envelope, name)
    }
    return msgspec.structs.replace(new, **told) if told else new


def _at(point: str) -> str:
    """Under what a point without a meter is found beside the numbers of meters, which hold no blank."""
    return f" {point}"


def _points_named(
    connection: Connection, utility: int, entries: Sequence[tuple[Entry, list[MeterReading]]], known: Mapping[str, list[Known]]
) -> Mapping[str, set[int]]:
    """The points that other systems know by the codes told beside a meter, where no meter of that number hangs at a point of that code."""
    told = {(key(new.meter), key(new.point)) for _, news in entries for new in news if new.point and new.meter}
    strange = {point for meter, point in told if meter in known and all(one.point_key != point for one in known[meter])}
    return supply.points_named(connection, utility, sorted(strange))


def candidates(known: Mapping[str, list[Known]], named: Mapping[str, set[int]], new: MeterReading, sender: Sender) -> list[Known]:
    """The meters that the words of the sender fit, within what it may see; the number exactly as written decides between several.

    Raises Rejected when such a meter is there, but at another object than the one told (GV-25: an object of another agreement).
    """
    found = known.get(key(new.meter) if new.meter else _at(key(new.point)), [])
    if new.agreement:
        agreement = key(new.agreement)
        found = [one for one in found if one.agreement_key == agreement]
    if new.point and new.meter:
        found = _at_point(found, key(new.point), named)
    if sender.agreement_ids is not None:
        found = [one for one in found if one.meter.agreement_id in sender.agreement_ids]
    if new.location:
        location = key(new.location)
        there = [one for one in found if one.location_key == location]
        if found and not there:
            raise Rejected(
                Problem(code="location_differs", where=new.where, values={"location": new.location[:40], "meter": new.meter[:40]})
            )
        found = there
    exact = [one for one in found if one.meter.serial == new.meter.strip()]
    return exact if len(found) > 1 and len(exact) == 1 else found


def _at_point(found: list[Known], point: str, named: Mapping[str, set[int]]) -> list[Known]:
    """Those that hang at the point of this code, our own before one that another system has for it."""
    own = [one for one in found if one.point_key == point]
    return own or [one for one in found if one.point_id in named.get(point, ())]


def _row(
    connection: Connection,
    entry: Entry,
    new: MeterReading,
    found: list[Known],
    profiles: Mapping[str, Profile],
    calendars: Mapping[str, Calendar],
    past: "_Past",
    around: Around,
    stored: Stored,
) -> Row:
    if len(found) != 1:
        code = "meter_ambiguous" if found else "meter_unknown"
        return _refused(new, (Problem(code=code, where=new.where, values={"meter": new.meter or new.point}),))
    row = _refused(new, ())
    row.id = entry.decided or row.id
    [known] = found
    profile = profiles[known.profile]
    calendar = people.calendar_of(calendars, profile)
    told = Told(source=entry.envelope.source, known_to_billing=entry.envelope.known_to_billing)
    there = stored.get(known.meter.id, _NONE)
    judged = judge(new, known.meter, profile, entry.received_at, calendar=calendar, told=told, stored=there)
    if judged.earlier_wanted and judged.status is not ReadingStatus.REJECTED:
        earlier = readings.before(connection, known.meter.id, judged.earlier_wanted, judged.period, judged.at)
        judged = judge(new, known.meter, profile, entry.received_at, earlier, calendar, told, there)
    row.target = profile.target
    row.hold = timedelta(seconds=profile.reading.hold)
    row.known, row.period, row.at, row.values = known, judged.period, judged.at, judged.values + judged.volumes
    row.problems, row.status = judged.problems + hints(judged, around), judged.status
    if version_of(entry.format)[0] not in profile.formats:
        row.status = ReadingStatus.REJECTED
        row.problems += (Problem(code="format_not_accepted", where=new.where, values={"format": entry.format}),)
    if row.status is not ReadingStatus.REJECTED and not judged.duplicate and _outranked(judged, told.source, profile, past):
        row.status = ReadingStatus.REJECTED
        row.problems += (Problem(code="outranked", where=new.where, values={"period": row.period, "meter": known.meter.serial}),)
    if row.status is ReadingStatus.NEEDS_REVIEW and entry.decided is not None:
        row.status, row.hold = ReadingStatus.ACCEPTED, timedelta()
    if entry.envelope.draft and row.status is not ReadingStatus.REJECTED:
        row.status = ReadingStatus.DRAFT
    if row.status is ReadingStatus.ACCEPTED and judged.values:
        _believe(row, judged, known, profile, past, told.source)
    return row


def _outranked(judged: Judged, source: str, profile: Profile, past: "_Past") -> bool:
    """Whether what this would correct counts more: control before automatic before the customer's before an estimate (V-17)."""
    if profile.reading.per_period == "many":
        return False
    registers = (value.register for value in judged.values)
    stands = {one.last_reading for one in registers if one.last_period == judged.period and one.last_reading is not None}
    return bool(stands) and max(map(past.rank, stands)) > rank_of(source, judged.new.readings)


def _stored(
    connection: Connection,
    entries: Sequence[tuple[Entry, list[MeterReading]]],
    known: Mapping[str, list[Known]],
    profiles: Mapping[str, Profile],
) -> Stored:
    """What was taken before of interval values, for meters whose agreement wants them beside each dial; mostly nothing is looked up."""
    wanted = [one.meter.id for same in known.values() for one in same if _wants_intervals(one, profiles)]
    if not wanted:
        return {}
    periods = [new.period for _, news in entries for new in news if new.period]
    arrivals = [period_of(entry.received_at - _LATELY, "UTC") for entry, _ in entries]
    return readings.interval_amounts(connection, wanted, min([*periods, *arrivals]))


def _wants_intervals(known: Known, profiles: Mapping[str, Profile]) -> bool:
    category = known.meter.price_category
    return category is not None and 0 < profiles[known.profile].reading.intervals_from_category <= category


def _refused(new: MeterReading, problems: tuple[Problem, ...]) -> Row:
    """A row that nothing comes of, as long as nobody says otherwise."""
    return Row(id=intake.new_id(), new=new, status=ReadingStatus.REJECTED, period=new.period, problems=new.problems + problems)


def _believe(row: Row, judged: Judged, known: Known, profile: Profile, past: "_Past", source: str) -> None:
    """Let an accepted row move the registers it reads, unless it only says again what is believed already.

    What counts more than the reading it repeats corrects it, so that its own rank stands from now on (V-17).
    """
    first = judged.values[0].register
    chain = profile.reading.per_period == "many"
    if judged.duplicate and first.last_reading is not None and past.stands(first.last_reading):
        if chain or rank_of(source, judged.new.readings) <= past.rank(first.last_reading):
            row.same_as = first.last_reading
            return
        row.problems = tuple(problem for problem in row.problems if problem.code != duplicate_reading.__name__)
    row.corrects = not chain and any(value.register.last_period >= judged.period for value in judged.values)
    new = {
        value.register.id: believe(
            value.register,
            value.reading.value,
            period=judged.period,
            at=judged.at,
            reading=row.id,
            chain=chain,
            estimated=value.reading.quality in ESTIMATED,
        )
        for value in judged.values
    }
    registers = tuple(new.get(register.id, register) for register in known.meter.registers)
    known.meter = msgspec.structs.replace(known.meter, registers=registers)


class _Past:
    """What became of the readings that registers name, and how much each counts.

    Looked up only when the first duplicate or correction shows, and then for all meters at once.
    """

    def __init__(self, connection: Connection, known: Mapping[str, list[Known]]) -> None:
        """Nothing is looked up yet; what the registers name is noted before any row moves them."""
        self.connection = connection
        self.named = {
            r.last_reading for found in known.values() for one in found for r in one.meter.registers if r.last_reading is not None
        }
        self.found: dict[UUID, int] | None = None

    def stands(self, reading: UUID) -> bool:
        """Tell whether that reading is still believed; one that this very transaction wrote is."""
        return reading not in self.named or reading in self._ranks()

    def rank(self, reading: UUID) -> int:
        """How much it counts, 0 when it came to nothing or was written by this very transaction."""
        return self._ranks().get(reading, 0) if reading in self.named else 0

    def _ranks(self) -> dict[UUID, int]:
        if self.found is None:
            self.found = {id_: rank(*told) for id_, told in readings.standing(self.connection, self.named).items()}
        return self.found
