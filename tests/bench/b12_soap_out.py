"""B12: SOAP out, the same call of 1,000 readings to the same server, by the target and by zeep's own objects, in turn."""

import sys
from typing import Any

import requests
import zeep

from gateway.outbound import Batch, Item, Outcome, Target
from gateway.registry import build
from tests.bench import ground
from tests.bench.row import Row, faster, limit, race
from tests.peers import TOKEN
from tests.targets.conftest import item
from tests.targets.old_program import WSDL, mapping

READINGS = 1_000


def run() -> list[Row]:
    """The whole call beside zeep's, to a server that reads, validates and answers each row."""
    items = tuple(item(number) for number in range(READINGS))
    batch = Batch(id="bench", items=items)
    with ground.web([sys.executable, "-m", "tests.bench.peer_soap"], {}) as port:
        url = f"http://127.0.0.1:{port}/soap"
        target = build(Target, mapping(url))
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        settings = zeep.Settings(strict=True, forbid_dtd=True, forbid_external=True)
        connect: Any = zeep.Client
        transport: Any = zeep.Transport
        client = connect(str(WSDL), transport=transport(session=session, operation_timeout=30), settings=settings)
        service = client.create_service("{urn:accounting:billing}Soap11", url)

        def by_us() -> None:
            answers = target.deliver(batch).answers
            if {answer.outcome for answer in answers} != {Outcome.TAKEN} or len(answers) != READINGS:
                raise RuntimeError("not all were taken")

        def by_zeep() -> None:
            found = service.ImportReadings(Source="bench", Readings={"Reading": [_row(one) for one in items]})
            if {one.Status for one in found} != {"OK"} or len(found) != READINGS:
                raise RuntimeError("not all were taken")

        took = race({"ours": by_us, "zeep": by_zeep})
    rate = {name: READINGS / seconds for name, seconds in took.items()}
    what = f"SOAP out, {READINGS:,} readings a call, to a billing that validates and answers each"
    return [
        faster("B12", what, rate["ours"], rate["zeep"], unit="readings/s", peer="zeep", goal=5),
        limit("B12", "the same call", took["ours"] * 1e3, unit="ms"),
    ]


def _row(one: Item) -> dict[str, Any]:
    [value] = one.values
    return {
        "Number": one.key,
        "Contract": one.agreement,
        "Place": one.point,
        "Meter": one.meter,
        "Month": one.period,
        "Taken": one.at,
        "Correction": one.revision,
        "Scale": value.register,
        "Value": value.value,
        "Unit": value.unit,
        "Previous": value.previous,
        "Consumption": value.consumption,
        "State": value.quality.value,
    }
