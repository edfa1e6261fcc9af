"""What a batch carries, as its target gets it: meter readings for billing, or letters for people, each with the state it is in."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from gateway.domain.readings import REGISTERS, IntervalBlock, Quality
from gateway.domain.status import ReadingStatus
from gateway.outbound import Item, Letter, Value
from gateway.store import Connection, letters, outgoing, readings
from gateway.store.claims import Held
from gateway.store.ledger import LETTER


class Load(msgspec.Struct, frozen=True, gc=False):
    """One thing to be sent, and where it stands now."""

    status: ReadingStatus
    item: Item | Letter


def loads(connection: Connection, held: Held, *, skew: timedelta, intervals: bool) -> Mapping[UUID, Load]:
    """What goes out of a batch, by the id of the reading or letter; what is missing is not sent any more.

    `intervals`: the target wants the blocks behind the readings too.
    """
    ids = [claimed.subject for claimed in held.items]
    if held.kind == LETTER:
        return {id_: Load(one.status, _letter(one)) for id_, one in letters.outgoing(connection, ids, skew=skew).items()}
    found = readings.outgoing(connection, ids)
    blocks = outgoing.blocks(connection, held.target_id, found) if intervals else {}
    return {id_: Load(one.status, _item(one, blocks.get(id_, ()))) for id_, one in found.items()}


def _letter(letter: letters.Outgoing) -> Letter:
    return Letter(
        key=f"let_{letter.id.hex}",
        kind=letter.kind,
        recipient=letter.recipient,
        language=letter.language,
        values=letter.values,
        written_at=letter.written_at,
    )


def _item(reading: readings.Outgoing, brought: Sequence[IntervalBlock]) -> Item:
    values = tuple(
        Value(
            register=value.register,
            value=value.value,
            unit=REGISTERS[value.register].unit,
            previous=value.previous,
            consumption=value.consumption,
            quality=Quality(value.quality),
            ratio_applied=value.ratio_applied,
            losses_applied=value.losses_applied,
            volume=value.volume,
        )
        for value in reading.values
    )
    applied = {value.register: (value.ratio_applied, value.losses_applied) for value in reading.values if value.volume}
    return Item(
        key=f"rdg_{reading.id.hex}",
        agreement=reading.agreement,
        point=reading.point,
        meter=reading.meter,
        period=reading.period,
        at=reading.at,
        revision=reading.revision,
        values=values,
        blocks=tuple(
            msgspec.structs.replace(block, ratio_applied=ratio, losses_applied=losses)
            for block in brought
            if block.register in applied
            for ratio, losses in [applied[block.register]]
        ),
    )
