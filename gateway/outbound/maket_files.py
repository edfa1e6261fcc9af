"""Items as makets 80020: a file for each day, with a point for each item, and what cannot be told in one."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, Literal

import msgspec

from gateway.mapping.maket_80020_write import Encoding, Facts, Party, Point, Tag, file_name, write
from gateway.mapping.maket_day import day_of
from gateway.mapping.maket_point import CHANNELS, REGISTER
from gateway.mapping.mapped.partner import Codes
from gateway.outbound import Item

REGISTERS: Final = frozenset(CHANNELS.values())
"""What a maket has a channel for."""


class Unsayable(Exception):  # noqa: N818 - says what is wrong with an item
    """An item that no maket can tell, and the message says why."""


class Makets(msgspec.Struct, frozen=True, kw_only=True):
    """How the files are written; the fields are the target's settings. `codes`: the billing's own codes of points."""

    class_: Literal["80020", "80040"]
    sender: Party
    area: Party
    zone: str
    encoding: Encoding
    whole: bool
    codes: Codes

    def names(self, batch: str, item: Item) -> list[str]:
        """The files in which an item is, in the order of their days."""
        return [file_name(self._facts(batch, day)) for day in sorted({block.day for block in item.blocks})]

    def write(self, batch: str, items: Sequence[Item]) -> tuple[dict[str, bytes], dict[str, str]]:
        """The files of a batch by name, and for each item that cannot be told the reason.

        What rounding leaves over is carried from one day of a point to the next in the batch.
        """
        refused: dict[str, str] = {}
        days: dict[date, list[tuple[str, Point]]] = {}
        told: set[tuple[str, date]] = set()
        for item in items:
            try:
                for point in self._points(item, told):
                    days.setdefault(point.blocks[0].day, []).append((item.key, point))
            except Unsayable as reason:
                refused[item.key] = str(reason)
        files: dict[str, bytes] = {}
        carry: dict[tuple[str, str], Decimal] = {}
        for day, points in sorted(days.items()):
            facts = self._facts(batch, day, [key for key, _ in points])
            made = write(facts, [point for _, point in points], encoding=self.encoding, carry=carry, exact=not self.whole)
            files[file_name(facts)], carry = made.body, made.carry
        return files, refused

    def _points(self, item: Item, told: set[tuple[str, date]]) -> list[Point]:
        """A point for each day of an item, each fit to be written. Raises Unsayable."""
        code = self._code(item)
        days: dict[date, list[int]] = {}
        for place, block in enumerate(item.blocks):
            if block.register not in REGISTERS:
                raise Unsayable(f"register_unwritable: {block.register}")
            days.setdefault(block.day, []).append(place)
        if not days:
            raise Unsayable("no_intervals")
        _check_amounts(item)
        points = []
        for day, places in days.items():
            tag: Tag = "peretok" if ">" in code else "measuringpoint"
            point = Point(code=code, blocks=tuple(item.blocks[place] for place in places), serial=item.meter, tag=tag)
            self._check(point, day)
            if (code, day) in told:
                raise Unsayable(f"point_twice: {code}")
            points.append(point)
        told |= {(code, day) for day in days}
        return points

    def _check(self, point: Point, day: date) -> None:
        """Raises Unsayable for what the writer of makets would not take."""
        for block in point.blocks:
            wanted = len(day_of(self.zone, day, block.step).slots)
            if block.count != wanted:
                raise Unsayable(f"maket_unwritable: {day}: {block.count} values, {wanted} are wanted")
            if "-" in block.written:
                raise Unsayable(f"maket_unwritable: {day}: a value below zero")
            if point.tag == "peretok" and block.register != REGISTER:
                raise Unsayable(f"maket_unwritable: {point.code}: a flow has {REGISTER} only")

    def _code(self, item: Item) -> str:
        """How billing names the point: its own code, else ours of the point, else the number of the meter."""
        theirs = self.codes.back(item.meter, item.point)
        code = (theirs[1] or theirs[0]) if theirs else item.point or item.meter
        if not code:
            raise Unsayable("point_unwritable")
        return code

    def _facts(self, batch: str, day: date, keys: Sequence[str] = ()) -> Facts:
        return Facts(
            number=batch,
            day=day,
            zone=self.zone,
            sender=self.sender,
            area=self.area,
            timestamp=datetime.now(UTC),
            class_=self.class_,
            comment=" ".join(keys),
        )


def _check_amounts(item: Item) -> None:
    """A maket tells kWh of the primary side, to which the receiver adds losses. Raises Unsayable for anything else."""
    for value in item.values:
        if value.volume and value.losses_applied:
            raise Unsayable(f"losses_contained: {value.register}")
        if value.volume and not value.ratio_applied and value.consumption != value.value:
            raise Unsayable(f"ratio_missing: {value.register}")
