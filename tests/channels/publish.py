"""Writes what contracts_schema/ publishes of the API: `python -m tests.channels.publish`; test_contracts.py holds it to that."""

from pathlib import Path

import msgspec

from gateway.app import create_app
from gateway.inbound.api.docs import openapi
from gateway.inbound.contracts import schemas
from gateway.settings import Settings
from gateway.store import Store

FOLDER = Path(__file__).parents[2] / "contracts_schema"


def published() -> dict[str, bytes]:
    """Every generated file of the API's contract by its name."""
    app = create_app(Settings(), Store("postgresql://nobody@nowhere/nothing"))
    files = {name: msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n" for name, schema in schemas().items()}
    return {"openapi.json": openapi(app), **files}


if __name__ == "__main__":
    for name, body in published().items():
        (FOLDER / name).write_bytes(body)
        print(FOLDER / name)  # noqa: T201 - says what it wrote
