"""Who sends and for which utility: utilities, credentials and documents."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection

from gateway.domain.calendars import WEEKDAYS, Calendar, read_calendar
from gateway.domain.problems import Misconfigured
from gateway.domain.profile import Profile, read_profile
from gateway.profiles import calendars as shipped_calendars
from gateway.profiles import shipped


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """A principal behind a key: its utility, what it may do (`scopes`) and for which agreements (None: all of the utility).

    `login`: the portal's user for whom it acts now, empty when it acts for itself.
    """

    credential_id: int
    utility_id: int
    principal: str
    scopes: tuple[str, ...]
    agreement_ids: tuple[int, ...] | None = None
    login: str = ""


def digest(key: str) -> bytes:
    """What is kept of a key: a key is random and long, so one SHA-256 is enough."""
    return hashlib.sha256(key.encode()).digest()


def sender_of(connection: Connection, key: str) -> Sender | None:
    """The sender whose key this is, None when there is none, or it is revoked or expired. A password or key of SFTP opens nothing here."""
    row = connection.exec_driver_sql(
        "select id, utility_id, principal, scopes, agreement_ids from credential_of(%(hash)s) "
        "where kind = 'key' and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())",
        {"hash": digest(key)},
    ).one_or_none()
    return None if row is None else _sender(row)


def _sender(row: Any) -> Sender:
    agreements = None if row.agreement_ids is None else tuple(row.agreement_ids)
    return Sender(
        credential_id=row.id, utility_id=row.utility_id, principal=row.principal, scopes=tuple(row.scopes), agreement_ids=agreements
    )


def sender_by_id(connection: Connection, credential_id: int) -> Sender:
    """The sender behind a credential, whatever became of it since: what it sent while it was valid stays sent."""
    row = connection.exec_driver_sql(
        "select id, utility_id, principal, scopes, agreement_ids from credential where id = %(id)s", {"id": credential_id}
    ).one()
    return _sender(row)


def add_credential(
    connection: Connection, utility_id: int, principal: str, scopes: list[str], *, expires_at: datetime | None = None, key: str = ""
) -> str:
    """Give a principal a new key and return it; only its hash is kept, so it is shown this once."""
    key = key or f"mg_{secrets.token_urlsafe(32)}"
    connection.exec_driver_sql(
        "insert into credential (utility_id, kind, principal, secret_hash, scopes, expires_at) "
        "values (%(utility)s, 'key', %(principal)s, %(hash)s, %(scopes)s, %(expires)s)",
        {"utility": utility_id, "principal": principal, "hash": digest(key), "scopes": scopes, "expires": expires_at},
    )
    return key


def key_digest(login: str, public_key: bytes) -> bytes:
    """What is kept of a public key: its hash together with its login, so that two logins may have the same key."""
    return hashlib.sha256(login.encode() + b"\n" + public_key).digest()


def add_login(
    connection: Connection,
    utility_id: int,
    principal: str,
    scopes: list[str],
    login: str,
    *,
    public_key: bytes = b"",
    expires_at: datetime | None = None,
    password: str = "",
) -> str:
    """Give a principal a login of the SFTP drop: with a public key (its bytes), else with a new password, which is returned this once.

    Raises Misconfigured when somebody has that login.
    """
    password = "" if public_key else password or secrets.token_urlsafe(24)
    added = connection.exec_driver_sql(
        "insert into credential (utility_id, kind, principal, login, secret_hash, scopes, expires_at) "
        "values (%(utility)s, %(kind)s, %(principal)s, %(login)s, %(hash)s, %(scopes)s, %(expires)s) on conflict (login) do nothing",
        {
            "utility": utility_id,
            "kind": "ssh_key" if public_key else "sftp",
            "principal": principal,
            "login": login,
            "hash": key_digest(login, public_key) if public_key else digest(password),
            "scopes": scopes,
            "expires": expires_at,
        },
    )
    if added.rowcount != 1:
        raise Misconfigured(f"somebody has the login {login!r} already: choose another one")
    return password


def ensure_utility(connection: Connection, code: str, title: str = "") -> int:
    """The id of the utility of that code, made when it is new."""
    found = connection.exec_driver_sql(
        "insert into utility (code, title) values (%(code)s, %(title)s) on conflict (code) do update set code = excluded.code returning id",
        {"code": code, "title": title},
    )
    return int(found.scalar_one())


def code_of(connection: Connection, utility_id: int) -> str:
    """The code of a utility, as the settings name it."""
    return str(connection.exec_driver_sql("select code from utility where id = %(u)s", {"u": utility_id}).scalar_one())


def save_document(connection: Connection, utility_id: int, kind: str, name: str, body: bytes, author: str) -> int:
    """Keep a document as its next version, or leave it when the last version is the same; return the version."""
    last = connection.exec_driver_sql(
        "select version, body from document where utility_id = %(u)s and kind = %(k)s and name = %(n)s order by version desc limit 1",
        {"u": utility_id, "k": kind, "n": name},
    ).one_or_none()
    if last is not None and bytes(last.body) == body:
        return int(last.version)
    version = 1 if last is None else last.version + 1
    connection.exec_driver_sql(
        "insert into document (utility_id, kind, name, version, body, author) values (%(u)s, %(k)s, %(n)s, %(v)s, %(b)s, %(a)s)",
        {"u": utility_id, "k": kind, "n": name, "v": version, "b": body, "a": author},
    )
    return int(version)


def ship(connection: Connection, utility_id: int, name: str, author: str) -> None:
    """Give a utility a shipped profile, and the shipped calendar that it names unless the utility has one of that name.

    Raises Misconfigured when no such profile is shipped.
    """
    if name not in (documents := shipped()):
        raise Misconfigured(f"there is no profile {name!r}; shipped: {', '.join(sorted(documents))}")
    save_document(connection, utility_id, "profile", name, documents[name], author)
    calendar = _profile(documents[name]).calendar
    if calendar and calendar not in calendars(connection, utility_id):
        save_document(connection, utility_id, "calendar", calendar, shipped_calendars()[calendar], author)


def profiles(connection: Connection, utility_id: int) -> dict[str, Profile]:
    """Every profile of the utility in its newest version, by name. Raises Misconfigured when it has none."""
    rows = connection.exec_driver_sql(
        "select distinct on (name) name, version, body from document "
        "where utility_id = %(u)s and kind = 'profile' order by name, version desc",
        {"u": utility_id},
    )
    found = {row.name: _profile(bytes(row.body)) for row in rows}
    if not found:
        raise Misconfigured(f"utility {utility_id} has no profile: metergate partner add ... --profile NAME gives it one")
    return found


def calendars(connection: Connection, utility_id: int) -> dict[str, Calendar]:
    """Every calendar of the utility in its newest version, by name."""
    rows = connection.exec_driver_sql(
        "select distinct on (name) name, version, body from document "
        "where utility_id = %(u)s and kind = 'calendar' order by name, version desc",
        {"u": utility_id},
    )
    return {row.name: _calendar(bytes(row.body)) for row in rows}


def calendar_of(known: Mapping[str, Calendar], profile: Profile) -> Calendar:
    """The calendar that a profile names. Raises Misconfigured when the utility has none of that name."""
    if profile.calendar and profile.calendar not in known:
        raise Misconfigured(f"profile {profile.name}: the utility has no calendar {profile.calendar!r}")
    return known[profile.calendar] if profile.calendar else WEEKDAYS


_calendar = cache(read_calendar)
_read: dict[bytes, Profile] = {}


def _profile(body: bytes) -> Profile:
    """Documents are immutable versions, so each is parsed once a process."""
    if body not in _read:
        _read[body] = read_profile(body)
    return _read[body]
