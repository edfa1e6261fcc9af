"""Documents on their way in: all checked and against each other, what they change, for whom, and what it means today."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Final

import msgspec

from gateway import profiles as shipped
from gateway.domain import documents as pages
from gateway.domain.calendars import WEEKDAYS, Calendar
from gateway.domain.documents import Changed, Document
from gateway.domain.mappings import Mapping as Table
from gateway.domain.profile import Profile
from gateway.domain.readings import Reading
from gateway.domain.retrial import Past, Retrial, Rulebook, told_otherwise
from gateway.domain.rules import RULES
from gateway.domain.status import ReadingStatus
from gateway.domain.windows import Opening, Timing, local_day, next_after, open_on
from gateway.store import Connection, documents, people, supply
from gateway.store.documents import Group, Reach, Stood
from gateway.store.readings import BELIEVED

CAP: Final = 5000
"""So many readings of a profile are judged again."""

Key = tuple[str, str]
"""Kind and name of a document."""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A document that would get a new version. `last`: its version now, 0 when it is new; no `changes` when only its looks change."""

    kind: str
    name: str
    body: bytes
    last: int
    changes: list[Changed]


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the windows of some agreements today: those that are open, else the next one."""

    group: Group
    was: tuple[Opening, ...]
    now: tuple[Opening, ...]
    opened: bool
    closed: bool


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a changed rulebook means: whom it judges, how windows move and how readings of the periods open today would fare.

    `capped`: only the first CAP readings were judged again.
    """

    profile: str
    reach: Reach
    shifts: list[Shift]
    periods: list[str]
    retrial: Retrial
    capped: bool


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What applying documents comes to. With `faults`, each with its document, nothing may be applied.

    `same`: how many documents are as they were. `left`: documents of the utility that were not told; they stay. `books`: the rulebooks
    that change, before and after. `reach`: whom each profile judges.
    """

    faults: list[tuple[Key, str]]
    planned: list[Planned]
    same: int
    left: list[Key]
    books: dict[str, tuple[Rulebook, Rulebook]]
    reach: dict[str, Reach]


def plan(connection: Connection, utility: int, told: Mapping[Key, bytes], formats: Collection[str]) -> Plan:
    """Check documents, each and against each other, and find what they change. `formats`: the kinds of file there are to name.

    A shipped calendar that a profile names comes along unless the utility has one of that name.
    """
    known = documents.newest(connection, utility)
    faults = [(place, fault) for place, body in told.items() for fault in pages.faults(place[0], body)]
    wrong = {place for place, _ in faults}
    told = dict(told) | _coming_along(told, wrong, known)
    before = {place: pages.read(*place, one.body) for place, one in known.items() if not pages.faults(place[0], one.body)}
    read = {place: pages.read(*place, body) for place, body in told.items() if place not in wrong}
    faults += _contradictions(read, {*known, *told}, formats)
    return Plan(
        faults=faults,
        planned=[] if faults else list(_planned(told, known, before, read)),
        same=sum(place in known and known[place].body == body for place, body in told.items()),
        left=[place for place in known if place not in told],
        books={} if faults else dict(_books(before, before | read)),
        reach=documents.reach(connection, utility),
    )


def write(connection: Connection, utility: int, plan: Plan, author: str) -> None:
    """Write what was planned, each as the next version of its document."""
    for one in plan.planned:
        people.save_document(connection, utility, one.kind, one.name, one.body, author)


def _coming_along(told: Mapping[Key, bytes], wrong: Collection[Key], known: Collection[Key]) -> dict[Key, bytes]:
    read = (pages.read(*place, body) for place, body in told.items() if place[0] == "profile" and place not in wrong)
    wanted = {("calendar", one.calendar) for one in read if isinstance(one, Profile)} - {*known, *told}
    documents_ = shipped.calendars()
    return {place: documents_[place[1]] for place in sorted(wanted) if place[1] in documents_}


def _contradictions(read: Mapping[Key, Document], there: Collection[Key], formats: Collection[str]) -> Iterator[tuple[Key, str]]:
    """What is wrong with a document beside what stands around it."""
    for place, one in read.items():
        if one.name != place[1]:
            yield place, f"name: {one.name!r} is not the name of its file"
        if isinstance(one, Table) and one.crosswalk and ("crosswalk", one.crosswalk) not in there:
            yield place, f"crosswalk: there is no crosswalk {one.crosswalk!r}"
        if isinstance(one, Profile):
            if one.calendar and ("calendar", one.calendar) not in there:
                yield place, f"calendar: there is no calendar {one.calendar!r}"
            for strange in sorted(one.severity.keys() - {rule.__name__ for rule in RULES}):
                yield place, f"severity: {strange!r} is no rule, its weight is fixed"
            known = {*formats, *(name for kind, name in there if kind == "mapping")}
            for strange in sorted(set(one.formats) - known):
                yield place, f"formats: there is no format {strange!r}; there are {', '.join(sorted(known))}"


def _planned(
    told: Mapping[Key, bytes], known: Mapping[Key, documents.Version], before: Mapping[Key, Document], read: Mapping[Key, Document]
) -> Iterator[Planned]:
    for place, body in sorted(told.items()):
        last = known.get(place)
        if last is None or last.body != body:
            kind, name = place
            changed = pages.changes(before[place], read[place]) if place in before else []
            yield Planned(kind=kind, name=name, body=body, last=0 if last is None else last.version, changes=changed)


def _books(before: Mapping[Key, Document], after: Mapping[Key, Document]) -> Iterator[tuple[str, tuple[Rulebook, Rulebook]]]:
    """The rulebooks that a utility has already and that would change, by themselves or by their calendar."""

    def book(profile: Profile, among: Mapping[Key, Document]) -> Rulebook:
        calendar = among.get(("calendar", profile.calendar), WEEKDAYS)
        return Rulebook(profile, calendar if isinstance(calendar, Calendar) else WEEKDAYS)

    for place, was in before.items():
        now = after[place]
        if isinstance(was, Profile) and isinstance(now, Profile):
            books = book(was, before), book(now, after)
            if books[0] != books[1]:
                yield place[1], books


def effects(connection: Connection, utility: int, plan: Plan, now: datetime) -> Iterator[Effect]:
    """What each rulebook that changes means at a moment for the agreements that it judges."""
    for name, (was, then) in plan.books.items():
        services = sorted(was.profile.windows.keys() | then.profile.windows.keys())
        groups = documents.groups(connection, utility, name, services)
        shifts = [_shift(group, was, then, now) for group in groups]
        periods = sorted({one.period for shift in shifts for one in (*shift.was, *shift.now) if _is_open(one, was, now)})
        stood = documents.judged(connection, utility, name, periods, CAP + 1)
        known = supply.by_id(connection, {one.meter_id for one in stood})
        pasts = [(_past(one), known[one.meter_id].meter, _verdict(one.status)) for one in stood[:CAP]]
        yield Effect(
            profile=name,
            reach=plan.reach.get(name, Reach()),
            shifts=[one for one in shifts if one.was != one.now],
            periods=periods,
            retrial=told_otherwise(pasts, was, then),
            capped=len(stood) > CAP,
        )


def _shift(group: Group, was: Rulebook, then: Rulebook, now: datetime) -> Shift:
    """The windows of some agreements on the day of a moment, by both rulebooks."""

    def windows(book: Rulebook) -> tuple[bool, tuple[Opening, ...]]:
        timing: Timing = book.profile.timing(group.service, group.day, book.calendar)
        day = local_day(now, timing.zone)
        found = open_on(timing, day)
        return bool(found), found or (next_after(timing, day),)

    (was_open, before), (is_open, after) = windows(was), windows(then)
    return Shift(group=group, was=before, now=after, opened=is_open and not was_open, closed=was_open and not is_open)


def _is_open(one: Opening, book: Rulebook, now: datetime) -> bool:
    return one.first <= local_day(now, book.profile.zone) <= one.last


def _past(one: Stood) -> Past:
    return Past(
        id=one.id,
        period=one.period,
        at=one.at,
        arrival=one.received_at,
        format=one.format,
        source=one.source,
        readings=tuple(
            Reading(register=v.register, value=v.value, ratio_applied=v.ratio_applied, losses_applied=v.losses_applied) for v in one.values
        ),
        previous={value.register: value.previous for value in one.values},
    )


def _verdict(status: ReadingStatus) -> ReadingStatus:
    return ReadingStatus.ACCEPTED if status in BELIEVED else status
