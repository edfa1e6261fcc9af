"""A real mail server for tests: aiosmtpd on a free port in a thread of its own, which does as each recipient's name says."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.peers import refused_url

PEM: Final = Path(__file__).parent / "targets" / "localhost.pem"
LOGIN: Final = "metergate"
PASSWORD: Final = "s3cret-of-mail"


class Arrived(NamedTuple):
    """A letter that the server took: from whom, to whom, its bytes and the same read; whether it came over TLS and with a login."""

    sender: str
    recipient: str
    content: bytes
    message: EmailMessage
    tls: bool
    login: bool


class Mailbox:
    """Takes letters. `nobody@` has no mailbox, `busy@` is put off, `spam@` is refused once its letter was read; `moods` holds what else."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.moods: set[str] = set()
        self.peers: set[str] = set()
        self.host = "127.0.0.1"
        self.port = 0

    async def handle_MAIL(self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802 - the library's name
        if "closed" in self.moods:
            return "421 4.3.2 closing for the night"
        if "stranger" in self.moods:
            return "550 5.7.1 this sender may not"
        self.peers.add(str(session.peer))
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 ok"

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        if address.startswith("nobody@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("busy@"):
            return "450 4.2.0 the mailbox is busy"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        [recipient] = envelope.rcpt_tos
        if "slow" in self.moods:
            await asyncio.sleep(1.0)
        if recipient.startswith("spam@"):
            return "554 5.7.1 not a letter we want"
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        read = message_from_bytes(content, policy=policy.default)
        assert isinstance(read, EmailMessage)
        transport: Any = server.transport
        tls = transport.get_extra_info("ssl_object") is not None
        self.arrived.append(Arrived(envelope.mail_from or "", recipient, content, read, tls, bool(session.authenticated)))
        if "hangup" in self.moods or recipient.startswith("hangup@"):
            transport.abort()
        return f"250 2.0.0 queued as {len(self.arrived)}"

    def recipients(self) -> list[str]:
        """To whom letters came, in their order."""
        return [one.recipient for one in self.arrived]


@contextmanager
def running_mail(security: str = "none", *, login: bool = False) -> Iterator[Mailbox]:
    """Run a mail server: `none`, `starttls` or `tls`; with `login` it takes letters from nobody else."""
    mailbox = Mailbox()
    mailbox.port = int(refused_url().rpartition(":")[2])
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(PEM)
    told: dict[str, Any] = {"hostname": mailbox.host, "port": mailbox.port, "enable_SMTPUTF8": True}
    if security == "starttls":
        told |= {"tls_context": secure, "require_starttls": True}
    if security == "tls":
        told["ssl_context"] = secure
    if login:
        told |= {"authenticator": _authenticator, "auth_required": True, "auth_require_tls": security == "starttls"}
    server = Controller(mailbox, **told)
    server.start()
    try:
        yield mailbox
    finally:
        server.stop()


def _authenticator(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (LOGIN.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=known)
