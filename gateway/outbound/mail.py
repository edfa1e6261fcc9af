"""Letters by SMTP: one connection a batch, each letter answered by the mail server's own word on it (RFC 5321)."""

import re
import smtplib
import ssl
import time
from contextlib import suppress
from typing import Annotated, Final, Literal

import msgspec

from gateway.domain.problems import Misconfigured, Unavailable
from gateway.outbound import Answer, Batch, Guarantee, Letter, Outcome, Receipt, Target, calls
from gateway.outbound.letter_text import Sender, checked, message

PORTS: Final = {"tls": 465, "starttls": 587, "none": 25}
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
OURS: Final = frozenset({530, 534, 535, 538})
"""Replies that say that we are not logged in as we should be: the operator must act, no recipient is at fault."""
CLOSING: Final = 421
_DOT: Final = re.compile(rb"^\.", re.MULTILINE)

Reply = tuple[int, bytes]


class Mail(Target, frozen=True, kw_only=True):
    """Sends letters from `sender` (`Name <address>`) through the mail server at `host`.

    `security`: `tls` from the first byte, `starttls`, or `none`; `port`: 465, 587 or 25 by it when left out; a password travels without
    TLS only to this machine. `ca`: PEM file of a private authority. `helo`: the name given to the server, this machine's when left out.
    `timeout`: seconds for each step of the talk; a batch begins no letter after ten times as long. `portal`: where recipients switch
    letters off; it stands in every letter. `lost`: what becomes of a letter whose acceptance was not answered. SMTP honours no key, so
    it may be there or not: sent `again` under the same Message-ID, or kept `in_doubt` until a person decides.
    """

    host: str
    sender: str
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    security: Literal["tls", "starttls", "none"] = "starttls"
    login: str = ""
    password: str = ""
    ca: str = ""
    helo: str = ""
    timeout: Annotated[float, msgspec.Meta(gt=0, le=600)] = 30.0
    portal: str = ""
    lost: Literal["again", "in_doubt"] = "again"
    concurrency: int = 2
    batch: int = 50

    def __post_init__(self) -> None:
        """Refuse what cannot be a sender, a portal, or a login."""
        checked(self.sender, self.portal)
        if bool(self.login) != bool(self.password):
            raise ValueError("login, password: both or neither")
        if self.password and self.security == "none" and self.host not in LOOPBACK:
            raise ValueError("security: a password needs tls or starttls")

    @property
    def letters(self) -> bool:
        """It carries letters."""
        return True

    @property
    def guarantee(self) -> Guarantee:
        """By its nature C. With `lost = "again"`, the policy stated in its settings, the ledger goes on as with A."""
        return "A" if self.lost == "again" else "C"

    def deliver(self, batch: Batch) -> Receipt:
        """Hand the letters over one by one; what the server did not come to, or puts off, is later. Raises as the contract says."""
        if batch.items:
            raise Misconfigured("mail carries letters and no readings")
        sender = Sender.of(self.sender, self.portal)
        server = self._connected()
        try:
            talk = _Talk(server, sender, time.monotonic() + 10 * self.timeout)
            for letter in batch.letters:
                talk.tell(letter)
            receipt = talk.receipt()
            with suppress(OSError, smtplib.SMTPException):  # every letter has its word; how the server takes our leave changes none
                server.docmd("QUIT")
            return receipt
        finally:
            server.close()

    def _connected(self) -> smtplib.SMTP:
        """A connection over which letters may go. Raises Unavailable or Misconfigured; nothing was sent."""
        where = f"{self.host}:{self._port}"
        try:
            secure = ssl.create_default_context(cafile=self.ca or None)
        except OSError as error:
            raise Misconfigured(f"ca {self.ca}: {error.strerror or 'no certificates'}") from error
        try:
            return self._opened(secure)
        except ssl.SSLError as error:
            if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
                raise Unavailable(f"{where}: {error}", sent=False) from error
            raise Misconfigured(f"{where}: {error}") from error
        except smtplib.SMTPNotSupportedError as error:
            raise Misconfigured(f"{where}: {error}") from error
        except smtplib.SMTPResponseException as error:
            said = f"{where}: {error.smtp_code} {_text(error.smtp_error)}"
            if isinstance(error, smtplib.SMTPAuthenticationError) and error.smtp_code >= 500:
                raise Misconfigured(said) from error
            raise Unavailable(said, sent=False) from error
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(f"{where}: {str(error) or type(error).__name__}", sent=False) from error

    @property
    def _port(self) -> int:
        return self.port or PORTS[self.security]

    def _opened(self, secure: ssl.SSLContext) -> smtplib.SMTP:
        helo = self.helo or None
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self._port, helo, timeout=self.timeout, context=secure)
        else:
            server = smtplib.SMTP(self.host, self._port, helo, timeout=self.timeout)
        try:
            server.ehlo_or_helo_if_needed()
            if self.security == "starttls":
                server.starttls(context=secure)
                server.ehlo_or_helo_if_needed()
            if self.login:
                server.login(self.login, self.password)
        except BaseException:
            server.close()
            raise
        return server


