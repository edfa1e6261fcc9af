"""What makes the API say each of its codes: one gateway is asked everything once, then its database is taken away."""

import io
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import openpyxl

from gateway.pipeline import TAKES
from gateway.settings import Limits
from tests.accounts import account
from tests.conftest import fresh_database, shared_server
from tests.running import Gateway, Utility, running_gateway


def said(answer: httpx.Response) -> set[str]:
    """Every code of an answer, wherever it stands."""
    told = answer.json()
    problems = [*told.get("errors", []), *told.get("problems", [])]
    problems += [problem for row in told.get("readings", []) for problem in row["problems"]]
    problems += [row["problem"] for row in told.get("results", []) if row["problem"]]
    return {problem["code"] for problem in problems}


@cache
def answers() -> dict[str, set[str]]:
    """The codes of each question, by the code it is meant to bring out."""
    found: dict[str, set[str]] = {}
    server = shared_server("embedded")
    with TemporaryDirectory() as folder:
        for database in fresh_database(server):
            urls = database.url("owner"), database.url("app"), database.url("worker")
            with running_gateway(*urls, Path(folder), limits=Limits(json_bytes=2_000_000)) as gateway:
                utility = gateway.utility("household")
                found = {name: said(answer) for name, answer in questions(utility).items()}
                found["format_not_accepted"] = uploaded(gateway, utility)
                found["translation_failed"] = deadly(gateway, utility)
                server.drop_database(database.name)
                found["unavailable"] = said(utility.submit(utility.body({"1": "151"})))
    return found


def questions(utility: Utility) -> dict[str, httpx.Response]:
    """A question for each code that is said at the door."""
    utility.meters("1", "2")
    utility.meters("2", agreement="A-2")
    word = utility.word("", readings=[])
    utility.settle(word | {"version": 2})
    taken = utility.submit(utility.body({"1": "150"}), Idempotency_Key="used").json()["submission"]
    template = "/v1/templates/integral_workbook?agreement=A-9&period=2022-10"
    return {
        "agreement_unknown": utility.call("GET", template),
        "body_too_large": utility.submit(b" " * 2_000_001),
        "flag_invalid": utility.upload(b"{}", "a.json", ratio_applied="perhaps"),
        "forbidden": utility.submit(utility.body({"1": "150"}), key=utility.partner("read", name="reader")),
        "idempotency_key_invalid": utility.submit(utility.body({"1": "150"}), Idempotency_Key="a b"),
        "idempotency_key_reused": utility.submit(utility.body({"1": "151"}), Idempotency_Key="used"),
        "meter_ambiguous": utility.submit(utility.body({"2": "150"})),
        "location_differs": utility.submit(utility.body({"1": "150"}, location="elsewhere")),
        "meter_unknown": utility.submit(utility.body({"3": "150"})),
        "not_found": utility.call("GET", "/v1/submissions/sub_1"),
        "nothing_to_mark": utility.call("GET", f"/v1/submissions/{taken}/problems.xlsx"),
        "request_invalid": utility.call("GET", "/v1/submissions?limit=0"),
        "settlement_conflict": utility.settle(word | {"version": 2, "volume": "999"}),
        "settlement_stale": utility.settle(word),
        "settlement_unknown": utility.settle(word | {"readings": ["rdg_1"]}),
        "too_many_readings": utility.submit(utility.body({str(n): "1" for n in range(10_001)})),
        **feeds(utility),
        **links(utility),
        "unauthorized": utility.submit(utility.body({"1": "150"}), key="mg_wrong"),
    }


def feeds(utility: Utility) -> dict[str, httpx.Response]:
    """A feed of the registry for each code that only a feed brings out."""
    head, row = "agreement;party;point;meter;register;digits", "F-1;X;1;F111;A+;6"

    def fed(body: bytes, media: str = "text/csv", profile: str = "household") -> httpx.Response:
        headers = {"Content-Type": media}
        return utility.call("POST", "/v1/registry", content=body, headers=headers, params={"profile": profile, "dry_run": "true"})

    return {
        "registry_contradicts": fed(f"{head}\n{row}\nF-1;Y;2;F222;A+;6".encode()),
        "registry_id_taken": fed(f"{head};meter_ids\n{row};1c=1\nF-1;X;2;F222;A+;6;1c=1".encode()),
        "registry_twice": fed(f"{head}\n{row}\n{row}".encode()),
        "registry_encoding": fed(b"\xff"),
        "registry_media": fed(b"", "text/plain"),
        "profile_unknown": fed(b"", profile="nobody"),
    }


def links(utility: Utility) -> dict[str, httpx.Response]:
    """An asking for each code of links that depends on what was asked before."""
    told = {"surname": "Иванов", "email": "a@example.org"}
    for number in range(11):
        account(utility.gateway.owner, utility.id, "household", f"5-{number}")
    asked = [utility.call("POST", "/v1/links", json=told | {"login": "ivan", "agreement": f"5-{number}"}) for number in range(11)]
    again = [utility.call("POST", "/v1/links", json=told | {"login": f"{n}", "agreement": "6"}) for n in range(11)]
    return {
        "link_email_limit": asked[-1],
        "link_too_often": again[-1],
        "link_secret_unknown": utility.call("POST", "/v1/links/confirm", json={"secret": "none"}),
        "login_invalid": utility.call("GET", "/v1/submissions", headers={"X-On-Behalf-Of": ""}),
        "party_unknown": utility.call("POST", "/v1/links/bindings", json={"login": "ivan", "party": "none"}),
    }


def uploaded(gateway: Gateway, utility: Utility) -> set[str]:
    """What becomes of a workbook where the rulebook takes none."""
    asked = {"agreement": "A-1", "period": utility.period}
    book = openpyxl.load_workbook(io.BytesIO(utility.call("GET", "/v1/templates/integral_workbook", params=asked).content))
    book.worksheets[0]["I2"] = 150
    packed = io.BytesIO()
    book.save(packed)
    told = utility.upload(packed.getvalue()).json()
    gateway.work()
    return said(utility.call("GET", f"/v1/submissions/{told['submission']}"))


def deadly(gateway: Gateway, utility: Utility) -> set[str]:
    """What becomes of a file that was held by more workers than may die of it."""
    told = utility.upload(utility.body({"1": "152"}), "a.json").json()
    gateway.rows("update submission set takes = %(n)s where status = 'received'", n=TAKES)
    gateway.work()
    return said(utility.call("GET", f"/v1/submissions/{told['submission']}"))


def asked(code: str) -> Iterable[str]:
    """The codes that the question for this one brings out."""
    return answers()[code]


CODES = (
    "agreement_unknown",
    "body_too_large",
    "flag_invalid",
    "forbidden",
    "format_not_accepted",
    "idempotency_key_invalid",
    "idempotency_key_reused",
    "meter_ambiguous",
    "location_differs",
    "meter_unknown",
    "not_found",
    "nothing_to_mark",
    "request_invalid",
    "settlement_conflict",
    "settlement_stale",
    "settlement_unknown",
    "too_many_readings",
    "translation_failed",
    "unauthorized",
    "unavailable",
)
SAMPLES: dict[str, Callable[[], Iterable[str]]] = {code: partial(asked, code) for code in CODES}
