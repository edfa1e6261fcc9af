"""Linking on a real database, by a given clock: letters, times that run out, limits, and several at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Any

import msgspec
import pytest

from gateway import profiles
from gateway.domain.linking import Asking
from gateway.domain.problems import Rejected
from gateway.pipeline import linking
from gateway.settings import Links
from gateway.store import links, people
from gateway.store.links import Link
from gateway.store.people import Sender
from tests.accounts import account
from tests.conftest import case
from tests.store.ground import Ground

NUMBER, EMAIL = "78010000002778", "energo@example.org"
AT = datetime(2025, 10, 25, 12, tzinfo=UTC)
HOURS = timedelta(hours=1)
RULES = Links(resend=0, confirm_url={"city": "https://my.example.org/link?code={secret}"})


class Office:
    """A utility whose companies link by number and e-mail and whose households by account and surname."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        with ground.owner.transaction() as connection:
            people.save_document(connection, ground.utility, "profile", "household", profiles.shipped()["household"], "test")
        self.company = account(
            ground.owner, ground.utility, "legal_entity", NUMBER, emails=["Energo@Example.org"], party_emails=["b@example.org"]
        )

    def ask(self, login: str = "ivan", *, rules: Links = RULES, at: datetime = AT, sender: Sender | None = None, **told: str) -> Link:
        asked = Asking(**({"login": login, "number": NUMBER} | (told or {"email": EMAIL})))
        return linking.ask(self.ground.store, sender or self.ground.sender, asked, rules, "ru", at)

    def refused(self, *args: Any, **told: Any) -> tuple[str, dict[str, str]]:
        with pytest.raises(Rejected) as refusal:
            self.ask(*args, **told)
        [problem] = refusal.value.problems
        return problem.code, problem.values

    def secrets(self) -> list[str]:
        """The secrets of the letters so far, the oldest first."""
        return [str(row[0]) for row in self.ground.plain("select \"values\"->>'secret' from letter order by occasion")]

    def confirm(self, secret: str, at: datetime = AT) -> Link | None:
        try:
            return linking.confirm(self.ground.store, self.ground.sender, secret, at)
        except Rejected:
            return None

    def live(self, login: str = "ivan", at: datetime = AT) -> list[tuple[str, str]]:
        with self.ground.store.transaction(self.ground.utility) as connection:
            return [(one.agreement, one.state) for one in links.live(connection, self.ground.sender, login, at)]

    def households(self, count: int) -> list[str]:
        numbers = [f"5-{number}К" for number in range(count)]
        for number in numbers:
            account(self.ground.owner, self.ground.utility, "household", number)
        return numbers


@pytest.fixture
def office(ground: Ground) -> Office:
    return Office(ground)


def together(*calls: Callable[[], Any]) -> list[Any]:
    """What these come to when all begin at one moment; a refusal is its code."""
    barrier = Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except Rejected as refusal:
            return refusal.problems[0].code

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def test_a_letter_is_written_to_the_address_that_stands_in_the_agreement(office: Office) -> None:
    """F-020: the link waits, and only the letter holds its secret."""
    made = office.ask()
    assert (made.state, made.expires_at, made.party, made.signed_on) == ("waiting", AT + timedelta(hours=24), "", None)
    [(recipient, kind, occasion, language, agreement, values)] = office.ground.plain(
        'select recipient, kind, occasion, language, agreement_id, "values" from letter'
    )
    assert (recipient, kind, occasion, language, agreement) == (
        "Energo@Example.org",
        "link_confirm",
        f"link {made.id}",
        "ru",
        office.company,
    )
    secret = values.pop("secret")
    url = f"https://my.example.org/link?code={secret}"
    assert values == {"agreement": NUMBER, "login": "ivan", "url": url, "hours": "24"}
    [(kept, told)] = office.ground.plain("select secret_hash, l::text from link l")
    assert bytes(kept) == people.digest(secret)
    assert secret not in told
    assert office.ask("petr", email="b@example.org", rules=Links()).state == "waiting", "the party's addresses count as well"
    assert office.ground.plain("select \"values\"->>'url' from letter where recipient = 'b@example.org'") == [("",)]


