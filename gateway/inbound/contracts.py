"""What is published of the API: JSON Schemas of what it answers and takes, and the OpenAPI document made whole with them.

Handlers read raw bytes behind the gates, so the framework cannot know those bodies; and numbers travel as text, which only msgspec knows.
"""

from typing import Any, Final

import msgspec

from gateway.domain.supply import Line
from gateway.inbound.api.acts import ActTold
from gateway.inbound.api.errors import ErrorDocument
from gateway.inbound.api.life import Decision
from gateway.inbound.api.links import LinkAsked, LinkBound, LinkConfirmed, Reminders
from gateway.inbound.api.meters import MeterNamed
from gateway.inbound.api.periods import Period
from gateway.inbound.api.registry import MEDIA, WORKBOOK
from gateway.inbound.api.settle import LIMIT, Outcomes, Word
from gateway.inbound.auth import ON_BEHALF
from gateway.inbound.views import SubmissionDetail, SubmissionList
from gateway.mapping import canonical_json

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ANSWERS: Final = (SubmissionDetail, SubmissionList, ErrorDocument, Outcomes)
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 visible ASCII characters, bare or in quotes. The same key with the same body always gets the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 257},
}
_LISTS: Final = (("post", "/v1/readings", "MeterReadings"), ("post", "/v1/settlements", "Settlements"), ("post", "/v1/periods", "Periods"))
_LOGIN: Final = {
    "name": ON_BEHALF,
    "in": "header",
    "required": False,
    "description": "The portal's user for whom this is asked, percent-encoded: only agreements linked to that login are there.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}
_FOR_USERS: Final = {"readings", "files", "submissions", "meters"}
"""Tags of the operations that know for whom a portal calls."""
_BODIES: Final = (
    ("post", "/v1/readings/{reading}/decide", Decision),
    ("post", "/v1/links", LinkAsked),
    ("post", "/v1/links/confirm", LinkConfirmed),
    ("post", "/v1/links/bindings", LinkBound),
    ("put", "/v1/links/{link}/reminders", Reminders),
    ("post", "/v1/meters/hide", MeterNamed),
    ("post", "/v1/meters/show", MeterNamed),
    ("post", "/v1/meters/acts", ActTold),
)
"""Bodies of one object each."""


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schemas of contracts_schema/ by file name: receipts, problem documents, settlements and what is answered to them."""
    named = {"receipt": SubmissionDetail, "problem_document": ErrorDocument, "settlement_outcomes": Outcomes}
    found = {name: {"$schema": DIALECT, **msgspec.json.schema(kind)} for name, kind in named.items()}
    parts = msgspec.json.schema_components([Word], ref_template="#/$defs/{name}")[1]
    found["settlements"] = {"$schema": DIALECT, "title": "Settlements", **_list_of("settlements", "#/$defs/Word", LIMIT), "$defs": parts}
    return {f"{name}.schema.json": schema for name, schema in sorted(found.items())}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Put into an OpenAPI document what the framework does not know: exact types, the bodies read raw, the Idempotency-Key."""
    components = document["components"]["schemas"]
    kinds = [*_ANSWERS, Word, Period, *(kind for _, _, kind in _BODIES)]
    components |= msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")[1]
    readings = _moved(canonical_json.schema())
    components |= readings.pop("$defs")
    components["MeterReadings"] = {name: part for name, part in readings.items() if name != "$schema"}
    components["Settlements"] = _list_of("settlements", "#/components/schemas/Word", LIMIT)
    components["Periods"] = _list_of("periods", "#/components/schemas/Period", LIMIT)
    for method, path, name in [*_LISTS, *((method, path, kind.__name__) for method, path, kind in _BODIES)]:
        body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        document["paths"][path][method]["requestBody"] = {"required": True, "content": body}
    components["RegistryRow"] = msgspec.json.schema_components([Line], ref_template="#/components/schemas/{name}")[1]["Line"]
    rows = {"schema": {"$ref": "#/components/schemas/RegistryRow"}}
    taken = dict.fromkeys(MEDIA, rows) | {WORKBOOK: {"schema": {"type": "string", "format": "binary"}}}
    document["paths"]["/v1/registry"]["post"]["requestBody"] = {"required": True, "content": taken}
    for path in ("/v1/readings", "/v1/files"):
        document["paths"][path]["post"].setdefault("parameters", []).append(_KEY)
    for operation in (operation for methods in document["paths"].values() for operation in methods.values()):
        if _FOR_USERS & set(operation["tags"]):
            operation["parameters"] = [*operation.get("parameters", []), _LOGIN]
    return document


def _list_of(key: str, item: str, most: int) -> dict[str, Any]:
    rows = {"type": "array", "maxItems": most, "items": {"$ref": item}}
    return {"type": "object", "additionalProperties": False, "required": [key], "properties": {key: rows}}


def _moved(schema: Any) -> Any:
    """A schema whose definitions stand among the components of an OpenAPI document."""
    if isinstance(schema, dict):
        return {
            name: part.replace("#/$defs/", "#/components/schemas/") if name == "$ref" else _moved(part) for name, part in schema.items()
        }
    return [_moved(part) for part in schema] if isinstance(schema, list) else schema
