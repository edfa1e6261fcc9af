"""Letters to people: each is written once with its delivery, and says no more once it is out of date or its reader's link has ended."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection
from uuid_utils.compat import uuid7

from gateway import texts
from gateway.domain.problems import Problem
from gateway.domain.profile import MAIL
from gateway.domain.status import ReadingStatus
from gateway.store import ledger
from gateway.store.ledger import BULK, INTERACTIVE, LETTER, Due
from gateway.store.rows import array, put

REMINDERS: Final = ("remind_start", "remind_end")
"""Kinds that nobody waits for at a screen, and that are for those alone to whom the agreement is linked."""

_COLUMNS: Final = {
    "id": "uuid",
    "utility_id": "int",
    "agreement_id": "bigint",
    "recipient": "text",
    "kind": "text",
    "occasion": "text",
    "language": "text",
    "values": "jsonb",
    "status": "text",
    "expires_at": "timestamptz",
}
_OURS: Final = 0
"""The sender of what Metergate itself writes; credentials are counted from 1."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A letter before it is written. `occasion`: what it is about; a kind, a recipient and an occasion make one letter and no second.

    `values`: facts for its text in `gateway.texts` (`letter.KIND_text`). `expires_at`: from when on it is not worth sending.
    """

    kind: str
    recipient: str
    occasion: str
    language: texts.Language
    values: Mapping[str, str]
    agreement_id: int | None = None
    expires_at: datetime | None = None


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One letter as it goes out."""

    id: UUID
    status: ReadingStatus
    kind: str
    recipient: str
    language: texts.Language
    values: dict[str, str]
    written_at: datetime


def write(
    connection: Connection,
    utility_id: int,
    kind: str,
    recipient: str,
    occasion: str,
    language: texts.Language,
    values: Mapping[str, str],
    agreement_id: int | None = None,
    *,
    expires_at: datetime | None = None,
) -> bool:
    """Write a letter and its delivery, last in a transaction (its lane is held to the commit). False: such a letter was written before."""
    draft = Draft(
        kind=kind,
        recipient=recipient,
        occasion=occasion,
        language=language,
        values=values,
        agreement_id=agreement_id,
        expires_at=expires_at,
    )
    return write_all(connection, utility_id, [draft]) == 1


def write_all(connection: Connection, utility_id: int, drafts: Iterable[Draft]) -> int:
    """Write letters, each with its delivery in the lane of its recipient, last in a transaction; return how many were not there before.

    Two who write the same ones write them in the same order, so that the second waits for the first and finds them written.
    Raises ValueError for a kind that has no words.
    """
    ordered = {uuid7(): draft for draft in sorted(drafts, key=lambda draft: (draft.recipient, draft.kind, draft.occasion))}
    if strange := sorted({draft.kind for draft in ordered.values() if not texts.known(f"letter.{draft.kind}_text")}):
        raise ValueError(f"letters of kind {strange[0]!r} have no words")
    if not ordered:
        return 0
    rows = [_row(id_, utility_id, draft) for id_, draft in ordered.items()]
    written = put(connection, "letter", _COLUMNS, rows, "on conflict do nothing returning id, created_at").all()
    dues = [
        Due(
            target=MAIL,
            sender=_OURS,
            priority=BULK if ordered[row.id].kind in REMINDERS else INTERACTIVE,
            subject=row.id,
            lane=_lane(ordered[row.id].recipient),
            read_at=row.created_at,
            revision=0,
        )
        for row in written
    ]
    if dues:
        ledger.enqueue(connection, utility_id, dues, kind=LETTER)
    return len(dues)


def _row(id_: UUID, utility_id: int, draft: Draft) -> tuple[object, ...]:
    values = msgspec.json.encode(draft.values).decode()
    told = (draft.recipient, draft.kind, draft.occasion, draft.language, values, ReadingStatus.QUEUED, draft.expires_at)
    return (id_, utility_id, draft.agreement_id, *told)


def _lane(recipient: str) -> int:
    """The lane of a recipient: letters to one go one behind the other."""
    return int.from_bytes(blake2b(recipient.casefold().encode(), digest_size=8).digest(), signed=True)


_OUTGOING: Final = """
select l.id, l.status, l.kind, l.recipient, l.language, l."values", l.created_at from letter l
where l.id = any(%(ids)s::uuid[]) and coalesce(l.expires_at, 'infinity') > clock_timestamp() + %(skew)s
  and (l.kind <> all(%(reminders)s::text[]) or exists
    (select from link k where k.agreement_id = l.agreement_id and k.email = l.recipient and k.state = 'linked'))"""


def outgoing(connection: Connection, ids: Sequence[UUID], *, skew: timedelta) -> dict[UUID, Outgoing]:
    """What goes out of these letters, by id, but for those that are out of date and reminders whose reader is no longer linked."""
    told = {"ids": array(ids, "uuid"), "skew": skew, "reminders": array(REMINDERS, "text")}
    rows = connection.exec_driver_sql(_OUTGOING, told)
    return {row[0]: Outgoing(row[0], ReadingStatus(row[1]), *row[2:]) for row in rows}


def object_to(connection: Connection, problems: Mapping[UUID, Problem]) -> None:
    """Write beside each letter why it was refused."""
    if problems:
        connection.exec_driver_sql(
            "update letter l set reason = n.reason from unnest(%(ids)s::uuid[], %(reasons)s::text[]) n(id, reason) where l.id = n.id",
            {
                "ids": array(problems, "uuid"),
                "reasons": array((problem.values.get("reason", "") for problem in problems.values()), "text"),
            },
        )
