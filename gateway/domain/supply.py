"""Whose meter it is: agreements, usage points, meters and registers as the registry knows them."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from uuid import UUID

import msgspec

_LOOK_ALIKES: Final = str.maketrans("АВЕКМНОРСТУХІЅЈ‐‑‒–—−", "ABEKMHOPCTYXISJ------")  # the dashes are what word processors make of "-"
_BLANKS: Final = re.compile("[\\s\u00ad\u200b-\u200f\u2060\ufeff]+")

SYSTEMS: Final = ("1c", "billing", "eic", "portal")
"""Systems whose codes of agreements, points and meters are kept; `eic` are the codes of the energy market."""
WAITING: Final = ("ожидание", "очікування", "waiting")
"""Entry statuses of billing that let readings in (F-046); any other shuts the door."""


def key(code: str) -> str:
    """Fold a code as people type it into the key it is matched on.

    Blanks, case, leading zeros, a number sign, kinds of dashes and Cyrillic look-alikes do not tell meters apart:
    `13 300963`, `01284918`, `ИКТ-258`. The code itself is stored as typed.
    """
    folded = _BLANKS.sub("", code).upper().translate(_LOOK_ALIKES)
    return folded.lstrip("№#0") or folded[-1:]


def unsigned(number: str) -> str:
    """A number as people type it without the sign before it, for texts that say the sign themselves: `12/А` of `№ 12/А`."""
    return number.lstrip("№# ") or number


class Register(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One register of a meter with its scale and the last values believed.

    `digits`, `decimals`: places of the dial before and after the point. `last`: value of `last_period` (`YYYY-MM`) read at
    `last_at` by the meter reading `last_reading`, or, while `last_period` is empty, the value the meter was installed with. `before`: the
    value that stood when `last_period` began, read at `before_at`; None while nothing is known. `daily`: what it usually advanced a day
    until `before`, in the units of its dial; `season`: the same by month of the year, twelve numbers joined by commas, empty where
    nothing is known. `estimated`: of how many periods in a row nobody read the dial.
    """

    id: int
    code: str
    digits: int
    decimals: int
    last: Decimal | None = None
    last_period: str = ""
    last_at: datetime | None = None
    before: Decimal | None = None
    before_at: datetime | None = None
    daily: Decimal | None = None
    season: str = ""
    estimated: int = 0
    last_reading: UUID | None = None


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What a point's consumption is multiplied by from the day `since` on: Kтт, Kтн, signed losses and a signed amount a period."""

    since: date
    ratio_current: Decimal = Decimal(1)
    ratio_voltage: Decimal = Decimal(1)
    losses: Decimal = Decimal(0)
    losses_constant: Decimal = Decimal(0)


class Failure(msgspec.Struct, frozen=True, gc=False):
    """Days on which a meter does not work by the act of this number; `last`: None while it lasts."""

    number: str
    first: date
    last: date | None = None


