"""The settings by which the target `soap` works with the sandbox's old accounting program."""

from pathlib import Path
from typing import Any

from tests.peers import TOKEN

WSDL = Path(__file__).parents[2] / "contracts_schema" / "sandbox" / "billing.wsdl"


def mapping(url: str = "http://127.0.0.1:8090/soap", *, asking: bool = True, **more: Any) -> dict[str, Any]:
    """All of them, with the question (class B) or without (class C); `more` is laid over them."""
    told: dict[str, Any] = {
        "kind": "soap",
        "wsdl": str(WSDL),
        "url": url,
        "token": TOKEN,
        "timeout": 10.0,
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
    }
    if asking:
        told |= {
            "ask_operation": "FindReadings",
            "ask_keys": "Numbers/Number",
            "ask_taken": ["HELD"],
            "ask_refused": ["ERROR"],
            "ask_unknown": ["NOT_FOUND"],
        }
    return told | more
