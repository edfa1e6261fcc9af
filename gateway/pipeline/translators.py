"""Which formats a utility's files may have: those that are shipped, and before them its own mapping documents in their newest version."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from gateway.domain.crosswalks import read_crosswalk
from gateway.domain.mappings import label, read_mapping, version_of
from gateway.mapping import Format
from gateway.mapping.mapped.partner import Codes, codes_of
from gateway.mapping.mapped.table import Mapped
from gateway.settings import Limits
from gateway.store import Connection, documents


def translators(connection: Connection, utility: int, shipped: Mapping[str, Format], limits: Limits, kind: str = "") -> dict[str, Format]:
    """Every format of a utility by its kind, its own first.

    `kind`: one that is wanted; when it names a version (`water_register@3`) that one is among them too.
    """
    newest = documents.of_kind(connection, utility, "mapping")
    if not newest:
        return dict(shipped)
    name, version = version_of(kind)
    wanted = {one.name: one for one in newest}
    if version and name in wanted:
        among = documents.versions(connection, utility, "mapping", name)
        wanted[kind] = next((one for one in among if one.version == version), wanted[name])
    names = {as_: _read(one.body).crosswalk for as_, one in wanted.items()}
    tables = {one.name: one.body for one in documents.of_kind(connection, utility, "crosswalk")} if any(names.values()) else {}
    own: dict[str, Format] = {as_: _mapped(one.body, one.version, tables.get(names[as_] or "", b""), limits) for as_, one in wanted.items()}
    return own | {kind: format_ for kind, format_ in shipped.items() if kind not in own}


def named(formats: Mapping[str, Format], kind: str) -> str:
    """How a submission names the format that made its readings: a mapping of the utility with its version."""
    format_ = formats.get(kind)
    return label(format_.mapping.name, format_.version) if isinstance(format_, Mapped) else kind


_read: Final = lru_cache(maxsize=256)(read_mapping)


@lru_cache(maxsize=256)
def _mapped(body: bytes, version: int, table: bytes, limits: Limits) -> Mapped:
    document = _read(body)
    codes = codes_of(read_crosswalk(table), only=document.crosswalk_only) if document.crosswalk else Codes()
    return Mapped(mapping=document, codes=codes, limits=limits, version=version)
