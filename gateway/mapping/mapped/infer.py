"""Proposes how a partner's file is read, from one sample of it: a mapping with the reason of each key, and what only a person knows."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from gateway.domain.mappings import File
from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import INTERVALS, MeterReading
from gateway.mapping import Envelope, Format, formats
from gateway.mapping.crosswalk import META
from gateway.mapping.mapped.infer_archive import as_archive
from gateway.mapping.mapped.infer_build import Builder
from gateway.mapping.mapped.infer_matrix import Measured, as_matrix, grid_of, measured
from gateway.mapping.mapped.infer_open import Opened, opened
from gateway.mapping.mapped.infer_roles import Choice, Question, Roles, Told
from gateway.mapping.mapped.infer_table import Sample, sample_of, weight
from gateway.mapping.mapped.infer_text import comment, written
from gateway.mapping.sheet_owner import named, owner
from gateway.mapping.tables import Table, look
from gateway.registry import build
from gateway.settings import Limits

SHIPPED: Final = "readings_register"
MAPPING: Final = "mapping"
MATRIX: Final = "interval_workbook"
_DOUBTED: Final = 0.6
"""What is less sure is asked about."""
_NAME: Final = "partner_table"
_CYRILLIC: Final = "а б в г ґ д е ё є ж з и і ї й к л м н о п р с т у ф х ц ч ш щ ъ ы ь э ю я"
_LATIN: Final = "a b v g g d e e ie zh z i i i y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya"
_LETTERS: Final = str.maketrans(dict(zip(_CYRILLIC.split(), _LATIN.split(), strict=True)))
_TOLD: Final = Envelope(meter="?")
"""Beside a sample nothing is told; this stands for it while a proposal is tried."""


class Proposal(msgspec.Struct, frozen=True):
    """How a file may be read. `kind`: `mapping`, or the format that reads it as it is; then `mapping` may be None.

    `container`, `encoding`, `delimiter`: as found. `choices`: how sure each key is and why; `questions`: what is not decided.
    `rows`, `problems`: what the mapping made of the sample. `unread`: the columns that it does not read, and what each looks like.
    """

    kind: str
    mapping: Document | None
    choices: tuple[Choice, ...] = ()
    questions: tuple[Question, ...] = ()
    container: str = ""
    encoding: str = ""
    delimiter: str = ""
    rows: int = 0
    problems: tuple[Problem, ...] = ()
    file_name: str = ""
    unread: tuple[str, ...] = ()

    def toml(self) -> str:
        """The mapping as a document with the reasons beside its keys; a comment alone when a format reads the file as it is."""
        if self.kind != MAPPING:
            told = [f"{self.file_name or 'The file'} is read as it is by `{self.kind}`; it needs no mapping."]
        else:
            told = [f"Proposed from {self.file_name or 'a sample'}: {self.rows} values read, {len(self.problems)} problems."]
        told += [f"Not read: {', '.join(self.unread)}."] if self.unread else []
        if self.mapping is None:
            return "".join(f"{comment(line)}\n" for line in [*told, *(f"QUESTION: {one.text}" for one in self.questions)])
        return written(self.mapping, {one.key: one for one in self.choices}, self.questions, told)


def infer(body: bytes, limits: Limits, file_name: str = "", name: str = "", zone: str = "UTC") -> Proposal:
    """Propose how a file is read. `name`: of the mapping; else it is made of the file's. `zone`: in which the sample's times are tried.

    Raises Rejected when the bytes are no table, or no column of it may hold readings.
    """
    known = _formats(limits)
    shipped = known[SHIPPED]
    partly: Proposal | None = None
    for kind, format_ in known.items():
        if kind == SHIPPED or not format_.sniff(body, file_name):
            continue
        read, problems = _decoded(format_, body, zone)
        as_it_is = kind != MATRIX or _says_nothing_else(read, body, limits, file_name)
        if read and as_it_is and all(problem.code != "unit_differs" for problem in problems):
            strange = tuple(f"«{problem.values['column']}»" for problem in problems if problem.code == "column_unknown")
            partly = Proposal(kind, None, container=kind, file_name=file_name, rows=_count(read), unread=strange)
            if not strange:
                return partly
            break
    found = opened(body, limits)
    shown = [table for table in found.tables if table.rows and not table.hidden and table.name != META]
    if not shown:
        raise Rejected(Problem(code="header_not_found"))
    told = Told()
    if (grid := grid_of(shown)) is not None:
        _opened(found, shown[0], told)
        mapping = as_matrix(grid, name or _named(file_name), file_name or _NAME, _file(found), file_name, told)
        return _tried(mapping, shipped, body, limits, found, told, file_name, zone)
    sample = max(map(sample_of, shown), key=weight)
    _opened(found, sample.table, told)
    name, title = name or _named(file_name), _titled(sample, file_name)
    archive = Told()
    _opened(found, sample.table, archive)
    stored = as_archive(sample, Roles(sample, Told()), archive, name, title, _file(found))
    if stored is not None:
        _ask_whose(stored, sample, archive)
        proposed = _tried(stored, shipped, body, limits, found, archive, file_name, zone)
        return proposed if partly is None or proposed.rows > partly.rows else partly
    if partly is not None:
        return partly
    try:
        mapping = Builder(sample, told, file_name).mapping(name, title, _file(found))
    except LookupError as error:
        raise Rejected(Problem(code="nothing_to_take", where=sample.table.name, values={"reason": str(error)})) from error
    _ask_whose(mapping, sample, told)
    return _tried(mapping, shipped, body, limits, found, told, file_name, zone)


def _ask_whose(mapping: Document, sample: Sample, told: Told) -> None:
    owned = mapping.columns.keys() & {"meter", "point"} or any(one.meter for one in mapping.values) or _owned(sample)
    if not (mapping.across or owned):
        told.ask("columns.meter", "no column, title or sheet's name says whose the values are: the meter must be told beside the file")


def _count(read: Sequence[MeterReading]) -> int:
    return sum(len(one.readings) + len(one.blocks) for one in read)


@lru_cache(maxsize=4)
def _formats(limits: Limits) -> Mapping[str, Format]:
    """Every format there is, built once."""
    return formats(limits)


def _tried(
    mapping: Document, shipped: Format, body: bytes, limits: Limits, found: Opened, told: Told, file_name: str, zone: str
) -> Proposal:
    """Read the sample by the proposal, and ask about what it cannot read; the shipped register is named when it says the same."""
    settings = {"kind": "gateway.mapping.mapped.table", "mapping": msgspec.to_builtins(mapping), "limits": msgspec.to_builtins(limits)}
    read, problems = _decoded(build(Format, settings), body, zone)
    rows = _count(read)
    if problems:
        first = problems[0]
        told.ask(
            "problems",
            f"{len(problems)} cells or rows cannot be read so, the first at {first.where}: {first.code}. Try the mapping to see all.",
        )
    asked = {question.key for question in told.questions}
    for choice in told.choices.values():
        if choice.sure < _DOUBTED and choice.key not in asked:
            told.ask(choice.key, f"is it so? {choice.why[:1].upper()}{choice.why[1:]}.")
    kind = MAPPING
    if read and "register" not in {one.key for one in told.questions}:
        kind = SHIPPED if shipped.sniff(body, file_name) and _decoded(shipped, body, zone) == (read, problems) else MAPPING
    return Proposal(
        kind,
        mapping,
        tuple(told.choices.values()),
        tuple(dict.fromkeys(told.questions)),
        found.container,
        found.encoding,
        found.delimiter,
        rows,
        tuple(problems),
        file_name,
        tuple(told.unread),
    )


def _says_nothing_else(read: Sequence[MeterReading], body: bytes, limits: Limits, file_name: str) -> bool:
    """Whether a workbook of hours and days says of itself nothing but what `interval_workbook` has read in it."""
    grid = grid_of([table for table in look(body, limits) if not table.hidden and table.name != META])
    found = measured(grid, file_name) if grid is not None else Measured()
    return not found.register or (
        {block.register for one in read for block in one.blocks} == {found.register} and found.unit in ("", INTERVALS[found.register].unit)
    )


def _decoded(format_: Format, body: bytes, zone: str) -> tuple[list[MeterReading], list[Problem]]:
    """What a format makes of the sample, and everything that is wrong with it."""
    try:
        things = list(format_.decode(body, msgspec.structs.replace(_TOLD, zone=zone)))
    except Rejected as refused:
        return [], list(refused.problems)
    read = [thing for thing in things if isinstance(thing, MeterReading)]
    problems = [problem for thing in things for problem in ([thing] if isinstance(thing, Problem) else thing.problems)]
    return read, problems


def _owned(sample: Sample) -> bool:
    """Whether a cell above the table or the sheet's name says whose the table is."""
    cells = ((row, column) for row in range(max(sample.header, 0)) for column in range(len(sample.table.rows[row])))
    return bool(owner(sample.table, cells).meter or named(sample.table))


