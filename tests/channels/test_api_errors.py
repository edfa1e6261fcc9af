"""Every refusal is a problem document; our own faults are told without their insides; health tells what is true."""

import re

import httpx
import pytest

from tests.peers import PLAIN
from tests.running import Gateway, Utility

FIELDS = {"type", "title", "status", "detail", "code", "errors"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/submissions/a/b", 404),
        ("GET", "/v1/readings", 405),
        ("PUT", "/v1/readings", 405),
        ("DELETE", "/v1/submissions", 405),
        ("PATCH", "/v1/settlements", 405),
        ("GET", "/v1/schema", 404),
        ("POST", "/docs", 405),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/v1/submissions/..%2f..%2fetc%2fpasswd", 404),
    ],
)
def test_refusals_of_the_framework_are_problem_documents_too(gateway: Gateway, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, gateway.url + path, verify=PLAIN)
    told = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert told.keys() == FIELDS
    assert (told["status"], told["type"]) == (status, f"urn:metergate:problem:{told['code']}")
    assert told["title"]
    assert told["detail"]
    if status == 405:
        assert answer.headers["allow"]


def test_a_problem_document_has_every_problem_with_its_place(company: Utility) -> None:
    answer = company.upload(b"{}", period="2022-13", kind="word", agreement="x" * 101)
    told = answer.json()
    assert answer.status_code == 422
    assert [(problem["code"], problem["where"]) for problem in told["errors"]] == [
        ("code_too_long", "agreement"),
        ("period_invalid", "period"),
        ("format_unknown", "kind"),
    ]
    assert told["title"] == told["errors"][0]["text"]


def test_health(gateway: Gateway) -> None:
    assert httpx.get(f"{gateway.url}/health/live", verify=PLAIN).json() == {"status": "live"}
    assert httpx.get(f"{gateway.url}/health/ready", verify=PLAIN).json() == {"status": "ready"}


def test_the_docs_page_needs_no_other_host(gateway: Gateway) -> None:
    page = httpx.get(f"{gateway.url}/docs", verify=PLAIN)
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert re.findall(r"(?:https?:)?//[\w.]+", page.text) == []
    assert re.findall(r"<(?:script|link|img|iframe)\b", page.text) == []
    for path in ("/v1/readings", "/v1/files", "/v1/submissions", "/v1/settlements", "/v1/templates/integral_workbook"):
        assert f"<code>{path}" in page.text


def test_no_answer_names_the_server_s_insides(gateway: Gateway, company: Utility) -> None:
    answers = [httpx.get(gateway.url + "/nothing", verify=PLAIN), company.submit(b"{"), company.call("GET", "/v1/submissions?limit=x")]
    for answer in answers:
        assert "server" not in answer.headers
        assert re.search(r"litestar|uvicorn|msgspec|psycopg|traceback|\.py\b", answer.text, re.IGNORECASE) is None, answer.text
