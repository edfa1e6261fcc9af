"""Who read a meter, and whose word counts more: one reading replaces another only of the same rank or below (V-17)."""

from collections.abc import Iterable
from typing import Final, Literal, get_args

import msgspec

from gateway.domain.readings import Quality, Reading

Source = Literal["", "phone", "control", "automatic"]
"""`phone`: told to a clerk; `control`: read at the meter by an inspector; `automatic`: read by a machine; empty: by whoever sends."""
SOURCES: Final[tuple[str, ...]] = get_args(Source)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Who read the meter. `known_to_billing`: billing itself tells the reading."""

    source: Source = ""
    known_to_billing: bool = False

    @property
    def unbound(self) -> bool:
        """Whether no window holds for it: an inspector comes when he comes, and billing knows its own rules (F-043)."""
        return self.source == "control" or self.known_to_billing


UNTOLD: Final = Told()
"""Read by whoever sends, and nothing stands yet."""

_RANKS: Final[dict[str, int]] = {"control": 3, "automatic": 2, "phone": 1, "": 1}
_GUESSED: Final = frozenset({Quality.ESTIMATED, Quality.SUBSTITUTED})


def rank(source: str, qualities: Iterable[str]) -> int:
    """How much a reading counts: control 3, automatic 2, a customer's own 1, and 0 when all of its values are estimates."""
    told = list(qualities)
    return 0 if told and all(one in _GUESSED for one in told) else _RANKS[source]


def rank_of(source: str, readings: Iterable[Reading]) -> int:
    """The same for readings on their way in."""
    return rank(source, (one.quality for one in readings))
