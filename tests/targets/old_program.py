"""The settings by which the target `soap` works with the sandbox's old accounting program."""

from pathlib import Path
from typing import Any

from gateway.demo.billings import SOAP_MAPPING
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
    }
    return told | {name: value for name, value in SOAP_MAPPING.items() if asking or not name.startswith("ask_")} | more
