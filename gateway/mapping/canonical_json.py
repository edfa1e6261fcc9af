"""Canonical JSON: the readings of any number of meters in our own words, published as contracts_schema/meter_readings.schema.json."""

import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import REGISTERS, AtFrom, MeterReading, Quality, Reading, Unit
from gateway.domain.windows import month
from gateway.mapping import Envelope, Format
from gateway.mapping.cells import NUMBER, CellError, number, text_code
from gateway.mapping.json_gate import check_depth, check_encoding, check_syntax, malformed
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits

T = TypeVar("T")

_Code = Annotated[str, msgspec.Meta(max_length=100)]
_Aware = Annotated[datetime, msgspec.Meta(tz=True)]
_NUMBERS: Final = re.compile(rf'(?:"{NUMBER}"|{NUMBER})(?:\n(?:"{NUMBER}"|{NUMBER}))*+').fullmatch
_PART: Final = 200
_VALID, _ARRIVAL, _TYPED = Quality.VALID, AtFrom.ARRIVAL, AtFrom.TYPED
_PLACES: Final = tuple(f".registers[{order}].value" for order in range(len(REGISTERS)))
_KEYS: Final = {"meter", "agreement", "location", "point", "period", "at", "registers"}
_REGISTER_KEYS: Final = {"register", "value", "previous", "quality", "ratio_applied", "losses_applied"}


