"""Five invented utilities, the same on every run: their meters, what is read on them, and the mistakes that senders make.

Names and numbers look like those of the manuals and belong to nobody.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Final

import msgspec

from gateway.domain.profile import Profile
from gateway.domain.supply import Line
from gateway.domain.windows import DueDay, local_day, open_periods, period_of


class Dial(msgspec.Struct, frozen=True):
    """One register: how many places it has, what it showed last and what is sent now, as typed. `sent` empty: nothing is sent."""

    register: str
    digits: int
    decimals: int
    last: Decimal
    sent: str


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """One meter. `mistake`: what its sender does wrong, empty for a good row; a meter that is not `known` is in no registry.

    `previous`: what the sender declares as the last value, as companies in Ukraine do.
    """

    agreement: str
    party: str
    serial: str
    dials: tuple[Dial, ...]
    location: str = ""
    location_name: str = ""
    point: str
    point_name: str = ""
    ratio: Decimal = Decimal(1)
    losses: Decimal = Decimal(0)
    known: bool = True
    previous: str = ""
    mistake: str = ""

    def lines(self, last_period: str, window_day: int | None = None) -> Iterator[Line]:
        """The rows of a registry file about this meter. `window_day`: the day that its agreement has for itself."""
        for dial in self.dials if self.known else ():
            yield Line(
                agreement=self.agreement,
                party=self.party,
                location=self.location,
                location_name=self.location_name,
                point=self.point,
                point_name=self.point_name,
                meter=self.serial,
                register=dial.register,
                digits=dial.digits,
                decimals=dial.decimals,
                ratio=self.ratio,
                losses=self.losses,
                last=dial.last,
                last_period=last_period,
                window_day=window_day,
            )


def due_now(rulebook: Profile, now: datetime) -> int | None:
    """The due day of agreements whose meters are read today, None where the window has no due day."""
    return local_day(now, rulebook.zone).day if isinstance(rulebook.window, DueDay) else None


def any_day(document: bytes) -> bytes:
    """A rulebook that lets whole months of interval values in on any day of the month, as invented senders hand them in."""
    table = b"[plausible]" if b"[plausible]" in document else b"[severity]"
    return document.replace(table, b"[plausible]\nahead = 366\n" + (b"" if table == b"[plausible]" else b"\n" + table), 1)


def period_now(rulebook: Profile, now: datetime) -> str:
    """The period that readings are taken for now: that of the month if it is open, else the only one."""
    fitting = open_periods(rulebook.timing(day=due_now(rulebook, now)), now)
    here = period_of(now, rulebook.zone)
    return here if here in fitting else fitting[0]


def pick(low: int, high: int, *seed: object) -> int:
    """A number from `low` to `high` that depends on nothing but the seed."""
    digest = blake2b(repr(seed).encode(), digest_size=8).digest()
    return low + int.from_bytes(digest, "big") % (high - low + 1)


_SURNAMES: Final = ("Белоусова Н. П.", "Черных А. В.", "Распутина Л. И.", "Погодаев С. Ю.", "Зверева О. М.", "Тюрин Д. А.", "Лыткин И. К.")
_STREETS: Final = ("ул. Лермонтова", "ул. Байкальская", "б-р Рябикова", "ул. Трилиссера", "пр. Маршала Жукова")
_CUSTOMERS: Final = ("ТСЖ «Кедр»", "ООО «Ангарский хлеб»", "Детский сад № 47", "УК «Прибайкалье»", "Школа № 19", "ООО «Сибтехмонтаж»")
_OBJECTS: Final = (
    "Склад",
    "Цех № 2",
    "Насосная",
    "Магазин",
    "Контора",
    "Котельная",
    "Гараж",
    "Очистные",
    "Столовая",
    "КПП",
    "Теплица",
    "АЗС",
)
_WATER: Final = ("ООО «Удмуртский лён»", "Баня № 3", "ИП Касимов Р. Ф.", "Прачечная «Волна»", "ООО «Ижпластик»")


def contractor_heat() -> list[Metered]:
    """A contractor reads the archives of his customers' heat meters into one file; one of forty came out damaged."""
    found = []
    for n in range(40):
        last = Decimal(pick(640_000, 4_900_000, "heat", n)) / 1000
        used = Decimal(pick(18_000, 260_000, "gcal", n)) / 1000
        customer = n % len(_CUSTOMERS)
        found.append(
            Metered(
                agreement=f"ТЭ-{1047 + customer * 13}",
                party=_CUSTOMERS[customer],
                serial=f"{pick(1_200_000, 1_399_999, 'tv7', n):08}",
                point=f"УУТЭ-{n + 1:02}",
                point_name=f"Тепловой ввод, {_STREETS[n % len(_STREETS)]}, {pick(2, 190, 'house', n)}",
                dials=(Dial("heat", 7, 3, last, f"{last + used:f}"),),
                mistake="not a number in a cell" if n == 17 else "",
            )
        )
    return found


