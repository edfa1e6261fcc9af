"""Reminders of a day: who is to get one, found in pages without a query for each reader, and written once as letters."""

import logging
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.calendars import Calendar
from gateway.domain.coverage import Cover
from gateway.domain.problems import Misconfigured
from gateway.domain.profile import Profile
from gateway.domain.reminders import Missing, Reminder, coming, due, facts
from gateway.domain.windows import Timing
from gateway.steps import step
from gateway.store import Connection, Store, coverage, letters, people, reminders
from gateway.store.letters import Draft
from gateway.store.people import Sender
from gateway.store.reminders import Asked, Reader

log = logging.getLogger("metergate")

PAGE: Final = 1000
"""So many readers are looked at in one transaction."""


class Planned(msgspec.Struct, frozen=True):
    """A reminder to one reader. `draft`: the letter as it would be written."""

    reader: Reader
    reminder: Reminder
    draft: Draft


class Rulebook(msgspec.Struct, frozen=True):
    """A profile of a utility with the calendar by which people work there."""

    utility: Asked
    profile: Profile
    calendar: Calendar

    def timing(self, service: str, day: int | None) -> Timing:
        """When readings of a service are taken, for an agreement that has this day for itself."""
        return self.profile.timing(service, day, self.calendar)


def rulebooks(connection: Connection, utility: Asked) -> list[Rulebook]:
    """Every profile of a utility. Raises Misconfigured when it has none, or one names a calendar that is not there."""
    calendars = people.calendars(connection, utility.id)
    found = people.profiles(connection, utility.id).values()
    return [Rulebook(utility, profile, people.calendar_of(calendars, profile)) for profile in found]


def remind(store: Store, now: datetime, *, hour: int, done: dict[tuple[int, str], date]) -> int:
    """Write the reminders of today, once that hour has come in the zone of each profile; return how many letters were new.

    `done`: the day on which each profile of a utility was last gone through here. Only today's are written, however long nobody
    looked; whoever looks twice, or at the same time as another, writes none twice.
    """
    with store.transaction() as connection:
        asked = reminders.utilities(connection)
    count = 0
    for utility in asked:
        try:
            with store.transaction(utility.id) as connection:
                books = rulebooks(connection, utility)
        except Misconfigured as error:
            log.warning("remind.waits", extra={"facts": {"utility": utility.code, "why": str(error)}})
            continue
        for book in books:
            there = now.astimezone(ZoneInfo(book.profile.zone))
            about, day = (utility.id, book.profile.name), there.date()
            if there.hour >= hour and done.get(about) != day:
                count += write(store, book, day)
                done[about] = day
    return count


def write(store: Store, book: Rulebook, day: date) -> int:
    """Write the reminders of a day in agreements of a profile, a page a transaction; return how many were not written before."""
    count, after = 0, 0
    while True:
        with store.transaction(book.utility.id) as connection:
            readers = reminders.readers(connection, book.utility.id, book.profile.name, after=after, limit=PAGE)
            drafts = [one.draft for one in plan(connection, book, readers, day)]
            count += letters.write_all(connection, book.utility.id, drafts)
            step("remind.written", utility=book.utility.id, letters=len(drafts))
        step("remind.committed", utility=book.utility.id)
        if len(readers) < PAGE:
            return count
        after = readers[-1].link


def plan(connection: Connection, book: Rulebook, readers: list[Reader], day: date) -> Iterator[Planned]:
    """Who of these is to get which reminder on a day. One query a period tells what is missing of all their agreements."""
    wanted: dict[str, set[int]] = {}
    for reader in readers:
        for service in reader.services:
            for _, _, opening in coming(book.timing(service, reader.window_day), reader.switches, day):
                wanted.setdefault(opening.period, set()).add(reader.agreement_id)
    days = {reader.agreement: reader.window_day for reader in readers}
    missing: dict[str, list[Missing]] = {}
    for period, agreements in wanted.items():
        for agreement, one in _missing(connection, book, period, agreements, days):
            missing.setdefault(agreement, []).append(one)
    for reader in readers:
        for reminder in due(reader.switches, missing.get(reader.agreement, ()), day):
            yield Planned(reader, reminder, _draft(book, reader, reminder, day))


def _missing(
    connection: Connection, book: Rulebook, period: str, agreements: set[int], days: Mapping[str, int | None]
) -> Iterator[tuple[str, Missing]]:
    """Every register of which nothing came for the period although billing lets readings in, with the number of its agreement."""
    everyone = Sender(
        credential_id=0, utility_id=book.utility.id, principal="metergate", scopes=(), agreement_ids=tuple(sorted(agreements))
    )
    for one in coverage.expected(connection, everyone, period, limit=None):
        if one.cover is Cover.MISSING and one.entry_open:
            yield one.agreement, Missing(one.meter, period, book.timing(one.service, days[one.agreement]))


def _draft(book: Rulebook, reader: Reader, reminder: Reminder, day: date) -> Draft:
    return Draft(
        kind=reminder.kind,
        recipient=reader.recipient,
        occasion=reminder.occasion(reader.agreement_id),
        language=book.profile.language,
        values=facts(reminder, book.utility.title, reader.agreement, day),
        agreement_id=reader.agreement_id,
        expires_at=datetime.combine(reminder.opening.last + timedelta(days=1), time(), ZoneInfo(book.profile.zone)),
    )
