"""`doubt list | taken | again | refused`: a person decides about deliveries that nobody knows the end of, and about dead ones."""

import argparse
import sys
from collections.abc import Callable
from uuid import UUID

from gateway import texts
from gateway.cli import OK
from gateway.cli.common import columns, language_of, one_line, operator
from gateway.cli.opened import store_of
from gateway.domain.problems import Misconfigured
from gateway.store import Connection, doubts
from gateway.store.doubts import Doubt
from gateway.store.ledger import LETTER

_SHOWN = 60


def waiting(args: argparse.Namespace) -> int:
    """Print what waits for a person, the oldest first."""
    language = language_of(args)
    with store_of(args) as store, store.transaction(snapshot=True) as connection:
        found = doubts.waiting(connection, args.utility)
    if not found:
        print("nothing waits for a person", file=sys.stderr)
        return OK
    head = ["state", "since", "utility", "target", "meter", "period", "reading is", "key", "batch", "billing's last answer"]
    print("\n".join(columns([head, *(_row(one, language) for one in found)])))
    return OK


def taken(args: argparse.Namespace) -> int:
    """Billing has it."""
    reference = one_line(args.reference, "--reference")
    return _decide(args, lambda connection, key, actor: doubts.taken(connection, key, actor=actor, reference=reference))


def again(args: argparse.Namespace) -> int:
    """Billing does not have it: send it once more."""
    reason = one_line(args.reason, "--reason")
    return _decide(args, lambda connection, key, actor: doubts.again(connection, key, actor=actor, reason=reason))


def refused(args: argparse.Namespace) -> int:
    """Billing does not want it."""
    reason = one_line(args.reason, "--reason")
    if not reason:
        raise Misconfigured("--reason: the sender is told this text, it cannot be empty")
    return _decide(args, lambda connection, key, actor: doubts.refused(connection, key, actor=actor, reason=reason))


def _decide(args: argparse.Namespace, decide: Callable[[Connection, UUID, str], Doubt]) -> int:
    key, actor = _key(args.key), operator(args)
    with store_of(args) as store, store.transaction() as connection:
        doubt = decide(connection, key, actor)
    about = f"{doubt.period} to {doubt.meter}" if doubt.kind == LETTER else f"meter {doubt.meter}, {doubt.period}"
    print(f"{doubt.key}: {args.decision}; {about}, {doubt.utility}.{doubt.target}")
    return OK


def _row(doubt: Doubt, language: texts.Language) -> list[str]:
    told = "".join(char if char.isprintable() else " " for char in doubt.answer.decode("utf-8", "replace"))
    return [
        texts.word(f"status.{doubt.state}", language),
        f"{doubt.since.astimezone():%Y-%m-%d %H:%M:%S}",
        doubt.utility,
        doubt.target,
        doubt.meter,
        doubt.period,
        texts.word(f"status.{doubt.status}", language),
        doubt.key,
        str(doubt.batch or ""),
        told if len(told) <= _SHOWN else told[: _SHOWN - 1] + "…",
    ]


def _key(text: str) -> UUID:
    try:
        return UUID(hex=text.removeprefix("rdg_").removeprefix("let_"))
    except ValueError:
        raise Misconfigured(f"{text!r} is no key: metergate doubt list shows them, such as rdg_0199…") from None
