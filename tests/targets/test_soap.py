"""The SOAP target against the sandbox's old accounting program and against peers that break every rule: a fault is one of three errors."""

import gzip
import logging
import socket
import struct
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from lxml import etree

from gateway.domain.problems import Misconfigured, Rejected, Unavailable
from gateway.outbound import Answer, Item, Outcome, Target, Value
from gateway.outbound.soap import Soap
from gateway.registry import build
from tests.peers import TOKEN, Sandbox, raw_peer, read_request, refused_url, running_sandbox
from tests.targets.conftest import batch, item, two
from tests.targets.old_program import WSDL, mapping

TAKEN, REFUSED, LATER, UNKNOWN = Outcome.TAKEN, Outcome.REFUSED, Outcome.LATER, Outcome.UNKNOWN
ONE = batch("b1", item(1))
OLD, NEW = "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"
GOOD = "<Result><Number>key-1</Number><Status>OK</Status><Document>7</Document></Result>"


@pytest.fixture(scope="module")
def lasting_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(
        tmp_path_factory.mktemp("old"), accounts=[{"name": "old", "token": TOKEN, "keys": False, "refuse_meters": ["13"]}]
    ) as running:
        yield running


@pytest.fixture
def program(lasting_program: Sandbox) -> Sandbox:
    """The old accounting program, behaving itself."""
    lasting_program.control("up")
    return lasting_program


def soap(url: str, **more: Any) -> Soap:
    """The target, built as an installation builds it."""
    made = build(Target, mapping(f"{url}/soap", **more))
    assert isinstance(made, Soap)
    return made


def http(body: str | bytes, head: str = "200 OK", *headers: str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {head}", f"Content-Length: {len(content)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def said(rows: str, name: str = "ImportReadingsResponse") -> str:
    return envelope(f'<{name} xmlns="urn:accounting:billing"><Results>{rows}</Results></{name}>')


def envelope(inside: str, space: str = OLD) -> str:
    return f'<e:Envelope xmlns:e="{space}"><e:Body>{inside}</e:Body></e:Envelope>'


def fault(code: str, reason: str = f"period closed for {TOKEN}") -> str:
    return envelope(f"<e:Fault><faultcode>{code}</faultcode><faultstring>{reason}</faultstring></e:Fault>")


def new_fault(code: str, within: str = "") -> str:
    inner = f"<e:Subcode><e:Value>{within}</e:Value></e:Subcode>" if within else ""
    reason = '<e:Reason><e:Text xml:lang="en">no</e:Text></e:Reason>'
    return envelope(f"<e:Fault><e:Code><e:Value>{code}</e:Value>{inner}</e:Code>{reason}</e:Fault>", NEW)


def sent_by(target: Callable[[str], Soap], *items: Item) -> etree._Element:
    """What a target put on the wire, held against the WSDL's own schema."""
    with raw_peer(http(said(GOOD))) as peer:
        with pytest.raises(Unavailable):  # the answer speaks of another key
            target(peer.url).deliver(batch("b", *items))
        head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /soap ")
    asked = etree.fromstring(body)[-1][0]
    [schema] = etree.parse(WSDL).iter("{http://www.w3.org/2001/XMLSchema}schema")
    etree.XMLSchema(etree.fromstring(etree.tostring(schema))).assertValid(asked)
    return asked


def cells(asked: etree._Element) -> list[dict[str, str]]:
    rows = asked.iter("{urn:accounting:billing}Reading")
    return [{etree.QName(cell).localname: cell.text or "" for cell in row} for row in rows]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"port": "Soap12"},
        {"token": "", "user": "old", "password": TOKEN},
        {"token": "", "user": "old", "password": TOKEN, "user_in_header": True},
        {"token": "", "user": "old", "password": TOKEN, "user_in_header": True, "port": "Soap12"},
    ],
    ids=["bearer", "soap 1.2", "basic", "in the header", "in the header of 1.2"],
)
def test_a_batch_is_taken_row_by_row_and_found_again(program: Sandbox, how: dict[str, Any], request: pytest.FixtureRequest) -> None:
    target = soap(program.url, **how)
    name = request.node.callspec.id
    first, second = item(1, key=f"{name} 1"), two(f"{name} 2", meter="№ 7")

    answers = target.deliver(batch("b1", first, second)).answers

    assert [(one.key, one.outcome, one.reference[:5]) for one in answers] == [(first.key, TAKEN, "BILL-"), (second.key, TAKEN, "BILL-")]
    assert [len(row.item.values) for row in program.rows() if row.item.key in (first.key, second.key)] == [1, 2]
    asked = target.ask(batch("b2", second, item(3, key=f"{name} 3")), {second.key: "b1"}).answers
    assert asked == (answers[1], Answer(key=f"{name} 3", outcome=UNKNOWN))