def household() -> list[Metered]:
    """Households read five digits; every fifth has a meter of two zones."""
    found = []
    for n in range(38):
        last = pick(900, 88_000, "flat", n)
        used = pick(60, 420, "kwh", n)
        mistake = ""
        if n == 6:
            last, used = 33_055, 0  # the manual's own row: taken, with a warning
        elif n == 11:
            last, used, mistake = 99_812, 188, "too many digits"
        elif n == 23:
            last, used, mistake = 32_891, -72, "backwards"
        dials: tuple[Dial, ...] = (Dial("A+", 5, 0, Decimal(last), str(last + used)),)
        if n % 5 == 0:
            night = last // 2
            dials = (
                Dial("A+:day", 5, 0, Decimal(last), str(last + used)),
                Dial("A+:night", 5, 0, Decimal(night), str(night + used // 3)),
            )
        found.append(
            Metered(
                agreement=f"{pick(10**11, 10**12 - 1, 'account', n)}",
                party=_SURNAMES[n % len(_SURNAMES)],
                serial=f"{pick(7_000_000, 12_999_999, 'se', n):09}",
                point="1",
                point_name=f"{_STREETS[n % len(_STREETS)]}, {pick(1, 140, 'dom', n)}, кв. {pick(1, 96, 'kv', n)}",
                dials=dials,
                mistake=mistake,
            )
        )
    return found


def legal_entity() -> list[Metered]:
    """One company with many objects fills in the workbook; two of its meters have no new value and are left alone.

    Its last four meters hand in hours and no reading of their dials.
    """
    agreement = "77130000174462"
    found = []
    for n in range(28):
        last, used = pick(210, 7_800, "object", n), pick(4, 95, "turn", n)
        name = _OBJECTS[n % len(_OBJECTS)]
        ratio, losses, mistake = Decimal(pick(1, 6, "tt", n) * 20), Decimal(0), ""
        dials: tuple[Dial, ...] = (Dial("A+", 6, 0, Decimal(last), str(last + used)),)
        if n == 3:  # figure 12 of the manual: 435 -> 450
            ratio, losses, dials = Decimal(12_000), Decimal("0.05"), (Dial("A+", 6, 0, Decimal(435), "450"),)
        elif n == 9:  # the manual's history: 444 -> 435 was once taken for a roll-over
            ratio, dials, mistake = Decimal(12_000), (Dial("A+", 6, 0, Decimal(444), "435"),), "backwards"
        elif n == 16:
            dials, mistake = (Dial("A+", 6, 0, Decimal(1208), "12З4"),), "not a number in a cell"
        elif n in (13, 20):
            dials = (Dial("A+", 6, 0, Decimal(last), ""),)
        elif n >= HOURLY:
            dials, mistake = (Dial("A+", 6, 0, Decimal(last), ""),), "two numbers in a cell" if n == 26 else ""
        elif n % 3 == 1:
            night, forgotten = last // 3, n == 7
            mistake = "missing night zone" if forgotten else ""
            dials = (
                Dial("A+:day", 6, 0, Decimal(last), str(last + used)),
                Dial("A+:night", 6, 0, Decimal(night), "" if forgotten else str(night + used // 2)),
            )
        elif n % 3 == 2:
            dials += (Dial("R+", 6, 0, Decimal(last // 4), str(last // 4 + used // 5)),)
        found.append(
            Metered(
                agreement=agreement,
                party="АО «Вымышленные заводы»",
                location=f"{agreement}{n // 2 + 1:04}",
                location_name=f"{name}, площадка {n // len(_OBJECTS) + 1}",
                point=f"ИК-{n + 1:02}",
                point_name=f"{name}, ввод {n % 2 + 1}",
                serial=f"{pick(10_000_000, 49_999_999, 'merkuriy', n)}",
                dials=dials,
                ratio=ratio,
                losses=losses,
                mistake=mistake,
            )
        )
    return found


def consumer_ua() -> list[Metered]:
    """A company in Ukraine reports active, reactive and generated energy at once and declares the last values itself."""
    found = []
    for n in range(15):
        active, reactive = Decimal(pick(9_000, 64_000, "act", n)) / 10, Decimal(pick(900, 8_000, "rea", n)) / 10
        used, previous, mistake = Decimal(pick(400, 6_000, "use", n)) / 10, "", ""
        if n == 0:  # section III of the manual: 1430.5 -> 1843.7, coefficient 40
            active, used = Decimal("1430.5"), Decimal("413.2")
        elif n == 5:
            used, mistake = Decimal("-12.4"), "backwards"
        elif n == 12:
            previous, mistake = f"{active + 10}", "another previous value"
        dials = (
            Dial("A+", 5, 1, active, f"{active + used}"),
            Dial("R+", 5, 1, reactive, f"{reactive + abs(used) / 4:.1f}"),
            Dial("A-", 5, 1, Decimal(n), f"{n + n % 3}"),
        )
        found.append(
            Metered(
                agreement="44-К/2019",
                party="ТОВ «Вигадана Нива»",
                point=f"Т-{n + 1:02}",
                point_name=f"{('Елеватор', 'Тік', 'Майстерня', 'Зрошення', 'Офіс')[n % 5]}, ввід {n // 5 + 1}",
                serial=f"{pick(100_000, 989_999, 'nik', n):06}",
                dials=dials,
                ratio=Decimal(40) if n % 3 == 0 else Decimal(1),
                previous=previous,
                mistake=mistake,
            )
        )
    return found


def water() -> list[Metered]:
    """Companies hand in the black digits of their water meters."""
    found = []
    for n in range(25):
        last = pick(40, 18_000, "m3", n)
        sent, mistake = str(last + pick(2, 140, "flow", n)), ""
        if n == 8:
            last, sent, mistake = 231, "233417", "litres"
        elif n == 19:
            last, sent, mistake = 12_439, "12441,386", "red digits"
        found.append(
            Metered(
                agreement=f"{1801 + n % len(_WATER)}-В",
                party=_WATER[n % len(_WATER)],
                point=f"{n + 1:03}",
                point_name=f"Ввод {n // len(_WATER) + 1}",
                serial=f"{pick(20, 29, 'year', n)}-{pick(100_000, 999_999, 'vskm', n)}",
                dials=(Dial("volume", 5, 0, Decimal(last), sent),),
                mistake=mistake,
            )
        )
    return found


HOURLY: Final = 24
"""From this one on, the meters of the company hand in hours."""

UTILITIES: Final = {
    "contractor_heat": contractor_heat,
    "household": household,
    "legal_entity": legal_entity,
    "consumer_ua": consumer_ua,
    "water": water,
}
"""What each utility's senders have, by the name of the utility, which is that of its profile."""
