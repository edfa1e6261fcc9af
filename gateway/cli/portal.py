"""`send`, `status` and `template`: what a sender does against a running gateway."""

import argparse
import sys

from gateway.cli import OK, REFUSED, SOME
from gateway.cli.client import Gateway, Json, Refused, gateway_of, say_refusal
from gateway.cli.receipts import brief_lines, receipt_lines, write_json
from gateway.domain.problems import Unavailable


def send(args: argparse.Namespace) -> int:
    """Hand a file in, print the receipt, and wait for billing where asked to."""
    envelope = {name: getattr(args, name) for name in ("agreement", "meter", "period", "kind")}
    try:
        with gateway_of(args) as gateway:
            receipt = gateway.send(args.file, envelope)
            settled = True
            if args.wait is not None:
                try:
                    receipt, settled = gateway.settled(receipt["submission"], args.wait)
                except (Refused, Unavailable) as error:
                    return _unread(receipt, error, gateway, raw=args.json)
            _print(receipt, gateway, raw=args.json)
    except Refused as refusal:
        return _refused(refusal, raw=args.json)
    if not settled:
        print(f"metergate: billing had not answered for every row within {args.wait:g} s; the rest goes on by itself", file=sys.stderr)
        return SOME
    return _outcome(receipt)


def status(args: argparse.Namespace) -> int:
    """Print one submission with rows, problems and timeline, or the newest ones in a list."""
    try:
        with gateway_of(args) as gateway:
            if args.submission:
                found = gateway.submission(args.submission)
                _print(found, gateway, raw=args.json)
                return _outcome(found)
            page = gateway.get("/v1/submissions", status=args.status, limit=args.limit)
    except Refused as refusal:
        return _refused(refusal, raw=args.json)
    if args.json:
        write_json(page)
    else:
        print("\n".join(brief_lines(page["submissions"], gateway.language)))
    return OK


def template(args: argparse.Namespace) -> int:
    """Download a workbook with the meters of an agreement, or with the hours of one, and put it where told, as a whole."""
    asked = {"agreement": args.agreement, "period": args.period} | ({"meter": args.meter} if args.meter else {})
    try:
        with gateway_of(args) as gateway:
            body = gateway.download(f"/v1/templates/{args.kind}", **asked)
    except Refused as refusal:
        return _refused(refusal, raw=False)
    fresh = args.output.with_name(f".{args.output.name}.part")
    fresh.write_bytes(body)
    fresh.replace(args.output)
    print(args.output)
    return OK


def _print(found: Json, gateway: Gateway, *, raw: bool) -> None:
    if raw:
        write_json(found)
    else:
        print("\n".join(receipt_lines(found, gateway.language)))


def _refused(refusal: Refused, *, raw: bool) -> int:
    if raw:
        write_json(refusal.document)
    else:
        say_refusal(refusal)
    return REFUSED


def _unread(receipt: Json, error: Exception, gateway: Gateway, *, raw: bool) -> int:
    """What was handed in is stored, and only its later state is not known."""
    _print(receipt, gateway, raw=raw)
    print(f"metergate: submission {receipt['submission']} is stored; its status could not be read: {error}", file=sys.stderr)
    return SOME


def _outcome(found: Json) -> int:
    """SOME when anything in it was refused, by us or by billing, is dead, or waits for a person."""
    bad = {"rejected", "dead", "needs_review", "in_doubt"}
    return SOME if found["status"] in bad | {"in_review"} or any(row["status"] in bad for row in found.get("readings", ())) else OK
