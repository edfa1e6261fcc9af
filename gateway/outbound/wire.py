"""A batch as JSON, the same for every target that speaks or writes JSON (contracts_schema/http_json.md)."""

from decimal import Decimal
from typing import Any

import msgspec

from gateway.outbound import Item


def body(batch: str, items: tuple[Item, ...]) -> bytes:
    """Encode a batch. Decimals travel as text without an exponent, which `str` of a small or round Decimal may have."""
    rows: list[dict[str, Any]] = msgspec.to_builtins(items)
    for row in rows:
        for value in row["values"]:
            for name in ("value", "previous", "consumption"):
                if "E" in (value.get(name) or ""):
                    value[name] = format(Decimal(value[name]), "f")
    return msgspec.json.encode({"batch": batch, "items": rows})
