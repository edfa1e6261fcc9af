"""Master data on its way in: fetched from a billing, held beside the registry, applied agreement by agreement, and written down."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from tempfile import SpooledTemporaryFile
from typing import Final

import msgspec

from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.domain.windows import local_day
from gateway.mapping.registry_rows import csv_rows, text_lines
from gateway.outbound import Target
from gateway.pipeline import feeding
from gateway.pipeline.feeding import Fed
from gateway.store import Connection, Store, aside, feed, people, syncs

log = logging.getLogger("metergate")

_MEMORY: Final = 4 * 1024 * 1024
"""A fetch larger than that waits in a temporary file: a slow billing holds nothing in the database."""
_NAMED, _EACH = 100, 3
"""So many agreements that were left are named in what is written down, with so many problems each."""
_NOW: Final = timedelta()
_json: Final = msgspec.json.Encoder(decimal_format="string")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A target that is asked for master data, by its names in the settings. `limit`: bytes of a fetch at most."""

    utility: str
    name: str
    target: Target
    limit: int


class Told(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a fetch came to. `gone`: of `hanging` meters so many are missing in it, of which `retired` were taken off their points.

    `changes`: how many of each kind. `left`: how many agreements were left as they were, the first of which `problems` names;
    `unplaced`: rows that name none. `why`: what stood in the way.
    """

    rows: int = 0
    registers: int = 0
    meters: int = 0
    agreements: int = 0
    changes: dict[str, int] = {}
    hanging: int = 0
    gone: int = 0
    retired: int = 0
    left: int = 0
    unplaced: int = 0
    problems: dict[str, list[Problem]] = {}
    why: str = ""


class Synced(msgspec.Struct, frozen=True):
    """How a fetch ended (contracts_schema/master_data.md), and what it came to."""

    outcome: str
    told: Told


class Staged(msgspec.Struct, frozen=True):
    """A fetch that is staged in a transaction, for a profile of its utility."""

    connection: Connection
    utility: int
    profile: str
    fed: Fed


def sync(
    store: Store,
    source: Source,
    *,
    every: timedelta | None = None,
    max_retired: float | None = None,
    skew: timedelta = _NOW,
    going: Callable[[], bool] = lambda: True,
) -> Synced | None:
    """Fetch and apply what a target knows; None when it is not due, another process is at it, or the utility is not known.

    `every`: how long after the last time it is due; always when left out. `max_retired`: percent, over the target's. `going`: whether
    to go on.
    """
    with store.transaction() as held:
        utility = syncs.lock(held, source.utility, source.name)
        if utility is None:
            return None
        with store.transaction(utility) as connection:
            run = syncs.begin(connection, utility, source.name, every, skew=skew)
        if run is None:
            return None
        told = Told()
        try:
            with staged(store, source, utility, going) as found:
                outcome = _apply(found, told, source.target.master_max_retired if max_retired is None else max_retired, skew)
                syncs.finish(found.connection, run, found.profile, outcome, _json.encode(told), skew=skew)
        except Exception as error:
            outcome, told = _failed(error), Told(why=_why(error))
            if outcome == "failed":
                log.exception("master.failed")
            with store.transaction(utility) as connection:
                syncs.finish(connection, run, "", outcome, _json.encode(told), skew=skew)
    _say(source, outcome, told)
    return Synced(outcome, told)


@contextmanager
def staged(store: Store, source: Source, utility: int, going: Callable[[], bool] = lambda: True) -> Iterator[Staged]:
    """Fetch all of it, then stage it in a transaction in which it may be applied. Raises as `Target.master` does."""
    with SpooledTemporaryFile(max_size=_MEMORY) as spool:
        with closing(source.target.master()) as pieces:
            for piece in pieces:
                if not going():
                    raise Unavailable("the worker is told to stop", sent=False)
                if spool.tell() + len(piece) > source.limit:
                    raise Rejected(Problem(code="body_too_large", values={"limit": str(source.limit)}))
                spool.write(piece)
        spool.seek(0)
        with store.transaction(utility) as connection:
            connection.exec_driver_sql("set local statement_timeout = '10min'")
            profile = _profile(connection, utility, source)
            yield Staged(connection, utility, profile, feeding.stage_agreements(connection, utility, csv_rows(text_lines(spool))))


def _profile(connection: Connection, utility: int, source: Source) -> str:
    """Whose agreements they are: as the target says, else of the only profile that names it. Raises Misconfigured."""
    known = people.profiles(connection, utility)
    named = [source.target.master_profile] if source.target.master_profile else [p.name for p in known.values() if p.target == source.name]
    if len(named) != 1 or named[0] not in known:
        wanted = f"master_profile: one of {', '.join(sorted(known))} is wanted"
        raise Misconfigured(f"[targets.{source.utility}.{source.name}] {wanted}, it says {', '.join(sorted(named)) or 'none'}")
    return named[0]


def _apply(found: Staged, told: Told, max_retired: float, skew: timedelta) -> str:
    """Bring the staged rows in, unless too much would be retired; tell of it and return the outcome."""
    connection, utility, profile, fed = found.connection, found.utility, found.profile, found.fed
    told.rows, told.unplaced, told.left = fed.rows, fed.unplaced, aside.count(connection)
    told.problems = {number: problems[:_EACH] for number, problems in [*fed.left.items()][:_NAMED]}
    told.registers, told.meters, _, told.agreements = feed.counts(connection)
    told.hanging, told.gone = feed.hanging(connection, utility, profile), aside.missing(connection, utility, profile)
    if not fed.rows:
        told.why = "there is no row below the header"
        return "stopped"
    if told.gone * 100 > max_retired * told.hanging:
        told.why = f"{told.gone} of {told.hanging} meters are not in it, more than {max_retired:g} %"
        return "stopped"
    told.changes = feed.changed(connection, utility, profile)
    if told.changes:
        feed.apply(connection, utility, profile)
    if told.gone and not told.unplaced:
        day = local_day(datetime.now(UTC) + skew, people.profiles(connection, utility)[profile].zone)
        told.retired = feed.retire(connection, utility, profile, day)
    if told.left or told.unplaced:
        return "partly"
    return "applied" if told.changes or told.retired else "unchanged"


def _failed(error: Exception) -> str:
    """The outcome that an exception is."""
    for kind, outcome in ((Rejected, "refused"), (Unavailable, "unavailable"), (Misconfigured, "misconfigured")):
        if isinstance(error, kind):
            return outcome
    return "failed"


def _why(error: Exception) -> str:
    """What an operator reads of an exception; the words of a fault of ours may hold rows, and stand in the log alone."""
    return str(error) if isinstance(error, Rejected | Unavailable | Misconfigured) else type(error).__name__


def _say(source: Source, outcome: str, told: Told) -> None:
    """Log how a fetch ended: numbers and no names."""
    facts: dict[str, object] = {"utility": source.utility, "target": source.name, "outcome": outcome, "rows": told.rows}
    facts |= {name: value for name in ("retired", "left", "unplaced", "why") if (value := getattr(told, name))}
    facts |= {f"{name}s": count for name, count in told.changes.items()}
    if outcome == "stopped":
        verb = f"metergate registry sync --utility {source.utility} --target {source.name}"
        facts["todo"] = f"nothing was changed: {verb} --dry-run shows it; if it is right, --max-retired allows it once"
    elif outcome == "partly":
        facts["todo"] = "metergate registry syncs names the agreements that were left as they were"
    log.log(logging.INFO if outcome in ("applied", "unchanged") else logging.WARNING, "master.synced", extra={"facts": facts})
