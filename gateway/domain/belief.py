"""What a register remembers of the values believed: so much that no history is read when the next reading comes."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from gateway.domain.supply import Register


def believe(register: Register, value: Decimal, *, period: str, at: datetime, reading: UUID, chain: bool) -> Register:
    """The register once `value` is believed. `chain`: each value follows the one before it, also within a period.

    A value older than the last one known changes nothing here.
    """
    if period < register.last_period or (chain and register.last_at is not None and at < register.last_at):
        return register
    before = register.before if period == register.last_period and not chain else register.last
    return msgspec.structs.replace(register, last=value, last_period=period, last_at=at, last_reading=reading, before=before)
