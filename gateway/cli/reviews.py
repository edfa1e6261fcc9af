"""`review list | accept | refuse`: a person decides about readings that need review, without a browser."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from gateway import texts
from gateway.cli import OK
from gateway.cli.common import columns, language_of, one_line, operator, settings_of
from gateway.cli.opened import store_of
from gateway.cli.receipts import write_json
from gateway.domain.problems import Misconfigured, Problem
from gateway.mapping import formats
from gateway.pipeline import decide
from gateway.store import documents, life
from gateway.store.life import Waiting
from gateway.store.people import Sender
from gateway.texts import Language

_HEAD = ["reading", "received", "utility", "agreement", "meter", "period", "why"]


def waiting(args: argparse.Namespace) -> int:
    """Print the readings that wait for a person, the oldest first, with what is wrong with each."""
    language = language_of(args)
    with store_of(args) as store, store.transaction(snapshot=True) as connection:
        utility = documents.utility(connection, args.utility) if args.utility else None
        found = life.in_review(connection, utility, None, after=None, limit=args.limit)
        why = life.doubts(connection, found)
    if args.json:
        write_json({"readings": [_told(one, why[one.id], language) for one in found]})
    elif found:
        print("\n".join(columns([_HEAD, *(row for one in found for row in _rows(one, why[one.id], language))])))
    else:
        print("nothing waits for a person", file=sys.stderr)
    return OK


def accept(args: argparse.Namespace) -> int:
    """Let a reading pass; it is judged once more, as its registers stand now."""
    return _decide(args, accept=True)


def refuse(args: argparse.Namespace) -> int:
    """Refuse a reading with a reason that its sender is told."""
    return _decide(args, accept=False)


def _decide(args: argparse.Namespace, *, accept: bool) -> int:
    reading, reason, actor = _id(args.reading), one_line(args.reason, "--reason"), operator(args)
    if not reason:
        raise Misconfigured("--reason: it is kept with the reading and cannot be empty")
    settings = settings_of(args)
    with store_of(args) as store:
        with store.transaction(snapshot=True) as connection:
            utility = life.utility_of(connection, reading)
        if utility is None:
            raise Misconfigured(f"{args.reading}: there is no such reading; metergate review list shows those that wait")
        sender = Sender(credential_id=0, utility_id=utility, principal=actor, scopes=("review",))
        submission = decide(
            store, formats(settings.limits, settings.formats), settings.limits, sender, reading, accept=accept, reason=reason
        )
    print(f"rdg_{reading.hex}: {'accepted' if accept else 'refused'}; of sub_{submission.hex}")
    return OK


def _rows(one: Waiting, why: Sequence[Problem], language: Language) -> Iterator[list[str]]:
    """A line for a reading, and one more for each reason beyond the first."""
    told = [f"{problem.where}: {text}".removeprefix(": ") for problem, text in _texts(why, language)] or [""]
    received = f"{one.received_at.astimezone():%Y-%m-%d %H:%M}"
    yield [f"rdg_{one.id.hex}", received, one.utility, one.agreement, one.meter, one.period, told[0]]
    for text in told[1:]:
        yield [""] * 6 + [text]


def _told(one: Waiting, why: Sequence[Problem], language: Language) -> Mapping[str, object]:
    return {
        "reading": f"rdg_{one.id.hex}",
        "submission": f"sub_{one.submission.hex}",
        "utility": one.utility,
        "agreement": one.agreement,
        "meter": one.meter,
        "period": one.period,
        "received_at": one.received_at,
        "problems": [{"code": problem.code, "where": problem.where, "text": text} for problem, text in _texts(why, language)],
    }


def _texts(why: Sequence[Problem], language: Language) -> Iterator[tuple[Problem, str]]:
    return ((problem, texts.problem(problem.code, language, problem.values)[0]) for problem in why)


def _id(text: str) -> UUID:
    try:
        return UUID(hex=text.removeprefix("rdg_"))
    except ValueError:
        raise Misconfigured(f"{text!r} is no reading: metergate review list shows them, such as rdg_0199…") from None
