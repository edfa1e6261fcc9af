"""How a file comes in, whatever its channel: what is refused at the door, and what the channel knows of it beside its bytes."""

from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Final, cast

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.domain.profile import Profile
from gateway.domain.sources import SOURCES, Source
from gateway.domain.windows import month
from gateway.inbound.auth import may
from gateway.mapping import Envelope
from gateway.mapping.any_table import is_page
from gateway.mapping.cells import CellError, text_code
from gateway.mapping.zip_gate import entries, kind_of
from gateway.settings import Limits
from gateway.store.people import Sender

_SHOWN: Final = 100


def look(body: bytes, limits: Limits) -> None:
    """Refuse a file at once for its size, wrong magic, a broken or hostile container; the rest is its verdict later. Raises Rejected."""
    if len(body) > limits.file_bytes:
        raise Rejected(Problem(code="file_too_large", values={"limit": str(limits.file_bytes)}))
    kind = kind_of(body)
    if kind in ("xlsx", "ods", "zip"):
        if not entries(body, limits):
            raise Rejected(Problem(code="file_empty"))
    elif kind not in ("xls", "dbf", "json", "xml", "text") and not (kind == "html" and is_page(body)):
        raise Rejected(Problem(code="file_type_mismatch", values={"kind": kind}))


def label(name: str) -> str:
    """A file's name is a label: the last part of whatever path came, without control characters; nothing is ever stored under it."""
    return "".join(char for char in PurePath(name.replace("\\", "/")).name if char.isprintable())[:200]


def zone_of(profiles: Mapping[str, Profile], default: str) -> str:
    """The zone in which a utility's files tell the time: that of its profiles when they agree, else the installation's."""
    zones = {profile.zone for profile in profiles.values()}
    return zones.pop() if len(zones) == 1 else default


def kinds(formats: Collection[str], profiles: Mapping[str, Profile]) -> frozenset[str]:
    """The kinds of file that a sender of this utility may name: those of all utilities, and the mappings that its profiles let in."""
    return frozenset(formats).union(*(profile.formats for profile in profiles.values()))


def envelope(told: Mapping[str, str], kinds: Collection[str], sender: Sender, *, zone: str, file_name: str = "") -> Envelope:
    """What a sender says beside a file: `agreement`, `meter`, `period`, `kind`, the two flags of «Вид показаний», and what `life` reads.

    `kinds`: what it may name. Raises Rejected with every problem, each at the name of its field.
    """
    problems = []
    for name in ("agreement", "meter", "period", "kind"):
        try:
            text_code(told.get(name, ""))
        except CellError as error:
            problems.append(error.at(name))
    unreadable = {problem.where for problem in problems}
    period, kind = told.get("period", ""), told.get("kind", "")
    if period and "period" not in unreadable:
        try:
            month(period)
        except ValueError:
            problems.append(Problem(code="period_invalid", where="period", values={"period": period[:_SHOWN]}))
    if kind and "kind" not in unreadable and kind not in kinds:
        problems.append(Problem(code="format_unknown", where="kind", values={"format": kind[:_SHOWN]}))
    ratio, losses = (_flag(told.get(name, ""), name, problems) for name in ("ratio_applied", "losses_applied"))
    came = _life(told, problems)
    if problems:
        raise Rejected(*problems)
    return msgspec.structs.replace(
        _rightful(came, sender),
        zone=zone,
        agreement=told.get("agreement", ""),
        meter=told.get("meter", ""),
        period=period,
        kind=kind,
        file_name=file_name,
        ratio_applied=ratio,
        losses_applied=losses,
    )


def life(told: Mapping[str, str], sender: Sender) -> Envelope:
    """What a sender says of how readings came to be: `source`, `draft`, `known_to_billing`, and nothing else yet.

    A source other than the sender itself is a right of its own (scope `phone`, `control`, `automatic`); `known_to_billing` is billing's
    (scope `settle`). Raises Rejected.
    """
    problems: list[Problem] = []
    came = _life(told, problems)
    if problems:
        raise Rejected(*problems)
    return _rightful(came, sender)


def _rightful(came: Envelope, sender: Sender) -> Envelope:
    if came.source:
        may(sender, came.source)
    if came.known_to_billing:
        may(sender, "settle")
    return came


def _life(told: Mapping[str, str], problems: list[Problem]) -> Envelope:
    source = told.get("source", "")
    if source not in SOURCES:
        problems.append(Problem(code="source_unknown", where="source", values={"source": source[:_SHOWN], "known": ", ".join(SOURCES[1:])}))
        source = ""
    draft, known = (_flag(told.get(name, ""), name, problems) for name in ("draft", "known_to_billing"))
    return Envelope(source=cast("Source", source), draft=draft, known_to_billing=known)


def _flag(text: str, name: str, problems: list[Problem]) -> bool:
    if text.lower() not in ("", "true", "false", "1", "0"):
        problems.append(Problem(code="flag_invalid", where=name, values={"value": text[:_SHOWN]}))
    return text.lower() in ("true", "1")
