"""What makes the line say each code about a reading before billing has it."""

from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.conftest import fresh_database, shared_server
from tests.running import Utility, running_gateway
from tests.samples.api import said


def reading(answer: httpx.Response) -> str:
    """The name of the first reading of an answer."""
    return str(answer.json()["readings"][0]["reading"])


@cache
def answers() -> dict[str, set[str]]:
    """The codes of each question, by the code it is meant to bring out."""
    found: dict[str, httpx.Response] = {}
    with TemporaryDirectory() as folder:
        for database in fresh_database(shared_server("embedded")):
            urls = database.url("owner"), database.url("app"), database.url("worker")
            with running_gateway(*urls, Path(folder)) as gateway:
                company, home = gateway.utility("legal_entity"), gateway.utility("household")
                for utility in (company, home):
                    utility.meters("1", "2", "3", "4")
                found = decisions(company) | withdrawals(home) | acts(company)
                taken = reading(company.submit(company.body({"3": "150"})))
                gateway.rows("insert into interval_source (utility_id, meter_reading_id) values (%(u)s, %(r)s)", u=company.id, r=taken[4:])
                found["intervals_not_withdrawn"] = company.withdraw(taken)
                sent = reading(company.submit(company.body({"4": "150"})))
                gateway.work()
                found["sent_already"] = company.withdraw(sent)
                found["correction_not_withdrawn"] = company.withdraw(reading(company.submit(company.body({"4": "151"}))))
                company.close(company.period)
                found["period_closed"] = company.submit(company.body({"1": "170"}))
    return {code: said(answer) for code, answer in found.items()}


def acts(company: Utility) -> dict[str, httpx.Response]:
    """What an inspector is told who writes two acts of one number."""
    act = {"meter": "1", "kind": "admission", "number": "7"}
    company.call("POST", "/v1/meters/acts", json=act | {"first_day": "2022-10-01"})
    return {"act_differs": company.call("POST", "/v1/meters/acts", json=act | {"first_day": "2022-10-02"})}


def decisions(company: Utility) -> dict[str, httpx.Response]:
    """What a person is told who decides, and a sender about whom one has decided."""
    refused = company.submit(company.body({"1": "90"}))
    company.decide(reading(refused), accept=False)
    waiting = company.submit(company.body({"2": "90"}))
    company.submit(company.body({"2": "150"}))
    company.submit(company.body({"1": "150"}), asked={"source": "control"})
    return {
        "refused_by_person": company.call("GET", f"/v1/submissions/{refused.json()['submission']}"),
        "decided_meanwhile": company.decide(reading(refused), accept=True),
        "newer_reading_stands": company.decide(reading(waiting), accept=True),
        "reason_unreadable": company.decide(reading(waiting), accept=True, reason=" "),
        "outranked": company.submit(company.body({"1": "151"})),
        "source_unknown": company.submit(company.body({"1": "151"}), asked={"source": "dream"}),
        "not_a_draft": company.call("POST", f"/v1/submissions/{waiting.json()['submission']}/submit"),
    }


def withdrawals(home: Utility) -> dict[str, httpx.Response]:
    """What a sender is told who takes a reading back too late."""
    first = home.submit(home.body({"1": "150"}))
    home.submit(home.body({"1": "160"}))
    return {"later_reading_follows": home.withdraw(reading(first))}


def asked(code: str) -> Iterable[str]:
    """The codes that the question for this one brings out."""
    return answers()[code]


CODES = (
    "act_differs",
    "correction_not_withdrawn",
    "decided_meanwhile",
    "intervals_not_withdrawn",
    "later_reading_follows",
    "newer_reading_stands",
    "not_a_draft",
    "outranked",
    "period_closed",
    "reason_unreadable",
    "refused_by_person",
    "sent_already",
    "source_unknown",
)
SAMPLES: dict[str, Callable[[], Iterable[str]]] = {code: partial(asked, code) for code in CODES}