def test_a_link_is_confirmed_once_and_says_so_ever_after(office: Office) -> None:
    """F-020."""
    office.ask()
    [secret] = office.secrets()
    first, again = office.confirm(secret, AT + HOURS), office.confirm(secret, AT + 30 * HOURS)
    assert first is not None
    assert (first.state, first.linked_at, first.party) == ("linked", AT + HOURS, "Иванов Иван Иванович")
    assert again == first
    with pytest.raises(Rejected, match="link_secret_unknown"):
        linking.confirm(office.ground.store, office.ground.sender, "another", AT)
    with office.ground.store.transaction(office.ground.utility) as connection:
        assert links.end(connection, office.ground.sender, first.id, AT + 31 * HOURS, "ivan") is not None
        assert links.end(connection, office.ground.sender, first.id, AT + 31 * HOURS, "ivan") is None
    assert office.confirm(secret, AT + 32 * HOURS) is None, "what was ended does not come back"


def test_what_nobody_confirms_in_24_hours_has_ended(office: Office) -> None:
    """F-020, F-005."""
    made = office.ask()
    [secret] = office.secrets()
    last = AT + timedelta(hours=24) - timedelta(seconds=1)
    assert office.live(at=last) == [(NUMBER, "waiting")]
    assert office.live(at=AT + timedelta(hours=24)) == []
    assert office.confirm(secret, AT + timedelta(hours=24)) is None
    office.ask(at=AT + 25 * HOURS)
    assert office.ground.plain("select state, ended_at from link order by id") == [("ended", AT + timedelta(hours=24)), ("waiting", None)]
    assert made.id
    assert office.confirm(office.secrets()[1], AT + 26 * HOURS) is not None


def test_another_asking_ends_the_letter_before_and_a_hasty_one_writes_none(office: Office) -> None:
    hasty = msgspec.structs.replace(RULES, resend=60.0)
    first = office.ask(rules=hasty)
    assert office.ask(rules=hasty, at=AT + timedelta(seconds=59)) == first
    second = office.ask(rules=hasty, at=AT + timedelta(seconds=60))
    assert second.id != first.id
    before, now = office.secrets()
    assert office.confirm(before, AT + HOURS) is None
    assert office.confirm(now, AT + HOURS) is not None
    assert office.ask(at=AT + HOURS).id == second.id, "what is linked is not asked again"
    assert len(office.secrets()) == 2


def test_a_wrong_proof_leaves_no_agreement_behind(office: Office) -> None:
    """F-020, F-021: other e-mails, other numbers and agreements of other profiles are answered alike; one without an e-mail says so."""
    account(office.ground.owner, office.ground.utility, "household", "78010000009999", emails=[EMAIL])
    account(office.ground.owner, office.ground.utility, "legal_entity", "78010000003333", name="ООО")
    for told in ({"email": "petr@example.org"}, {"number": "78010000000000", "email": EMAIL}, {"number": "78010000009999", "email": EMAIL}):
        assert office.refused(**told) == ("link_no_match", {})
    assert office.refused(number="78010000003333", email=EMAIL) == ("link_no_email", {})
    rows = office.ground.plain("select agreement_id, state, email from link")
    assert {row[:2] for row in rows} == {(None, "refused")}
    assert len(rows) == 4
    assert office.secrets() == []


def test_a_closed_agreement_and_one_beyond_the_key_are_not_there(office: Office) -> None:
    narrow = msgspec.structs.replace(office.ground.sender, agreement_ids=(0,))
    assert office.refused(sender=narrow) == ("link_no_match", {})
    with office.ground.owner.transaction() as connection:
        connection.exec_driver_sql("update agreement set closed_on = '2025-10-24'")
    assert office.refused() == ("link_no_match", {})
    assert office.ask(at=AT - timedelta(days=1)).state == "waiting"


