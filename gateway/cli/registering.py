"""`registry import`, `diff`, `export`, `template` and `history`: what there is to read and what was read before, in and out as a file."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from gateway import texts
from gateway.cli import OK, SOME
from gateway.cli.common import settings_of
from gateway.cli.database import database_url
from gateway.cli.partners import utility_of
from gateway.domain.problems import Misconfigured, Problem, Rejected
from gateway.mapping import history_rows, registry_template
from gateway.mapping.registry_rows import COLUMNS, csv_rows
from gateway.mapping.registry_sheet import sheet_rows
from gateway.pipeline import feeding, recalling
from gateway.store import Connection, Store, documents, feed, feed_export, migrate
from gateway.store.feed import Change, Gone


def import_registry(args: argparse.Namespace) -> int:
    """Bring a registry file in, all of it or nothing; say every problem with its line."""
    with _connection(args) as connection:
        utility = utility_of(connection, args.utility, args.profile)
        if not _staged(connection, utility, args):
            return SOME
        registers, meters, points, agreements = feed.counts(connection)
        gone = _gone(connection, utility, args) if args.whole else []
        feed.apply(connection, utility, args.profile)
        if gone:
            feed.retire(connection, utility, args.profile, datetime.now(UTC).date())
        if args.dry_run:
            connection.rollback()
    done = "Would bring in" if args.dry_run else "Brought in"
    told = f"{registers} registers of {meters} meters at {points} points of {agreements} agreements"
    print(f"{done} {told} at {args.utility}.")
    if args.whole:
        print(f"{'Would retire' if args.dry_run else 'Retired'} {len(gone)} meters that the file does not name.")
    return OK


def diff(args: argparse.Namespace) -> int:
    """Say what a registry file would change, thing by thing, and change nothing."""
    with _connection(args) as connection:
        utility = utility_of(connection, args.utility, args.profile)
        staged = _staged(connection, utility, args)
        if staged:
            tell(feed.changes(connection, utility, args.profile), feed.gone(connection, utility, args.profile) if args.whole else [])
        connection.rollback()
    return OK if staged else SOME


def export(args: argparse.Namespace) -> int:
    """Write the registry as a file that may be brought in again."""
    with _connection(args) as connection:
        utility = utility_of(connection, args.utility, args.profile)
        out = sys.stdout.buffer if args.file is None else args.file.open("wb")
        try:
            for piece in feed_export.export(connection, utility, args.profile):
                out.write(piece)
        finally:
            out.flush() if args.file is None else out.close()
    return OK


def template(args: argparse.Namespace) -> int:
    """Write an empty registry as a workbook, with a sheet that says what each column holds."""
    args.file.write_bytes(registry_template.write())
    return OK


def history(args: argparse.Namespace) -> int:
    """Let registers learn what is usual from old values, all of a file or nothing; say every problem with its line."""
    with _connection(args) as connection:
        utility = documents.utility(connection, args.utility)
        with _refused(args, history_rows.COLUMNS), args.file.open(encoding="utf-8-sig", newline="") as file:
            recalled = recalling.bring(connection, utility, history_rows.history_rows(file), datetime.now(UTC))
        if not _sound(connection, args, recalled.rows, recalled.problems):
            return SOME
        if args.dry_run:
            connection.rollback()
    for problem in recalled.warnings:
        print(f"{args.file}: warning: {problem.where}: {_words(problem)}", file=sys.stderr)
    learn = "would learn" if args.dry_run else "learned"
    print(f"{recalled.rows} values of {recalled.registers} registers at {args.utility}; {recalled.changed} of them {learn} something new.")
    return OK


_SHEETS = (".xlsx", ".xls")


@contextmanager
def _connection(args: argparse.Namespace) -> Iterator[Connection]:
    with database_url(settings_of(args)) as url:
        migrate(url)
        store = Store(url, role="owner", pool=1)
        try:
            with store.transaction() as connection:
                connection.exec_driver_sql("set local statement_timeout = 0")  # a million meters take their time
                yield connection
        finally:
            store.close()


def _staged(connection: Connection, utility: int, args: argparse.Namespace) -> bool:
    """Whether the file is staged; otherwise every problem of it is printed. Raises Misconfigured when it is no such file at all."""
    with _refused(args, COLUMNS):
        if args.file.suffix.lower() in _SHEETS:
            fed = feeding.stage(connection, utility, sheet_rows(args.file.read_bytes(), settings_of(args).limits))
        else:
            with args.file.open(encoding="utf-8-sig", newline="") as file:
                fed = feeding.stage(connection, utility, csv_rows(file))
    return _sound(connection, args, fed.rows, fed.problems)


@contextmanager
def _refused(args: argparse.Namespace, columns: Sequence[str]) -> Iterator[None]:
    """Where a file is read: one that is none of these at all is the operator's to correct."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{args.file}: not UTF-8 ({error.reason}): save it as CSV UTF-8") from error
    except Rejected as refused:
        raise Misconfigured(f"{args.file}: {' '.join(_words(one) for one in refused.problems)} Columns: {', '.join(columns)}") from refused


def _sound(connection: Connection, args: argparse.Namespace, rows: int, problems: Sequence[Problem]) -> bool:
    """Whether a file has rows and none of them is wrong; otherwise every problem is printed and all is undone."""
    for problem in problems:
        print(f"{args.file}: {problem.where}: {_words(problem)}", file=sys.stderr)
    if not rows:
        print(f"{args.file}: there is no row below the header", file=sys.stderr)
    if problems or not rows:
        print(f"Nothing was changed: {len(problems) or 1} problems.", file=sys.stderr)
        connection.rollback()
        return False
    return True


def _words(problem: Problem) -> str:
    return texts.problem(problem.code, "en", problem.values)[0]


def _gone(connection: Connection, utility: int, args: argparse.Namespace) -> list[Gone]:
    """The meters that a whole file does not name. Raises Misconfigured when they are more than allowed: the file may be half a file."""
    gone = feed.gone(connection, utility, args.profile)
    hanging = feed.hanging(connection, utility, args.profile)
    if len(gone) * 100 > args.max_retired * hanging:
        raise Misconfigured(
            f"{args.file}: {len(gone)} of {hanging} meters are not in it, more than {args.max_retired} %: nothing was changed. "
            "See `registry diff --whole`; if it is right, allow it by --max-retired"
        )
    return gone


def tell(changes: Iterable[Change], gone: Iterable[Gone]) -> None:
    """Print each change on a line, and how many there are of each kind."""
    found: dict[str, int] = {}
    for change in changes:
        kind = f"{'changed' if change.was else 'new'} {change.kind}"
        found[kind] = found.get(kind, 0) + 1
        print(f"{kind} {' / '.join(change.key)}: {_told(change)}")
    for one in gone:
        found["gone meter"] = found.get("gone meter", 0) + 1
        print(f"gone meter {one.agreement} / {one.point} / {one.meter}")
    print("; ".join(f"{count} {kind}" for kind, count in found.items()) or "nothing would change", file=sys.stderr)


def _told(change: Change) -> str:
    if change.was is None:
        return ", ".join(f"{name} {value}" for name, value in change.now.items() if value not in (None, ""))
    return ", ".join(
        f"{name} {_shown(change.was[name])} -> {_shown(value)}" for name, value in change.now.items() if value != change.was[name]
    )


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "") else str(value)
