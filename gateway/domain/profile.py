"""One utility's rulebook as a flat document: zone, window, where values come from, how much each rule weighs, which words are used."""

from typing import Annotated, Final, Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from gateway import texts
from gateway.domain.calendars import WEEKDAYS, Calendar
from gateway.domain.problems import Misconfigured, Severity
from gateway.domain.windows import Timing, Window, on_day

Linking = Literal["number_email", "inn_number", "account_surname", "manager", "contractor"]
Service = Literal["electricity", "heat", "cold_water", "hot_water", "drain"]
SERVICES: Final[tuple[str, ...]] = get_args(Service)
AtSource = Literal["arrival", "period_end"]
PreviousSource = Literal["last_closed", "last_accepted", "last_report", "declared"]
MAIL: Final = "mail"
"""The name of the connection that carries a utility's letters; no billing has it."""
Name = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,62}$")]


class ReadingRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the parts of a reading come from.

    `at`: its instant when the sender gives none. `previous`: which value the new one is compared with; `declared` is what the sender
    says, the others are what the registry keeps as the last value (a sender may declare it only while nothing is known, F-055).
    `per_period`: `one` means a second reading corrects the first, `many` that each stands for itself.
    `together`: all registers of a meter must come in one submission (legal-entity manual 5.2).
    `hold`: seconds a reading waits before it is sent, so that the sender may still take it back.
    `intervals`: whether interval values sent again with other content `replace` the earlier ones, which move to their history
    (legal-entity manual 5.2, F-056), or are refused because what a device archived does not change (`keep`).
    `intervals_from_category`: from this price category of the agreement on, a reading of `A+` wants interval values beside it (F-083);
    0: from none.
    """

    at: AtSource = "arrival"
    previous: PreviousSource = "last_accepted"
    per_period: Literal["one", "many"] = "one"
    together: bool = True
    hold: Annotated[int, msgspec.Meta(ge=0)] = 0
    intervals: Literal["replace", "keep"] = "replace"
    intervals_from_category: Annotated[int, msgspec.Meta(ge=0, le=6)] = 0


class Plausible(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is still believed of a consumption beside the usual one of its register (V-07), and of a day of interval values.

    `high`, `low`: times the usual consumption a day. `least`: units of the dial that a reading may always differ by.
    `power`: times the power that an object may draw (V-08). `estimated`: so many periods in a row may be estimated (V-20).
    `sum_units`: units of each dial, and `sum_share`: share of the amount, by which two ways to measure one amount may differ (V-12).
    `ahead`: so many days ahead of their arrival interval values may lie (V-21). `spike`: how far the highest value of a day may stand above
    its third highest, as a share of that one (V-09). `flat`: so many equal values in a row are pointed out (V-15), none with 0.
    `peak_hours`: hours of the day, by their beginnings, in which power is charged, and `dip`: by which share consumption may sink in them
    below the hours around them (V-26); without hours nothing is looked for.
    """

    high: Annotated[float, msgspec.Meta(gt=1)] = 5.0
    low: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.1
    least: Annotated[int, msgspec.Meta(ge=0)] = 20
    power: Annotated[float, msgspec.Meta(ge=1)] = 1.1
    estimated: Annotated[int, msgspec.Meta(ge=0)] = 3
    sum_units: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    sum_share: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.001
    ahead: Annotated[int, msgspec.Meta(ge=0, le=366)] = 0
    spike: Annotated[float, msgspec.Meta(gt=0)] = 1.8
    flat: Annotated[int, msgspec.Meta(ge=0)] = 6
    peak_hours: tuple[Annotated[int, msgspec.Meta(ge=0, le=23)], ...] = ()
    dip: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.1


class LinkRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an agreement is linked to a portal's user.

    `confirm_hours`: hours for which a link waits for its confirmation, then it has ended (F-020). `accounts_per_email`: agreements that
    may be linked under one e-mail, 0 for as many as one likes (F-004).
    """

    confirm_hours: Annotated[int, msgspec.Meta(ge=1, le=8760)] = 24
    accounts_per_email: Annotated[int, msgspec.Meta(ge=0)] = 0


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole rulebook. `severity` overrides the weight of a rule by its code.

    `window`: when readings are taken; `windows`: the same of a service that has another one. `calendar`: name of the calendar document
    that says on which days people work; empty: Monday to Friday.

    `zone`: IANA name. `target`: name of the billing connection in `metergate.toml`. `formats`: kinds accepted in files.
    `manual`: the manual this profile follows. `words`: what that manual calls a state or a thing, in `language`, under the names of
    `gateway.texts` (`status.sent`); other languages keep our words.
    """

    name: Name
    title: str
    manual: str
    zone: str
    language: texts.Language
    services: tuple[Service, ...]
    linking: Linking
    link: LinkRules = LinkRules()
    window: Window
    windows: dict[str, Window] = {}
    calendar: str = ""
    reading: ReadingRules
    formats: tuple[str, ...] = ("canonical_json",)
    target: Name = "billing"
    plausible: Plausible = Plausible()
    severity: dict[str, Severity] = {}
    words: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Refuse a zone, a code or a word that does not exist."""
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"zone: {self.zone!r} is not an IANA time zone") from error
        if self.target == MAIL:
            raise ValueError(f"target: {MAIL!r} is the connection that carries letters")
        if strange := sorted(self.windows.keys() - set(self.services)):
            raise ValueError(f"windows: {_quoted(strange)}: none of the services")
        if strange := sorted(self.severity.keys() - set(texts.codes())):
            raise ValueError(f"severity: there is no rule {_quoted(strange)}")
        if strange := sorted(name for name in self.words if not texts.known(name)):
            raise ValueError(f"words: there is no word {_quoted(strange)}")

    def timing(self, service: str = "", day: int | None = None, calendar: Calendar = WEEKDAYS) -> Timing:
        """When readings of a service are taken; `day`: the one that an agreement or consumer has for itself."""
        return Timing(on_day(self.windows.get(service, self.window), day), self.zone, calendar)

    def word(self, name: str, language: texts.Language, **values: object) -> str:
        """Return a visible word by its dotted name as this utility's manual says it, else as `gateway.texts` does."""
        if language == self.language and name in self.words:
            return texts.fill(self.words[name], values)
        return texts.word(name, language, **values)


_LEARNED: Final = msgspec.json.Decoder(Profile)
"""msgspec learns a type when it is first asked about it, and two threads that ask at once crash it; it is asked here, on import."""


def _quoted(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def read_profile(document: bytes) -> Profile:
    """Read a profile document (TOML). Raises Misconfigured naming the wrong key and its path."""
    try:
        return msgspec.toml.decode(document, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"profile: {error}") from error
