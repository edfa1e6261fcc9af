"""Letters over real SMTP: what each answer of the server means, TLS and login, and that no value of a letter breaks out of its place."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser
from typing import Any

import msgspec
import pytest

from gateway.domain.problems import Misconfigured, Unavailable
from gateway.outbound import Batch, Item, Letter, Outcome, Target
from gateway.outbound.letter_text import Sender, message
from gateway.registry import build
from gateway.texts import LANGUAGES, Language
from tests.peers import refused_url
from tests.smtp import LOGIN, PASSWORD, PEM, Mailbox, running_mail
from tests.targets.conftest import item

VALUES = {
    "utility": "Водоканал «Струя»",
    "agreement": "№ 15/7-ж",
    "period": "2022-10",
    "first": "2022-10-01",
    "last": "2022-11-21",
    "day": "2022-11-19",
    "days": "2",
    "meters": "25-418013, 25-418014",
    "more": "0",
}
PORTAL = "https://portal.example/me?tab=letters&x=1"
SENDER = Sender("Водоканал", "letters@city.example", "")


def letter(name: str, *, kind: str = "remind_end", language: Language = "ru", values: Mapping[str, str] = VALUES) -> Letter:
    """A letter to `name@example.org`, or to `name` when it has an @."""
    return Letter(
        key=f"let_{name.encode().hex()}",
        kind=kind,
        recipient=name if "@" in name else f"{name}@example.org",
        language=language,
        values=dict(values),
        written_at=datetime(2022, 11, 19, 6, tzinfo=UTC),
    )


def mail(server: Mailbox | None = None, /, **settings: Any) -> Target:
    """The target, at this server."""
    told = {"kind": "mail", "host": "127.0.0.1", "security": "none", "sender": "Водоканал <letters@city.example>", "timeout": 5.0}
    return build(Target, told | ({"port": server.port} if server else {}) | settings)


def send(target: Target, *names: str) -> list[tuple[str, Outcome]]:
    """Send letters to these in one batch; the answers in order."""
    receipt = target.deliver(Batch(id="b", items=(), letters=tuple(map(letter, names))))
    return [(bytes.fromhex(answer.key[4:]).decode(), answer.outcome) for answer in receipt.answers]


@pytest.mark.parametrize(("security", "login"), [("none", False), ("starttls", True), ("tls", False)])
def test_letters_arrive_over_one_connection(security: str, login: bool) -> None:  # noqa: FBT001 - the table's column
    with running_mail(security, login=login) as server:
        told = {"login": LOGIN, "password": PASSWORD} if login else {}
        target = mail(server, security=security, ca=str(PEM) if security != "none" else "", host="localhost", **told)
        assert send(target, "anna", "boris", "vera") == [(name, Outcome.TAKEN) for name in ("anna", "boris", "vera")]
        assert server.recipients() == ["anna@example.org", "boris@example.org", "vera@example.org"]
        assert {(one.tls, one.login) for one in server.arrived} == {(security != "none", login)}
        assert len(server.peers) == 1


def test_each_recipient_has_the_servers_own_word() -> None:
    with running_mail() as server:
        receipt = mail(server).deliver(Batch(id="b", items=(), letters=tuple(map(letter, ("nobody", "anna", "busy", "spam", "boris")))))
    assert [(one.outcome, one.reason, one.reference) for one in receipt.answers] == [
        (Outcome.REFUSED, "550 5.1.1 no such mailbox", ""),
        (Outcome.TAKEN, "", "2.0.0 queued as 1"),
        (Outcome.LATER, "450 4.2.0 the mailbox is busy", ""),
        (Outcome.REFUSED, "554 5.7.1 not a letter we want", ""),
        (Outcome.TAKEN, "", "2.0.0 queued as 2"),
    ]
    assert b"550 5.1.1 no such mailbox" in receipt.raw


def test_a_letter_whose_answer_is_lost_is_not_answered_and_those_after_it_were_not_sent() -> None:
    with running_mail() as server:
        target = mail(server)
        assert send(target, "anna", "hangup", "boris") == [("anna", Outcome.TAKEN), ("boris", Outcome.LATER)]
        assert server.recipients() == ["anna@example.org", "hangup@example.org"]
        with pytest.raises(Unavailable) as lost:
            send(target, "hangup")
        assert lost.value.sent
        assert send(target, "hangup", "boris") == [("boris", Outcome.LATER)]


def test_a_server_that_answers_too_late_may_have_the_letter() -> None:
    with running_mail() as server:
        server.moods = {"slow"}
        began = time.monotonic()
        with pytest.raises(Unavailable) as lost:
            send(mail(server, timeout=0.3), "anna")
        assert lost.value.sent
        assert time.monotonic() - began < 1
        server.moods = set()


def test_a_server_that_closes_or_is_away_has_nothing() -> None:
    with running_mail() as server:
        server.moods = {"closed"}
        with pytest.raises(Unavailable) as away:
            send(mail(server), "anna", "boris")
        assert not away.value.sent
        assert server.arrived == []
    with pytest.raises(Unavailable) as away:
        send(mail(port=int(refused_url().rpartition(":")[2])), "anna")
    assert not away.value.sent


def test_what_the_operator_must_mend_is_said_and_no_letter_is_refused_for_it() -> None:
    with running_mail() as server:
        server.moods = {"stranger"}
        with pytest.raises(Misconfigured, match="refuses the sender: 550"):
            send(mail(server), "anna")
        with pytest.raises(Misconfigured, match="STARTTLS"):
            send(mail(server, security="starttls"), "anna")
    with running_mail("starttls", login=True) as server:
        told = {"security": "starttls", "host": "localhost", "ca": str(PEM)}
        with pytest.raises(Misconfigured, match="535") as refused:
            send(mail(server, **told, login=LOGIN, password="wr0ng"), "anna")
        assert "wr0ng" not in str(refused.value)
        with pytest.raises(Misconfigured, match="530"):
            send(mail(server, **told), "anna")
        with pytest.raises(Misconfigured, match="certificate"):
            send(mail(server, **(told | {"ca": ""}), login=LOGIN, password=PASSWORD), "anna")
        assert server.arrived == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"sender": "City Water"}, "sender"),
        ({"sender": "City <a@b.example>\r\nBcc: c@d.example"}, "sender"),
        ({"sender": "a@b.example, c@d.example"}, "sender"),
        ({"portal": "javascript:alert(1)"}, "portal"),
        ({"portal": "https://x.example/\r\nBcc: c@d.example"}, "portal"),
        ({"login": "me"}, "password"),
        ({"login": "me", "password": "s3cret", "host": "mail.example"}, "tls"),
        ({"sendr": "a@b.example"}, "sendr"),
        ({"lost": "maybe"}, "lost"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(Misconfigured, match=named) as refused:
        mail(None, **wrong)
    assert "s3cret" not in str(refused.value)


def test_readings_are_not_sent_by_mail() -> None:
    reading: Item = item(1)
    with pytest.raises(Misconfigured):
        mail().deliver(Batch(id="b", items=(reading,)))


def test_what_a_lost_answer_means_is_a_setting() -> None:
    assert (mail().guarantee, mail(lost="in_doubt").guarantee) == ("A", "C")


def test_a_repeat_is_the_same_letter_byte_for_byte() -> None:
    with running_mail() as server:
        for _ in range(2):
            send(mail(server, portal=PORTAL), "anna")
        first, second = server.arrived
    assert first.content == second.content
    assert first.message["Message-ID"] == f"<let_{b'anna'.hex()}@city.example>"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["remind_start", "remind_end"])
def test_a_letter_says_the_same_as_text_and_as_a_page_in_its_language(kind: str, language: Language) -> None:
    with running_mail() as server:
        mail(server, portal=PORTAL).deliver(
            Batch(id="b", items=(), letters=(letter("anna", kind=kind, language=language, values=VALUES | {"more": "7"}),))
        )
        [arrived] = server.arrived
    read = arrived.message
    plain, page = read.get_body(("plain",)), read.get_body(("html",))
    assert plain is not None
    assert page is not None
    text, html = plain.get_content(), page.get_content()
    shown = ("Водоканал «Струя»", "№ 15/7-ж", "25-418013, 25-418014", "7", "2")
    days = ("1 October 2022", "21 November 2022") if language == "en" else ("01.10.2022", "21.11.2022")
    month = {"ru": "октябрь 2022", "uk": "жовтень 2022", "en": "October 2022"}[language]
    assert [part for part in (*shown, *days, month, PORTAL) if part not in text] == []
    assert [part for part in (*shown, *days, month, PORTAL.replace("&", "&amp;")) if part not in html] == []
    assert "…" not in text, "a value is missing"
    assert read["Subject"] == read["subject"].strip()
    assert month in read["Subject"]
    assert (read["From"], read["To"]) == ("Водоканал <letters@city.example>", "anna@example.org")
    assert (read["List-Unsubscribe"], read["Auto-Submitted"], read["Content-Language"]) == (f"<{PORTAL}>", "auto-generated", language)
    assert read["Date"].datetime == datetime(2022, 11, 19, 6, tzinfo=UTC)
    assert arrived.content.isascii()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_confirmation_holds_its_secret_and_an_address_to_follow_if_there_is_one(language: Language) -> None:
    told = {"agreement": "77", "login": "ivan<b>", "secret": "s3cr3t", "hours": "24", "url": "https://my.example/link?code=s3cr3t&x=1"}
    for values in (told, told | {"url": ""}):
        written = message(letter("anna", kind="link_confirm", language=language, values=values), SENDER)
        read = BytesParser(policy=policy.default).parsebytes(written.content)
        plain, page = read.get_body(("plain",)), read.get_body(("html",))
        assert plain is not None
        assert page is not None
        text, html = plain.get_content(), page.get_content()
        assert [part for part in ("77", "ivan<b>", "s3cr3t", "24", values["url"]) if part not in text] == []
        assert ("<a href=" in html) == bool(values["url"])
        assert "ivan&lt;b&gt;" in html
        assert "\n\n\n" not in text


def test_without_a_portal_nothing_points_at_one() -> None:
    with running_mail() as server:
        send(mail(server), "anna")
        [arrived] = server.arrived
    assert arrived.message["List-Unsubscribe"] is None


EVIL = "x\r\nBcc: thief@evil.example\r\n\r\n.\r\nRCPT TO:<thief@evil.example>\u2028<script>alert(1)</script>\x00\x85\ud800"


@pytest.mark.parametrize("name", sorted(VALUES))
def test_no_value_breaks_out_of_its_place(name: str) -> None:
    evil = letter("anna", values=VALUES | {name: EVIL})
    written = message(evil, msgspec.structs.replace(SENDER, portal=PORTAL))
    read = BytesParser(policy=policy.default).parsebytes(written.content)
    good = BytesParser(policy=policy.default).parsebytes(message(letter("anna"), msgspec.structs.replace(SENDER, portal=PORTAL)).content)
    assert read.keys() == good.keys()
    assert len(list(read.walk())) == len(list(good.walk()))
    html = read.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
    with running_mail() as server:
        receipt = mail(server).deliver(Batch(id="b", items=(), letters=(evil, letter("boris"))))
        assert [answer.outcome for answer in receipt.answers] == [Outcome.TAKEN, Outcome.TAKEN]
        assert server.recipients() == ["anna@example.org", "boris@example.org"]


@pytest.mark.parametrize(
    "recipient",
    [
        "a@b\r\nBcc: c@d.example",
        "a@b.example\nRCPT TO:<c@d.example>",
        "a b@c.example",
        "a@",
        "@c.example",
        "",
        "a@b@c.example",
        "<a@b.example>",
        "a@b.example, c@d.example",
        "a@b_.example",
        "a..b@c.example",
        "a\u2028b@c.example",
        f"{'a' * 65}@c.example",
    ],
)
def test_what_is_no_address_is_refused_and_the_others_go_on(recipient: str) -> None:
    strange = msgspec.structs.replace(letter("x"), recipient=recipient)
    with running_mail() as server:
        receipt = mail(server).deliver(Batch(id="b", items=(), letters=(strange, letter("boris"))))
        assert [answer.outcome for answer in receipt.answers] == [Outcome.REFUSED, Outcome.TAKEN]
        assert server.recipients() == ["boris@example.org"]


def test_addresses_of_other_alphabets_arrive() -> None:
    with running_mail() as server:
        assert send(mail(server), "a@пример.рф", "иван@пример.рф") == [("a@пример.рф", Outcome.TAKEN), ("иван@пример.рф", Outcome.TAKEN)]
        assert server.recipients() == ["a@xn--e1afmkfd.xn--p1ai", "иван@xn--e1afmkfd.xn--p1ai"]


def test_lines_that_begin_with_a_dot_arrive_as_they_are() -> None:
    dotted = letter("anna", values=VALUES | {"utility": ".", "agreement": "." * 200})
    with running_mail() as server:
        mail(server).deliver(Batch(id="b", items=(), letters=(dotted,)))
        [arrived] = server.arrived
    assert arrived.content == message(dotted, SENDER).content
