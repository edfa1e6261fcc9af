"""The three kinds of billing that the demo's utilities have, and how the gateway is connected to each of them."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.sandbox.soap import contract_file

KINDS: Final = {
    "contractor_heat": "sftp_file",
    "household": "http_json",
    "legal_entity": "soap",
    "consumer_ua": "http_json",
    "water": "soap",
}
"""The target of each utility; only the billings behind `http_json` honour a key."""

SOAP_MAPPING: Final[dict[str, Any]] = {
    "operation": "ImportReadings",
    "rows": "Readings/Reading",
    "row": {
        "Number": "key",
        "Contract": "agreement",
        "Place": "point",
        "Meter": "meter",
        "Month": "period",
        "Taken": "at",
        "Correction": "revision",
        "Scale": "register",
        "Value": "value",
        "Unit": "unit",
        "Previous": "previous",
        "Consumption": "consumption",
        "State": "quality",
    },
    "constants": {"Source": "Metergate"},
    "answers": "Results/Result",
    "answer_key": "Number",
    "answer_outcome": "Status",
    "taken": ["OK"],
    "refused": ["ERROR"],
    "later": ["WAIT"],
    "reference": "Document",
    "reason": "Reason",
    "ask_operation": "FindReadings",
    "ask_keys": "Numbers/Number",
    "ask_taken": ["HELD"],
    "ask_refused": ["ERROR"],
    "ask_unknown": ["NOT_FOUND"],
}
"""How the target `soap` speaks with the sandbox's old accounting program, with its question (class B)."""


def settings(utility: str, url: str, token: str, drop: str, host_key: str) -> dict[str, Any]:
    """The target section of a utility: `url`, `drop`: the HTTP and SFTP doors of the sandbox, `host_key`: the key of the latter."""
    kind = KINDS[utility]
    if kind == "http_json":
        return {"kind": kind, "url": url, "token": token}
    if kind == "soap":
        return {"kind": kind, "url": f"{url}/soap", "token": token, "wsdl": str(contract_file()), **SOAP_MAPPING}
    host, _, port = drop.rpartition(":")
    folders = {"folder": "/in", "acks": "/acks", "poll": 0.2}
    return {"kind": kind, "host": host, "port": int(port), "user": utility, "password": token, "host_key": host_key, **folders}


def toml(value: object) -> str:
    """A value as TOML writes it, tables inline."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f'"{name}" = {toml(one)}' for name, one in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return str(value) if isinstance(value, (int, float)) else '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
