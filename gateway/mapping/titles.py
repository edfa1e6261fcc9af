"""The months that the titles above a table name: «за Февраль 2021 г.», «02.2021»."""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from gateway.mapping.cells import Cell
from gateway.mapping.months import WRITTEN

_named: Final = re.compile(rf"\b({'|'.join(sorted(WRITTEN, key=len, reverse=True))})\b\.?\s+(20[0-9]{{2}})\b", re.IGNORECASE).finditer
_numbered: Final = re.compile(r"(?<![0-9./-])(0[1-9]|1[0-2])[./](20[0-9]{2})(?![0-9./-])").finditer
_LONGEST: Final = 200


def months_in(title: Cell) -> Iterator[date]:
    """The first day of every month that a title names; a day of it, as in «от 5 февраля 2021», names none."""
    if isinstance(title, str) and 6 < len(title) <= _LONGEST:
        for found in _named(title):
            if not title[: found.start()].rstrip("\u00a0 «»\"'").endswith(tuple("0123456789")):
                yield date(int(found[2]), WRITTEN[found[1].lower()], 1)
        for found in _numbered(title):
            yield date(int(found[2]), int(found[1]), 1)


def other_month(titles: Iterable[tuple[str, Cell]], month: date) -> tuple[str, date] | None:
    """The place of the first title that names another month, and that month; None when none does, or one of them names this month.

    `titles`: each with its place.
    """
    told = [(where, named) for where, title in titles for named in months_in(title)]
    return None if any(named == month for _, named in told) else next(iter(told), None)
