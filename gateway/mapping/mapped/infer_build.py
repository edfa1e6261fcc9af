"""From the columns of a sample to a mapping: its layout, its registers and units, periods, control row and rows passed over."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, Literal

import msgspec

from gateway.domain.mappings import Field, File, Mapping, Place, ValueColumn, Words, unread
from gateway.domain.readings import INTERVALS, REGISTERS
from gateway.domain.units import UNITS
from gateway.mapping.cells import CellError, cell_code
from gateway.mapping.crosswalk import fold
from gateway.mapping.mapped.infer_columns import Column, never_falls
from gateway.mapping.mapped.infer_edges import control_of, listed, place_of
from gateway.mapping.mapped.infer_roles import CODES, Choice, Roles, Told
from gateway.mapping.mapped.infer_table import Sample
from gateway.mapping.mapped.infer_words import SHIPPED, Said, measured, said, words, zone_of
from gateway.mapping.moments import Clock, Day, read_clock, read_day

_ASSUMED: Final = "volume"
"""What stands in a proposal while nothing says which register it is; the question about it stands beside it."""
_MANY: Final = 4
_EARLY: Final = 5


class Builder:
    """Puts a mapping together, and says of each key why."""

    def __init__(self, sample: Sample, told: Told, file_name: str) -> None:
        """Tell the columns apart."""
        self.sample, self.told, self.file_name = sample, told, file_name
        self.roles = Roles(sample, told)
        taken = {column.place for column in self.roles.fields.values()}
        for columns in (self.roles.values, self.roles.amounts, self.roles.previous, self.roles.numbers):
            columns[:] = [column for column in columns if column.place not in taken]
        self.keys: dict[str, Any] = {}
        self.read: list[Column] = []
        self.owners: dict[int, Place | Words] = {}

    def mapping(self, name: str, title: str, file: File) -> Mapping:
        """The whole document."""
        sample, roles = self.sample, self.roles
        if sample.header < 0:
            self.told.say("file.header", 0.9, "no row says what the columns are, so they are told by their numbers")
            file = msgspec.structs.replace(file, header=False)
        across = self.roles.across
        series = bool(across) or self._is_series()
        self.told.say("layout", 0.9, "rows are intervals of time" if series else "each row is a meter or one of its registers")
        if across:
            self._as_across(across)
        elif series:
            self._as_series()
        else:
            self._as_register()
        for field in unread(roles.fields, series=series, values="values" in self.keys, across=bool(across)):
            roles.passed[roles.fields.pop(field).place] = "nothing that this layout reads"
        columns: dict[Field, Place | Words] = {field: place_of(self.sample, column) for field, column in roles.fields.items()}
        self._rows()
        self._passed_over()
        return Mapping(name=name, title=title, layout="series" if series else "register", file=file, columns=columns, **self.keys)

    def _is_series(self) -> bool:
        """Whether the rows of one meter are many moments, and its values are no states of a dial."""
        roles, rows = self.roles, len(self.sample.data)
        if "day" not in roles.fields or rows < _MANY:
            return False
        whose = [roles.fields[field] for field in CODES if field in roles.fields]
        several = len({tuple(str(column.cells[row]) for column in whose) for row in range(rows)})
        if rows < several * _MANY:
            return False
        return (
            bool(roles.amounts)
            or "clock" in roles.fields
            or any(not column.said.reading and not column.said.now for column in roles.values)
        )

    def _as_across(self, across: Sequence[Column]) -> None:
        register, unit = self._base(across)
        self.keys |= {"across": True, "register": register}
        self.told.say("across", 0.85, f"the header names {len(across)} codes behind the moment, and numbers stand below them")
        if unit:
            self.keys["unit"] = unit
        self._labels()

    def _as_series(self) -> None:
        roles = self.roles
        dials = [column for column in roles.values if _is_dial(column)]
        amounts = [*roles.amounts, *(column for column in roles.values if column not in dials)]
        if not amounts:
            amounts, dials = dials or roles.numbers, []
        if unsure := [column.title for column in dials if not column.said.reading]:
            self.told.ask("values", f"{', '.join(unsure)} looks like the state of a dial and is passed over: is that so?")
        for column in (*dials, *roles.previous):
            roles.passed[column.place] = "the state of a dial, and a series holds amounts"
        self._values(amounts, INTERVALS, volume=False)
        self._labels()

    def _as_register(self) -> None:
        roles = self.roles
        values = roles.values
        if not values and roles.amounts:
            self._values(roles.amounts, REGISTERS, volume=True)
            self.told.ask("values", "there are amounts of a period and no readings of a dial: is that so?")
        elif not values and len(roles.numbers) >= 1:
            self.told.ask("columns.value", f"is {roles.numbers[0].title} the reading? Its header does not say so.")
            values, roles.numbers = roles.numbers[:1], roles.numbers[1:]
        elif not values:
            raise LookupError("no column holds numbers that may be readings")
        if values:
            self._dials(values)
        if not roles.amounts or values:
            for column in roles.amounts:
                roles.passed[column.place] = "the amount of the period, which follows from the readings"
        self._period()

    def _dials(self, values: list[Column]) -> None:
        """One column of readings with what it measures beside it or told once; or several columns, a register each."""
        roles = self.roles
        column = roles.fields.get("register")
        if column and "zone" not in roles.fields and all(zone_of(words(one)) is not None for one in _told(column)):
            roles.fields["zone"] = roles.fields.pop("register")
            self.told.choices["columns.zone"] = msgspec.structs.replace(self.told.choices["columns.register"], key="columns.zone")
        told_by_rows = roles.fields.keys() & {"quantity", "register"}
        if len(values) > 1 and not told_by_rows:
            self._meters(values)
            self._values(values, REGISTERS, volume=False)
            self._befores(roles.previous)
            return
        if len(values) > 1:
            names = ", ".join(column.title for column in values)
            self.told.ask("columns.value", f"which of {names} is the reading? One is taken beside what the row measures.")
        value = values[0]
        roles.fields["value"] = value
        self.told.choices.setdefault("columns.value", _choice(value))
        if roles.previous:
            roles.fields["previous"] = roles.previous[0]
            self.told.choices.setdefault("columns.previous", _choice(roles.previous[0], "columns.previous"))
            self._compared(roles.previous[0], value)
        if told_by_rows:
            self._words_of_rows()
            if (unit := value.said.unit) and unit not in UNITS:
                self.keys["unit"] = unit
                self.told.say("unit", 0.9, f"the header says {unit}")
        else:
            self._one_register(value)

    def _one_register(self, value: Column) -> None:
        zone = self._zone_words()
        register, unit = self._base([value], zoned=bool(zone))
        self.keys["register"] = register
        if unit and unit != INTERVALS.get(register, REGISTERS[register]).unit:
            self.keys["unit"] = unit
            self.told.say("unit", 0.95, f"the header says {unit}")

    def _compared(self, before: Column, now: Column) -> None:
        rows, above, grows = never_falls(before.shape.numbers, now.shape.numbers)
        if rows >= _MANY and not grows:
            self.told.ask("columns.previous", f"{now.title} is below {before.title} in some rows: are the two told apart rightly?")
        elif rows and above:
            why = self.told.choices["columns.previous"]
            self.told.say(why.key, min(0.99, why.sure + 0.03), f"{why.why}, and no reading is below it")

    def _base(self, columns: Sequence[Column], *, zoned: bool = False) -> tuple[str, str]:
        """The register and unit of values whose row does not say them: by their header, a title, the sheet's or the file's name."""
        units = {column.said.unit for column in columns} - {""}
        unit = min(units, default="")
        registers = {column.said.register for column in columns} - {""}
        if registers:
            register = min(registers)
            self.told.say("register", 0.95 if unit else 0.85, f"the header of the values says {unit or 'it in words'}")
            if register == "heat" and not unit:
                self.told.ask("unit", "are the values Gcal or GJ? The header does not say it; Gcal is taken.")
            return register, unit
        for where, text in self._around():
            one = said(text)
            if one.register:
                self.told.say("register", 0.7, f"{where} says it: «{text[:60]}»")
                return one.register, unit or (one.unit if one.register else "")
        if zoned:
            self.told.say("register", 0.7, "there are zones, and only electricity has them")
            return "A+", unit
        self.told.say("register", 0.2, "nothing in the file says what is measured; this stands here until somebody does")
        self.told.ask("register", "what is measured: volume (water), A+ (electricity) or heat? Nothing in the file says it.")
        return _ASSUMED, unit

    def _around(self) -> Iterator[tuple[str, str]]:
        yield from (("a title above the table", text) for text in self.sample.titles)
        yield from (("another header", column.own) for column in self.sample.columns if not column.said.other)
        yield "the sheet's name", self.sample.table.name.replace("_", " ")
        yield "the file's name", self.file_name.rpartition(".")[0].replace("_", " ")

    def _meters(self, values: Sequence[Column]) -> None:
        """Where a row holds several meters, each stands before its readings."""
        roles = self.roles
        meters = sorted([*roles.meters, roles.fields["meter"]], key=lambda column: column.place) if roles.meters else []
        owners = {
            value.place: max((one for one in meters if one.place < value.place), key=lambda one: one.place, default=None)
            for value in values
        }
        if (
            not meters
            or {one.place for one in owners.values() if one is not None} != {one.place for one in meters}
            or None in owners.values()
        ):
            return
        del roles.fields["meter"]
        roles.meters = []
        self.read += meters
        self.owners = {place: place_of(self.sample, owner) for place, owner in owners.items() if owner is not None}
        self.told.choices.pop("columns.meter", None)

    def _values(self, columns: Sequence[Column], kinds: Any, *, volume: bool) -> None:
        """Several columns of values, a register each."""
        base = ""
        found: list[ValueColumn] = []
        peak = {column.said.zone for column in columns} >= {"day", "night", "half_peak"}
        for column in columns:
            key, told = f"values.{len(found) + 1}", column.said
            if register := _register_said(told, peak=peak):
                self.told.say(key, 0.9 if told.unit or told.quantity else 0.75, f"the header {column.title} says so")
            else:
                base = base or self._base([column])[0]
                register = base
                self.told.say(
                    key, self.told.choices["register"].sure if "register" in self.told.choices else 0.5, "as the file's other words say"
                )
            if register not in kinds:
                roles_say = f"no register of {'a series' if kinds is INTERVALS else 'readings'}"
                self.roles.passed[column.place] = f"{register}, which is {roles_say}"
                continue
            meter: Place | Words | Literal[""] = self.owners.get(column.place, "")
            if any((one.register, one.meter) == (register, meter) for one in found):
                self.told.ask(key, f"{column.title} is {register} too; a meter has it once. Whose is it? It is passed over.")
                self.roles.passed[column.place] = f"a second {register}"
                continue
            own = kinds[register].unit
            unit = told.unit if told.unit in UNITS[own] and told.unit != own else ""
            self.read.append(column)
            found.append(ValueColumn(column=place_of(self.sample, column), register=register, unit=unit, volume=volume, meter=meter))
        if peak:
            self.told.ask("values", "there are three tariffs: is T1 the peak, T2 the night and T3 the half-peak?")
        if not found:
            raise LookupError("no column holds values of a register that is known")
        self.keys["values"] = tuple(found)

    def _befores(self, columns: Sequence[Column]) -> None:
        """Readings before, each beside the column of readings whose register its header says; by their order where none says one."""
        values: list[ValueColumn] = list(self.keys["values"])
        peak = any(one.register.endswith(":peak") for one in values)
        said_ = [_register_said(column.said, peak=peak) for column in columns]
        in_order = len(columns) == len(values) and not any(said_)
        for order, (column, register) in enumerate(zip(columns, said_, strict=True)):
            place = (
                order if in_order else next((at for at, one in enumerate(values) if one.register == register and not one.previous), None)
            )
            if place is None:
                self.roles.passed[column.place] = "a reading before, of no column that is read"
                continue
            self.read.append(column)
            values[place] = msgspec.structs.replace(values[place], previous=place_of(self.sample, column))
        self.keys["values"] = tuple(values)

    def _words_of_rows(self) -> None:
        """What the words in the cells of quantity and zone mean."""
        fields = self.roles.fields
        if "register" in fields and not self._is_quantity():
            return
        quantities: dict[str, list[str]] = {}
        for one in _told(fields["quantity"]):
            quantities.setdefault(measured(one), []).append(one)
        if strange := quantities.pop("", []):
            self.told.ask("quantities", f"what does {listed(strange)} mean? Rows with it would be refused.")
        self.keys["quantities"] = {code: tuple(several) for code, several in quantities.items()}
        self.told.say("quantities", 0.9 if quantities else 0.3, f"the words that stand in {fields['quantity'].title}")
        if not quantities:
            self.keys["quantities"] = SHIPPED.quantities
        self._zone_words()

    def _is_quantity(self) -> bool:
        """Whether a column called «register» holds words for what is measured; what is neither that nor a code needs a crosswalk."""
        fields = self.roles.fields
        strange = [one for one in _told(fields["register"]) if one not in REGISTERS]
        if strange and "quantity" not in fields and all(map(measured, strange)):
            fields["quantity"] = fields.pop("register")
            self.told.choices["columns.quantity"] = msgspec.structs.replace(self.told.choices["columns.register"], key="columns.quantity")
            return True
        if strange:
            self.told.ask("crosswalk", f"what do {listed(strange)} mean? Give them a crosswalk with the column `register`.")
        return False

    def _zone_words(self) -> dict[str, tuple[str, ...]]:
        column = self.roles.fields.get("zone")
        if column is None:
            return {}
        zones: dict[str, list[str]] = {}
        strange: list[str] = []
        for one in _told(column):
            zone = zone_of(words(one))
            (strange if zone is None else zones.setdefault(zone, [])).append(one)
        if strange:
            self.told.ask("zones", f"which zone does {listed(strange)} mean? Rows with it would be refused.")
        if {"day", "night", "half_peak"} <= zones.keys() and "peak" not in zones:
            zones["peak"] = zones.pop("day")
            self.told.ask("zones", "there are three tariffs: is T1 the peak, T2 the night and T3 the half-peak?")
        found = {zone: tuple(several) for zone, several in zones.items()}
        if found:
            self.keys["zones"] = found
            self.told.say("zones", 0.85, f"the words that stand in {column.title}")
        return found

    def _period(self) -> None:
        fields = self.roles.fields
        day = fields.get("day")
        if "period" in fields or day is None:
            if day is None and "period" not in fields:
                self.told.say("period_from", 0.7, "no column says the period, so it is told beside the file")
            return
        found = [one for cell in day.cells if isinstance(one := read_day(cell), Day)]
        self.keys["period_from"] = "day"
        early = found and all(one.day.day <= _EARLY and not one.month for one in found)
        self.told.say(
            "period_from", 0.5 if early else 0.85, f"{day.title} says when a reading was taken, and nothing else names its period"
        )
        if early:
            self.told.ask(
                "period_from", "readings were taken in the first days of a month: are they of that month (`day`) or of the one `before`?"
            )

    def _labels(self) -> None:
        """Whether an hour is a beginning or an end is told by the hours themselves, where 0 or 24 is among them."""
        clock = self.roles.fields.get("clock")
        hours = [one for cell in clock.cells if isinstance(one := read_clock(cell, halves=True), Clock)] if clock is not None else []
        if hours and not any(one.whole or (one.hour in (0, 24) and not one.half) for one in hours):
            self.told.ask("label", "is an hour the `start` or the `end` of its interval? Neither 0 nor 24 is among them.")

    def _rows(self) -> None:
        """The control row, totals and what stands below the table."""
        sample = self.sample
        strange = [word for word in (*sample.totals, *sample.tail) if word and fold(word) not in map(fold, SHIPPED.passed)]
        if strange:
            self.keys["passed"] = (*SHIPPED.passed, *(word.lower() for word in strange))
            self.told.say("passed", 0.85, f"rows that begin with {listed(strange)} hold no data")
        if sample.control is not None:
            self.keys["control"] = control_of(sample, sample.control, self.roles.fields, self.told)

    def _passed_over(self) -> None:
        """Say of every column with something in it that it is not read, when it is not; numbers that nothing explains are asked about."""
        roles = self.roles
        for column in roles.meters:
            first = roles.fields["meter"].title
            self.told.ask("columns.meter", f"{column.title} may be it as well as {first}: which one is it?")
        left = [column.title for column in roles.numbers]
        if left:
            self.told.ask("columns", f"numbers stand in {', '.join(left[:6])} and are passed over: are they needed?")
        read = {column.place for column in (*roles.fields.values(), *self.read, *roles.across)}
        for column in self.sample.columns:
            if column.place not in read and column.shape.kind != "empty":
                what = roles.passed.get(column.place, "")
                self.told.unread.append(f"{column.title} ({what})" if what else column.title)


def _choice(column: Column, key: str = "columns.value") -> Choice:
    if not (column.own or column.above):
        return Choice(key, 0.5, "it holds the only numbers that nothing else explains")
    sure = 0.92 if column.said.reading or column.said.unit else 0.7
    return Choice(key, sure, f"its header {column.title} says so; it holds numbers")


def _is_dial(column: Column) -> bool:
    """Whether a column of a series shows a dial: its words say so, and its numbers only grow."""
    numbers = [one for one in column.shape.numbers if one is not None]
    grows = len(numbers) > _MANY and numbers[-1] > numbers[0] and all(two >= one for one, two in pairwise(numbers))
    return column.said.reading or (grows and numbers[0] * 10 > numbers[-1] - numbers[0])


def _told(column: Column) -> list[str]:
    """The different texts of a column, as often as they come."""
    found: list[str] = []
    for cell in column.cells:
        try:
            found.append(cell_code(cell))
        except CellError:
            continue
    return [one for one in dict.fromkeys(found) if one]


def _register_said(told: Said, *, peak: bool) -> str:
    """The register that a header says; a zone alone is one of electricity. `peak`: of three tariffs the first is the peak."""
    if not told.register and (told.zone is None or told.quantity):
        return ""
    quantity = told.quantity or "A+"
    zone = "peak" if peak and told.zone == "day" else told.zone
    return f"{quantity}:{zone}" if zone else quantity
