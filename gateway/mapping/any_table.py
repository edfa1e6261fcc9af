"""The one door to tables: whatever file a partner calls a table becomes sheets of cells, each cell with a name its sender knows."""

import re
from typing import Final

import msgspec

from gateway.domain.mappings import encoding_named
from gateway.domain.problems import Problem, Rejected
from gateway.mapping.dbf import read_dbf
from gateway.mapping.delimited import ANY_DELIMITER, Known, is_delimited, read_text
from gateway.mapping.encodings import detect, mark_of
from gateway.mapping.sheet_parts import EXCEL_2003
from gateway.mapping.tables import Looked, Table, look, read_sheets, read_tables
from gateway.mapping.zip_gate import Kind, entries, kind_of, unpack
from gateway.settings import Limits

_HEAD: Final = 65_536
_charset: Final = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE).search
_BESIDE: Final = ("__MACOSX/", ".")
"""What some programs put into an archive beside the file that was meant."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a profile knows of a partner's tables that their bytes do not tell; every default lets the file tell it.

    `encoding`: of texts and of DBF, by a name of Python's. `delimiter` and `quote`: of texts; without a `quote` quotes are characters.
    """

    encoding: str = ""
    delimiter: str = ""
    quote: str = '"'

    def __post_init__(self) -> None:
        """Refuse an encoding that does not exist, and a delimiter or quote that is none."""
        if self.encoding and not encoding_named(self.encoding):
            raise ValueError(f"encoding: {self.encoding!r} is not an encoding of texts")
        if self.delimiter and self.delimiter not in ANY_DELIMITER:
            raise ValueError(f"delimiter: {self.delimiter!r} is none of ; tab | and ,")
        if self.quote not in ("", '"', "'"):
            raise ValueError(f"quote: {self.quote!r} is neither a quotation mark nor empty")


_PLAIN: Final = Options()


def read_any(body: bytes, limits: Limits, options: Options = _PLAIN) -> tuple[Table, ...]:
    """Every table of a file: sheets of a workbook (hidden ones marked), tables of a page, the one table of a DBF or a delimited text.

    The file is told by its bytes, never by its name; an archive with one file in it is that file. What is wrong with single cells stands
    in each table's `problems`. Raises Rejected, with the codes of `read_tables`, `read_dbf`, `read_text` and of archives.
    """
    if options == _PLAIN and _looked.at(body, limits):
        return _looked.take()
    if len(body) > limits.file_bytes:
        raise Rejected(Problem(code="file_too_large", values={"limit": str(limits.file_bytes)}))
    kind = kind_of(body)
    if kind == "zip":
        body = only_file(body, limits)
        kind = kind_of(body)
    return _read(kind, body, limits, options)


def look_any(body: bytes, limits: Limits) -> tuple[Table, ...]:
    """What `read_any` gives, for formats that only wonder whether a file is theirs; empty when it cannot be read, and for plain texts.

    The file is read once, however many ask: what was found, be it a refusal, is kept for this thread until it is read.
    """
    kind = kind_of(body) if body else "binary"
    if kind in ("xlsx", "xls", "ods"):
        return look(body, limits)
    if kind in ("json", "pdf", "program", "binary") or (kind == "text" and not is_page(body)):
        return ()
    return _looked.keep(body, limits, lambda: read_any(body, limits))


def kept_any(body: bytes) -> tuple[Table, ...]:
    """What was found of a file that formats have just looked at and that is no workbook of its own; empty when it could not be read."""
    return _looked.tables if _looked.body is body else ()


def is_by_words(body: bytes, known: Known) -> bool:
    """Whether this is a delimited text with a header that `known` knows."""
    return is_delimited(body, known) and not is_page(body)


_looked: Final = Looked()


def _read(kind: Kind, body: bytes, limits: Limits, options: Options) -> tuple[Table, ...]:
    match kind:
        case "xlsx" | "xls" | "ods":
            return read_tables(body, limits)
        case "xml" if is_workbook(body):
            return read_sheets("xml", body, limits)
        case "html" | "xml" | "text" if is_page(body):
            return read_sheets("html", _in_utf8(body, options), limits)
        case "dbf":
            return (read_dbf(body, limits, options.encoding),)
        case "text":
            return (read_text(body, limits, options.encoding, options.delimiter, options.quote),)
        case "binary" if _is_wide(body, options):
            return (read_text(body, limits, options.encoding, options.delimiter, options.quote),)
    raise Rejected(Problem(code="file_type_mismatch", values={"kind": kind}))


def is_page(body: bytes) -> bool:
    """Whether a text is a page with a table in it; programs that write them as .xls begin with whatever tag they like."""
    head = body[:_HEAD].replace(b"\0", b"").removeprefix(mark_of(body)[0]).lower()
    return head.lstrip().startswith(b"<") and b"<table" in head


def is_workbook(body: bytes) -> bool:
    """Whether an XML is a workbook of Excel 2003."""
    return EXCEL_2003 in body[:_HEAD].decode("latin-1")


def _in_utf8(page: bytes, options: Options) -> bytes:
    """A page in the encoding of its mark, else of what it says itself, of the profile, of its letters. Raises Rejected."""
    mark, marked = mark_of(page)
    said = _charset(page[:_HEAD])
    encoding = marked or (encoding_named(said[1].decode("ascii")) if said else options.encoding or detect(page).encoding)
    if not encoding:
        raise Rejected(Problem(code="encoding_unknown"))
    try:
        return page[len(mark) :].decode(encoding).encode()
    except UnicodeError as error:
        raise Rejected(Problem(code="encoding_unknown")) from error


def _is_wide(body: bytes, options: Options) -> bool:
    """Whether a file with zero bytes is a text in UTF-16 without its mark."""
    return (options.encoding or detect(body).encoding).lower().replace("_", "-").startswith("utf-16")


def only_file(body: bytes, limits: Limits) -> bytes:
    """The one file in an archive. Raises Rejected for none and for more, and for whatever the gate of archives refuses."""
    files = [entry for entry in entries(body, limits) if not entry.name.endswith("/") and not entry.name.startswith(_BESIDE)]
    if len(files) != 1:
        raise Rejected(Problem(code="archive_files", values={"count": str(len(files))}))
    if files[0].size > limits.file_bytes:
        raise Rejected(Problem(code="file_too_large", where=files[0].name[:100], values={"limit": str(limits.file_bytes)}))
    return bytes(unpack(body, files[0]))
