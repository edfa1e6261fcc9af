"""What is said in XML: a submission as `m:Receipt`, and a fault with every problem in its detail."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from gateway.domain.problems import Problem
from gateway.inbound.soap.envelope import SOAP11, VERSIONS, Version, enclosed
from gateway.inbound.soap.rows import xpath
from gateway.inbound.views import ProblemView, ReadingView, SubmissionDetail, ValueView, problem_view
from gateway.texts import Language

_NO_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CODES: Final = {"soap_version_mismatch": "VersionMismatch", "soap_not_understood": "MustUnderstand"}
"""Faults that SOAP itself names; every other one is the sender's or, with a status of 503, ours."""


def receipt(told: SubmissionDetail) -> bytes:
    """The content of an operation's answer; places of a message's readings are places of the message again."""
    ours = told.channel == "soap" and told.format == "canonical_json"
    name = "SubmitReadings" if ours and not told.file_name else ""
    counters = told.counters
    numbers = {"Total": counters.total, "Accepted": counters.accepted, "InReview": counters.in_review, "Rejected": counters.rejected}
    return "".join(
        (
            _tag("Submission", told.submission),
            _tag("Status", told.status),
            _tag("Text", told.text),
            _group("Counters", *(_tag(word, str(number)) for word, number in numbers.items())),
            _tag("ReceivedAt", _instant(told.received_at)),
            _tag("Sha256", told.sha256),
            _tag("Channel", told.channel),
            _tag("Format", told.format),
            _tag("FileName", told.file_name),
            *(_problem(problem, name) for problem in told.problems),
            *(_reading(reading, name) for reading in told.readings),
        )
    ).encode()


def answer(version: Version, operation: str, content: bytes) -> bytes:
    """A whole answer: the content in the operation's element in an envelope."""
    return enclosed(version, f"<m:{operation}Response>{content.decode()}</m:{operation}Response>")


def fault(version: Version, problems: Sequence[Problem], language: Language, *, operation: str, ours: bool) -> bytes:
    """A whole fault about these problems, the first of which names it; `ours`: the sender did nothing wrong."""
    views = [problem_view(problem, language) for problem in problems]
    first = views[0]
    detail = _group("Problems", *(_problem(view, operation) for view in views))
    code = _CODES.get(first.code, "")
    reason = escape(_clean(first.text))
    if version is SOAP11:
        word = code or ("Server" if ours else "Client")
        return enclosed(
            version,
            f"<soap:Fault><faultcode>soap:{word}</faultcode><faultstring>{reason}</faultstring><detail>{detail}</detail></soap:Fault>",
        )
    word = code or ("Receiver" if ours else "Sender")
    return enclosed(
        version,
        f"<soap:Fault><soap:Code><soap:Value>soap:{word}</soap:Value><soap:Subcode><soap:Value>m:{first.code}</soap:Value></soap:Subcode>"
        f'</soap:Code><soap:Reason><soap:Text xml:lang="{language}">{reason}</soap:Text></soap:Reason>'
        f"<soap:Detail>{detail}</soap:Detail></soap:Fault>",
        _explained(first),
    )


def _explained(problem: ProblemView) -> str:
    """The header blocks by which SOAP 1.2 explains its own faults (part 1, 5.4.7 and 5.4.8)."""
    if problem.code == "soap_not_understood":
        namespace, _, name = problem.values["block"].removeprefix("{").rpartition("}")
        return f"<soap:NotUnderstood qname={quoteattr(f'x:{_clean(name)}')} xmlns:x={quoteattr(_clean(namespace))}/>" if namespace else ""
    if problem.code == "soap_version_mismatch":
        known = "".join(
            f'<soap:SupportedEnvelope qname="v{order}:Envelope" xmlns:v{order}="{namespace}"/>' for order, namespace in enumerate(VERSIONS)
        )
        return f"<soap:Upgrade>{known}</soap:Upgrade>"
    return ""


def _reading(row: ReadingView, operation: str) -> str:
    return _group(
        "Reading",
        _tag("Id", row.reading),
        _tag("Index", str(row.index)),
        _tag("Meter", row.meter),
        _tag("Agreement", row.agreement),
        _tag("Period", row.period),
        _tag("At", _instant(row.at)),
        _tag("Status", row.status),
        _tag("Text", row.text),
        _tag("Where", _at(row.where, operation)),
        _tag("Revision", str(row.revision)),
        _tag("SameAs", row.same_as),
        _tag("NextAttemptAt", _instant(row.next_attempt_at)),
        *map(_value, row.values),
        *(_problem(problem, operation) for problem in row.problems),
    )


def _value(value: ValueView) -> str:
    return _group(
        "Value",
        _tag("Register", value.register),
        _tag("Value", _number(value.value)),
        _tag("Previous", _number(value.previous)),
        _tag("Consumption", _number(value.consumption)),
    )


def _problem(problem: ProblemView, operation: str) -> str:
    return _group(
        "Problem",
        _tag("Code", problem.code),
        _tag("Severity", problem.severity),
        _tag("Where", _at(problem.where, operation)),
        _tag("Text", problem.text),
        _tag("ToDo", problem.todo),
        *_facts(problem.values.items()),
    )


def _facts(values: Iterable[tuple[str, str]]) -> Iterable[str]:
    return (f"<m:Fact Name={quoteattr(name)}>{escape(_clean(value))}</m:Fact>" for name, value in values)


def _at(where: str, operation: str) -> str:
    return xpath(where, operation) if operation else where


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _number(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"


def _group(name: str, *parts: str) -> str:
    return f"<m:{name}>{''.join(parts)}</m:{name}>"


def _tag(name: str, text: str | None) -> str:
    """An element of text, nothing for None."""
    return "" if text is None else f"<m:{name}>{escape(_clean(text))}</m:{name}>"


def _clean(text: str) -> str:
    """The text without what XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)