def test_askings_of_a_login_are_counted_in_an_hour(office: Office) -> None:
    """F-002: refused ones too; the answer says when the next one is heard."""
    rules = msgspec.structs.replace(RULES, per_login=3, per_agreement=100)
    for minute in (0, 10, 20):
        assert (
            office.refused(number=f"7801000000000{minute // 10}", email=EMAIL, rules=rules, at=AT + timedelta(minutes=minute))[0]
            == "link_no_match"
        )
    told: dict[str, Any] = {"rules": rules, "at": AT + timedelta(minutes=30)}
    assert office.refused(**told, email=EMAIL) == ("link_too_often", {"seconds": "1800", "minutes": "30"})
    assert office.ask("petr", **told, email=EMAIL).state == "waiting", "others are heard"
    assert office.ask(rules=rules, at=AT + timedelta(minutes=60)).state == "waiting"
    assert office.ground.plain("select count(*) from link where login = 'ivan'") == [(4,)], "what was not heard is not counted"


def test_askings_of_a_number_are_counted_however_it_is_written(office: Office) -> None:
    """F-002."""
    rules = msgspec.structs.replace(RULES, per_login=100, per_agreement=2)
    household: dict[str, Any] = {"surname": "Петров", "email": EMAIL, "rules": rules}
    for login, number in (("a", "1801-К"), ("b", "01801 - k"), ("c", "№1801-к")):
        code, _ = office.refused(login, number=number, **household)
        assert code == ("link_too_often" if login == "c" else "link_no_match")


def test_ten_accounts_are_linked_under_an_e_mail_and_no_more(office: Office) -> None:
    """F-004: whoever's login; one that is unlinked makes room; what is linked already is no other account."""
    numbers = office.households(11)
    rules = msgspec.structs.replace(RULES, per_login=100)
    told: dict[str, Any] = {"surname": "иванов", "rules": rules}
    for place, number in enumerate(numbers[:10]):
        assert office.ask(f"login {place % 2}", number=number, email=EMAIL.upper() if place % 2 else EMAIL, **told).state == "linked"
    assert office.refused("another", number=numbers[10], email=EMAIL, **told) == ("link_email_limit", {"limit": "10"})
    assert office.ask("another", number=numbers[10], email="other@example.org", **told).state == "linked"
    assert office.ask("another", number=numbers[0], email=EMAIL, **told).state == "linked"
    with office.ground.store.transaction(office.ground.utility) as connection:
        [one] = [link for link in links.live(connection, office.ground.sender, "login 1", AT) if link.agreement == numbers[1]]
        assert links.end(connection, office.ground.sender, one.id, AT, "login 1") is not None
    assert office.ask("third", number=numbers[10], email=EMAIL, **told).state == "linked"


def test_who_gives_no_e_mail_is_counted_under_none(office: Office) -> None:
    """F-004, F-024: an INN proves without an e-mail, and those who give none have nothing in common."""
    document = profiles.shipped()["household"].decode().replace("account_surname", "inn_number").replace("email = 10 ", "email = 1 ")
    with office.ground.owner.transaction() as connection:
        people.save_document(connection, office.ground.utility, "profile", "household", document.encode(), "test")
    numbers = office.households(3)
    office.ground.rows("update party set tax_number = '7801234564'")
    for login, number in zip("abc", numbers, strict=True):
        assert office.ask(login, number=number, inn="7801234564").state == "linked"
    told: dict[str, Any] = {"inn": "7801234564", "email": EMAIL}
    assert office.ask("a", number=numbers[0], **told).state == "linked"
    assert office.ask("d", number=numbers[0], **told).state == "linked"
    assert office.refused("d", number=numbers[1], **told)[0] == "link_email_limit"


