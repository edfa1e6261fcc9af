"""What came of a demo: whether every good row was billed, once, and the table that says so."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from gateway import texts
from gateway.demo.invented import Metered
from gateway.domain.readings import reading_type
from gateway.texts import Language

Json = dict[str, Any]
Texts = Sequence[Sequence[str]]


class Story(msgspec.Struct, kw_only=True):
    """One utility's part: who sent what how, and the submission as it stood at the last look."""

    utility: str
    language: Language
    format: str
    channel: str
    billing: str
    meters: list[Metered]
    submission: Json = {}

    @property
    def unfinished(self) -> list[str]:
        """Good rows that are not billed yet, each with its state."""
        states = {row["meter"]: row["status"] for row in self.submission.get("readings", ())}
        good = [meter for meter in self.meters if not meter.mistake]
        return [f"{meter.serial}: {states.get(meter.serial, 'no row')}" for meter in good if states.get(meter.serial) != "billed"]

    @property
    def believed(self) -> list[str]:
        """Wrong rows that were taken all the same, which must never be."""
        wrong = {meter.serial: meter.mistake for meter in self.meters if meter.mistake}
        rows = self.submission.get("readings", ())
        held = ("rejected", "needs_review")
        return [
            f"{row['meter']} ({wrong[row['meter']]}): {row['status']}"
            for row in rows
            if row["meter"] in wrong and row["status"] not in held
        ]

    @property
    def refused(self) -> list[Json]:
        """Rows that were not taken, in the order they were sent."""
        return [row for row in self.submission["readings"] if row["status"] in ("rejected", "needs_review")]


def billed_wrongly(stories: Iterable[Story], journal: Iterable[Json]) -> list[str]:
    """What billing's own journal does not confirm: a billed row it holds not once, or a row of it that nobody sent."""
    taken = Counter(row["key"] for row in journal if row["outcome"] == "taken")
    billed = {row["reading"] for story in stories for row in story.submission["readings"] if row["status"] == "billed"}
    return [
        f"{key}: {taken[key]} times in billing's journal" for key in sorted(billed | taken.keys()) if taken[key] != 1 or key not in billed
    ]


def summary(stories: Iterable[Story], journal: Sequence[Json]) -> list[str]:
    """The table: one line a sending, what its sender is told in his own language, and the volumes that billing holds."""
    rows = [["utility", "format", "channel", "billing", "sent", "accepted", "rejected", "in review", "final"]]
    for story in stories:
        counters = story.submission["counters"]
        final = next((row["text"] for row in story.submission["readings"] if row["status"] == "billed"), "")
        mine = {row["reading"] for row in story.submission["readings"]}
        volumes = _volumes([row for row in journal if row["key"] in mine and row["outcome"] == "taken"], story.language)
        numbers = [str(counters[name]) for name in ("total", "accepted", "rejected", "in_review")]
        rows.append(
            [story.utility, story.format, story.channel, story.billing, *numbers, f"{story.submission['text']}; {final}: {volumes}"]
        )
    return aligned(rows, right=(4, 5, 6, 7))


def refusals(stories: Iterable[Story]) -> list[str]:
    """Each row that was not taken, as its sender sees it: place, meter, state, reason."""
    rows: list[list[str]] = []
    for story in stories:
        for row in story.refused:
            weights = ("error", "needs_review", "hint")
            told = sorted((one for one in row["problems"] if one["severity"] in weights), key=lambda one: weights.index(one["severity"]))
            for number, problem in enumerate(told):
                meter, state = (row["meter"], row["text"]) if number == 0 else ("", "")
                rows.append([story.utility if number == 0 else "", problem["where"] or row["where"], meter, state, problem["text"]])
    return aligned(rows)


def aligned(rows: Texts, right: Sequence[int] = ()) -> list[str]:
    """Lines of columns; those in `right` are numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _volumes(rows: Iterable[Mapping[str, Any]], language: Language) -> str:
    """What billing has taken, by quantity; zones of a quantity are added up."""
    found: dict[str, Decimal] = {}
    for row in rows:
        for value in row["values"]:
            quantity = value["register"].partition(":")[0]
            found[quantity] = found.get(quantity, Decimal(0)) + Decimal(value["consumption"])
    return ", ".join(
        f"{texts.register(quantity, language)} {_number(volume)} {texts.word(f'unit.{reading_type(quantity).unit}', language)}"
        for quantity, volume in found.items()
    )


def _number(value: Decimal) -> str:
    """A volume with blanks between thousands and a decimal comma, as all three languages of these utilities write it."""
    plain = f"{value:,f}"
    whole, _, rest = plain.partition(".")
    rest = rest.rstrip("0")
    return whole.replace(",", " ") + (f",{rest}" if rest else "")