class _Register(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    register: str
    value: Raw
    previous: Raw | UnsetType = UNSET
    quality: Quality | UnsetType = UNSET
    ratio_applied: bool | UnsetType = UNSET
    losses_applied: bool | UnsetType = UNSET


class _Row(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    registers: Annotated[list[_Register], msgspec.Meta(min_length=1)]
    meter: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    agreement: _Code | UnsetType = UNSET
    location: _Code | UnsetType = UNSET
    point: _Code | UnsetType = UNSET
    period: _Code | UnsetType = UNSET
    at: _Code | UnsetType = UNSET


class _Rows(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    readings: list[Raw]


_part: Final = msgspec.json.Decoder(list[_Row])
_rows: Final = msgspec.json.Decoder(_Rows)
_object: Final = msgspec.json.Decoder(dict[str, Raw])
_list: Final = msgspec.json.Decoder(list[Raw])
_string: Final = msgspec.json.Decoder(str)
_flag: Final = msgspec.json.Decoder(bool)
_quality: Final = msgspec.json.Decoder(Quality)
_instant: Final = msgspec.json.Decoder(_Aware)


class _Misfit(Exception):  # noqa: N818 - never leaves this file
    """The body is not what the quick way reads."""


class CanonicalJson(Format, frozen=True, kw_only=True):
    """Reads the body at once when all of it is right, row by row when anything in it is wrong."""

    limits: Limits = Limits()

    def sniff(self, body: bytes, file_name: str) -> bool:  # noqa: ARG002 - names are not trusted
        """Tell whether the body begins like JSON."""
        return bool(body) and kind_of(body) == "json"

    def decode(self, body: bytes, envelope: Envelope) -> Iterator[MeterReading | Problem]:
        """One MeterReading per row. Raises Rejected when the body is no JSON or not a list of readings."""
        return iter(_in_parts(body, envelope, self.limits.json_depth))


def _in_parts(body: bytes, envelope: Envelope, depth: int) -> list[MeterReading | Problem]:
    """Read part by part: small parts stay in the processor's cache, and one wrong row costs no other part the quick way."""
    check_encoding(body)
    try:
        rows = _rows.decode(body).readings
    except (msgspec.ValidationError, RecursionError):
        rows = []
    except msgspec.DecodeError as error:
        check_depth(body, depth)
        raise malformed(body, str(error)) from error
    if not rows or body.count(b'"readings"') != 1 or b"\\" in body:
        rows = _examined(body, depth)
    found: list[MeterReading | Problem] = []
    shallow = False
    for first in range(0, len(rows), _PART):
        part = rows[first : first + _PART]
        try:
            found += _quickly(part, envelope, first)
        except (msgspec.ValidationError, _Misfit):
            shallow = shallow or check_depth(body, depth)
            for index, raw in enumerate(part, first):
                check_syntax(bytes(raw), f"readings[{index}]")
                found.append(_Reader(f"readings[{index}]").meter_reading(raw, envelope))
    return found


def _examined(body: bytes, depth: int) -> list[Raw]:
    """The rows of a body whose outermost shape is unusual. Raises Rejected with what is wrong, if anything is."""
    check_depth(body, depth)
    check_syntax(body)
    try:
        rows = _rows.decode(body).readings
    except msgspec.ValidationError as error:
        raise Rejected(_shape_of_body(body)) from error
    if not rows:
        raise Rejected(Problem(code="nothing_to_take", where="readings"))
    return rows


def _quickly(part: list[Raw], envelope: Envelope, first: int) -> list[MeterReading]:
    body = b"[" + b",".join(part) + b"]"
    rows = _part.decode(body)
    numbers, instants = _checked(body, rows)
    unset, agreement, period = UNSET, envelope.agreement, envelope.period
    return [
        MeterReading(
            meter="" if row.meter is unset else row.meter,
            readings=tuple(
                [
                    Reading(
                        register=entry.register,
                        value=next(numbers),
                        previous=None if entry.previous is unset else next(numbers),
                        quality=_VALID if entry.quality is unset else entry.quality,
                        ratio_applied=entry.ratio_applied is True,
                        losses_applied=entry.losses_applied is True,
                        where=place + order,
                    )
                    for entry, order in zip(row.registers, _PLACES, strict=False)
                ]
            ),
            agreement=agreement if row.agreement is unset else row.agreement,
            location="" if row.location is unset else row.location,
            point="" if row.point is unset else row.point,
            period=period if row.period is unset else row.period,
            at=None if row.at is unset else instants[row.at],
            at_from=_ARRIVAL if row.at is unset else _TYPED,
            where=place,
        )
        for row, place in zip(rows, map("readings[{}]".format, range(first, first + len(rows))), strict=True)
    ]


def _checked(body: bytes, rows: list[_Row]) -> tuple[Iterator[Decimal], dict[str, datetime]]:
    """The numbers in order and the instants by their text. Raises _Misfit when anything must be looked at closer.

    Without escapes a decoded body is written back with the same colons unless a repeated key was dropped.
    """
    if b"\\" in body or body.count(b":") != msgspec.json.encode(rows).count(b":"):
        raise _Misfit
    registers = {entry.register for row in rows for entry in row.registers}
    if not registers <= REGISTERS.keys() or any(_repeats(row.registers) for row in rows if len(row.registers) > 1):
        raise _Misfit
    if any(row.meter is UNSET and not row.point for row in rows):
        raise _Misfit
    if not body.isascii() or b"\x7f" in body:
        codes = [code for row in rows for code in (row.meter, row.agreement, row.location, row.point) if code is not UNSET]
        if not "".join(codes).isprintable():
            raise _Misfit
    try:
        for period in {row.period for row in rows if row.period}:
            month(period)
        instants = {text: msgspec.convert(text, _Aware) for text in {row.at for row in rows if row.at is not UNSET}}
    except ValueError:
        raise _Misfit from None
    return _numbers(rows), instants


def _repeats(entries: list[_Register]) -> bool:
    return len({entry.register for entry in entries}) < len(entries)


def _numbers(rows: list[_Row]) -> Iterator[Decimal]:
    written = [raw for row in rows for entry in row.registers for raw in (entry.value, entry.previous) if raw is not UNSET]
    text = b"\n".join(written).decode()
    if _NUMBERS(text) is None or "-" in text:
        raise _Misfit
    return map(Decimal, text.replace('"', "").replace(",", ".").split("\n"))


def _shape_of_body(body: bytes) -> Problem:
    try:
        keys = _object.decode(body)
    except msgspec.ValidationError:
        return Problem(code="json_shape")
    if "readings" not in keys:
        return Problem(code="json_missing_key", values={"key": "readings"})
    unknown = next((key for key in keys if key != "readings"), None)
    return Problem(code="json_shape", where="readings") if unknown is None else _unknown_key("", unknown)


def _unknown_key(place: str, key: str) -> Problem:
    shown = key if len(key) <= 40 else key[:39] + "…"
    return Problem(code="json_unknown_key", where=f"{place}.{shown}".removeprefix("."), values={"key": shown})


class _Reader:
    """Reads one row with all that is wrong in it."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.problems: list[Problem] = []

    def meter_reading(self, raw: Raw, envelope: Envelope) -> MeterReading:
        fields = self._fields(raw, self.place, _KEYS, ("registers",))
        if fields and "meter" not in fields and not self._code(fields, "point"):
            self.problems.append(Problem(code="json_missing_key", where=self.place, values={"key": "meter"}))
        meter = self._code(fields, "meter")
        if "meter" in fields and not meter and not self.problems:
            self.problems.append(Problem(code="value_missing", where=f"{self.place}.meter"))
        period = self._period(fields) if "period" in fields else envelope.period
        at = self._take(fields, "at", _instant, self.place, "at_invalid")
        return MeterReading(
            meter=meter,
            readings=self._registers(fields, meter),
            agreement=self._code(fields, "agreement") if "agreement" in fields else envelope.agreement,
            location=self._code(fields, "location"),
            point=self._code(fields, "point"),
            period=period,
            at=at,
            at_from=AtFrom.ARRIVAL if at is None else AtFrom.TYPED,
            where=self.place,
            problems=tuple(self.problems),
        )

    def _fields(self, raw: Raw, place: str, known: set[str], required: tuple[str, ...]) -> dict[str, Raw]:
        try:
            fields = _object.decode(raw)
        except msgspec.ValidationError:
            self.problems.append(Problem(code="json_shape", where=place))
            return {}
        self.problems += [_unknown_key(place, key) for key in fields if key not in known]
        self.problems += [Problem(code="json_missing_key", where=place, values={"key": key}) for key in required if key not in fields]
        return fields

    def _take(self, fields: dict[str, Raw], key: str, decoder: msgspec.json.Decoder[T], place: str, code: str = "json_shape") -> T | None:
        if key not in fields:
            return None
        try:
            return decoder.decode(fields[key])
        except msgspec.ValidationError:
            self.problems.append(Problem(code=code, where=f"{place}.{key}", values={"value": _shown(fields[key])}))
            return None

    def _code(self, fields: dict[str, Raw], key: str) -> str:
        text = self._take(fields, key, _string, self.place)
        try:
            return text_code(text or "")
        except CellError as error:
            self.problems.append(error.at(f"{self.place}.{key}"))
            return ""

    def _period(self, fields: dict[str, Raw]) -> str:
        text = self._take(fields, "period", _string, self.place) or ""
        try:
            if text:
                month(text)
        except ValueError:
            self.problems.append(Problem(code="period_invalid", where=f"{self.place}.period", values={"period": text[:40]}))
            return ""
        return text

    def _registers(self, fields: dict[str, Raw], meter: str) -> tuple[Reading, ...]:
        place = f"{self.place}.registers"
        entries: list[Raw] = self._take(fields, "registers", _list, self.place) or []
        if not entries and not self.problems:
            self.problems.append(Problem(code="value_missing", where=place))
        found: dict[str, Reading] = {}
        for order, raw in enumerate(entries):
            reading = self._register(raw, f"{place}[{order}]", meter)
            if reading is not None and reading.register in found:
                values = {"register": reading.register, "meter": meter}
                self.problems.append(Problem(code="register_repeated", where=f"{place}[{order}].register", values=values))
            elif reading is not None:
                found[reading.register] = reading
        return tuple(found.values())

    def _register(self, raw: Raw, place: str, meter: str) -> Reading | None:
        fields = self._fields(raw, place, _REGISTER_KEYS, ("register", "value"))
        code = self._take(fields, "register", _string, place)
        if code is not None and code not in REGISTERS:
            self.problems.append(
                Problem(code="register_unknown", where=f"{place}.register", values={"register": code[:40], "meter": meter})
            )
        sound = len(self.problems)
        value, previous = self._number(fields, "value", place), self._number(fields, "previous", place)
        for found in range(sound, len(self.problems)) if code in REGISTERS else ():
            problem = self.problems[found]
            self.problems[found] = msgspec.structs.replace(problem, values=problem.values | {"register": code})
        quality = self._take(fields, "quality", _quality, place) or Quality.VALID
        ratio, losses = self._take(fields, "ratio_applied", _flag, place), self._take(fields, "losses_applied", _flag, place)
        if value is None or code not in REGISTERS:
            return None
        return Reading(
            register=code,
            value=value,
            previous=previous,
            quality=quality,
            ratio_applied=ratio is True,
            losses_applied=losses is True,
            where=f"{place}.value",
        )

    def _number(self, fields: dict[str, Raw], key: str, place: str) -> Decimal | None:
        if key not in fields:
            return None
        text = bytes(fields[key]).decode()
        if text == "null":
            self.problems.append(Problem(code="value_missing", where=f"{place}.{key}"))
            return None
        if text[0] not in '"-0123456789':
            self.problems.append(Problem(code="not_a_number", where=f"{place}.{key}", values={"value": _shown(fields[key])}))
            return None
        try:
            return number(_string.decode(text) if text[0] == '"' else text)
        except CellError as error:
            self.problems.append(error.at(f"{place}.{key}"))
            return None


def _shown(raw: Raw) -> str:
    text = bytes(raw).decode().strip('"')
    return text if len(text) <= 40 else text[:39] + "…"


def values() -> dict[str, Any]:
    """The value lists of register, unit and quality: contracts_schema/values.json."""
    return {"register": {code: str(kind.unit) for code, kind in REGISTERS.items()}, "unit": list(Unit), "quality": list(Quality)}


def schema() -> dict[str, Any]:
    """The JSON Schema of this format: contracts_schema/meter_readings.schema.json."""
    grammar = {"anyOf": [{"type": "string", "pattern": f"^{NUMBER}$"}, {"type": "number"}]}
    code = {"type": "string", "maxLength": 100}
    register = {
        "type": "object",
        "additionalProperties": False,
        "required": ["register", "value"],
        "properties": {
            "register": {"enum": list(REGISTERS)},
            "value": {"description": "Exact value in the register's unit; a number is read as written, without an exponent.", **grammar},
            "previous": {"description": "The last value as the sender knows it; compared, never stored.", **grammar},
            "quality": {"enum": list(Quality), "default": str(Quality.VALID)},
            "ratio_applied": {"type": "boolean", "default": False},
            "losses_applied": {"type": "boolean", "default": False},
        },
    }
    row = {
        "type": "object",
        "additionalProperties": False,
        "required": ["registers"],
        "anyOf": [{"required": ["meter"]}, {"required": ["point"], "properties": {"point": {"minLength": 1}}}],
        "properties": {
            "meter": {"description": "The meter's number, as written on it; none at a point without a meter.", "minLength": 1, **code},
            "agreement": {"description": "Number of the agreement, when the sender has several.", **code},
            "location": {"description": "Code of the object, when meters' numbers repeat.", **code},
            "point": {
                "description": "Code of the usage point, when meters' numbers repeat or there is none: values are then amounts.",
                **code,
            },
            "period": {"description": "Billing period.", "type": "string", "pattern": "^([0-9]{4}-(0[1-9]|1[0-2]))?$"},
            "at": {"description": "Instant of the reading, with its offset.", "type": "string", "format": "date-time"},
            "registers": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/register"}},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Meter readings",
        "type": "object",
        "additionalProperties": False,
        "required": ["readings"],
        "properties": {"readings": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/meter_reading"}}},
        "$defs": {"meter_reading": row, "register": register},
    }
