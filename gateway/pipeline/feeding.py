"""Rows of a registry on their way in: good ones are staged, what contradicts them is found, and all or the good ones are brought in."""

from array import array
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from gateway.domain.problems import Problem
from gateway.domain.supply import Line
from gateway.mapping.registry_rows import Row
from gateway.store import Connection, aside, feed
from gateway.store.feed import Clash

LIMIT: Final = 1000
"""So many problems of a feed are told."""


class Fed(msgspec.Struct, kw_only=True):
    """What came of the rows of a feed. `refused`: rows that were not staged. `problems`: at most LIMIT, in the order of the rows.

    `left`: agreements that were left out whole, with their own of these problems. `unplaced`: rows that do not say of which agreement.
    """

    rows: int = 0
    taken: int = 0
    refused: int = 0
    problems: list[Problem] = []
    left: dict[str, list[Problem]] = {}
    unplaced: int = 0


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


def stage_agreements(connection: Connection, utility: int, rows: Iterable[Row]) -> Fed:
    """Stage the agreements of which every row is good, and say all that is wrong with the others: each stands or falls as a whole."""
    fed, numbers = Fed(problems=[], left={}), array("L")
    fed.taken = feed.stage(connection, utility, _good(_noted(rows, fed), fed, numbers))
    gone = aside.set_aside(connection, fed.left) if fed.left else 0
    while found := feed.clashes(connection, LIMIT):
        whose = aside.agreements_of(connection, {clash.row for clash in found})
        for clash in found:
            _note(fed, whose[clash.row], _said(clash, numbers))
        gone += aside.set_clashes_aside(connection)
    fed.refused, fed.taken = fed.refused + gone, fed.taken - gone
    fed.problems = sorted(fed.problems, key=_place)[:LIMIT]
    return fed


def _noted(rows: Iterable[Row], fed: Fed) -> Iterator[Row]:
    """The same rows; the agreements of wrong ones are remembered."""
    for row in rows:
        if row.line is None and row.agreement:
            told = fed.left.setdefault(row.agreement, [])
            if len(fed.problems) < LIMIT:
                told += row.problems
        elif row.line is None:
            fed.unplaced += 1
        yield row


def _note(fed: Fed, agreement: str, problem: Problem) -> None:
    if len(fed.problems) < LIMIT:
        fed.left.setdefault(agreement, []).append(problem)
        fed.problems.append(problem)


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
    if clash.kind == "id":
        return Problem(code="registry_id_taken", where=f"line {number}, {clash.field}", values={"column": clash.field, "earlier": earlier})
    return Problem(code="registry_contradicts", where=f"line {number}, {clash.field}", values={"column": clash.field, "earlier": earlier})


def _place(problem: Problem) -> tuple[int, str]:
    """Where a problem stands, as a number to sort by."""
    return int(problem.where.removeprefix("line ").partition(",")[0]), problem.where
