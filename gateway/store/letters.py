"""Letters to people: each about one occasion, written once."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection

from gateway.store.intake import new_id


def write(
    connection: Connection,
    utility_id: int,
    kind: str,
    recipient: str,
    occasion: str,
    language: str,
    values: Mapping[str, str],
    agreement_id: int | None = None,
) -> bool:
    """Write a letter that is to be sent. False: one of this kind was written to this recipient about this occasion before."""
    written = connection.exec_driver_sql(
        'insert into letter (id, utility_id, agreement_id, recipient, kind, occasion, language, "values", status) '
        "values (%(id)s, %(u)s, %(agreement)s, %(recipient)s, %(kind)s, %(occasion)s, %(language)s, %(values)s, 'queued') "
        "on conflict do nothing",
        {
            "id": new_id(),
            "u": utility_id,
            "agreement": agreement_id,
            "recipient": recipient,
            "kind": kind,
            "occasion": occasion,
            "language": language,
            "values": msgspec.json.encode(values).decode(),
        },
    )
    return written.rowcount == 1
