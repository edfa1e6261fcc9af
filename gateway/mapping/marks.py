"""What is to be marked in a workbook: places with their comments, and the list of all problems, in the sender's words."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

import msgspec

from gateway import texts
from gateway.domain.problems import Problem, Severity
from gateway.mapping.tables import number_of
from gateway.texts import Language

Level = Literal["error", "warning"]

AUTHOR: Final = "Metergate"
"""Who writes our comments; by it they are found again when a marked workbook comes back."""
COLOURS: Final[dict[Level, str]] = {"error": "FFFFB0A8", "warning": "FFFFE08A"}
"""Colours of wrong cells and of cells to look at. No theme has them: by them our marks are found again."""

_PLACE: Final = re.compile(r"(?:([A-Z]{1,3})([1-9][0-9]{0,6})(?::([A-Z]{1,3})([1-9][0-9]{0,6}))?|([A-Z]{1,3})|([1-9][0-9]{0,6}))").fullmatch
_ROWS, _COLUMNS = 1_048_576, 16_384
_WHOLE: Final = 1000
"""Cells of a range that are all coloured; of a larger one only the first."""
_COMMENT: Final = 2000
_HINTS: Final = frozenset({Severity.WARNING, Severity.HINT, Severity.NEEDS_REVIEW})


class Area(msgspec.Struct, frozen=True, array_like=True):
    """A rectangle of cells, rows and columns counted from 1. `whole`: a row, a column or a sheet, which is linked to and not coloured."""

    sheet: str
    top: int
    left: int
    bottom: int
    right: int
    whole: bool = False

    def cells(self) -> list[tuple[int, int]]:
        """The cells to be coloured."""
        if self.whole:
            return []
        if (self.bottom - self.top + 1) * (self.right - self.left + 1) > _WHOLE:
            return [(self.top, self.left)]
        return [(row, column) for row in range(self.top, self.bottom + 1) for column in range(self.left, self.right + 1)]


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One problem in the list, `area` where it has a place in a sheet."""

    where: str
    area: Area | None
    level: Level
    code: str
    text: str
    todo: str


class Marking(msgspec.Struct, frozen=True, array_like=True):
    """Everything to be marked: the list with its words. `hint`: what the reader should do with the workbook; `more`: what is left out."""

    title: str
    head: tuple[str, ...]
    hint: str
    more: str
    lines: list[Line]

    def cells(self) -> dict[str, dict[tuple[int, int], Level]]:
        """By sheet, the cells to be coloured; an error outweighs a warning."""
        found: dict[str, dict[tuple[int, int], Level]] = {}
        for line in self.lines:
            if line.area is not None:
                sheet = found.setdefault(line.area.sheet, {})
                for cell in line.area.cells():
                    sheet[cell] = "error" if sheet.get(cell) == "error" else line.level
        return found

    def comments(self) -> dict[str, dict[tuple[int, int], str]]:
        """By sheet, the comment of each place, all its problems in one; a range has it at its first cell."""
        found: dict[str, dict[tuple[int, int], list[str]]] = {}
        for line in self.lines:
            if line.area is not None and not line.area.whole:
                place = found.setdefault(line.area.sheet, {}).setdefault((line.area.top, line.area.left), [])
                place.append(f"{line.text}\n{line.todo}")
        return {sheet: {cell: _short("\n\n".join(said)) for cell, said in sorted(cells.items())} for sheet, cells in found.items()}


def marking(problems: Sequence[Problem], language: Language, limit: int, locate: Callable[[str], Area | None]) -> Marking:
    """Word the problems, errors of one place once, at most `limit` of them. `locate`: the area of a place."""
    shown = [problem for problem in problems if problem.code != "too_many_problems"][:limit]
    left_out = len(shown) < len(problems)
    return Marking(
        title=texts.word("marked.sheet", language),
        head=tuple(texts.word(f"marked.{name}", language) for name in ("place", "code", "text", "todo")),
        hint=texts.word("marked.hint", language),
        more=texts.word("marked.more", language, limit=len(shown)) if left_out else "",
        lines=list(dict.fromkeys(_lines(shown, language, locate))),
    )


def _lines(problems: Iterable[Problem], language: Language, locate: Callable[[str], Area | None]) -> Iterable[Line]:
    for problem in problems:
        text, todo = texts.problem(problem.code, language, problem.values)
        level: Level = "warning" if problem.severity in _HINTS else "error"
        where, text, todo = (said.encode("utf-8", "replace").decode() for said in (problem.where, text, todo))
        yield Line(where, locate(where), level, problem.code, text, todo)


def in_workbook(where: str) -> Area | None:
    """The area of a place in a workbook: `Sheet1!D17`, `Sheet1!B2:B25`, a row, a column or a whole sheet; None for no place at all."""
    if not where:
        return None
    sheet, parted, place = where.rpartition("!")
    found = _PLACE(place) if parted else None
    if found is None:
        return Area(where, 1, 1, 1, 1, whole=True)
    left, top, right, bottom, column, row = found.groups()
    if column or row:
        area = Area(sheet, int(row or 1), number_of(column or "A"), int(row or 1), number_of(column or "A"), whole=True)
    else:
        ends = sorted((int(top), int(bottom or top))), sorted((number_of(left), number_of(right or left)))
        area = Area(sheet, ends[0][0], ends[1][0], ends[0][1], ends[1][1])
    return area if area.bottom <= _ROWS and area.right <= _COLUMNS else Area(sheet, 1, 1, 1, 1, whole=True)


def _short(text: str) -> str:
    return text if len(text) <= _COMMENT else text[: _COMMENT - 1] + "…"
