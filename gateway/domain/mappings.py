"""A mapping: how one partner's table is read, as a flat document that an analyst writes and every reading names by its version."""

import codecs
from collections.abc import Collection, Sequence
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.problems import Misconfigured
from gateway.domain.profile import Name
from gateway.domain.readings import INTERVALS, REGISTERS, ReadingType, Step
from gateway.domain.units import UNITS

Field = Literal[
    "meter",
    "agreement",
    "location",
    "point",
    "period",
    "day",
    "clock",
    "register",
    "quantity",
    "zone",
    "value",
    "previous",
    "row_key",
    "circuit",
    "kind",
    "heat_first",
    "heat_last",
]
WHOSE: Final[tuple[Field, ...]] = ("meter", "point")
"""Columns of which one must be there, unless the meter is told beside the file or by its sheet."""
_ZONES: Final = frozenset(code.partition(":")[2] for code in REGISTERS)
WHAT: Final[tuple[Field, ...]] = ("register", "quantity")
"""Columns of which one must be there where nothing else says which register a value is of."""
_STORED: Final[tuple[Field, ...]] = ("circuit", "kind", "heat_first", "heat_last")
"""Columns of archives alone."""
_ARCHIVED: Final[frozenset[Field]] = frozenset({"meter", "day", "clock", *_STORED})
"""Columns that an archive may have beside those of values."""
Place = Annotated[int, msgspec.Meta(ge=1, le=1024)]
"""A column by its number, from 1."""
Words = Annotated[tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=200)], ...], msgspec.Meta(min_length=1)]
"""A column by what its header may say; without case, blanks and punctuation, with a unit behind a comma or in brackets or without."""

ENCODINGS: Final = frozenset(
    {"utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251", "cp866", "koi8-r", "cp1125", "koi8-u", "mac-cyrillic"}
    | {f"iso8859-{number}" for number in (1, 2, 5, 15)}
    | {f"cp{number}" for number in (437, 850, 852, 855, *range(1250, 1259))}
)
"""What a document or a file may name; Python knows more, some of them no encodings of texts and some a danger."""
DELIMITERS: Final = ";\t|,"


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the bytes are read. What is left out is told by the file itself.

    `encoding`: name of the encoding of a text or DBF. `delimiter`: of a text. `sheets`: names of the sheets to read; else all that are
    not hidden. `rows`: of XML and JSON, the path of what is a row, below the root, `readings/reading`; its columns are the paths of what
    stands in it and, behind the name of what it stands in, around it. `header`: whether the table has a row of column names; without it
    every column is told by its number. `written`, `decimal`: what a file is that is written by the mapping, and its decimal sign; what
    is read may have either.
    """

    encoding: str = ""
    delimiter: Annotated[str, msgspec.Meta(max_length=1)] = ""
    sheets: tuple[str, ...] = ()
    rows: Annotated[str, msgspec.Meta(max_length=200)] = ""
    header: bool = True
    written: Literal["text", "dbf"] = "text"
    decimal: Literal[",", "."] = ","


class ValueColumn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column of values of one register. `volume`: amounts of the period instead of what a dial shows.

    `previous`: the column of what the same register showed before. `meter`: the column of its meter, where a row holds several.
    """

    column: Place | Words
    register: str
    unit: str = ""
    volume: bool = False
    previous: Place | Words | Literal[""] = ""
    meter: Place | Words | Literal[""] = ""


