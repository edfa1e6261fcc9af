"""Message translators: bytes to domain and back, one file per format. Here stands their contract."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.domain.problems import Misconfigured, Problem, Rejected
from gateway.domain.readings import MeterReading
from gateway.domain.sources import Source
from gateway.mapping.mapped.shipped import names, shipped
from gateway.registry import build, kinds
from gateway.settings import Limits


def within_limit(readings: Sequence[MeterReading], limits: Limits) -> Iterator[MeterReading]:
    """The readings of a file. Raises Rejected when more is wrong with them than a file may have."""
    problems = [problem for reading in readings for problem in reading.problems]
    if len(problems) > limits.file_problems:
        raise Rejected(*problems[: limits.file_problems], Problem(code="too_many_problems", values={"limit": str(limits.file_problems)}))
    return iter(readings)


_NONE: Final[Mapping[str, Mapping[str, object]]] = MappingProxyType({})


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What the channel knows and the file does not say.

    `zone`: IANA zone in which local times of the file are read. `agreement`, `meter`, `period` (`YYYY-MM`), `kind`: told beside
    the file, empty when not. `ratio_applied`, `losses_applied`: what the values of the file contain already («Вид показаний»,
    legal-entity manual, figure 14). `source`: who read the meters. `draft`: saved and not handed in yet (water manual, section 6).
    `known_to_billing`: billing tells these readings itself and is not told them again (household manual 4.2).
    `login`: the portal's user for whom it comes. `file_name` is a label and no part of the envelope's identity.
    """

    zone: str = "UTC"
    agreement: str = ""
    meter: str = ""
    period: str = ""
    kind: str = ""
    ratio_applied: bool = False
    losses_applied: bool = False
    source: Source = ""
    draft: bool = False
    known_to_billing: bool = False
    login: str = ""
    file_name: str = ""


_LEARNED: Final = msgspec.json.Decoder(Envelope)
"""As in `domain/profile.py`: a type is learned on import, before there are threads."""


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """A message translator. Its fields are its settings."""

    def sniff(self, body: bytes, file_name: str) -> bool:  # noqa: ARG002 - the contract names what it is given
        """Tell whether these bytes look like this format, cheaply and without trusting the name."""
        raise Misconfigured(f"{type(self).__name__} cannot tell its own files")

    def decode(self, body: bytes, envelope: Envelope) -> Iterator[MeterReading | Problem]:  # noqa: ARG002 - the same
        """Yield what is in the file, one MeterReading per meter and period, each with its own problems; file-wide problems apart.

        Raises Rejected when nothing of the file can be read. Codes stay as written; nothing is looked up here.
        """
        raise Misconfigured(f"{type(self).__name__} cannot read files")


def formats(limits: Limits, added: Mapping[str, Mapping[str, object]] = _NONE) -> dict[str, Format]:
    """Every format of this folder by its kind, and every shipped mapping by its name, held to these limits.

    `added`: by name, the settings of formats from outside, first to be asked; each has a dotted `kind`. Raises Misconfigured.
    """
    told = {"limits": msgspec.to_builtins(limits)}
    mapped = {name: {"kind": f"{__name__}.mapped.table", "mapping": msgspec.to_builtins(shipped(name))} for name in names()}
    if strange := [name for name, settings in added.items() if "." not in str(settings.get("kind", ""))]:
        raise Misconfigured(f"formats: {strange[0]}: `kind` must be the dotted name of a module")
    ours = {kind: {"kind": kind} for kind in kinds(Format)}
    in_order = dict(added) | dict(sorted((ours | mapped).items()))
    return {name: build(Format, dict(settings) | told) for name, settings in in_order.items()}