def test_an_eleventh_account_in_two_transactions_is_one_too_many(office: Office) -> None:
    """F-004."""
    numbers = office.households(13)
    rules = msgspec.structs.replace(RULES, per_login=100)

    def link(login: str, number: str) -> Callable[[], str]:
        return lambda: office.ask(login, number=number, surname="Иванов", email=EMAIL, rules=rules).state

    for number in numbers[:9]:
        link("ivan", number)()
    came = together(*(link(f"login {place}", number) for place, number in enumerate(numbers[9:])))
    assert sorted(came) == ["link_email_limit", "link_email_limit", "link_email_limit", "linked"]


def test_two_askings_at_once_are_one_link_and_one_letter(office: Office) -> None:
    rules = msgspec.structs.replace(RULES, resend=60.0)
    came = together(*[lambda: office.ask(rules=rules).id] * 4)
    assert len(set(came)) == 1
    assert len(office.secrets()) == 1


def test_askings_at_once_do_not_slip_past_the_limit(office: Office) -> None:
    rules = msgspec.structs.replace(RULES, per_login=2)
    numbers = [f"7801000000000{place}" for place in range(5)]
    came = together(*(partial(office.ask, number=number, email=EMAIL, rules=rules) for number in numbers))
    assert sorted(came) == ["link_no_match"] * 2 + ["link_too_often"] * 3


def test_two_confirms_at_once_get_one_answer(office: Office) -> None:
    office.ask()
    [secret] = office.secrets()
    came = together(*(partial(office.confirm, secret, AT + place * HOURS) for place in range(4)))
    assert len({msgspec.json.encode(link) for link in came}) == 1
    assert came[0].state == "linked"


def test_an_asking_and_a_confirm_at_once_leave_one_live_link(office: Office) -> None:
    rules = msgspec.structs.replace(RULES, per_agreement=1000)
    for turn in range(case(5, 100)):
        login = f"login {turn}"
        office.ask(login, rules=rules)
        secret = str(office.ground.one("select \"values\"->>'secret' from letter where \"values\"->>'login' = %(l)s", l=login))
        together(partial(office.ask, login, rules=rules), partial(office.confirm, secret))
        assert len(office.live(login)) == 1


def test_a_manager_binds_all_of_a_consumer(office: Office) -> None:
    """F-009, F-027: by its code, by eight digits of ЕДРПОУ or ten of a sole trader; bound again it is the same link."""
    ground = office.ground
    for number, name, tax in (
        ("425", "ПАТ Світло", "00131512"),
        ("426", "ПАТ Світло", "00131512"),
        ("427", "ФОП Дем'яненко", "2345678901"),
    ):
        account(ground.owner, ground.utility, "household", number, name=name, tax=tax)

    def bind(login: str = "svitlo", email: str = "", agreement: str = "", party: str = "") -> list[Link]:
        with ground.store.transaction(ground.utility) as connection:
            return linking.bind(connection, ground.sender, login=login, email=email, agreement=agreement, party=party, now=AT)

    bound = bind(email="Office@example.org", party="00131512")
    assert [(one.agreement, one.state, one.method, one.email) for one in bound] == [
        ("425", "linked", "manager", "office@example.org"),
        ("426", "linked", "manager", "office@example.org"),
    ]
    assert bind(party="пат світло") == bound
    assert [one.agreement for one in bind("fop", party="2345678901")] == ["427"]
    assert [one.agreement for one in bind("fop", agreement="425")] == ["425"]
    waiting = office.ask("svitlo")
    [now] = bind(agreement=NUMBER)
    assert (now.id, now.state, now.email, now.expires_at) == (waiting.id, "linked", EMAIL, None)
    for told, code in (({"party": "00131513"}, "party_unknown"), ({"agreement": "428"}, "agreement_unknown"), ({}, "link_proof_wanted")):
        with pytest.raises(Rejected) as refused:
            bind(**told)
        assert [problem.code for problem in refused.value.problems] == [code]
