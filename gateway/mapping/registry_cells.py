"""What each column of a registry may say: a reader by column, from text to the value of a `Line`."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Final

from gateway.domain import eic
from gateway.domain.profile import SERVICES
from gateway.domain.readings import REGISTERS
from gateway.domain.supply import SYSTEMS
from gateway.domain.windows import month
from gateway.mapping.cells import CellError, text_code, typed_number

SCHEMES: Final = ("supply", "return", "open", "dead_end", "circulation", "make_up")
"""How the pipes of a heat input run: supply, return, open, hot water dead-end or circulating, make-up."""
_LONG: Final = 10
_YES, _NO = ("true", "1", "yes", "y", "да", "так"), ("false", "0", "no", "n", "нет", "ні")
_address: Final = re.compile(r"[^@\s;,<>()\"\\]{1,64}@[^@\s;,<>()\"\\.]+(\.[^@\s;,<>()\"\\.]+)+").fullmatch
_tax_number: Final = re.compile(r"[0-9]{8}|[0-9]{10}|[0-9]{12}").fullmatch


class WrongError(ValueError):
    """A cell does not say what its column wants; the message says what that is."""


def _register(text: str) -> str:
    if text not in REGISTERS:
        raise WrongError("A+, A+:night, R+, heat, volume …")
    return text


def _one_of(*codes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in codes:
            raise WrongError(", ".join(codes))
        return text

    return read


def _places(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < _LONG and least <= int(text) <= most):
            raise WrongError(f"{least}…{most}")
        return int(text)

    return read


def _ratio(text: str) -> Decimal:
    ratio = typed_number(text)
    if ratio <= 0:
        raise WrongError("> 0")
    return ratio


def _not_negative(text: str) -> Decimal:
    amount = typed_number(text)
    if amount < 0:
        raise WrongError("≥ 0")
    return amount


def _losses(text: str) -> Decimal:
    losses = typed_number(text)
    if not -1 < losses < 1:
        raise WrongError("0.05 = 5 %")
    return losses


def _period(text: str) -> str:
    try:
        month(text)
    except ValueError:
        raise WrongError("YYYY-MM") from None
    return text


def _open(text: str) -> bool:
    if text.lower() not in _YES + _NO:
        raise WrongError("true / false")
    return text.lower() in _YES


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise WrongError("YYYY-MM-DD") from None


def _title(text: str) -> str:
    if len(text) > 500 or not text.isprintable():
        raise WrongError("≤ 500")
    return text


def _tax(text: str) -> str:
    """INN of a company (10 digits) or a person (12), ЕДРПОУ (8) or the number of a Ukrainian sole trader (10)."""
    if _tax_number(text) is None:
        raise WrongError("8, 10, 12 × 0…9")
    return text


def _emails(text: str) -> str:
    """Each address once, in the order they are written."""
    found = list(dict.fromkeys(one.strip() for one in text.split(";") if one.strip()))
    if any(len(one) > 254 or not one.isprintable() or _address(one) is None for one in found):
        raise WrongError("name@example.com; …")
    return ";".join(found)


def _ids(text: str) -> str:
    """Codes by system, each system once, in the order of the systems. Raises CellError for a code that is none."""
    found: dict[str, str] = {}
    for one in filter(None, map(str.strip, text.split(";"))):
        system, _, code = (part.strip() for part in one.partition("="))
        system = system.lower()
        if system not in SYSTEMS or not code or system in found:
            raise WrongError("; ".join(f"{system}=…" for system in SYSTEMS))
        found[system] = text_code(code.upper() if system == "eic" else code)
        if system == "eic" and not eic.valid(found[system]):
            raise CellError("eic_invalid", code)
    return ";".join(f"{system}={found[system]}" for system in sorted(found))


READERS: Final[dict[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("agreement", "branch", "location", "point", "meter", "party_code"), text_code),
    **dict.fromkeys(("party", "branch_title", "location_name", "location_address", "point_name", "model"), _title),
    **dict.fromkeys(("voltage", "grid_company", "boundary", "entry_status", "location_status"), _title),
    **dict.fromkeys(("party_emails", "agreement_emails"), _emails),
    **dict.fromkeys(("agreement_ids", "point_ids", "meter_ids"), _ids),
    "party_tax_number": _tax,
    **dict.fromkeys(("party_window_day", "window_day"), _places(1, 31)),
    "price_category": _places(1, 6),
    **dict.fromkeys(("signed_on", "closed_on", "point_closed_on", "since"), _date),
    **dict.fromkeys(("installed_on", "removed_on", "admitted_on", "verified_on", "verify_by"), _date),
    **dict.fromkeys(("ratio", "ratio_voltage"), _ratio),
    **dict.fromkeys(("losses_constant", "initial", "final", "last"), typed_number),
    **dict.fromkeys(("max_power", "max_flow"), _not_negative),
    "register": _register,
    "scheme": _one_of(*SCHEMES),
    "digits": _places(1, 15),
    "decimals": _places(0, 6),
    "service": _one_of(*SERVICES),
    "losses": _losses,
    **dict.fromkeys(("entry_open", "location_entry_open"), _open),
    **dict.fromkeys(("last_period", "entry_period"), _period),
}
