"""How tests read what became of a reading before billing has it."""

from typing import Any

import httpx

from tests.running import Gateway, Utility


def first(answer: httpx.Response) -> dict[str, Any]:
    """The first reading of an answer that took it."""
    assert answer.status_code in (200, 202), answer.text
    return dict(answer.json()["readings"][0])


def code(answer: httpx.Response) -> tuple[int, str]:
    """How a request was refused."""
    return answer.status_code, answer.json()["code"]


def register(gateway: Gateway, utility: Utility, meter: str = "1") -> tuple[Any, ...]:
    """What the register of a meter believes."""
    [row] = gateway.rows(
        "select r.last, r.last_period, r.last_reading_id from register r join meter m on m.id = r.meter_id "
        "where m.utility_id = %(u)s and m.serial = %(m)s",
        u=utility.id,
        m=meter,
    )
    return tuple(row)


def standing(utility: Utility, answer: httpx.Response) -> list[str]:
    """The states of a submission's readings now."""
    return [row["status"] for row in utility.look(answer)["readings"]]