def test_refusals_and_puttings_off_go_by_row(program: Sandbox) -> None:
    program.control("later", times=1, meters=["00000005"], reason="closing the month")

    answers = soap(program.url).deliver(batch("b", item(1, key="r1"), item(2, key="r2", meter="13"), item(5, key="r3"))).answers

    assert [(one.outcome, one.reason) for one in answers] == [(TAKEN, ""), (REFUSED, "meter_refused"), (LATER, "closing the month")]
    asked = soap(program.url).ask(batch("b", item(2, key="r2"), item(5, key="r3")), {}).answers
    assert [(one.outcome, one.reason) for one in asked] == [(REFUSED, "meter_refused"), (UNKNOWN, "")]


def test_this_billing_counts_twice_what_is_sent_twice(program: Sandbox) -> None:
    for _ in range(2):
        soap(program.url).deliver(batch("b", item(1, key="twice")))

    assert program.effects()["twice"] == 2


@pytest.mark.parametrize("order", ["lose", "garbage", "html", "down"])
def test_an_answer_that_is_lost_or_no_answer_is_unavailable(program: Sandbox, order: str) -> None:
    program.control(order, times=1)

    with pytest.raises(Unavailable) as lost:
        soap(program.url).deliver(batch("b", item(1, key=order)))

    assert lost.value.sent
    [answer] = soap(program.url).ask(batch("b", item(1, key=order)), {order: "b"}).answers
    assert answer.outcome is (UNKNOWN if order == "down" else TAKEN)


def test_faults_by_order(program: Sandbox) -> None:
    program.control("fail", status=500, times=1, reason="locked")
    with pytest.raises(Unavailable, match="locked") as failed:
        soap(program.url).deliver(ONE)
    assert failed.value.sent
    program.control("fail", status=400, times=1, reason="no such period")
    with pytest.raises(Rejected) as refused:
        soap(program.url).deliver(ONE)
    assert refused.value.problems[0].values == {"reason": "no such period"}


def test_a_wrong_secret_is_the_operators(program: Sandbox) -> None:
    for how in ({"token": "wrong"}, {"token": "", "user": "old", "password": "wrong"}):
        with pytest.raises(Misconfigured, match="answered 401"):
            soap(program.url, **how).deliver(ONE)


def test_what_is_written_is_valid_and_means_what_was_read() -> None:
    odd = item(1, key='<&>"]]>', meter="№ 7-ж\t%s")
    one = Value(register="A+:day", value=Decimal("1E+3"), unit="kWh", previous=Decimal("-0.000"))
    asked = sent_by(lambda url: soap(url, codes={"A+:day": "T1 & co"}, zone="Europe/Moscow"), two("k2"), _with(odd, one))

    rows = cells(asked)
    assert [row["Number"] for row in rows] == ["k2", "k2", '<&>"]]>']
    assert [row["Scale"] for row in rows] == ["T1 & co", "A+:night", "T1 & co"]
    assert rows[2] == {
        "Number": '<&>"]]>',
        "Contract": "A-100",
        "Place": "P-1",
        "Meter": "№ 7-ж\t%s",
        "Month": "2025-10",
        "Taken": "2025-10-25T15:00:00+03:00",
        "Correction": "1",
        "Scale": "T1 & co",
        "Value": "1000",
        "Unit": "kWh",
        "Previous": "-0.000",
        "State": "valid",
    }


