"""A letter as it travels (RFC 5322, MIME): its words in the reader's language, as plain text and as a page, and its headers."""

import re
from datetime import UTC, date
from email.headerregistry import Address, AddressHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from gateway import texts
from gateway.outbound import Letter

_POLICY: Final = SMTP.clone(cte_type="7bit")
_WIDE: Final = SMTP.clone(cte_type="7bit", utf8=True)
_GAP: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ATOM: Final = r"[^\s\x00-\x20\x7f-\x9f\"(),.:;<>@\[\]\\\u2028\u2029\ud800-\udfff]+"
_LOCAL: Final = re.compile(rf"(?=.{{1,64}}$){_ATOM}(\.{_ATOM})*")
_DOMAIN: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_ADDRESS: Final = re.compile(r"https?://[^\s<>\"]+")
_PERIOD: Final = re.compile(r"[12][0-9]{3}-(0[1-9]|1[0-2])")


class Sender(msgspec.Struct, frozen=True):
    """From whom letters come, and where their readers find the portal, empty when there is none."""

    name: str
    address: str
    portal: str

    @classmethod
    def of(cls, sender: str, portal: str) -> "Sender":
        """Read the settings. Raises ValueError naming the wrong one."""
        if sender != _line(sender):
            raise ValueError("sender: one line is wanted")
        parsed: Any = AddressHeader.value_parser(sender)
        boxes = parsed.all_mailboxes
        if len(boxes) != 1 or parsed.all_defects:
            raise ValueError("sender: one address is wanted, such as City Water <letters@example.org>")
        return cls(boxes[0].display_name or "", _address(boxes[0].addr_spec), portal)


class Written(msgspec.Struct, frozen=True):
    """A letter ready to be sent. `wide`: an address of it is not all ASCII, so that the server must know SMTPUTF8 (RFC 6531)."""

    sender: str
    recipient: str
    content: bytes
    wide: bool


def checked(sender: str, portal: str) -> None:
    """Raises ValueError, naming the setting, for a sender that is no address and a portal that is no web address."""
    Sender.of(sender, portal)
    parts = urlsplit(portal)
    if portal and (parts.scheme not in ("http", "https") or not parts.hostname or not portal.isascii() or re.search(r"[\s<>\"]", portal)):
        raise ValueError("portal: a plain http or https address is wanted")


def message(letter: Letter, sender: Sender) -> Written:
    """Word a letter. The same letter comes out the same, byte for byte. Raises ValueError for a recipient that is no address."""
    recipient = _address(letter.recipient)
    wide = not (recipient.isascii() and sender.address.isascii())
    subject, paragraphs = words(letter, sender.portal)
    told = EmailMessage(_WIDE if wide else _POLICY)
    told["From"] = Address(sender.name, *sender.address.rsplit("@", 1))
    told["To"] = Address("", *recipient.rsplit("@", 1))
    told["Subject"] = subject
    told["Date"] = format_datetime(letter.written_at.astimezone(UTC))
    told["Message-ID"] = f"<{letter.key}@{sender.address.rpartition('@')[2]}>"
    told["Auto-Submitted"] = "auto-generated"
    if sender.portal:
        told["List-Unsubscribe"] = f"<{sender.portal}>"
    told.set_content("\n\n".join(paragraphs) + "\n")
    told.add_alternative(_page(subject, paragraphs, letter.language, sender.portal), subtype="html")
    told["Content-Language"] = letter.language
    told.set_boundary(f"={letter.key}=")
    return Written(sender.address, recipient, told.as_bytes().removesuffix(b"\r\n") + b"\r\n", wide)


def words(letter: Letter, portal: str) -> tuple[str, list[str]]:
    """Subject and paragraphs of a letter in its language, its values shown as people write them."""
    language = letter.language
    shown = {name: _shown(_line(value), language) for name, value in letter.values.items()}
    if shown.get("more", "0") != "0":
        shown["meters"] = texts.word("letter.and_more", language, **shown)
    subject = texts.word(f"letter.{letter.kind}_subject", language, **shown)
    body = texts.word(f"letter.{letter.kind}_text", language, **shown)
    if portal:
        body += f"\n\n{texts.word('letter.portal', language, portal=portal)}"
    return _line(subject), [paragraph.strip() for paragraph in body.split("\n\n") if paragraph.strip()]


def _shown(value: str, language: texts.Language) -> str:
    """A day or a period as people write it, anything else as it is."""
    months = texts.word("letter.months", language).split()
    if _PERIOD.fullmatch(value):
        return f"{months[int(value[5:]) - 1]} {value[:4]}"
    try:
        day = date.fromisoformat(value) if len(value) == 10 else None
    except ValueError:
        return value
    if day is None:
        return value
    return f"{day.day} {months[day.month - 1]} {day.year}" if language == "en" else f"{day:%d.%m.%Y}"


def _line(text: str) -> str:
    """A text on one line: what breaks lines or cannot be seen is a blank, or it could add a header or a paragraph of its own."""
    return _GAP.sub(" ", text).strip()


def _address(text: str) -> str:
    """An address as it is written in an envelope, its domain in ASCII (IDNA). Raises ValueError for what is none."""
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local):
        raise ValueError(f"{_line(text)[:100]!r}")
    try:
        plain = domain.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"{_line(text)[:100]!r}") from error
    if not _DOMAIN.fullmatch(plain):
        raise ValueError(f"{_line(text)[:100]!r}")
    return f"{local}@{plain}"


def _page(subject: str, paragraphs: list[str], language: str, portal: str) -> str:
    """The same words as a page that loads nothing."""
    told = "\n".join(f"<p>{_linked(escape(paragraph))}</p>" for paragraph in paragraphs)
    if portal:
        told = told.replace(f" {escape(portal)}</p>", f' <a href="{escape(portal)}">{escape(portal)}</a></p>')
    head = f'<meta charset="utf-8"><title>{escape(subject)}</title>'
    return f'<!doctype html>\n<html lang="{language}"><head>{head}</head><body>\n{told}\n</body></html>\n'


def _linked(paragraph: str) -> str:
    """A paragraph that is an address and nothing else can be followed."""
    return f'<a href="{paragraph}">{paragraph}</a>' if _ADDRESS.fullmatch(paragraph) else paragraph
