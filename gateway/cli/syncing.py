"""`registry sync` and `syncs`: fetch master data from a billing now, and how the last fetches ended."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from gateway import texts
from gateway.cli import OK, REFUSED, SOME
from gateway.cli.common import columns, settings_of
from gateway.cli.database import database_url
from gateway.cli.registering import tell
from gateway.domain.problems import Misconfigured, Problem, Rejected
from gateway.outbound import Target
from gateway.pipeline import mastering
from gateway.pipeline.mastering import Source, Synced, Told
from gateway.registry import build
from gateway.settings import Settings
from gateway.store import Store, check_schema, feed, syncs
from gateway.store.syncs import Sync

CODES = {"applied": OK, "unchanged": OK, "partly": SOME, "stopped": SOME}
_NAMED = 10


def sync(args: argparse.Namespace) -> int:
    """Fetch from every target that offers master data, or from the one named; the worst exit code of them."""
    settings = settings_of(args)
    sources = _sources(settings, args.utility, args.target)
    with _store(settings) as store:
        codes = [_preview(store, source) if args.dry_run else _fetch(store, source, args.max_retired) for source in sources]
    return max(codes)


def last(args: argparse.Namespace) -> int:
    """Print the last fetches, the newest first, and what the newest of each target left as it was."""
    with _store(settings_of(args)) as store, store.transaction(snapshot=True) as connection:
        found = syncs.latest(connection, args.utility, args.limit)
    if not found:
        print("nothing was fetched yet", file=sys.stderr)
        return OK
    print("\n".join(columns([["started", "utility", "target", "outcome", "seconds", "what"], *map(_row, found)])))
    for one in {(one.utility, one.name): one for one in reversed(found)}.values():
        _say_left(f"{one.utility}.{one.name}", _told(one))
    return OK


def _sources(settings: Settings, utility: str, target: str) -> list[Source]:
    """The targets that offer master data, of these names where some are given. Raises Misconfigured when there is none."""
    found = []
    for code, sections in settings.targets.items():
        for name, section in sections.items():
            if utility in ("", code) and target in ("", name):
                built = build(Target, section)
                if target or type(built).master is not Target.master:
                    found.append(Source(utility=code, name=name, target=built, limit=settings.limits.registry_bytes))
    if not found:
        raise Misconfigured("the settings have no such target that offers master data: see contracts_schema/master_data.md")
    return found


def _fetch(store: Store, source: Source, max_retired: float | None) -> int:
    done = mastering.sync(store, source, max_retired=max_retired)
    about = f"{source.utility}.{source.name}"
    if done is None:
        print(f"{about}: no such utility, or another process fetches from it now", file=sys.stderr)
        return REFUSED
    code = CODES.get(done.outcome, REFUSED)
    print(f"{about}: {done.outcome}: {_what(done)}", file=sys.stderr if code == REFUSED else sys.stdout)
    _say_left(about, done.told)
    return code


def _preview(store: Store, source: Source) -> int:
    """Say what would be done, thing by thing, and change nothing. Raises as the fetch does, Misconfigured for what is no feed."""
    with store.transaction() as connection:
        utility = connection.exec_driver_sql("select id from utility where code = %(code)s", {"code": source.utility}).scalar_one_or_none()
    if utility is None:
        raise Misconfigured(f"the database knows no utility {source.utility!r}")
    try:
        with mastering.staged(store, source, int(utility)) as found:
            retired = [] if found.fed.unplaced else feed.gone(found.connection, found.utility, found.profile)
            tell(feed.changes(found.connection, found.utility, found.profile), retired)
            hanging = feed.hanging(found.connection, found.utility, found.profile)
            found.connection.rollback()
    except Rejected as refused:
        raise Misconfigured(f"{source.utility}.{source.name}: {' '.join(_words(one) for one in refused.problems)}") from refused
    stopped = not found.fed.rows or len(retired) * 100 > source.target.master_max_retired * hanging
    if stopped:
        print(f"It would be stopped: {len(retired)} of {hanging} meters are not in its {found.fed.rows} rows.", file=sys.stderr)
    _say_left(f"{source.utility}.{source.name}", Told(left=len(found.fed.left), unplaced=found.fed.unplaced, problems=found.fed.left))
    return SOME if stopped or found.fed.left or found.fed.unplaced else OK


def _row(one: Sync) -> list[str]:
    seconds = "" if one.finished_at is None else f"{(one.finished_at - one.started_at).total_seconds():.1f}"
    what = _what(Synced(one.outcome, _told(one)))
    return [f"{one.started_at:%Y-%m-%d %H:%M:%S}Z", one.utility, one.name, one.outcome or "running", seconds, what]


def _told(one: Sync) -> Told:
    return msgspec.convert(one.told, Told)


def _what(done: Synced) -> str:
    """What a fetch came to, in a line."""
    told = done.told
    if told.why:
        return told.why
    parts = [f"{count} {kind}" for kind, count in told.changes.items()]
    parts += [f"{told.retired} retired meter"] if told.retired else []
    parts += [f"{told.left} agreements left as they were"] if told.left else []
    parts += [f"{told.unplaced} rows name no agreement, so nothing was retired"] if told.unplaced else []
    return f"{told.meters} meters of {told.agreements} agreements; {'; '.join(parts) or 'nothing changed'}"


def _say_left(about: str, told: Told) -> None:
    """Name the agreements that were left as they were, with their problems."""
    for number, problems in [*told.problems.items()][:_NAMED]:
        print(f"{about}: agreement {number} left as it was", file=sys.stderr)
        for problem in problems[:3]:
            print(f"  {problem.where}: {_words(problem)}", file=sys.stderr)
    if told.left > _NAMED:
        print(f"{about}: and {told.left - _NAMED} more agreements", file=sys.stderr)


def _words(problem: Problem) -> str:
    values: Any = problem.values
    return texts.problem(problem.code, "en", values)[0]


@contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    with database_url(settings) as url:
        store = Store(url, role="owner", pool=2)
        try:
            check_schema(store)
            yield store
        finally:
            store.close()
