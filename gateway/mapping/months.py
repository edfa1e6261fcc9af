"""The names of months in three languages, as dates of archives are written."""

from typing import Final

from gateway.mapping.crosswalk import fold

_NAMES: Final = (
    ("январь", "января", "січень", "січня", "january", "jan"),
    ("февраль", "февраля", "лютий", "лютого", "february", "feb"),
    ("март", "марта", "березень", "березня", "march", "mar"),
    ("апрель", "апреля", "квітень", "квітня", "april", "apr"),
    ("май", "мая", "травень", "травня", "may"),
    ("июнь", "июня", "червень", "червня", "june", "jun"),
    ("июль", "июля", "липень", "липня", "july", "jul"),
    ("август", "августа", "серпень", "серпня", "august", "aug"),
    ("сентябрь", "сентября", "вересень", "вересня", "september", "sep"),
    ("октябрь", "октября", "жовтень", "жовтня", "october", "oct"),
    ("ноябрь", "ноября", "листопад", "листопада", "november", "nov"),
    ("декабрь", "декабря", "грудень", "грудня", "december", "dec"),
)
WRITTEN: Final = {word: number for number, words in enumerate(_NAMES, 1) for word in words}
"""Every name as it is written, in lower case -> the number of its month."""
MONTHS: Final = {fold(word): number for word, number in WRITTEN.items()}
"""The same by folded names."""
