"""Working days: what the state decrees, as the `holidays` library knows it, and what the utility knows better."""

from datetime import date, timedelta
from functools import cache
from typing import Any, Final

import msgspec

from gateway.domain.problems import Misconfigured

_FURTHEST: Final = 60
"""So many days are looked through for the next working day; a calendar with a longer gap is wrong."""


class Calendar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The working days of a country, as a document.

    `country`: its ISO 3166 code, whose decreed days off and working Saturdays the library knows; empty: Monday to Friday, always.
    `off`, `working`: days that are otherwise than the library says: a decree that is younger than it, a day off in one region.
    """

    name: str = ""
    country: str = ""
    off: frozenset[date] = frozenset()
    working: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a country that the library does not know, and a day that is both."""
        if self.country and not _known(self.country):
            raise ValueError(f"country: no days off are known of {self.country!r}")
        if both := sorted(self.off & self.working):
            raise ValueError(f"working: {both[0]} is said to be off too")

    def works(self, day: date) -> bool:
        """Whether people work on a day."""
        if day in self.working or day in self.off:
            return day in self.working
        return bool(_country(self.country).is_working_day(day)) if self.country else day.weekday() < 5

    def first_working(self, day: date) -> date:
        """The day itself when people work on it, else the first working day after it. Raises Misconfigured when there is none near."""
        later = (day + timedelta(days=number) for number in range(_FURTHEST))
        try:
            return next(one for one in later if self.works(one))
        except StopIteration:
            raise Misconfigured(f"calendar {self.name!r}: no working day in the {_FURTHEST} days from {day}") from None


_LEARNED: Final = msgspec.json.Decoder(Calendar)
"""As in `domain/profile.py`: a type is learned on import, before there are threads."""
WEEKDAYS: Final = Calendar()
"""Monday to Friday, without any holiday."""


def read_calendar(document: bytes) -> Calendar:
    """Read a calendar document (TOML). Raises Misconfigured naming the wrong key and its path."""
    try:
        return msgspec.toml.decode(document, type=Calendar)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"calendar: {error}") from error


@cache
def _country(code: str) -> Any:
    """The library's calendar of a country; it reckons a year when it is first asked about it."""
    import holidays  # noqa: PLC0415 - it is slow to import and wanted only where a window ends on a working day

    return holidays.country_holidays(code)


def _known(code: str) -> bool:
    import holidays  # noqa: PLC0415 - as above

    return code in holidays.list_supported_countries()