class Meter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A meter where it stands: its point, object and agreement, its ratio and losses, and all its registers.

    `ratio`: Kтт x Kтн. `losses`: signed fraction; `losses_constant`: signed amount a period in the unit of its active energy. They are
    those of the last of its point's `terms`, which stand in the order of their days. `entry_periods`: whether billing lets readings in, by
    period, as far as it has said so («Ожидание»); `entry_open` where it has not. A point without a meter is one with an empty serial.
    `service`: what is measured, as profiles name it; empty when the registry does not say. `window_day`: the day that its agreement or
    consumer has for itself in the window of its profile, None where the profile's counts. `installed_on`, `removed_on`: since and until
    when it hangs there, `verify_by`: until when it is verified; `max_power`: kW that its object may draw, `max_flow`: m3/h that it can
    measure; `point_closed_on`,
    `agreement_closed_on`: the last day of its point and its agreement; `price_category`: 1 to 6; None when the registry does not say.
    `closed`: the last period of its agreement that billing has closed, empty while there is none. `admitted_on`: the day of its first act
    of admission, None while there is no such act; `failures`: by acts, in the order of their first days.
    """

    id: int
    serial: str
    agreement: str
    agreement_id: int
    point: str
    point_name: str = ""
    location: str = ""
    location_name: str = ""
    entry_open: bool = True
    entry_periods: Mapping[str, bool] = MappingProxyType({})
    ratio: Decimal = Decimal(1)
    losses: Decimal = Decimal(0)
    losses_constant: Decimal = Decimal(0)
    terms: tuple[Terms, ...] = ()
    installed_on: date | None = None
    removed_on: date | None = None
    verify_by: date | None = None
    max_power: Decimal | None = None
    max_flow: Decimal | None = None
    point_closed_on: date | None = None
    agreement_closed_on: date | None = None
    price_category: int | None = None
    service: str = ""
    window_day: int | None = None
    closed: str = ""
    admitted_on: date | None = None
    failures: tuple[Failure, ...] = ()
    registers: tuple[Register, ...] = ()

    def on(self, day: date) -> "Meter":
        """The meter with the terms that count on a day; before the first ones those count too."""
        if not self.terms:
            return self
        one = next((one for one in reversed(self.terms) if one.since <= day), self.terms[0])
        ratio = one.ratio_current * one.ratio_voltage
        return msgspec.structs.replace(self, ratio=ratio, losses=one.losses, losses_constant=one.losses_constant)

    def entry_in(self, period: str) -> bool:
        """Whether readings of a period are let in at this meter and its object."""
        return self.entry_periods.get(period, self.entry_open)

    def register(self, code: str) -> Register | None:
        """The register of that published code, None when the meter has no such register."""
        for register in self.registers:
            if register.code == code:
                return register
        return None


def entry_by_period(*things: tuple[bool, Mapping[str, str]]) -> dict[str, bool]:
    """Whether readings come in, by period, at things that must all be open: each has its flag, overruled by its statuses of periods."""
    periods = {period for _, statuses in things for period in statuses}
    return {
        period: all(statuses[period].strip().lower() in WAITING if period in statuses else flag for flag, statuses in things)
        for period in periods
    }


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of a registry file: one register with all that stands above it.

    `agreement_ids`, `point_ids`, `meter_ids`: what other systems call them, one code a system in the order of the systems
    (`1c=2001;eic=62Z...`). `party_code`: what tells parties apart, their name when it is empty. `party_tax_number`: INN, or ЕДРПОУ or
    number of a sole trader. Several e-mails stand in one text, separated by `;`. `signed_on`, `closed_on`: days of the agreement.
    `window_day`, `party_window_day`: the day that the agreement or its party has for itself in the window of the profile. `max_power`:
    kW; `max_flow`: m3/h that the meter can measure.
    `service`: as profiles name it. `ratio`: Kтт, `ratio_voltage`: Kтн, `losses`: a signed fraction, `losses_constant`: a signed amount a
    period; they count from `since` on, or, without it, as long as the last ones told. `meter`: empty at a point without one, whose
    registers hold volumes. `removed_on`: the day a meter was exchanged; it takes no later reading. `scheme`: of the pipes of a heat
    register's circuit. `initial`: what its first reading is compared with; `final`: the last value of a removed meter. `entry_open`,
    `location_entry_open`: whether readings come in where billing says nothing of a period; `entry_status`, `location_status`: what it says
    of `entry_period`.
    """

    agreement: str
    agreement_ids: str = ""
    branch: str = ""
    branch_title: str = ""
    party: str = ""
    party_code: str = ""
    party_tax_number: str = ""
    party_emails: str = ""
    party_window_day: int | None = None
    agreement_emails: str = ""
    signed_on: date | None = None
    closed_on: date | None = None
    price_category: int | None = None
    window_day: int | None = None
    location: str = ""
    location_name: str = ""
    location_address: str = ""
    location_entry_open: bool = True
    location_status: str = ""
    max_power: Decimal | None = None
    voltage: str = ""
    grid_company: str = ""
    boundary: str = ""
    point: str
    point_ids: str = ""
    point_name: str = ""
    point_closed_on: date | None = None
    service: str = ""
    since: date | None = None
    ratio: Decimal = Decimal(1)
    ratio_voltage: Decimal = Decimal(1)
    losses: Decimal = Decimal(0)
    losses_constant: Decimal = Decimal(0)
    meter: str = ""
    meter_ids: str = ""
    model: str = ""
    max_flow: Decimal | None = None
    installed_on: date | None = None
    removed_on: date | None = None
    admitted_on: date | None = None
    verified_on: date | None = None
    verify_by: date | None = None
    register: str
    digits: int
    decimals: int = 0
    scheme: str = ""
    initial: Decimal | None = None
    final: Decimal | None = None
    entry_open: bool = True
    entry_status: str = ""
    entry_period: str = ""
    last: Decimal | None = None
    last_period: str = ""