def _with(one: Item, *values: Value) -> Item:
    return msgspec.structs.replace(one, values=values)


def test_what_xml_cannot_carry_is_refused_here_and_does_not_stop_the_others(program: Sandbox) -> None:
    answers = soap(program.url).deliver(batch("b", item(1, key="w1", meter="a\0b"), item(2, key="w2"), _with(item(3, key="w3")))).answers

    assert [(one.outcome, one.reason) for one in answers if one.key != "w2"] == [
        (REFUSED, "meter: holds a character that XML cannot carry"),
        (REFUSED, "values: there are none"),
    ]
    assert set(program.effects()) & {"w1", "w2", "w3"} == {"w2"}
    assert soap(refused_url()).deliver(batch("b", item(1, meter="\ud800"))).answers[0].outcome is REFUSED


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html><body>Login</body></html>",
        "\xff\xfe",
        envelope(""),
        envelope("<a/><b/>"),
        envelope("<ImportReadingsResponse/>"),
        said(GOOD, "FindReadingsResponse"),
        said(GOOD + GOOD.replace("key-1", "key-9")),
        said("<Result><Number>key-1</Number></Result>"),
        said(GOOD)[:-20],
        said(GOOD).replace("<e:Envelope", "<!DOCTYPE e:Envelope><e:Envelope"),
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]>' + said(GOOD.replace("key-1", "&b;")),
        said(GOOD).replace(OLD, "urn:another"),
        '{"results": []}',
        fault("e:Server"),
        fault("soap:Server.Busy"),
        new_fault("e:Receiver"),
        fault("whatever"),
    ],
    ids=lambda body: body[:24] or "empty",
)
def test_a_200_that_is_no_answer_is_lost_and_never_success(body: str) -> None:
    with raw_peer(http(body)) as peer, pytest.raises(Unavailable) as lost:
        soap(peer.url).deliver(ONE)

    assert lost.value.sent
    assert TOKEN not in str(lost.value)


@pytest.mark.parametrize("head", ["200 OK", "500 Internal Server Error", "400 Bad Request"])
@pytest.mark.parametrize("body", [fault("e:Client"), fault("soap:Client.Data"), new_fault("e:Sender")], ids=["1.1", "dotted", "1.2"])
def test_a_fault_that_blames_what_was_sent_is_billings_word(head: str, body: str) -> None:
    with raw_peer(http(body, head)) as peer, pytest.raises(Rejected) as refused:
        soap(peer.url).deliver(ONE)

    [problem] = refused.value.problems
    assert (problem.code, problem.values["reason"]) == ("refused_by_billing", "period closed for ***" if "faultstring" in body else "no")


@pytest.mark.parametrize(
    "answer",
    [
        http(fault("wsse:FailedAuthentication"), "500 Error"),
        http(fault("e:Client.Authentication"), "500 Error"),
        http(fault("e:MustUnderstand"), "500 Error"),
        http(fault("e:VersionMismatch")),
        http(new_fault("e:Sender", "wsse:FailedAuthentication"), "500 Error"),
        http(fault("e:Client"), "401 Unauthorized"),
        http("", "403 Forbidden"),
        http("", "404 Not Found"),
        http("<html/>", "415 Unsupported"),
        http("", "302 Found", "Location: http://elsewhere.invalid/login"),
        http("", "301 Moved", "Location: http://[nonsense"),
    ],
)
def test_what_the_operator_must_mend(answer: bytes) -> None:
    with raw_peer(answer) as peer, pytest.raises(Misconfigured):
        soap(peer.url).deliver(ONE)

    assert len(peer.requests) == 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_time_will_mend_these(status: int) -> None:
    with raw_peer(http("<html/>", f"{status} x", "Retry-After: 7")) as peer, pytest.raises(Unavailable) as failed:
        soap(peer.url).deliver(ONE)

    assert (failed.value.retry_after, failed.value.sent, len(peer.requests)) == (7.0, True, 1)