def _opened(found: Opened, table: Table, told: Told) -> None:
    if found.encoding:
        why = {True: "the bytes say so", False: "told by its letters"}[found.sure == 1]
        told.say("file.encoding", found.sure, why if found.sure > 0.7 else "only so its header has words that are known")
        if found.sure <= 0.7:
            told.ask("file.encoding", f"is the file in {found.encoding}? It is too short to be sure.")
    if found.delimiter:
        told.say("file.delimiter", 0.95, "most rows have the same number of fields by it")
    others = [other.name for other in found.tables if not other.hidden and other.rows and other is not table]
    if others:
        told.say("file.sheets", 0.8, f"read is every sheet with this header; {len(others)} more sheets were not looked at")


def _file(found: Opened) -> File:
    return File(encoding="" if found.encoding.startswith("utf") else found.encoding, delimiter=found.delimiter)


def _named(file_name: str) -> str:
    """A name that a document may have, of the letters of a file's name without its dates."""
    stem = file_name.rpartition(".")[0] or file_name
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower().translate(_LETTERS)).strip("_0123456789")
    return name[:60] if len(name) > 2 else _NAME


def _titled(sample: Sample, file_name: str) -> str:
    return _first(sample.titles) or file_name or sample.table.name or _NAME


def _first(titles: Sequence[str]) -> str:
    return next((" ".join(title.split())[:100] for title in titles if len(title) > 8), "")
