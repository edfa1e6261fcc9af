"""What the tests of heat archives ask of a file: its meter readings, the values of a register, its problems."""

from datetime import date

import pytest

from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.mapped.table import Mapped

FORMAT = Mapped(mapping=shipped("heat_archive"))
IRKUTSK = Envelope(zone="Asia/Irkutsk")
KYIV = Envelope(zone="Europe/Kyiv")


def things(body: bytes | str, envelope: Envelope = IRKUTSK) -> list[MeterReading | Problem]:
    return list(FORMAT.decode(body.encode() if isinstance(body, str) else body, envelope))


def decoded(body: bytes | str, envelope: Envelope = IRKUTSK) -> list[MeterReading]:
    return [thing for thing in things(body, envelope) if isinstance(thing, MeterReading)]


def blocks(body: bytes | str, register: str = "heat", envelope: Envelope = IRKUTSK) -> dict[date, list[str]]:
    """The values of a register of the first meter; `-` where there is none."""
    found = [block for block in decoded(body, envelope)[0].blocks if block.register == register]
    return {block.day: ["-" if value is None else f"{value:f}" for value in block.values] for block in found}


def problems(body: bytes | str, envelope: Envelope = IRKUTSK) -> list[tuple[str, str, str]]:
    return [(one.meter, problem.code, problem.where) for one in decoded(body, envelope) for problem in one.problems]


def refusal(body: bytes | str, envelope: Envelope = IRKUTSK) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refused:
        things(body, envelope)
    return [(problem.code, problem.where) for problem in refused.value.problems]
