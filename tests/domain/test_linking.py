"""What proves that an agreement is somebody's, and what is answered to what does not."""

import pytest

from gateway.domain.linking import Asking, Holder, email_key, method_of, refusal, surname_fits
from gateway.domain.problems import Rejected
from gateway.domain.profile import Linking
from tests.domain.build import PROFILES

HOLDER = Holder(
    agreement_id=1, number="1801", profile="x", name="Соловьёв-Седой Пётр Ильич", tax_number="6311009999", emails=("Ivan@Example.org",)
)
NUMBER = "78010000002778"


def asking(**told: str) -> Asking:
    return Asking(**({"login": "ivan", "number": NUMBER} | told))


def codes(known: set[Linking], **told: str) -> list[str]:
    with pytest.raises(Rejected) as refused:
        method_of(asking(**told), known)
    return [problem.code for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("told", "way"),
    [
        ({"email": "a@b.org"}, "number_email"),
        ({"inn": "6311009999"}, "inn_number"),
        ({"inn": "631100999912", "email": "a@b.org"}, "inn_number"),
        ({"surname": "Соловьев", "email": "a@b.org"}, "account_surname"),
    ],
)
def test_what_is_given_says_which_way_it_goes(told: dict[str, str], way: Linking) -> None:
    """F-020, F-024, F-002."""
    assert method_of(asking(**told), {"number_email", "inn_number", "account_surname", "manager"}) == way


def test_what_is_given_must_be_what_the_utility_s_profiles_want() -> None:
    assert codes({"manager", "contractor"}, email="a@b.org") == ["link_by_staff"]
    assert codes({"inn_number"}, email="a@b.org") == ["link_proof_wanted"]
    assert codes({"account_surname"}, surname="Иванов") == ["link_proof_wanted"]
    assert codes({"account_surname", "inn_number"}, surname="Иванов", inn="6311009999", email="a@b.org") == ["link_proof_wanted"]
    assert codes({"number_email"}) == ["link_proof_wanted"]


@pytest.mark.parametrize("number", ["7801000000277", "780100000027781", "7801000000277Х", "٧٨٠١٠٠٠٠٠٠٢٧٧٨"])
def test_an_agreement_of_companies_has_14_digits(number: str) -> None:
    """F-020."""
    assert codes({"number_email"}, number=number, email="a@b.org") == ["link_number_wrong"]
    assert method_of(asking(number="7801 0000 0027 78", email="a@b.org"), {"number_email"}) == "number_email"


@pytest.mark.parametrize("inn", ["631100999", "63110099991", "6311009999123", "63110O9999"])
def test_an_inn_has_10_or_12_digits(inn: str) -> None:
    """F-024."""
    assert codes({"inn_number"}, inn=inn) == ["link_inn_wrong"]


@pytest.mark.parametrize("email", ["ivan", "@example.org", "ivan@", "i van@example.org", "ivan@example", "a@b@c.org", "a\u202eb@c.org"])
def test_an_e_mail_that_is_none_is_refused(email: str) -> None:
    assert codes({"number_email"}, email=email) == ["link_email_wrong"]


@pytest.mark.parametrize(
    "surname",
    [
        "Соловьёв-Седой",
        "соловьев-седой",
        " СОЛОВЬЕВ - СЕДОЙ ",
        "Cоловьёв-Ceдой",
        "Соловьёв–Седой",
        "Соловьев-Седой Пётр",
        "Соловье\u0308в-Седой",
    ],
)
def test_a_surname_fits_however_it_is_typed(surname: str) -> None:
    """F-002: case, ё, blanks, dashes, Latin letters that look alike."""
    assert surname_fits(surname, HOLDER.name)


@pytest.mark.parametrize("surname", ["", " ", "Соловьёв", "Седой", "Пётр", "С", "Соловьёв-Седой Ильич", "Соловьёв-Седойй"])
def test_a_part_of_a_surname_is_none(surname: str) -> None:
    """F-002."""
    assert not surname_fits(surname, HOLDER.name)


def test_an_apostrophe_is_one_however_it_is_typed() -> None:
    """F-002."""
    assert all(surname_fits(f"Дем{mark}яненко", "Дем'яненко Олена") for mark in "'’ʼ`")


def test_only_the_right_proof_links() -> None:
    """F-002, F-020, F-024: a wrong number, a wrong proof and what is not there are answered alike."""
    ways: list[tuple[Linking, dict[str, str], dict[str, str]]] = [
        ("number_email", {"email": " ivan@example.ORG "}, {"email": "petr@example.org"}),
        ("inn_number", {"inn": "6311009999"}, {"inn": "6311009998"}),
        ("account_surname", {"surname": "Соловьев-Седой"}, {"surname": "Соловьев"}),
    ]
    for way, right, wrong in ways:
        assert refusal(way, asking(**right), HOLDER) is None
        problems = [refusal(way, asking(**wrong), HOLDER), refusal(way, asking(**right), None)]
        assert [problem and (problem.code, problem.where, problem.values) for problem in problems] == [("link_no_match", "", {})] * 2
    for way in ("manager", "contractor"):
        assert refusal(way, asking(surname="Соловьев-Седой", email="ivan@example.org", inn="6311009999"), HOLDER) is not None


def test_an_agreement_without_an_e_mail_says_so() -> None:
    """F-021."""
    bare = Holder(agreement_id=1, number=NUMBER, profile="x")
    problem = refusal("number_email", asking(email="a@b.org"), bare)
    assert problem is not None
    assert problem.code == "link_no_email"


def test_an_empty_registry_proves_nothing() -> None:
    bare = Holder(agreement_id=1, number=NUMBER, profile="x")
    assert refusal("inn_number", asking(inn=""), bare) is not None
    assert refusal("account_surname", asking(surname=""), bare) is not None


def test_letters_of_another_alphabet_do_not_make_an_e_mail_the_same() -> None:
    assert email_key("STRASSE@example.org") != email_key("straße@example.org")


def test_the_shipped_profiles_say_how_agreements_are_linked() -> None:
    assert {name: profile.linking for name, profile in PROFILES.items()} == {
        "consumer_ua": "manager",
        "contractor_heat": "contractor",
        "household": "account_surname",
        "legal_entity": "number_email",
        "water": "inn_number",
    }
    assert {name for name, profile in PROFILES.items() if profile.link.accounts_per_email} == {"household"}
    assert PROFILES["household"].link.accounts_per_email == 10
    assert {profile.link.confirm_hours for profile in PROFILES.values()} == {24}


def test_the_form_of_a_company_is_no_surname() -> None:
    assert not surname_fits("ТСЖ", "ТСЖ Луч")
    assert surname_fits("тсж луч", "ТСЖ Луч")
    assert not surname_fits("", "")