class _Talk:
    """What is said over one connection, and the answer on each letter so far."""

    def __init__(self, server: smtplib.SMTP, sender: Sender, deadline: float) -> None:
        self._server = server
        self._sender = sender
        self._deadline = deadline
        self._answers: list[Answer] = []
        self._said: list[str] = []
        self._trouble: Exception | None = None
        self._lost = False

    def tell(self, letter: Letter) -> None:
        """Hand one letter over, unless the talk is over; one whose acceptance is not answered gets no answer here."""
        if self._trouble is None and time.monotonic() > self._deadline:
            self._trouble = Unavailable("the mail server is too slow for a whole batch", sent=False)
        if self._trouble is not None:
            self._answer(letter, Outcome.LATER, "not begun")
            return
        try:
            self._hand_over(letter)
        except (OSError, smtplib.SMTPException) as error:
            self._trouble = Unavailable(str(error) or type(error).__name__, sent=self._lost)
            if self._lost:
                self._said.append(f"{letter.key} not answered: {self._trouble}")
            else:
                self._answer(letter, Outcome.LATER, str(self._trouble))

    def receipt(self) -> Receipt:
        """The word on every letter, but for one whose acceptance was not answered. Raises what ended the talk when it is true of all."""
        put_off = all(answer.outcome is Outcome.LATER for answer in self._answers)
        if self._trouble is not None and (put_off if not self._lost else not self._answers):
            raise self._trouble
        return Receipt(answers=tuple(self._answers), raw="\n".join(self._said).encode())

    def _hand_over(self, letter: Letter) -> None:
        try:
            written = message(letter, self._sender)
        except ValueError as error:
            self._answer(letter, Outcome.REFUSED, f"no address: {error}")
            return
        if written.wide and not self._server.has_extn("smtputf8"):
            self._answer(letter, Outcome.REFUSED, "the mail server takes no address outside ASCII")
            return
        options = ["SMTPUTF8", "BODY=8BITMIME"] if written.wide else []
        opened = self._server.mail(written.sender, options)
        if opened[0] // 100 != 2:
            self._unopened(letter, opened)
            return
        said = self._server.rcpt(written.recipient)
        if said[0] // 100 == 2:
            said = self._server.docmd("DATA")
        if said[0] // 100 != 3:
            self._turned_down(letter, said)
            return
        self._server.send(_DOT.sub(b"..", written.content))
        self._lost = True
        self._server.send(b".\r\n")
        said = self._server.getreply()
        self._lost = False
        if said[0] // 100 == 2:
            self._answer(letter, Outcome.TAKEN, _text(said[1]))
        else:
            self._turned_down(letter, said)

    def _unopened(self, letter: Letter, said: Reply) -> None:
        """The server does not take letters from us now, or never from this sender: that is no word on the recipient."""
        words = f"{said[0]} {_text(said[1])}"
        self._trouble = Unavailable(words, sent=False) if said[0] < 500 else Misconfigured(f"the mail server refuses the sender: {words}")
        self._answer(letter, Outcome.LATER, words)

    def _turned_down(self, letter: Letter, said: Reply) -> None:
        """4xx is later, 5xx is for good; after it the talk goes on with the next letter, unless it is over or we are not let in."""
        words = f"{said[0]} {_text(said[1])}"
        if said[0] in OURS:
            self._trouble = Misconfigured(words)
        elif said[0] == CLOSING or said[0] < 400:
            self._trouble = Unavailable(words, sent=False)
        if self._trouble is not None or said[0] < 500:
            self._answer(letter, Outcome.LATER, words)
        else:
            self._answer(letter, Outcome.REFUSED, words)
        if self._trouble is None:
            self._server.rset()

    def _answer(self, letter: Letter, outcome: Outcome, words: str) -> None:
        taken = outcome is Outcome.TAKEN
        self._answers.append(Answer(key=letter.key, outcome=outcome, reference=words if taken else "", reason="" if taken else words))
        self._said.append(f"{letter.key} {outcome} {words}")


def _text(said: bytes | str) -> str:
    """A server's words as a database and a page can hold them."""
    return calls.plain(said.decode("utf-8", "replace") if isinstance(said, bytes) else said, 300)
