"""How a person proves that an agreement is theirs: what is wanted, and whether it fits what the registry knows (F-002, F-020 to F-027)."""

import re
import unicodedata
from collections.abc import Collection
from typing import Final

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.domain.profile import Linking
from gateway.domain.supply import key

WANTED: Final[dict[Linking, tuple[str, ...]]] = {
    "number_email": ("agreement", "email"),
    "inn_number": ("agreement", "inn"),
    "account_surname": ("agreement", "surname", "email"),
}
"""What is asked for by each way that a person may go alone; by the other two somebody of the utility binds the login."""

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_NUMBER: Final = re.compile(r"[0-9]{14}")
_INN: Final = re.compile(r"[0-9]{10}(?:[0-9]{2})?")
_NAME: Final = str.maketrans("Ё’ʼ`′", "Е''''")


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """One asking of a portal's user: `login` is the portal's own name of it, `number` the agreement or account as typed."""

    login: str
    number: str
    email: str = ""
    inn: str = ""
    surname: str = ""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """What the registry knows of an agreement and its party. `name` begins with the surname of a person; `emails`: of both."""

    agreement_id: int
    number: str
    profile: str
    name: str = ""
    tax_number: str = ""
    emails: tuple[str, ...] = ()


def email_key(email: str) -> str:
    """An e-mail as it is compared: without blanks around it and without case."""
    return email.strip().lower()


def method_of(asking: Asking, known: Collection[Linking]) -> Linking:
    """The way that an asking goes, one of those `known` to the utility's profiles.

    Raises Rejected when nobody can link himself here, when something else is wanted, or when what is given has not the shape of it.
    Nothing of this depends on what the registry holds.
    """
    given = {name for name in ("email", "inn", "surname") if getattr(asking, name).strip()}
    ways = {way: set(wanted[1:]) for way, wanted in WANTED.items() if way in known}
    if not ways:
        raise Rejected(Problem(code="link_by_staff"))
    way = next((way for way, wanted in ways.items() if given in (wanted, wanted | {"email"})), None)
    if way is None:
        wanted = "; ".join(" + ".join(WANTED[way]) for way in ways)
        raise Rejected(Problem(code="link_proof_wanted", values={"wanted": wanted}))
    problems = []
    if way == "number_email" and not _NUMBER.fullmatch("".join(asking.number.split())):
        problems.append(Problem(code="link_number_wrong", where="agreement", values={"value": asking.number}))
    if way == "inn_number" and not _INN.fullmatch(asking.inn.strip()):
        problems.append(Problem(code="link_inn_wrong", where="inn", values={"value": asking.inn}))
    if "email" in given:
        problems += email_problems(asking.email)
    if problems:
        raise Rejected(*problems)
    return way


def email_problems(email: str) -> list[Problem]:
    """What is wrong with an e-mail: nothing, or that it is none."""
    told = email.strip()
    fits = _EMAIL.fullmatch(told) and len(told) <= 254 and told.isprintable()
    return [] if fits else [Problem(code="link_email_wrong", where="email", values={"value": email})]


def refusal(method: Linking, asking: Asking, holder: Holder | None) -> Problem | None:
    """Why what was told does not link the agreement; None when it does.

    `holder`: None when there is no agreement of that number for this sender whose profile goes this way. A wrong number and a wrong proof
    get the same answer. That an agreement has no e-mail at all is said, because a written application is wanted then (F-021).
    """
    if holder is not None and method == "number_email" and not holder.emails:
        return Problem(code="link_no_email")
    fits = holder is not None and {
        "number_email": email_key(asking.email) in {email_key(one) for one in holder.emails},
        "inn_number": "" != asking.inn.strip() == holder.tax_number.strip(),
        "account_surname": surname_fits(asking.surname, holder.name),
    }.get(method, False)
    return None if fits else Problem(code="link_no_match")


def surname_fits(surname: str, name: str) -> bool:
    """Whether a surname is how a holder's name begins, word for word; case, blanks, ё, apostrophes and look-alikes do not matter."""
    typed, words = _name_key(surname), name.split()
    if not words or _name_key(words[0]) in _FORMS:
        return bool(typed) and typed == _name_key(name)
    return bool(typed) and any(_name_key("".join(words[:count])) == typed for count in range(1, len(words) + 1))


def _name_key(text: str) -> str:
    return key(unicodedata.normalize("NFC", text).upper().translate(_NAME))


_FORMS: Final = frozenset(
    _name_key(form)
    for form in (
        *("ООО", "ОАО", "ПАО", "ЗАО", "АО", "НАО", "ТСЖ", "ТСН", "ЖСК", "ЖК", "ГСК", "СНТ", "ИП", "МУП", "ГУП", "ФГУП"),
        *("ТОВ", "ПРАТ", "ПАТ", "АТ", "ОСББ", "ФОП", "КП", "КНП"),
    )
)
"""What stands before the name of a company or a trader: it is no surname, and such a holder is told by the whole name."""
