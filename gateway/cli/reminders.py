"""`reminders`: who is to be reminded on a day and why, or the letters of today written now."""

import argparse
from collections.abc import Iterator
from datetime import UTC, date, datetime

from gateway.cli import OK
from gateway.cli.common import columns
from gateway.cli.opened import store_of
from gateway.domain.problems import Misconfigured
from gateway.domain.windows import local_day
from gateway.pipeline import reminding
from gateway.pipeline.reminding import PAGE, Planned, Rulebook
from gateway.store import Store
from gateway.store import reminders as asked

_HEAD = ["utility", "agreement", "to", "period", "from", "until", "missing", "why", "letter"]


def reminders(args: argparse.Namespace) -> int:
    """Print who would get what on a day, or write what is due today."""
    if args.on is not None and not args.dry_run:
        raise Misconfigured("--on: only with --dry-run; letters are written for today alone")
    with store_of(args) as store:
        books = list(_books(store, args.utility))
        if args.dry_run:
            rows = [row for book in books for row in _planned(store, book, args.on)]
            print("\n".join(columns([_HEAD, *rows])) if rows else "nobody is to be reminded")
        else:
            print(f"{sum(reminding.write(store, book, _today(book)) for book in books)} letters written")
    return OK


def _books(store: Store, utility: str) -> Iterator[Rulebook]:
    with store.transaction(snapshot=True) as connection:
        for one in asked.utilities(connection, utility):
            yield from reminding.rulebooks(connection, one)


def _today(book: Rulebook) -> date:
    return local_day(datetime.now(UTC), book.profile.zone)


def _planned(store: Store, book: Rulebook, on: date | None) -> Iterator[list[str]]:
    day, after = on or _today(book), 0
    while True:
        with store.transaction(book.utility.id, snapshot=True) as connection:
            readers = asked.readers(connection, book.utility.id, book.profile.name, after=after, limit=PAGE)
            planned = list(reminding.plan(connection, book, readers, day))
            known = asked.written(connection, book.utility.id, {one.draft.occasion for one in planned})
        for one in planned:
            there = (one.draft.kind, one.draft.recipient, one.draft.occasion) in known
            yield [*_row(book, one), "written already" if there else "to be written"]
        if len(readers) < PAGE:
            return
        after = readers[-1].link


def _row(book: Rulebook, one: Planned) -> list[str]:
    reminder, opening = one.reminder, one.reminder.opening
    event = "opens" if reminder.kind == "remind_start" else "closes"
    more = f" and {one.draft.values['more']} more" if one.draft.values["more"] != "0" else ""
    missing = f"{one.draft.values['meters']}{more}"
    why = f"{reminder.days} days before it {event}"
    days = [opening.first.isoformat(), opening.last.isoformat()]
    return [book.utility.code, one.reader.agreement, one.reader.recipient, opening.period, *days, missing, why]
