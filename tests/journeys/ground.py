"""What the walks through the manuals share: a registry as a manual shows it, and answers read as a portal reads them."""

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from gateway.domain.supply import Line
from gateway.store import feed
from tests.running import Utility


def enter(utility: Utility, *lines: Line) -> None:
    """Put rows into the registry."""
    with utility.gateway.owner.transaction() as connection:
        feed.import_lines(connection, utility.id, utility.profile.name, list(lines))


def said(answer: httpx.Response, status: int = 200) -> Any:
    """What was answered with that status."""
    assert answer.status_code == status, answer.text
    return answer.json()


def taken(answer: httpx.Response) -> list[dict[str, Any]]:
    """The rows of a submission that was taken in."""
    return list(said(answer, 202)["readings"])


def codes(row: dict[str, Any]) -> list[str]:
    """What is wrong with a row."""
    return [problem["code"] for problem in row["problems"]]


def form(meter: str, period: str, values: dict[str, str], **more: object) -> bytes:
    """One meter's readings as a form hands them in; `more` goes into the reading."""
    registers = [{"register": register, "value": value} for register, value in values.items()]
    return report([{"meter": meter, "period": period, "registers": registers, **more}])


def report(readings: Sequence[dict[str, object]]) -> bytes:
    """Several meters' readings at once."""
    return msgspec.json.encode({"readings": readings})


def get(utility: Utility, path: str, *, key: str = "", language: str = "", **asked: str) -> Any:
    """One look, in the language of the utility's manual unless another is asked for."""
    with utility.client(key, language or utility.profile.language) as client:
        return said(client.get(path, params=asked))


def standing(utility: Utility, answer: httpx.Response, language: str = "") -> list[tuple[str, str]]:
    """The state of each row of a submission now, and the manual's word for it."""
    rows = get(utility, f"/v1/submissions/{answer.json()['submission']}", language=language)["readings"]
    return [(row["status"], row["text"]) for row in rows]
