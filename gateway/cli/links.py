"""`links list | bind | end`: an operator looks at who is linked to which agreement, links and unlinks (F-005, F-009, F-027)."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from gateway.cli import OK
from gateway.cli.common import columns, one_line, operator
from gateway.cli.opened import store_of
from gateway.domain.problems import Misconfigured
from gateway.pipeline import linking
from gateway.store import Connection, documents, links
from gateway.store.links import Link
from gateway.store.people import Sender

_LONGEST = 200
_HEAD = ["link", "login", "agreement", "state", "method", "e-mail", "since", "until", "by"]


def listed(args: argparse.Namespace) -> int:
    """Print the links that wait or are linked, by login and agreement."""
    with _operator(args) as (connection, sender):
        found = links.found(connection, sender.utility_id, datetime.now(UTC), login=args.login, agreement=args.agreement)
    if not found:
        print("nobody is linked", file=sys.stderr)
        return OK
    print("\n".join(columns([_HEAD, *map(_row, found)])))
    return OK


def bind(args: argparse.Namespace) -> int:
    """Link a login to an agreement or to all open ones of a consumer."""
    login = one_line(args.login, "LOGIN", _LONGEST)
    if not login:
        raise Misconfigured("LOGIN: the portal's name of its user cannot be empty")
    with _operator(args) as (connection, sender):
        told = {"login": login, "email": one_line(args.email, "--email", _LONGEST), "agreement": args.agreement, "party": args.party}
        bound = linking.bind(connection, sender, **told, now=datetime.now(UTC))
    print("\n".join(columns([_HEAD, *map(_row, bound)])))
    return OK


def end(args: argparse.Namespace) -> int:
    """End a link, whoever made it."""
    digits = args.link.removeprefix("lnk_")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise Misconfigured(f"{args.link!r} is no link: metergate links list shows them, such as lnk_17")
    with _operator(args) as (connection, sender):
        ended = links.end(connection, sender, int(digits), datetime.now(UTC))
    if ended is None:
        raise Misconfigured(f"{args.link}: {args.utility} has no such link, or it has ended already")
    print(f"{args.link}: ended; {ended.login}, agreement {ended.agreement}")
    return OK


@contextmanager
def _operator(args: argparse.Namespace) -> Iterator[tuple[Connection, Sender]]:
    """A transaction, and the operator as one who acts for the whole utility. Raises Misconfigured when there is no such utility."""
    principal = operator(args)
    with store_of(args) as store, store.transaction() as connection:
        utility = documents.utility(connection, args.utility)
        yield connection, Sender(credential_id=0, utility_id=utility, principal=principal, scopes=("manage",))


def _row(link: Link) -> list[str]:
    return [
        f"lnk_{link.id}",
        link.login,
        link.agreement,
        link.state,
        link.method,
        link.email,
        _moment(link.linked_at or link.asked_at),
        "" if link.expires_at is None or link.state != "waiting" else _moment(link.expires_at),
        link.actor,
    ]


def _moment(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"
