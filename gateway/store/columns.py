"""The columns that a submission is written to, table by table, with their types as `rows.put` wants them."""

from typing import Final

SUBMISSION: Final = {
    "id": "uuid",
    "utility_id": "int",
    "credential_id": "bigint",
    "sha256": "bytea",
    "fingerprint": "bytea",
    "channel": "text",
    "format": "text",
    "file_name": "text",
    "envelope": "jsonb",
    "status": "text",
    "total": "int",
    "accepted": "int",
    "in_review": "int",
    "rejected": "int",
    "received_at": "timestamptz",
}
METER_READING: Final = {
    "id": "uuid",
    "utility_id": "int",
    "submission_id": "uuid",
    "ordinal": "int",
    "meter_id": "bigint",
    "agreement": "text",
    "meter": "text",
    "period": "text",
    "at": "timestamptz",
    "revision": "smallint",
    "status": "text",
    "same_as": "uuid",
    "place": "text",
    "intervals": "boolean",
    "source": "text",
    "hold_until": "timestamptz",
}
READING: Final = {
    "utility_id": "int",
    "meter_reading_id": "uuid",
    "ordinal": "smallint",
    "register": "text",
    "value": "numeric",
    "previous": "numeric",
    "consumption": "numeric",
    "quality": "text",
    "ratio_applied": "boolean",
    "losses_applied": "boolean",
    "place": "text",
    "volume": "boolean",
}
PROBLEM: Final = {
    "utility_id": "int",
    "submission_id": "uuid",
    "meter_reading_id": "uuid",
    "code": "text",
    "severity": "text",
    "place": "text",
    "values": "jsonb",
}
EVENT: Final = {
    "utility_id": "int",
    "entity": "text",
    "entity_id": "uuid",
    "from_state": "text",
    "to_state": "text",
    "actor": "text",
    "reason": "text",
}
