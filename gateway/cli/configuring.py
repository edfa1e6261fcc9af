"""`config export | apply | history | rollback`: the documents of a utility, out as files and in again with what they would change."""

import argparse
import getpass
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gateway.cli import OK, REFUSED
from gateway.cli.common import columns, settings_of
from gateway.cli.database import database_url
from gateway.cli.partners import CODE
from gateway.domain.documents import KINDS
from gateway.domain.problems import Misconfigured, Rejected
from gateway.domain.windows import Opening
from gateway.mapping import formats
from gateway.mapping.mapped.partner import crosswalk_text
from gateway.pipeline import configuring
from gateway.pipeline.configuring import Effect, Key, Plan, Planned, Shift
from gateway.settings import Limits
from gateway.store import Connection, Store, documents, migrate, people

_SHEETS = (".xlsx", ".xls", ".ods")
"""What a crosswalk may be beside a CSV."""
_TOLD = 20
"""So many groups of agreements are told of each profile."""


def export(args: argparse.Namespace) -> int:
    """Write the newest version of every document into a folder, byte for byte."""
    with _connection(args) as connection:
        found = documents.newest(connection, documents.utility(connection, args.utility))
    for one in found.values():
        path = args.folder / one.kind / f"{one.name}{KINDS[one.kind]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.body)
    print(f"Wrote {len(found)} documents of {args.utility} to {args.folder}.")
    return OK


def apply(args: argparse.Namespace) -> int:
    """Bring documents in, all of them or none; say key by key what changes, and with `--dry-run` for whom."""
    read = dict(_read(args.place))
    if not read:
        raise Misconfigured(f"{args.place}: there is no document in it, such as profile/NAME.toml")
    limits = settings_of(args).limits
    bodies = {key: _body(key[0], path, limits) for key, path in read.items()}
    return _bring(args, bodies, {key: str(path) for key, path in read.items()})


def history(args: argparse.Namespace) -> int:
    """List the versions of a document, newest first."""
    with _connection(args) as connection:
        found = documents.versions(connection, documents.utility(connection, args.utility), args.kind, args.name)
    first = {one.body: one.version for one in found}
    rows = [
        [
            str(one.version),
            f"{one.created_at.astimezone():%Y-%m-%d %H:%M:%S}",
            one.author,
            "" if first[one.body] == one.version else f"as {first[one.body]}",
        ]
        for one in found
    ]
    print("\n".join(columns([["version", "since", "author", ""], *rows])))
    return OK


def rollback(args: argparse.Namespace) -> int:
    """Make the body of an old version the newest one; said and checked as `apply` does."""
    with _connection(args) as connection:
        found = documents.versions(connection, documents.utility(connection, args.utility), args.kind, args.name)
    bodies = {one.version: one.body for one in found}
    if args.version not in bodies:
        raise Misconfigured(f"{args.kind} {args.name!r} has no version {args.version}; there are 1 to {found[0].version}")
    key = (args.kind, args.name)
    return _bring(args, {key: bodies[args.version]}, {key: f"{args.kind}/{args.name}{KINDS[args.kind]} version {args.version}"})


def _bring(args: argparse.Namespace, bodies: Mapping[Key, bytes], places: Mapping[Key, str]) -> int:
    if CODE.fullmatch(args.utility) is None:
        raise Misconfigured(f"utility {args.utility!r}: a lower-case name such as city_water is wanted")
    author = args.by or getpass.getuser()
    settings = settings_of(args)
    with _connection(args, only_look=args.dry_run) as connection:
        utility = _utility(connection, args)
        plan = configuring.plan(connection, utility, bodies, formats(settings.limits, settings.formats))
        if plan.faults:
            connection.rollback()
            for key, fault in plan.faults:
                print(f"{places[key]}: {fault}", file=sys.stderr)
            print(f"Nothing was changed: {len(plan.faults)} problems.", file=sys.stderr)
            return REFUSED
        for one in plan.planned:
            _tell(one, plan)
        if args.dry_run:
            for effect in configuring.effects(connection, utility, plan, datetime.now(UTC)):
                _mean(effect)
        else:
            configuring.write(connection, utility, plan, author)
    for kind, name in plan.left:
        judges = f", judges {_judges(plan, name)}" if kind == "profile" and name in plan.reach else ""
        print(f"{kind}/{name}: not told, stays as it is{judges}")
    done = "Would write" if args.dry_run else "Wrote"
    print(f"{done} {len(plan.planned)} new versions at {args.utility}; {plan.same} documents are as they were.")
    return OK