class Applied(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the values contain already (legal-entity manual, figure 14: «Вид показаний»)."""

    ratio: bool = False
    losses: bool = False


class Control(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last row by which a file vouches for itself; one that is not true refuses the file whole.

    `mark`: what its first cell begins with. `count`: number of its cell that says how many rows there are, 0 for none; the mark itself is
    no part of it. `sums`: number of the cell that says what a field adds up to. `needed`: whether a file without it is refused.
    """

    mark: Annotated[str, msgspec.Meta(min_length=1)] = "="
    count: Annotated[int, msgspec.Meta(ge=0)] = 1
    sums: dict[Field, Place] = {}
    needed: bool = True


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole document. `name` is the kind of file that profiles and senders name.

    `layout`: `register` is a row for each meter, or for each of its registers; `series` a row for each interval of time; `matrix` has the
    hours of a day along one edge and the days of a month along the other, a sheet for each meter, and needs no `columns`; `archive` is what
    a heat meter has stored: a row for each interval of each of its heat inputs, and what its integrators showed.
    `columns`: where each field stands, by number or by the words of the header.
    `previous`: whether the value before is `told` and held against ours, or `shown` for people and never taken. `known_by`: columns that
    a file must have, beside those without which nothing can be read, to be known when nobody names it. `template`: what the hidden sheet
    `_meta` of a file names, `integral@1`; another one is refused. `values`: columns of values whose register the document
    knows; without them `value` stands in `columns` with `register`, or with `quantity` and `zone`, beside it.
    `register`: of values whose row does not say it. `unit`: of all values, else the register's own. `quantities`, `zones`: what the words
    in such cells mean. `step`, `label`: of a series, what a row lasts and whether its moment is the interval's `start` or `end`; empty:
    told by the moments.
    `kinds`, `prefixes`: of an archive, what the first word in the column `kind` means, `dial` being the state of an integrator, and words
    that may stand before a column's own.
    `period_from`: where the period of a reading comes from when no column says it: `told` beside the file, the month of the reading's
    `day`, or the month `before` it. `noon` is when a reading of a day was taken.
    `zone_name`: IANA zone of its times, else the utility's. `passed`: first words of rows that are no data. `crosswalk`: document with
    this partner's codes; `crosswalk_only`: a code that it does not have refuses its meter.
    """

    name: Name
    title: str
    layout: Literal["register", "series", "matrix", "archive"] = "register"
    file: File = File()
    across: bool = False
    columns: dict[Field, Place | Words] = {}
    previous: Literal["told", "shown"] = "told"
    known_by: tuple[Field, ...] = ()
    template: str = ""
    values: tuple[ValueColumn, ...] = ()
    register: str = ""
    unit: str = ""
    quantities: dict[str, Words] = {}
    zones: dict[str, Words] = {}
    step: Literal["", "PT30M", "PT1H", "P1D"] = ""
    label: Literal["", "start", "end"] = ""
    kinds: dict[Literal["PT1H", "P1D", "P1M", "dial"], Words] = {}
    prefixes: tuple[str, ...] = ()
    period_from: Literal["told", "day", "before"] = "told"
    zone_name: str = ""
    applied: Applied = Applied()
    passed: tuple[str, ...] = ("итого", "всего", "разом", "усього", "total")
    control: Control | None = None
    crosswalk: Name | None = None
    crosswalk_only: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, each with the key that says it."""
        if self.zone_name:
            try:
                ZoneInfo(self.zone_name)
            except (KeyError, ValueError, OSError) as error:
                raise ValueError(f"zone_name: {self.zone_name!r} is not an IANA time zone") from error
        if self.file.encoding and not encoding_named(self.file.encoding):
            raise ValueError(f"file: there is no encoding {self.file.encoding!r}")
        if self.file.delimiter and self.file.delimiter not in DELIMITERS:
            raise ValueError(f"file: the delimiter {self.file.delimiter!r} is none of ; tab | and ,")
        if not self.file.header and (named := [place for place in (*self.columns.values(), *_places(self)) if not isinstance(place, int)]):
            raise ValueError(f"columns: without a header a column is told by its number, not {named[0]!r}")
        if self.file.rows and (self.layout == "matrix" or not self.file.header or self.control):
            raise ValueError("file: `rows` of XML and JSON have names, and neither `control` nor the layout `matrix`")
        _check_words(self)
        _check_keys(self)
        if self.layout == "matrix":
            _check_matrix(self)
        elif self.layout == "archive":
            _check_archive(self)
        else:
            _check_values(self)


def _check_words(mapping: Mapping) -> None:
    """One word or number may not mean two things: one of them would be read as the other. Values may share the column of a meter."""
    named: list[tuple[str, int | tuple[str, ...]]] = [(f"`{field}`", place) for field, place in mapping.columns.items()]
    meters: dict[int | tuple[str, ...], str] = {}
    for number, column in enumerate(mapping.values):
        named += [(f"`values` {number}", column.column), (f"`previous` of `values` {number}", column.previous or ())]
        if column.meter and column.meter != mapping.columns.get("meter"):
            meters.setdefault(column.meter, f"`meter` of `values` {number}")
    named += [(name, place) for place, name in meters.items()]
    _check_once("columns", [(name, place if isinstance(place, tuple) else (str(place),)) for name, place in named])
    for key in ("quantities", "zones", "kinds"):
        _check_once(key, [(f"`{meaning}`", words) for meaning, words in getattr(mapping, key).items()])
    if strange := [code for code in mapping.quantities if code not in REGISTERS]:
        raise ValueError(f"quantities: there is no register {strange[0]!r}")
    if strange := [zone for zone in mapping.zones if zone not in _ZONES]:
        raise ValueError(f"zones: there is no zone {strange[0]!r}")


def _check_once(key: str, named: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    seen: dict[str, str] = {}
    for name, words in named:
        for word in words:
            if (other := seen.setdefault(" ".join(word.casefold().split()), name)) != name:
                raise ValueError(f"{key}: {word!r} is both {other} and {name}")


def _check_keys(mapping: Mapping) -> None:
    """A key that its layout does not know would be passed over in silence."""
    series, archive, register = (mapping.layout == one for one in ("series", "archive", "register"))
    if (mapping.step or mapping.label) and not series:
        raise ValueError(f"{'step' if mapping.step else 'label'}: only of a series")
    if (mapping.kinds or mapping.prefixes) and not archive:
        raise ValueError(f"{'kinds' if mapping.kinds else 'prefixes'}: only of an archive")
    if mapping.period_from != "told" and not register:
        raise ValueError("period_from: only of the layout `register`; the others tell the month of their moments")
    if (mapping.known_by or mapping.previous == "shown") and not register:
        raise ValueError(f"{'known_by' if mapping.known_by else 'previous'}: only of the layout `register`")
    if mapping.unit and not any(mapping.unit in units for units in UNITS.values()):
        raise ValueError(f"unit: there is no unit {mapping.unit!r}")
    control = mapping.control or Control()
    for field, place in control.sums.items():
        if field not in mapping.columns:
            raise ValueError(f"control: `{field}` has no column")
        if place == control.count:
            raise ValueError(f"control: cell {place} is the count")


def _check_matrix(mapping: Mapping) -> None:
    if mapping.columns or mapping.values or mapping.control:
        raise ValueError("columns: a matrix is found by its hours and days, and has neither columns, `values` nor `control`")
    _check_unit("register", mapping.register, mapping.unit, INTERVALS)


def _check_archive(mapping: Mapping) -> None:
    if strange := mapping.columns.keys() - _ARCHIVED:
        raise ValueError(f"columns: an archive has no `{min(strange)}`")
    if mapping.control or mapping.register or not mapping.file.header:
        raise ValueError("file: an archive has a header, and neither `control` nor `register`")
    if "day" not in mapping.columns or not mapping.values:
        raise ValueError(f"{'values' if 'day' in mapping.columns else 'columns'}: an archive needs `day` and `values`")
    seen: set[str] = set()
    for place, column in enumerate(mapping.values):
        _check_unit(f"values: {place}", column.register, column.unit, INTERVALS)
        if "@" in column.register or column.register in seen or column.volume or column.previous or column.meter:
            raise ValueError(f"values: {place}: each register once, of the first heat input, and nothing but `column` and `unit`")
        seen.add(column.register)
    if any(isinstance(place, int) for place in (*mapping.columns.values(), *_places(mapping))):
        raise ValueError("columns: those of an archive are told by words")


def _check_values(mapping: Mapping) -> None:
    series = mapping.layout == "series"
    if strange := [field for field in _STORED if field in mapping.columns]:
        raise ValueError(f"columns: `{strange[0]}` is of an archive")
    known = INTERVALS if series else REGISTERS
    for place, column in enumerate(mapping.values):
        _check_unit(f"values: {place}", column.register, column.unit or mapping.unit, known)
    if mapping.register:
        _check_unit("register", mapping.register, mapping.unit, known)
    if mapping.across and not (series and mapping.register and mapping.file.header):
        raise ValueError("across: only a series with a header and a `register`")
    if not mapping.values and not mapping.across and "value" not in mapping.columns:
        raise ValueError("columns: `value` is missing, and there are no `values`")
    told = mapping.values or mapping.register or mapping.columns.keys() & {"register", "quantity"}
    if not told:
        raise ValueError("register: nothing says which register a value is of")
    _check_columns(mapping)
    if series and "day" not in mapping.columns:
        raise ValueError("columns: a series needs `day`")
    if mapping.period_from != "told" and "day" not in mapping.columns:
        raise ValueError("period_from: there is no column `day`")


def unread(columns: Collection[Field], *, series: bool, values: bool, across: bool) -> set[Field]:
    """Those of some columns that are not read beside `values`, in a series, or in one whose columns are meters."""
    found: set[Field] = {"value", *WHAT, "zone"} if values else set()
    found |= {*WHAT, "zone", "location", "period", "previous"} if series else set()
    found |= {"value", *WHOSE} if across else set()
    return found & set(columns)


def _check_columns(mapping: Mapping) -> None:
    values = bool(mapping.values)
    if beside := unread(mapping.columns, series=mapping.layout == "series", values=values, across=mapping.across):
        raise ValueError(f"columns: nothing would be read in `{min(beside)}`")
    if mapping.across and values:
        raise ValueError("across: its columns are told by their meters, and not by `values`")
    if mapping.previous == "shown" and "previous" not in mapping.columns and not any(one.previous for one in mapping.values):
        raise ValueError("previous: there is no such column")
    if wrong := [place for place, one in enumerate(mapping.values) if one.volume and one.previous]:
        raise ValueError(f"values: {wrong[0]}: an amount has no `previous`")
    if "previous" in mapping.columns and len(mapping.values) > 1:
        raise ValueError("columns: beside several `values` each of them has a `previous` of its own")
    if mapping.layout == "series" and any(column.previous or column.meter for column in mapping.values):
        raise ValueError("values: a column of a series has neither `previous` nor `meter`")
    if strange := [field for field in mapping.known_by if field not in mapping.columns]:
        raise ValueError(f"known_by: there is no column `{strange[0]}`")


def _check_unit(key: str, register: str, unit: str, kinds: dict[str, ReadingType]) -> None:
    if register not in kinds:
        raise ValueError(f"{key}: there is no register {register!r}")
    if unit and unit not in UNITS[kinds[register].unit]:
        raise ValueError(f"{key}: {unit!r} is no unit of {register}")


def _places(mapping: Mapping) -> tuple[int | tuple[str, ...], ...]:
    return tuple(place for column in mapping.values for place in (column.column, column.previous, column.meter) if place)


def encoding_named(name: str) -> str:
    """The one name of an encoding of texts that somebody names (`windows-1251` is `cp1251`), empty for what is none."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return ""
    return "utf-8" if found == "ascii" else found if found in ENCODINGS else ""


STEPS: Final = {step.value: step for step in (Step.HALF_HOUR, Step.HOUR, Step.DAY)}

_LEARNED: Final = msgspec.json.Decoder(Mapping)
"""As in `profile.py`: a type is learned on import, before there are threads."""


def label(name: str, version: int) -> str:
    """How a reading names the mapping that made it: `water_register@3`; one that is shipped has no version of its own."""
    return f"{name}@{version}" if version else name


def version_of(label: str) -> tuple[str, int]:
    """The kind of file and the version of its mapping, 0 where none is named."""
    name, _, version = label.partition("@")
    return (name, int(version)) if version.isdecimal() else (label, 0)


def read_mapping(document: bytes) -> Mapping:
    """Read a mapping document (TOML). Raises Misconfigured naming the wrong key and its path."""
    try:
        return msgspec.toml.decode(document, type=Mapping)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"mapping: {error}") from error
