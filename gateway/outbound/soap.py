"""Calls one operation of a billing's pinned WSDL, its arguments from a flat mapping (contracts_schema/soap_target.md)."""

import logging
import re
import time
import weakref
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final, Literal
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
import msgspec

from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.outbound import Answer, Batch, Guarantee, Outcome, Receipt, Target, calls
from gateway.outbound.soap_answer import Fault, Told, envelope, told
from gateway.outbound.soap_cells import KINDS, OF_VALUE
from gateway.outbound.soap_contract import Form, Operation
from gateway.outbound.soap_rows import Columns, MappedRows, Row, Rows

log = logging.getLogger("metergate")

SECURITY: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"


class Soap(Target, frozen=True, kw_only=True, dict=True, weakref=True):
    """A billing that takes readings by SOAP; of class B when `ask_operation` tells whether it holds them, else of class C.

    `wsdl`: the file of its contract, kept here. `url`: where to call instead of the WSDL's own address. `rows`: the repeating element of
    the request; `row`: element below it -> field; `constants`: element -> text. `per`: a row is one register's `value` or a whole
    `reading`. `codes`: register -> billing's code. `mapping`, `crosswalk`: paths of documents that say a row instead of these three.
    `answers`: the repeating element of the answer, in it `answer_key`, `answer_outcome`
    (a word of `taken`, `refused`, `later`, `pending`), `reference`, `reason`. `ask_*`: the same of the question, whose elements are those
    of the answer unless named. `zone`: in which times are written. `timeout`: seconds for a whole attempt.
    """

    wsdl: str
    operation: str
    rows: str
    answers: str
    answer_key: str
    answer_outcome: str
    taken: tuple[str, ...]
    refused: tuple[str, ...]
    later: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    reference: str = ""
    reason: str = ""
    row: dict[str, str] = msgspec.field(default_factory=dict)
    constants: dict[str, str] = msgspec.field(default_factory=dict)
    per: Literal["value", "reading"] = "value"
    codes: dict[str, str] = msgspec.field(default_factory=dict)
    mapping: str = ""
    crosswalk: str = ""
    service: str = ""
    port: str = ""
    url: str = ""
    zone: str = "UTC"
    ask_operation: str = ""
    ask_keys: str = ""
    ask_constants: dict[str, str] = msgspec.field(default_factory=dict)
    ask_answers: str = ""
    ask_answer_key: str = ""
    ask_answer_outcome: str = ""
    ask_taken: tuple[str, ...] = ()
    ask_refused: tuple[str, ...] = ()
    ask_pending: tuple[str, ...] = ()
    ask_unknown: tuple[str, ...] = ()
    ask_reference: str = ""
    ask_reason: str = ""
    token: str = ""
    user: str = ""
    password: str = ""
    user_in_header: bool = False
    timeout: float = 60.0
    answer_bytes: int = 1024 * 1024
    ca: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError naming the setting that does not fit the WSDL; nothing is called for that."""
        if self.url:
            calls.check_address(self.url)
        if self.timeout <= 0 or self.answer_bytes <= 0:
            raise ValueError("timeout and answer_bytes: more than 0 is wanted")
        if not re.fullmatch(r"[!-~]*", self.token) or (self.token and self.user) or bool(self.user) != bool(self.password):
            raise ValueError("token, user, password: a token of printable ASCII, or a user with a password, or neither")
        if self.user_in_header and not self.user:
            raise ValueError("user_in_header: there is no user")
        if len(set(self.codes.values())) < len(self.codes):
            raise ValueError("codes: two registers share a code")
        if bool(self.ask_operation) != bool(self.ask_keys and self.ask_taken and self.ask_unknown):
            raise ValueError("ask_operation, ask_keys, ask_taken, ask_unknown: all of them or none")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"zone: no {self.zone!r}") from error
        try:
            if self._columns is None:
                self._check_row()
        except Misconfigured as error:
            raise ValueError(str(error)) from error
        _ = self._import, self._question
        calls.check_address(self._import.address)

    def __repr__(self) -> str:
        return f"Soap({self.url or self.wsdl!r})"

    @property
    def guarantee(self) -> Guarantee:
        """B with a question, C without."""
        return "B" if self.ask_operation else "C"

    def deliver(self, batch: Batch) -> Receipt:
        """Call the operation once. What cannot be written as the WSDL wants it is refused here and not sent."""
        written = {item.key: self._rows.of(item) for item in batch.items}
        known = {key: Answer(key=key, outcome=Outcome.REFUSED, reason=why) for key, why in written.items() if isinstance(why, str)}
        rows = [row for found in written.values() if isinstance(found, list) for row in found]
        raw = b""
        if rows:
            answers, raw = self._call(self._import, rows, written.keys() - known.keys())
            known |= {answer.key: answer for answer in answers}
        return Receipt(answers=tuple(known[item.key] for item in batch.items if item.key in known), raw=raw)

    def ask(self, batch: Batch, tried: Mapping[str, str]) -> Receipt:
        """Ask which of these items billing holds; by the item's own key, whatever batch it was in."""
        del tried
        if self._question is None:
            raise Misconfigured(f"{self!r} has no ask_operation")
        rows = [tuple(slot.write(item.key) for slot in self._question.form.slots) for item in batch.items]
        answers, raw = self._call(self._question, rows, {item.key for item in batch.items})
        return Receipt(answers=answers, raw=raw)

    @cached_property
    def _columns(self) -> Columns | None:
        """What a mapping says of a row. Raises ValueError for two ways to say it, Misconfigured for documents that cannot be used."""
        if not self.mapping:
            if self.crosswalk:
                raise ValueError("crosswalk: it is read with a `mapping`, and there is none")
            return None
        if said := [name for name, is_said in (("row", self.row), ("codes", self.codes), ("per", self.per != "value")) if is_said]:
            raise ValueError(f"{said[0]}: it stands in the `mapping` already")
        return Columns(self.mapping, self.crosswalk, self.zone)

    def _check_row(self) -> None:
        fields = [said.partition(".") for said in self.row.values()]
        if "key" not in {field for field, _, _ in fields}:
            raise ValueError("row: nothing carries the key")
        for path, said in self.row.items():
            if (field := said.partition(".")[0]) not in KINDS:
                raise ValueError(f"row: {path}: {field!r} is none of {', '.join(KINDS)}")
        for field, _, register in fields:
            if (field in OF_VALUE and self.per == "reading") != bool(register):
                wanted = "FIELD.REGISTER, as in value.A+" if self.per == "reading" else "the field alone"
                raise ValueError(f"row: {field}: where a row is a {self.per}, {wanted} is wanted")

    @cached_property
    def _import(self) -> "_Call":
        operation = Operation(self.wsdl, self.service, self.port, self.operation)
        columns, names = self._columns, ("rows", "mapping" if self.mapping else "row", "constants")
        row, zone = (self.row, self.zone) if columns is None else (columns.row, columns.say.zone.key)
        form = operation.form(self.rows, row, self.constants, zone, self._header, names)
        words = {Outcome.TAKEN: self.taken, Outcome.REFUSED: self.refused, Outcome.LATER: self.later, Outcome.PENDING: self.pending}
        paths = {name: getattr(self, name) for name in _PLACES}
        return _Call.of(operation, form, paths, _words("taken, refused, later, pending", words), "")

    @cached_property
    def _question(self) -> "_Call | None":
        if not self.ask_operation:
            return None
        operation = Operation(self.wsdl, self.service, self.port, self.ask_operation, "ask_operation")
        rows, cell = operation.repeating("ask_keys", self.ask_keys)
        names = ("ask_keys", "ask_keys", "ask_constants")
        form = operation.form(rows, {cell: "key"}, self.ask_constants, self.zone, self._header, names)
        words = {
            Outcome.TAKEN: self.ask_taken,
            Outcome.REFUSED: self.ask_refused,
            Outcome.PENDING: self.ask_pending,
            Outcome.UNKNOWN: self.ask_unknown,
        }
        paths = {name: getattr(self, f"ask_{name}") or getattr(self, name) for name in _PLACES}
        return _Call.of(operation, form, paths, _words("ask_taken, ask_refused, ask_pending, ask_unknown", words), "ask_")

    @property
    def _header(self) -> str:
        """WS-Security's UsernameToken, when the secret travels in the envelope."""
        if not self.user_in_header:
            return ""
        user, password = escape(self.user), escape(self.password)
        kind = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
        secret = f'<s:Username>{user}</s:Username><s:Password Type="{kind}">{password}</s:Password>'
        return f'<s:Security xmlns:s="{SECURITY}"><s:UsernameToken>{secret}</s:UsernameToken></s:Security>'

    @cached_property
    def _client(self) -> httpx.Client:
        headers = {"Accept": "text/xml, application/soap+xml"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        elif self.user and not self.user_in_header:
            headers["Authorization"] = f"Basic {b64encode(f'{self.user}:{self.password}'.encode()).decode()}"
        client = calls.client(self.ca, self.concurrency, headers, keep=0.0)
        weakref.finalize(self, client.close)
        return client

    @cached_property
    def _rows(self) -> Rows | MappedRows:
        slots = self._import.form.slots
        return Rows(slots, self.codes, by_value=self.per == "value") if self._columns is None else MappedRows(self._columns, slots)

    def _call(self, call: "_Call", rows: Iterable[Row], keys: set[str]) -> tuple[tuple[Answer, ...], bytes]:
        """Call once, and read billing's word on these keys."""
        url = self.url or call.address
        deadline = time.monotonic() + self.timeout
        answer = calls.post(self._client, url, call.form.body(rows), call.form.headers, deadline=deadline, limit=self.answer_bytes)
        if answer.trouble and answer.status == 200:
            raise Unavailable(f"{url} answered 200 {answer.trouble}", sent=True)
        if answer.status != 200:
            raise self._not_taken(url, answer)
        try:
            rows_told = told(answer.body, call.answer, call.path, call.places)
        except Fault as fault:
            raise self._faulted(url, fault, None) from fault
        except ValueError as error:
            kind = calls.plain(answer.headers.get("Content-Type", "no type"), 80)
            raise Unavailable(f"{url} answered 200 with something else ({kind}): {self._hidden(str(error))}", sent=True) from error
        if strange := [one.key for one in rows_told if one.key not in keys]:
            raise Unavailable(f"{url} answered 200 for other items than were sent ({len(strange)} of {len(rows_told)})", sent=True)
        return tuple(self._words(rows_told, call.words)), answer.body

    def _words(self, rows: Iterable[Told], words: Mapping[str, Outcome]) -> Iterator[Answer]:
        """Billing's word on each item, from its rows: one refused row refuses it, and only all rows together take it or put it off."""
        by: dict[str, Told] = {}
        for row in rows:
            known = by.get(row.key)
            by[row.key] = row if known is None else _both(known, row, words)
        for key, row in by.items():
            outcome = words.get(row.outcome)
            if outcome is None:
                log.warning("soap.no_word", extra={"facts": {"key": key, "outcome": calls.plain(row.outcome, 80)}})
                continue
            reference = row.reference if row.reference.isprintable() else calls.plain(row.reference, 200)
            yield Answer(key=key, outcome=outcome, reference=reference[:200], reason=self._hidden(row.reason) if row.reason else "")

    def _not_taken(self, url: str, answer: calls.Answered) -> Exception:
        """What any other status than 200 means."""
        wait = calls.retry_after(answer.headers.get("Retry-After", ""))
        if 300 <= answer.status < 400:
            return calls.redirected(url, answer.status, answer.headers)
        if answer.status in (401, 403):
            return Misconfigured(f"{url} answered {answer.status}")
        if answer.status == 429:
            return Unavailable(f"{url} answered 429", sent=False, retry_after=wait)
        try:
            envelope(answer.body)
        except Fault as fault:
            return self._faulted(url, fault, wait)
        except ValueError:
            pass  # no SOAP at all: only the status speaks
        if answer.status in (408, 425) or answer.status >= 500:
            return Unavailable(f"{url} answered {answer.status}", sent=True, retry_after=wait)
        return Misconfigured(f"{url} answered {answer.status} without a fault: the address may be wrong")

    def _faulted(self, url: str, fault: Fault, wait: float | None) -> Exception:
        reason = self._hidden(str(fault))
        if fault.blames == "caller":
            return Rejected(Problem(code="refused_by_billing", values={"reason": reason}))
        if fault.blames == "operator":
            return Misconfigured(f"{url} answered with a fault: {fault.code}: {reason}")
        return Unavailable(f"{url} answered with a fault: {fault.code}: {reason}", sent=True, retry_after=wait)

    def _hidden(self, text: str) -> str:
        """Foreign text without our secrets, as a database and a page can hold it."""
        for secret in (self.token, self.password):
            text = text.replace(secret, "***") if secret else text
        return calls.plain(text, 1000)


_PLACES: Final = ("answers", "answer_key", "answer_outcome", "reference", "reason")


class _Call(msgspec.Struct, frozen=True):
    """An operation as it is called: its request, and where its answer says what."""

    address: str
    form: Form
    answer: str
    path: str
    places: tuple[str, str, str, str]
    words: dict[str, Outcome]

    @classmethod
    def of(cls, operation: Operation, form: Form, paths: Mapping[str, str], words: dict[str, Outcome], prefix: str) -> "_Call":
        """Find the places of the answer in the WSDL. Raises ValueError."""
        rows = operation.path(f"{prefix}answers", paths["answers"])
        key, outcome, reference, reason = (
            operation.path(f"{prefix}{name}", paths[name], paths["answers"]) if paths[name] else "" for name in _PLACES[1:]
        )
        if not (rows and key and outcome):
            raise ValueError(f"{prefix}answers, {prefix}answer_key, {prefix}answer_outcome: none of them may be empty")
        return cls(operation.address, form, operation.answer, rows, (key, outcome, reference, reason), words)


def _words(settings: str, said: Mapping[Outcome, tuple[str, ...]]) -> dict[str, Outcome]:
    words = {word: outcome for outcome, mine in said.items() for word in mine}
    if len(words) < sum(map(len, said.values())) or not said[Outcome.TAKEN]:
        raise ValueError(f"{settings}: each word in one of them, and one at least that means taken")
    return words


def _both(one: Told, other: Told, words: Mapping[str, Outcome]) -> Told:
    """The word on an item of several rows; a row taken and another put off is no word at all."""
    outcomes = words.get(one.outcome), words.get(other.outcome)
    if outcomes[1] is Outcome.REFUSED and outcomes[0] is not Outcome.REFUSED:
        return other
    return one if outcomes[0] is Outcome.REFUSED or outcomes[0] is outcomes[1] else Told(one.key, "", "", "")
