"""Rows of a registry on their way in: good ones are staged, what contradicts them is found, and all or the good ones are brought in."""

from array import array
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from gateway.domain.problems import Problem
from gateway.domain.supply import Line
from gateway.mapping.registry_rows import Row
from gateway.store import Connection, feed
from gateway.store.feed import Clash

LIMIT: Final = 1000
"""So many problems of a feed are told."""


class Fed(msgspec.Struct, kw_only=True):
    """What came of the rows of a feed. `refused`: rows that were not staged. `problems`: at most LIMIT, in the order of the rows."""

    rows: int = 0
    taken: int = 0
    refused: int = 0
    problems: list[Problem] = []


def stage(connection: Connection, utility: int, rows: Iterable[Row]) -> Fed:
    """Stage what is good, and say all that is wrong; a row that contradicts an earlier one is refused, and the earlier one stands."""
    fed, numbers = Fed(problems=[]), array("L")
    fed.taken = feed.stage(connection, utility, _good(rows, fed, numbers))
    while found := feed.clashes(connection, LIMIT):
        fed.problems += [_said(clash, numbers) for clash in found]
        gone = feed.drop_clashes(connection)
        fed.refused, fed.taken = fed.refused + gone, fed.taken - gone
    fed.problems = sorted(fed.problems, key=_place)[:LIMIT]
    return fed


def _good(rows: Iterable[Row], fed: Fed, numbers: "array[int]") -> Iterator[Line]:
    for row in rows:
        fed.rows += 1
        if row.line is not None:
            numbers.append(row.number)
            yield row.line
            continue
        fed.refused += 1
        if len(fed.problems) < LIMIT:
            fed.problems += row.problems


def _said(clash: Clash, numbers: "array[int]") -> Problem:
    """The problem of a row that contradicts an earlier one."""
    number, earlier = numbers[clash.row], str(numbers[clash.earlier])
    if clash.kind == "row":
        return Problem(code="registry_twice", where=f"line {number}, register", values={"register": clash.field, "earlier": earlier})
    return Problem(code="registry_contradicts", where=f"line {number}, {clash.field}", values={"column": clash.field, "earlier": earlier})


def _place(problem: Problem) -> tuple[int, str]:
    """Where a problem stands, as a number to sort by."""
    return int(problem.where.removeprefix("line ").partition(",")[0]), problem.where
