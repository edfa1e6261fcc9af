"""What the words of a header, a title or a cell say: which field, which register and unit, whether a value was before or is now."""

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec

from gateway.domain.mappings import Field
from gateway.domain.readings import INTERVALS, REGISTERS
from gateway.domain.units import UNITS
from gateway.mapping.crosswalk import fold
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.mapped.units import WORDS, behind, is_unit, unit_of

_token: Final = re.compile(r"(?<![^\W_])[+−-]?[^\W_]+(?:[+−–-](?![^\W_]))?").findall
_apart: Final = re.compile(r"\s+([+−–-])(?=\s*$)").sub
_WEAK: Final = 0.3
_ENOUGH: Final = 0.45


class Extra(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document `infer.toml`; what each list means stands there."""

    weak: tuple[str, ...]
    other: dict[str, tuple[str, ...]]
    said: dict[str, tuple[str, ...]]
    columns: dict[Field, tuple[str, ...]]
    quantities: dict[str, tuple[str, ...]]
    zones: dict[str, tuple[str, ...]]


_EXTRA: Final = msgspec.toml.decode((files(__package__) / "infer.toml").read_bytes(), type=Extra)
SHIPPED: Final = shipped("readings_register")
_INTEGRAL: Final = shipped("integral_workbook")
_ARCHIVE: Final = shipped("heat_archive")
_LEARNED: Final = msgspec.json.Decoder(Extra)
"""As in `profile.py`: a type is learned on import, before there are threads."""

Token = tuple[str, bool]
"""A folded word, and whether its ending is left open."""
Phrase = tuple[Token, ...]


def words(text: str) -> tuple[str, ...]:
    """The folded words of a text; a sign at the edge of a word stays."""
    return tuple(told for one in _token(_apart(r"\1", text)) if (told := fold(one)))


def _phrase(text: str) -> Phrase:
    parts = ((part.rstrip("*"), part.endswith("*")) for part in _apart(r"\1", text).split())
    return tuple((told, open_) for one, open_ in parts for told in words(one))


_WEAK_WORDS: Final = frozenset(word for one in _EXTRA.weak for word in words(one))


def _phrases(*lists: Iterable[str]) -> tuple[Phrase, ...]:
    return tuple(dict.fromkeys(phrase for several in lists for text in several if (phrase := _phrase(text))))


_HEAT_FIELDS: Final[tuple[Field, ...]] = ("meter", "day", "clock")


def _fields() -> dict[Field, tuple[Phrase, ...]]:
    found: dict[Field, list[str]] = {}
    for document in (SHIPPED, _ARCHIVE, _INTEGRAL):
        for field, place in document.columns.items():
            if document is not _ARCHIVE or field in _HEAT_FIELDS:
                found.setdefault(field, []).extend(() if isinstance(place, int) else place)
    for field, several in _EXTRA.columns.items():
        found.setdefault(field, []).extend(several)
    return {field: _phrases(several) for field, several in found.items()}


_FIELDS: Final = _fields()
_OTHER: Final = {what: _phrases(several) for what, several in _EXTRA.other.items()}
_SAID: Final = {what: _phrases(several) for what, several in _EXTRA.said.items()}
_MEASURED: Final = {
    code: _phrases(*(source.get(code, ()) for source in (SHIPPED.quantities, _INTEGRAL.quantities, _EXTRA.quantities)))
    for code in _EXTRA.quantities
}
_NAMED: Final = {code: tuple(one for one in several if one not in _SAID["amount"]) for code, several in _MEASURED.items()}
"""The same in headers and titles, where «объём» may be one of anything."""
_ZONES: Final = {
    zone: _phrases(*(source.get(zone, ()) for source in (SHIPPED.zones, _INTEGRAL.zones, _EXTRA.zones))) for zone in _EXTRA.zones
}
_STRANGE: Final = {
    fold(word): "a temperature, a pressure or a mass" for own in ("degC", "MPa", "t") for unit in UNITS[own] for word in WORDS[unit]
} | {"OC": "a temperature"}
_BY_UNIT: Final = ("A+", "R+", "volume", "heat")
"""What a unit alone says that is measured: the first of these that may be told in it."""


class Said(msgspec.Struct, frozen=True):
    """What a text says. `fields`: how much of it each field explains, 0 to 1. `other`: what it is when no mapping reads it.

    `quantity`: a register without its zone; `zone`: None when it says none. `unit`: by the names of `UNITS`.
    """

    fields: dict[Field, float]
    other: str = ""
    before: bool = False
    now: bool = False
    reading: bool = False
    amount: bool = False
    quantity: str = ""
    zone: str | None = None
    unit: str = ""

    @property
    def register(self) -> str:
        """The register that it says, empty when it says none."""
        code = f"{self.quantity}:{self.zone}" if self.zone else self.quantity
        return code if code in REGISTERS or code in INTERVALS else ""


_PHRASES: Final = tuple(
    phrase for meanings in (_FIELDS, _OTHER, _SAID, _MEASURED, _ZONES) for several in meanings.values() for phrase in several
)
_TOKENS: Final[dict[str, set[Token]]] = {}
"""Every word that means anything, by its first letter."""
for _one in {token for phrase in _PHRASES for token in phrase}:
    _TOKENS.setdefault(_one[0][0], set()).add(_one)
_SAYING: Final = {phrase: tuple(one for one in phrase if one[0] not in _WEAK_WORDS) or phrase for phrase in _PHRASES}
"""Every phrase and its words without which it is not said."""


@lru_cache(maxsize=4096)
def said(text: str) -> Said:
    """What a text says."""
    unit, bare = unit_of(text)
    told = words(bare)
    fields = {field: best for field, phrases in _FIELDS.items() if (best := _best(told, phrases)) > 0}
    flags = {what: _best(told, phrases) > 0 for what, phrases in _SAID.items()}
    quantity, zone = _longest(told, _NAMED) or "", zone_of(told)
    if unit and not (quantity and unit in UNITS[REGISTERS[quantity].unit]):
        quantity = next((register for register in _BY_UNIT if unit in UNITS[REGISTERS[register].unit]), quantity)
    last = behind(text)
    other = _STRANGE.get(fold(last[1]), "") if last else ""
    return Said(fields, other or _other(told, fields), **flags, quantity=quantity, zone=zone, unit=unit)


def said_under(above: str, own: str) -> Said:
    """What a header says below a cell that spans it; either may name the unit."""
    unit, bare = unit_of(above)
    told = said(f"{bare.rstrip(' ,([')}, {own}" if is_unit(own) else f"{bare.rstrip(' ,([')} {own}".strip())
    if not unit or told.unit:
        return told
    return said(f"{bare.rstrip(' ,([')} {unit_of(own)[1]}, {WORDS[unit][0]}")


@lru_cache(maxsize=4096)
def zone_of(told: tuple[str, ...]) -> str | None:
    """The zone, `""` round the clock, None when nothing says it."""
    return _longest(told, _ZONES)


@lru_cache(maxsize=4096)
def measured(text: str) -> str:
    """The register that a cell's text means, such as `A+` or `A+:day`; empty when it says none."""
    told = words(text)
    quantity, zone = _longest(told, _MEASURED) or "", zone_of(told)
    code = f"{quantity}:{zone}" if zone else quantity
    return code if code in REGISTERS else ""


def _longest(told: tuple[str, ...], meanings: dict[str, tuple[Phrase, ...]]) -> str | None:
    """The meaning of the phrase of the most words, then letters, that stands in a text; of equals the first."""
    there = _meant(told)
    fits = [
        (len(phrase), sum(len(word) for word, _ in phrase), -place, what)
        for place, (what, several) in enumerate(meanings.items())
        for phrase in several
        if there.issuperset(phrase)
    ]
    return max(fits)[3] if fits else None


def _other(told: tuple[str, ...], fields: dict[Field, float]) -> str:
    """What a column is that no mapping reads; a field that explains more of its header outranks it."""
    found = max((_best(told, several), what) for what, several in _OTHER.items())
    return found[1] if found[0] > 0 and (found[0] >= max(fields.values(), default=0.0) or found[1] in _STRONG) else ""


_STRONG: Final = frozenset({"a day of something else", "money", "a ratio"})
"""What a header is even when it says a field as well: «Дата поверки» is no day of a reading."""


@lru_cache(maxsize=1024)
def _meant(told: tuple[str, ...]) -> frozenset[Token]:
    """The words of phrases that the words of a text are."""
    return frozenset().union(*map(_alikes, told))


def _best(told: tuple[str, ...], phrases: Iterable[Phrase]) -> float:
    """How much of a text the best of these phrases explains: 1 when it is all of it, 0 when every one lacks a word that says something."""
    there = _meant(told)
    return max((_share(told, one, there) for one in phrases if there.issuperset(_SAYING[one])), default=0.0) if there else 0.0


def _share(told: tuple[str, ...], phrase: Phrase, there: frozenset[Token]) -> float:
    matched = sum(_weight(word) for word in told if not _alikes(word).isdisjoint(phrase))
    lost = sum(_weight(one[0]) for one in phrase if one not in there)
    return matched / (sum(map(_weight, told)) + lost)


def _weight(word: str) -> float:
    return _WEAK if word in _WEAK_WORDS else 1.0


@lru_cache(maxsize=4096)
def _alikes(word: str) -> frozenset[Token]:
    """The words of phrases that a word is: the same, or the same stem of a long one."""
    return frozenset(one for one in _TOKENS.get(word[0], ()) if _alike(word, one))


def _alike(word: str, one: Token) -> bool:
    """The same word, or the same stem of a long one."""
    wanted, open_ = one
    if word == wanted or (open_ and word.startswith(wanted)):
        return True
    shorter = min(len(word), len(wanted))
    return shorter >= 5 and word[: max(4, shorter - 2)] == wanted[: max(4, shorter - 2)]


def best_field(told: Said) -> tuple[Field, float] | None:
    """The field that a header says best, None when it says none well enough."""
    found = max(told.fields.items(), key=lambda one: one[1], default=None)
    return found if found is not None and found[1] >= _ENOUGH else None
