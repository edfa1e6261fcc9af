"""The files of the SFTP drop: who has one, which submission owns which name, and where something happened since it was last told."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from gateway.store.people import Sender
from gateway.store.rows import array

KINDS: Final = ("sftp", "ssh_key")
_VALID: Final = "revoked_at is null and (expires_at is null or expires_at > clock_timestamp())"


class Login(msgspec.Struct, frozen=True):
    """What a login is, valid or not: its sender, whether it has a password (`sftp`) or a key (`ssh_key`), and the hash of either."""

    sender: Sender
    kind: str
    secret_hash: bytes


class Owner(msgspec.Struct, frozen=True):
    """A name in a drop and the submission that owns it. `told`: what was last written back, by its mark, None for nothing yet.

    `credential_id` is the drop's, `sender` whoever sent these bytes first: the same partner by another of its keys, perhaps.
    """

    utility_id: int
    credential_id: int
    name: str
    submission_id: UUID
    told: bytes | None
    sender: Sender


def login(connection: Connection, name: str) -> Login | None:
    """The credential of a login that is valid now. It may be any text: what PostgreSQL cannot hold is nobody's."""
    if "\0" in name or not name.isprintable():
        return None
    row = connection.exec_driver_sql(
        "select id, utility_id, principal, scopes, agreement_ids, kind, secret_hash from credentials_of_login(%(name)s) "
        f"where {_VALID} and kind = any(%(kinds)s)",
        {"name": name, "kinds": list(KINDS)},
    ).one_or_none()
    return None if row is None else Login(_sender(row), row.kind, bytes(row.secret_hash))


def partners(connection: Connection) -> dict[int, Sender]:
    """Everybody who has a drop and may use it now, by credential."""
    rows = connection.exec_driver_sql(
        f"select id, utility_id, principal, scopes, agreement_ids from credential where kind = any(%(kinds)s) and {_VALID} order by id",
        {"kinds": list(KINDS)},
    )
    return {row.id: _sender(row) for row in rows}


def _sender(row: Any) -> Sender:
    agreements = None if row.agreement_ids is None else tuple(row.agreement_ids)
    return Sender(
        credential_id=row.id, utility_id=row.utility_id, principal=row.principal, scopes=tuple(row.scopes), agreement_ids=agreements
    )


def keep(connection: Connection, utility: int, credential: int, files: Sequence[tuple[str, UUID, bytes | None]]) -> None:
    """Make these submissions the owners of their names (name, submission, mark of what is told); whoever owned them before does not."""
    names = [name for name, _, _ in files]
    disown(connection, credential, names)
    connection.exec_driver_sql(
        "insert into drop_file (utility_id, credential_id, name, submission_id, told) "
        "select %(u)s, %(c)s, n, s, t from unnest(%(n)s::text[], %(s)s::uuid[], %(t)s::bytea[]) as f(n, s, t) "
        "on conflict (credential_id, name, submission_id) "
        "do update set closed = false, told = excluded.told, taken_at = clock_timestamp()",
        {"u": utility, "c": credential, "n": names, "s": array((id_ for _, id_, _ in files), "uuid"), "t": [told for _, _, told in files]},
    )


def disown(connection: Connection, credential: int, names: Sequence[str]) -> None:
    """These names belong to no submission any more: something else is told under them now."""
    connection.exec_driver_sql(
        "update drop_file set closed = true, told = null "
        "where credential_id = %(c)s and name = any(%(n)s) and (not closed or told is not null)",
        {"c": credential, "n": names},
    )


_OWNERS: Final = """
select d.utility_id, d.credential_id as drop_id, d.name, d.submission_id, d.told,
  c.id, c.principal, c.scopes, c.agreement_ids
from drop_file d join submission s on s.id = d.submission_id join credential c on c.id = s.credential_id
where not d.closed and """


def open_of(connection: Connection, submissions: Iterable[UUID]) -> list[Owner]:
    """The names that these submissions own and that are still being told."""
    return _owners(connection.exec_driver_sql(f"{_OWNERS} d.submission_id = any(%(ids)s::uuid[])", {"ids": array(submissions, "uuid")}))


def open_after(connection: Connection, after: tuple[int, str], limit: int) -> list[Owner]:
    """The next open names after a credential and a name, in that order: how all of them are gone through."""
    rows = connection.exec_driver_sql(
        f"{_OWNERS} (d.credential_id, d.name) > (%(c)s, %(n)s) order by d.credential_id, d.name limit %(limit)s",
        {"c": after[0], "n": after[1], "limit": limit},
    )
    return _owners(rows)


def _owners(rows: Iterable[Any]) -> list[Owner]:
    return [Owner(row.utility_id, row.drop_id, row.name, row.submission_id, row.told, _sender(row)) for row in rows]


def owns(connection: Connection, owner: Owner) -> bool:
    """Whether the name still is this submission's."""
    found = connection.exec_driver_sql(
        "select 1 from drop_file where credential_id = %(c)s and name = %(n)s and submission_id = %(s)s and not closed",
        {"c": owner.credential_id, "n": owner.name, "s": owner.submission_id},
    )
    return found.one_or_none() is not None


def told(connection: Connection, owner: Owner, mark: bytes, *, final: bool) -> None:
    """Keep what has been told of a name; `final`: nothing more will be."""
    connection.exec_driver_sql(
        "update drop_file set told = %(t)s, closed = %(f)s where credential_id = %(c)s and name = %(n)s and submission_id = %(s)s "
        "and not closed",
        {"c": owner.credential_id, "n": owner.name, "s": owner.submission_id, "t": mark, "f": final},
    )


_MOVED: Final = """
with new as (select e.id, e.at, e.entity, e.entity_id, e.to_state from event e where e.id > %(after)s)
select (select coalesce(max(id) filter (where at < clock_timestamp() - interval '5 seconds'), %(after)s) from new) as cursor,
  array(select distinct d.submission_id || '/' || n.id from new n
    left join meter_reading m on n.entity = 'meter_reading' and m.id = n.entity_id
    join drop_file d on d.submission_id = coalesce(m.submission_id, n.entity_id) and not d.closed
    where not (n.entity = 'submission' and n.to_state = 'received')) as moved"""


def moved(connection: Connection, after: int) -> tuple[int, dict[UUID, set[int]]]:
    """The submissions that own an open name and in which something happened after the cursor, each with the ids of its events.

    That something was received is no news: whoever takes a file tells it. The next cursor stays five seconds behind, as in
    `events.changed`, because events commit out of order; the ids tell what is new.
    """
    row = connection.exec_driver_sql(_MOVED, {"after": after}).one()
    found: dict[UUID, set[int]] = {}
    for text in row.moved:
        submission, _, event = text.partition("/")
        found.setdefault(UUID(submission), set()).add(int(event))
    return int(row.cursor), found
