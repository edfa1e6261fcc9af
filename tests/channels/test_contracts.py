"""What is published is what the code says and what the server really takes and answers."""

import re
from collections.abc import Iterator
from typing import Any, TypeVar

import httpx
import msgspec
import pytest

from gateway.inbound.api.errors import ErrorDocument
from gateway.inbound.api.registry import WORKBOOK
from gateway.inbound.api.settle import Outcomes
from gateway.inbound.views import SubmissionDetail, SubmissionList
from tests.channels.publish import FOLDER, published
from tests.peers import PLAIN
from tests.running import Gateway, Utility

T = TypeVar("T")
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
KEYWORDS = {
    "$ref", "type", "properties", "required", "additionalProperties", "items", "enum", "title", "description", "default", "format",
    "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "anyOf", "oneOf", "const", "contentMediaType",
}  # fmt: skip


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(msgspec.json.decode((FOLDER / "openapi.json").read_bytes()))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def schemas(part: Any) -> Iterator[dict[str, Any]]:
    """Every schema within a schema, itself included."""
    if isinstance(part, dict):
        yield part
        for key in ("properties", "$defs"):
            for inner in part.get(key, {}).values():
                yield from schemas(inner)
        for key in ("items", "additionalProperties"):
            yield from schemas(part.get(key))
        for key in ("anyOf", "oneOf"):
            for inner in part.get(key, []):
                yield from schemas(inner)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


@pytest.mark.parametrize("name", sorted(published()))
def test_the_published_file_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_bytes() == published()[name], "run python -m tests.channels.publish"


def test_the_server_answers_the_published_document(gateway: Gateway) -> None:
    answer = httpx.get(f"{gateway.url}/v1/openapi.json", verify=PLAIN)
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == (FOLDER / "openapi.json").read_bytes()


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    assert {"title", "version", "description"} <= document["info"].keys()
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for path, method, operation in operations(document):
        assert method in METHODS
        assert {f"{{{p['name']}}}" for p in operation.get("parameters", []) if p["in"] == "path"} == set(re.findall(r"\{[^}]*\}", path))
        assert all(p["schema"] for p in operation.get("parameters", []))
        assert operation["description"].rstrip()[-1] == "."
        for status, answer in operation["responses"].items():
            assert re.fullmatch(r"[2-5]\d\d", status)
            assert answer["description"]
            assert answer["description"] != "Additional response"
            assert answer["content"]
        assert operation["responses"].keys() >= {"401", "403", "503"}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]
    named = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert named <= components.keys()
    assert components.keys() - named == set(), "nothing refers to these"


def test_schemas_use_known_words_and_no_invented_examples(document: dict[str, Any]) -> None:
    for name, component in document["components"]["schemas"].items():
        for schema in schemas(component):
            assert schema.keys() - KEYWORDS == set(), name
    assert b'"examples"' not in (FOLDER / "openapi.json").read_bytes()


def test_every_body_taken_is_described(document: dict[str, Any]) -> None:
    bodies = {path: operation["requestBody"]["content"] for path, _, operation in operations(document) if "requestBody" in operation}
    named = {
        path: {kind: (body["schema"].get("$ref") or body["schema"]["format"]).rpartition("/")[2] for kind, body in content.items()}
        for path, content in bodies.items()
    }
    assert named == {
        "/v1/readings": {"application/json": "MeterReadings"},
        "/v1/files": {"multipart/form-data": "FileForm"},
        "/v1/registry": {"text/csv": "RegistryRow", "application/x-ndjson": "RegistryRow", WORKBOOK: "binary"},
        "/v1/settlements": {"application/json": "Settlements"},
        "/v1/links": {"application/json": "LinkAsked"},
        "/v1/links/confirm": {"application/json": "LinkConfirmed"},
        "/v1/links/bindings": {"application/json": "LinkBound"},
        "/v1/links/{link}/reminders": {"application/json": "Reminders"},
        "/v1/periods": {"application/json": "Periods"},
        "/v1/readings/{reading}/decide": {"application/json": "Decision"},
        "/v1/meters/hide": {"application/json": "MeterNamed"},
        "/v1/meters/show": {"application/json": "MeterNamed"},
        "/v1/meters/acts": {"application/json": "ActTold"},
    }
    bare = {path for path, method, operation in operations(document) if method == "post"} - named.keys()
    assert bare == {"/v1/submissions/{submission}/submit", "/v1/readings/{reading}/withdraw"}
    components = document["components"]["schemas"]
    assert components["Settlements"]["properties"]["settlements"]["maxItems"] == 10_000
    assert components["ValueView"]["properties"]["value"]["type"] == "string"