def _utility(connection: Connection, args: argparse.Namespace) -> int:
    """The utility, made when it is new and held; a dry run of a new one finds nothing under 0."""
    if args.dry_run:
        return documents.known(connection, args.utility) or 0
    utility = people.ensure_utility(connection, args.utility)
    documents.hold(connection, utility)
    return utility


def _tell(one: Planned, plan: Plan) -> None:
    """Print what changes in a document, key by key."""
    whom = f", judges {_judges(plan, one.name)}" if one.kind == "profile" else ""
    print(f"{one.kind}/{one.name}: {f'version {one.last} -> {one.last + 1}' if one.last else 'new'}{whom}")
    for changed in one.changes:
        print(
            f"  {changed.key}: {'nothing' if changed.was is None else changed.was} -> {'nothing' if changed.now is None else changed.now}"
        )
    if one.last and not one.changes:
        print("  only its comments or its looks")


def _judges(plan: Plan, name: str) -> str:
    reach = plan.reach.get(name)
    return f"{reach.agreements} agreements with {reach.meters} meters" if reach else "no agreement yet"


def _mean(effect: Effect) -> None:
    """Print what a changed rulebook means for those whom it judges."""
    print(f"profile {effect.profile}, today:")
    if not effect.shifts:
        print("  windows stay as they are")
    for shift in effect.shifts[:_TOLD]:
        print(f"  {_whose(shift)}: {_days(shift.was)} -> {_days(shift.now)}{_turn(shift)}")
    if len(effect.shifts) > _TOLD:
        print(f"  and {len(effect.shifts) - _TOLD} more groups of agreements")
    retrial = effect.retrial
    if not (effect.periods and retrial.same + retrial.untold + len(retrial.other)):
        return
    total = retrial.same + retrial.untold + sum(retrial.other.values())
    capped = f", the first {configuring.CAP} of them" if effect.capped else ""
    print(f"  judged again: {total} readings of {', '.join(effect.periods)}{capped}: {retrial.same} as before")
    for (was, now), count in sorted(retrial.other.items()):
        print(f"    {count} {was} -> {now}")
    if retrial.untold:
        print(f"    of {retrial.untold} nothing can be said: what decided about them then is not known any more")


def _whose(shift: Shift) -> str:
    group = shift.group
    told = [f"service {group.service}"] if group.service else []
    told += [] if group.day is None else [f"day {group.day}"]
    return f"{group.agreements} agreements" + (f" ({', '.join(told)})" if told else "")


def _days(openings: tuple[Opening, ...]) -> str:
    return " and ".join(f"{one.period} {one.first}..{one.last}" for one in openings)


def _turn(shift: Shift) -> str:
    return ", opened today" if shift.opened else ", closed today" if shift.closed else ""


def _read(place: Path) -> Iterator[tuple[Key, Path]]:
    """The documents in a folder, `KIND/NAME.toml`, or the one in a file. Raises Misconfigured for a kind that there is not."""
    if not place.is_dir():
        yield (place.parent.name if place.parent.name in KINDS else "profile", place.stem), place
        return
    told = [path for suffix in sorted({*KINDS.values(), *_SHEETS}) for path in sorted(place.rglob(f"*{suffix}"))]
    strange = [path for path in told if path.parent.parent != place or path.suffix not in _suffixes(path.parent.name)]
    if strange:
        raise Misconfigured(f"{', '.join(map(str, strange))}: documents lie in {', '.join(f'{kind}/' for kind in KINDS)} of the folder")
    found: dict[Key, Path] = {}
    for kind in KINDS:
        for path in sorted(path for path in told if path.parent.name == kind):
            if (other := found.setdefault((kind, path.stem), path)) is not path:
                raise Misconfigured(f"{other}, {path}: two documents of one name")
    yield from found.items()


def _suffixes(kind: str) -> tuple[str, ...]:
    return () if kind not in KINDS else (KINDS[kind], *_SHEETS) if kind == "crosswalk" else (KINDS[kind],)


def _body(kind: str, path: Path, limits: Limits) -> bytes:
    """A document as it is kept: a crosswalk is a CSV, whatever table it comes in. Raises Misconfigured."""
    if kind != "crosswalk":
        return path.read_bytes()
    try:
        return crosswalk_text(path.read_bytes(), limits)
    except Rejected as error:
        raise Misconfigured(f"{path}: {error}") from error


@contextmanager
def _connection(args: argparse.Namespace, *, only_look: bool = False) -> Iterator[Connection]:
    with database_url(settings_of(args)) as url:
        migrate(url)
        store = Store(url, role="owner", pool=1)
        try:
            with store.transaction(snapshot=only_look) as connection:
                yield connection
        finally:
            store.close()
