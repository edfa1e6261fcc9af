"""Billing periods of agreements: their days, and when billing closed them."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec
from sqlalchemy import Connection

from gateway.domain.supply import key
from gateway.store.rows import array


class Word(msgspec.Struct, frozen=True):
    """What billing says of a period (`YYYY-MM`) of an agreement; None: it is open."""

    agreement: str
    period: str
    starts: date
    ends: date
    closed_at: datetime | None


def apply(connection: Connection, utility_id: int, words: Sequence[Word], agreement_ids: Sequence[int] | None) -> list[bool | None]:
    """Keep each word; whether it changed anything, None when there is no such agreement within these ids. Of two words the last counts."""
    found = connection.exec_driver_sql(
        "select key, id from agreement where utility_id = %(u)s and key = any(%(keys)s::text[]) "
        "and (%(ids)s::bigint[] is null or id = any(%(ids)s::bigint[]))",
        {
            "u": utility_id,
            "keys": array(sorted({key(word.agreement) for word in words if word.agreement.strip()}), "text"),
            "ids": None if agreement_ids is None else list(agreement_ids),
        },
    )
    known = {row.key: row.id for row in found}
    told: list[bool | None] = []
    for word in words:
        agreement = known.get(key(word.agreement)) if word.agreement.strip() else None
        told.append(None if agreement is None else _keep(connection, utility_id, agreement, word))
    return told


def _keep(connection: Connection, utility_id: int, agreement: int, word: Word) -> bool:
    kept = connection.exec_driver_sql(
        "insert into billing_period as b (utility_id, agreement_id, code, starts, ends, closed_at) "
        "values (%(u)s, %(a)s, %(code)s, %(starts)s, %(ends)s, %(closed)s) on conflict (agreement_id, code) do update "
        "set starts = excluded.starts, ends = excluded.ends, closed_at = excluded.closed_at "
        "where (b.starts, b.ends, b.closed_at) is distinct from (excluded.starts, excluded.ends, excluded.closed_at)",
        {"u": utility_id, "a": agreement, "code": word.period, "starts": word.starts, "ends": word.ends, "closed": word.closed_at},
    )
    return kept.rowcount == 1
