"""One visitor's language: words, numbers and times as it writes them, in the zone and the words of the utility shown."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request

from gateway import texts
from gateway.domain.profile import Profile
from gateway.domain.readings import INTERVALS, REGISTERS
from gateway.texts import Language

COOKIE: Final = "metergate_language"
NAMES: Final[dict[Language, str]] = {"ru": "Русский", "uk": "Українська", "en": "English"}

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_THIN: Final = "\N{NARROW NO-BREAK SPACE}"


def asked(request: Request[Any, Any, Any]) -> Language | None:
    """The language that the address asks for, None when it asks for none of ours."""
    return _known(request.query_params.get("lang", ""))


def language_of(request: Request[Any, Any, Any], default: Language) -> Language:
    """The address decides, then the cookie, then the browser, then the installation."""
    remembered = _known(request.cookies.get(COOKIE, ""))
    return asked(request) or remembered or texts.choose(request.headers.get("accept-language", ""), default)


def _known(text: str) -> Language | None:
    return text if text in texts.LANGUAGES else None


class Speech(msgspec.Struct, frozen=True):
    """How things are said on one page, or on one line of it. `profiles`: of the utility, when it is one."""

    language: Language
    zone: str
    profiles: Mapping[str, Profile] = {}

    def say(self, name: str, **values: object) -> str:
        """A word of the page itself."""
        return texts.word(f"page.{name}", self.language, **values)

    def word(self, name: str, profile: str = "", fallback: str | None = None) -> str:
        """A word as the utility says it, by the profile named or its only one; `fallback` for what has no name here."""
        if not texts.known(name):
            return name.partition(".")[2] if fallback is None else fallback
        only = next(iter(self.profiles.values())) if len(self.profiles) == 1 else None
        own = self.profiles.get(profile, only)
        return texts.word(name, self.language) if own is None else own.word(name, self.language)

    def ours(self, name: str) -> str:
        """Our own word, where the utility's does not tell two states apart."""
        return texts.word(name, self.language)

    def problem(self, code: str) -> str:
        """What is wrong, of a code alone; a code that has no words stands as it is."""
        return texts.problem(code, self.language)[0] if code in texts.codes() else self.word(f"attempt.{code}")

    def register(self, code: str) -> str:
        """A register in words."""
        return texts.register(code, self.language)

    def unit(self, code: str) -> str:
        """The unit of a register's values, empty for a register that is none of ours."""
        kind = REGISTERS.get(code) or INTERVALS.get(code)
        return texts.word(f"unit.{kind.unit}", self.language) if kind else ""

    def percent(self, share: Decimal) -> str:
        """A share in hundredths: 0.05 is `5 %`."""
        return f"{self.number((share * 100).normalize() + 0)}{_THIN}%"

    def number(self, value: Decimal | int) -> str:
        """An exact number with its thousands apart, the sign of minus and the decimal comma where the language has one."""
        shown = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
        if self.language != "en":
            shown = shown.replace(",", _THIN).replace(".", ",")
        return shown.replace("-", "\N{MINUS SIGN}")

    def day(self, day: date) -> str:
        """A date."""
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}" if self.language == "en" else f"{day:%d.%m.%Y}"

    def when(self, at: datetime) -> str:
        """An instant on the utility's clock, to the second."""
        there = at.astimezone(ZoneInfo(self.zone))
        return f"{self.day(there.date())}{',' if self.language == 'en' else ''} {there:%H:%M:%S}"

    def clock(self, at: datetime) -> str:
        """The same instant for a machine, and for whoever points at it."""
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def offset(self, at: datetime) -> str:
        """How far the utility's clock is from UTC at that instant: `UTC+3`, `UTC+5:30`."""
        minutes = int((at.astimezone(ZoneInfo(self.zone)).utcoffset() or UTC.utcoffset(None)).total_seconds()) // 60
        hours, rest = divmod(abs(minutes), 60)
        return f"UTC{'−' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}" if minutes else "UTC"
