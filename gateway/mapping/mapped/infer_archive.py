"""What a heat meter has stored, in a sample: which column is which of its registers, by the unit and the words of its header."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.domain.mappings import Field, File, Mapping, Place, ValueColumn, Words
from gateway.domain.readings import INTERVALS
from gateway.domain.units import UNITS
from gateway.mapping import heat_columns
from gateway.mapping.crosswalk import fold
from gateway.mapping.mapped.infer_columns import Column
from gateway.mapping.mapped.infer_roles import Choice, Roles, Told
from gateway.mapping.mapped.infer_table import Sample
from gateway.mapping.mapped.infer_words import words
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.mapped.units import WORDS, behind

_SHIPPED: Final = shipped("heat_archive")
_PASSED: Final = shipped("readings_register").passed
_KNOWN: Final = heat_columns.Words(_SHIPPED)
_KEYS: Final[tuple[Field, ...]] = ("meter", "circuit", "kind", "day", "clock", "heat_first", "heat_last")
_LETTERS: Final = {"Gcal": "heat", "t": "M", "m3": "V", "degC": "t", "MPa": "P", "h": "T.normal"}
"""What a unit says that is measured: the beginning of a register's code, or the whole of it."""
_WITHOUT: Final = ("heat", "T.normal")
_PIPES: Final = (("3", ("ПОДП", "ПIДП", "PODP")), ("1", ("ПОД", "ПР", "POD", "SUPPLY")), ("2", ("ОБР", "ЗВОР", "RETURN")))
"""Beginnings of words for a pipe; the longer ones first."""
_COLD: Final = ("ХОЛ", "ХВ", "COLD")
_numbered: Final = re.compile(r"[^\W\d_]{1,4}([123])").fullmatch
_LEAST: Final = 2


class Found(msgspec.Struct, frozen=True):
    """What a column is: field or register, the words of its header, how sure that is and why."""

    field: str
    words: Words
    sure: float
    why: str


def as_archive(sample: Sample, roles: Roles, told: Told, name: str, title: str, file: File) -> Mapping | None:
    """The mapping of an archive, with what is not decided; None for a table without days or with too little that only heat meters store."""
    found = {column.place: one for column in sample.columns if (one := _what(column)) is not None}
    stored = [one for one in found.values() if one.field[:1] in "MtP" and one.field in INTERVALS]
    day = next((one for one in found.values() if one.field == "day"), None) or _role(roles, "day")
    if sample.two or sample.header < 0 or len(stored) < _LEAST or day is None:
        return None
    columns: dict[Field, Words] = {"day": day.words}
    values: list[ValueColumn] = []
    told.say("layout", 0.9, "temperatures, pressures or masses stand beside days: what a heat meter has stored")
    for column in sample.columns:
        one = found.get(column.place) or next((role for field in _KEYS if (role := _role(roles, field, column))), None)
        if one is None or column.shape.kind == "empty":
            told.unread += [] if column.shape.kind == "empty" else [column.title]
        elif one.field in _KEYS:
            if not any(_alike(one.words, words) for words in columns.values()):
                columns.setdefault(_field(one.field), one.words)
            told.choices.setdefault(f"columns.{one.field}", Choice(f"columns.{one.field}", one.sure, one.why))
        elif any(value.register == one.field for value in values):
            told.ask(f"values.{len(values)}", f"{column.title} may be {one.field} too; a heat input has it once. It is passed over.")
            told.unread.append(f"{column.title} (a second {one.field})")
        else:
            values.append(ValueColumn(column=one.words, register=one.field))
            told.say(f"values.{len(values)}", one.sure, one.why)
    values = [value for value in values if not any(_alike(value.column, words) for words in columns.values())]
    if not values:
        return None
    left = [column.title for column in roles.numbers if column.title in told.unread]
    if left:
        told.ask("columns", f"numbers stand in {', '.join(left[:6])} and are passed over: are they needed?")
    passed = [word for word in (*sample.totals, *sample.tail) if word and fold(word) not in map(fold, _PASSED)]
    return Mapping(
        name=name,
        title=title,
        layout="archive",
        file=file,
        columns={**columns},
        values=tuple(values),
        kinds=_SHIPPED.kinds if "kind" in columns else {},
        passed=(*_PASSED, *(word.lower() for word in passed)),
    )


def _alike(one: Place | Words, other: Words) -> bool:
    """Whether a header can be read as both."""
    return not isinstance(one, int) and bool(set(map(fold, one)) & set(map(fold, other)))


def _what(column: Column) -> Found | None:
    """What the words of a header say alone."""
    text = column.own.strip()
    meant = _KNOWN.meaning(text) if text else None
    if meant is not None and not meant[2] and (meant[0] in _KEYS or meant[0] in INTERVALS):
        return Found(meant[0], (_bare(text, meant[0]),), 0.95, f"its header {column.title} says so")
    unit = behind(text)
    own = next((own for own in _LETTERS if unit and fold(unit[1]) in {fold(word) for one in UNITS[own] for word in WORDS[one]}), "")
    register = _register(text[: unit.start(1)], _LETTERS[own]) if own and unit else ""
    if not register:
        return None
    sure = 0.75 if register not in _WITHOUT else 0.7
    return Found(register, (_bare(text, register),), sure, f"its header {column.title} says the unit{' and the pipe' * (sure > 0.7)}")


def _register(text: str, letter: str) -> str:
    """The register of a header whose unit is known, empty where it does not say of which pipe."""
    if letter in _WITHOUT:
        return letter
    told = words(text)
    if letter == "t" and any(word.startswith(_folded(_COLD)) for word in told):
        return "tcw"
    numbers = {found[1] for word in told if (found := _numbered(word))} | {word for word in told if word in ("1", "2", "3")}
    pipes = numbers or set(_said_pipes(told))
    register = f"{letter}{min(pipes)}" if len(pipes) == 1 else ""
    return register if register in INTERVALS else ""


def _said_pipes(told: tuple[str, ...]) -> Iterator[str]:
    """Words may have the letter of what is measured before the pipe's: «Тпод», «Gобр»."""
    for word in told:
        for pipe, begins in _PIPES:
            if any(one.startswith(_folded(begins)) for one in (word, word[1:])):
                yield pipe
                break


def _folded(begins: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(fold, begins))


def _bare(text: str, field: str) -> str:
    """A header without the unit that it names: whatever unit stands there next time decides."""
    unit = behind(text)
    if field in INTERVALS and unit and fold(unit[1]) in heat_columns.units_of(field):
        return text[: unit.start(1)].rstrip(" ,([") or text
    return text


def _role(roles: Roles, field: Field, column: Column | None = None) -> Found | None:
    """A field that the columns were told apart by in general, where it is this column's."""
    own = roles.fields.get(field)
    if own is None or not own.own.strip() or (column is not None and own.place != column.place):
        return None
    return Found(field, (own.own.strip(),), 0.8, f"its header {own.title} and its cells say so")


def _field(name: str) -> Field:
    return next(field for field in _KEYS if field == name)
