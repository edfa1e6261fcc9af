"""What every target that writes by a mapping shares: its documents, and an item as the reading that they say."""

from pathlib import Path

from gateway.domain.crosswalks import read_crosswalk
from gateway.domain.mappings import Mapping as Document
from gateway.domain.mappings import read_mapping
from gateway.domain.problems import Misconfigured, Rejected
from gateway.domain.readings import MeterReading, Reading
from gateway.mapping.mapped.partner import Codes, codes_of, crosswalk_text
from gateway.outbound import Item
from gateway.settings import Limits


def documents(mapping: str, crosswalk: str) -> tuple[Document, Codes]:
    """The documents at these paths; no crosswalk is an empty one.

    Raises Misconfigured for one that cannot be read, and for a mapping whose rows do not carry the key by which billing names a reading.
    """
    try:
        document = read_mapping(Path(mapping).read_bytes())
    except OSError as error:
        raise Misconfigured(f"mapping: {error}") from error
    codes = codes_at(crosswalk, only=document.crosswalk_only)
    if "row_key" not in document.columns:
        raise Misconfigured(f"mapping: {mapping} has no column `row_key`, by which billing's answer names a reading")
    if document.crosswalk_only and not crosswalk:
        raise Misconfigured(f"crosswalk: {mapping} takes no other codes than those of a crosswalk, and none is named")
    return document, codes


def codes_at(crosswalk: str, *, only: bool = False) -> Codes:
    """The codes of the crosswalk at this path, none without one. Raises Misconfigured for one that cannot be read."""
    if not crosswalk:
        return Codes()
    try:
        return codes_of(read_crosswalk(crosswalk_text(Path(crosswalk).read_bytes(), Limits())), only=only)
    except (OSError, Rejected) as error:
        raise Misconfigured(f"crosswalk: {crosswalk}: {error}") from error


def reading_of(item: Item) -> MeterReading:
    """An item as a mapping says it."""
    readings = tuple(
        Reading(
            register=value.register,
            value=value.value,
            previous=value.previous,
            ratio_applied=value.ratio_applied,
            losses_applied=value.losses_applied,
            volume=value.volume,
        )
        for value in item.values
    )
    return MeterReading(meter=item.meter, point=item.point, agreement=item.agreement, period=item.period, at=item.at, readings=readings)