def test_canonical_json_is_described_as_its_own_schema_says(document: dict[str, Any]) -> None:
    own = msgspec.json.decode((FOLDER / "meter_readings.schema.json").read_bytes())
    parts = document["components"]["schemas"]
    moved = msgspec.json.encode([parts["MeterReadings"], parts["meter_reading"], parts["register"]])
    ours = [{k: v for k, v in own.items() if k not in ("$schema", "$defs")}, own["$defs"]["meter_reading"], own["$defs"]["register"]]
    assert msgspec.json.decode(moved.replace(b"#/components/schemas/", b"#/$defs/")) == ours


def test_every_operation_is_served_and_every_route_described(gateway: Gateway, document: dict[str, Any]) -> None:
    for path, method, _ in operations(document):
        named = path.replace("{submission}", "sub_1").replace("{reading}", "rdg_1")
        answer = httpx.request(method, f"{gateway.url}{named}?agreement=A&meter=1&period=2022-10&login=me", verify=PLAIN)
        assert answer.status_code == 401, (method, path)


def exactly(answer: httpx.Response, kind: type[T]) -> T:
    """The answer as the published type, with nothing missing and nothing more."""
    read: T = msgspec.json.decode(answer.content, type=kind)
    assert msgspec.json.decode(msgspec.json.encode(read)) == answer.json()
    return read


def test_real_answers_are_of_the_published_types(gateway: Gateway, company: Utility) -> None:
    receipt = exactly(company.submit(company.body({"1": "150", "2": "50", "9": "1"})), SubmissionDetail)
    gateway.work()
    looked = exactly(company.call("GET", f"/v1/submissions/{receipt.submission}"), SubmissionDetail)
    assert len(looked.timeline) > len(receipt.timeline)
    exactly(company.call("GET", "/v1/submissions"), SubmissionList)
    refused = exactly(company.submit(b"{"), ErrorDocument)
    assert refused.code == "json_malformed"
    exactly(company.settle(company.word(looked.readings[0].reading), company.word("rdg_no")), Outcomes)


def test_a_settlement_that_breaks_the_schema_is_refused_and_one_that_keeps_it_is_not(company: Utility) -> None:
    schema = msgspec.json.decode((FOLDER / "settlements.schema.json").read_bytes())
    word = schema["$defs"]["Word"]
    good = company.word("", readings=[])
    assert set(word["required"]) <= good.keys() <= word["properties"].keys()
    assert company.settle(good).json()["results"][0]["outcome"] == "applied"
    for key in word["required"]:
        broken = {name: value for name, value in good.items() if name != key}
        assert company.settle(broken).json()["results"][0]["outcome"] == "refused", key
    assert company.settle(good | {"strange": 1}).json()["results"][0]["outcome"] == "refused"


def test_rejections_have_a_status_that_is_described(document: dict[str, Any]) -> None:
    from gateway import texts
    from gateway.inbound.api.errors import STATUS

    assert STATUS.keys() <= set(texts.codes())
    described = {int(status) for _, _, operation in operations(document) for status in operation["responses"]}
    assert set(STATUS.values()) <= described


def test_the_example_of_the_page_is_taken(company: Utility) -> None:
    page = (FOLDER / "settlements.md").read_text("utf-8")
    [example] = re.findall(r"```json\n(.+?)```", page, re.DOTALL)
    reading = company.submit(company.body({"1": "150"})).json()["readings"][0]["reading"]
    words = msgspec.json.decode(re.sub(r"rdg_[0-9a-f]{32}", reading, example))["settlements"]
    assert [one["outcome"] for one in company.settle(*words).json()["results"]] == ["applied", "applied"]
    assert [one["outcome"] for one in company.settle(*words).json()["results"]] == ["repeated", "repeated"]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == {"applied", "repeated", "stale", "refused"}


def test_the_list_of_contracts_names_every_file() -> None:
    named = set(re.findall(r"\]\(([\w./]+)\) \|", (FOLDER / "README.md").read_text("utf-8")))
    there = {path.name + "/" * path.is_dir() for path in FOLDER.iterdir()} - {"README.md"}
    assert named == there