def test_too_many_requests_means_that_this_one_was_not_taken() -> None:
    with raw_peer(http("", "429 Slow", "Retry-After: 7")) as peer, pytest.raises(Unavailable) as failed:
        soap(peer.url).deliver(ONE)

    assert (failed.value.retry_after, failed.value.sent) == (7.0, False)


def test_a_refused_connection_was_not_sent() -> None:
    with pytest.raises(Unavailable) as refused:
        soap(refused_url()).deliver(ONE)

    assert not refused.value.sent


@pytest.mark.parametrize("cut", ["closed", "reset", "half an answer"])
def test_a_connection_cut_after_the_request_may_have_been_sent(cut: str) -> None:
    def leave(connection: socket.socket) -> None:
        if cut == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if cut == "half an answer":
            connection.sendall(http(said(GOOD))[:-30])

    with raw_peer(leave) as peer, pytest.raises(Unavailable) as lost:
        soap(peer.url).deliver(ONE)

    assert lost.value.sent


def test_the_whole_attempt_has_a_deadline() -> None:
    def drip(connection: socket.socket) -> None:
        for byte in http(said(GOOD)):
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    began = time.monotonic()
    with raw_peer(drip) as peer, pytest.raises(Unavailable) as lost:
        soap(peer.url, timeout=0.5).deliver(ONE)

    assert lost.value.sent
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("kind", ["large", "packed"])
def test_an_answer_that_is_too_large_or_packed_is_not_read(kind: str) -> None:
    large = http(said(GOOD + " " * 2_000_000))
    packed = http(gzip.compress(said(GOOD).encode()), "200 OK", "Content-Encoding: gzip")
    with raw_peer(large if kind == "large" else packed) as peer, pytest.raises(Unavailable) as lost:
        soap(peer.url).deliver(ONE)

    assert lost.value.sent


def test_an_item_without_a_word_or_with_a_strange_one_is_left_open() -> None:
    strange = "<Result><Number>key-2</Number><Status>SOON</Status></Result>"
    with raw_peer(http(said(GOOD + strange))) as peer:
        answers = soap(peer.url).deliver(batch("b", item(1), item(2), item(3))).answers

    assert [(one.key, one.outcome, one.reference) for one in answers] == [("key-1", TAKEN, "7")]


@pytest.mark.parametrize(
    ("words", "outcome"),
    [("OK OK", TAKEN), ("OK ERROR", REFUSED), ("ERROR WAIT", REFUSED), ("WAIT WAIT", LATER), ("OK WAIT", None), ("WAIT OK OK", None)],
)
def test_the_rows_of_one_reading_make_one_word(words: str, outcome: Outcome | None) -> None:
    rows = "".join(f"<Result><Number>key-1</Number><Status>{word}</Status></Result>" for word in words.split())
    with raw_peer(http(said(rows))) as peer:
        answers = soap(peer.url).deliver(ONE).answers

    assert [one.outcome for one in answers] == ([] if outcome is None else [outcome])


def test_each_call_has_a_connection_of_its_own() -> None:
    """A kept one that billing closes at that moment would be a lost answer, which class C cannot bear."""

    def twice(connection: socket.socket) -> None:
        connection.sendall(http(said(GOOD)).replace(b"Connection: close\r\n", b""))
        assert not read_request(connection).startswith(b"POST")

    with raw_peer(twice) as peer:
        target = soap(peer.url)
        for _ in range(3):
            target.deliver(ONE)

    assert len(peer.requests) == 3


def test_secrets_appear_nowhere(program: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    target = soap(program.url, token="", user="old", password=TOKEN, user_in_header=True)
    target.deliver(batch("b", item(1, key="quiet")))
    with raw_peer(http(fault("e:Server"), "500 Error")) as peer, pytest.raises(Unavailable) as failed:
        soap(peer.url).deliver(ONE)

    assert TOKEN not in caplog.text + repr(target) + str(failed.value)


def test_a_class_c_target_has_no_question(program: Sandbox) -> None:
    assert soap(program.url).guarantee == "B"
    target = soap(program.url, asking=False)
    assert target.guarantee == "C"
    with pytest.raises(Misconfigured):
        target.ask(ONE, {})
