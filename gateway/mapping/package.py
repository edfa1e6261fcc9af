"""A workbook's archive as it is edited: parts by name, their links and content types; what is not touched keeps its packed bytes."""

import posixpath
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

import msgspec
from lxml import etree

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.sheet_parts import HEADER, MAIN, OFFICE, PACKAGE, TYPES, Piece, archive, piece
from gateway.mapping.zip_gate import Entry, entries, unpack
from gateway.settings import Limits

_CONTENT: Final = "[Content_Types].xml"
_LINK: Final = f"{{{PACKAGE}/relationships}}Relationship"
_PARSER: Final[dict[str, Any]] = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
_FORBIDDEN: Final = str.maketrans("[]:*?/\\", "_______")
_LONGEST: Final = 31


class Link(msgspec.Struct, frozen=True):
    """A relation of a part: the last word of its type, and the part it leads to, empty when that lies outside."""

    kind: str
    part: str


class Package:
    """The parts of one workbook."""

    def __init__(self, body: bytes, limits: Limits) -> None:
        """Look at the archive through the gate. Raises Rejected."""
        self._body = body
        self._there: dict[str, Entry] = {entry.name: entry for entry in entries(body, limits)}
        self._lower = {name.lower(): name for name in self._there}
        self._new: dict[str, bytes] = {}
        self._types = self.tree(_CONTENT)
        self.office = OFFICE

    def main(self) -> str:
        """The workbook's own part. Raises Rejected for one with macros, a template, another dialect: only a plain workbook goes back."""
        name = self._lower.get("xl/workbook.xml", "")
        kinds = [one.get("ContentType") for one in self._types if (one.get("PartName") or "").lower() == "/xl/workbook.xml"]
        macros = any(name.endswith("vbaproject.bin") for name in self._lower)
        if not name or kinds != [f"{TYPES}.sheet.main+xml"] or macros or etree.QName(self.tree(name)).namespace != MAIN:
            raise _broken(name)
        return name

    def read(self, name: str) -> bytes:
        """A part's content. Raises Rejected when there is none."""
        if name in self._new:
            return self._new[name]
        entry = self._there.get(self._lower.get(name.lower(), ""))
        if entry is None:
            raise _broken(name)
        return bytes(unpack(self._body, entry))

    def tree(self, name: str) -> Any:
        """A part parsed. Raises Rejected."""
        try:
            tree = etree.fromstring(self.read(name), etree.XMLParser(**_PARSER))
        except etree.XMLSyntaxError as error:
            raise _broken(name) from error
        docinfo: Any = tree.getroottree().docinfo
        if docinfo.doctype:
            raise _broken(name)
        return tree

    def put(self, name: str, content: bytes) -> None:
        """Replace a part or add one."""
        name = self._lower.setdefault(name.lower(), name)
        self._new[name] = content

    def put_tree(self, name: str, tree: Any) -> None:
        """The same from a tree."""
        self.put(name, HEADER + etree.tostring(tree, encoding="UTF-8"))

    def free(self, form: str) -> str:
        """A name of this form that no part has."""
        return next(name for number in range(1, 100_000) if (name := form.format(number)).lower() not in self._lower)

    def links(self, part: str) -> dict[str, Link]:
        """The relations of a part by their id."""
        name = _links_of(part)
        if name.lower() not in self._lower:
            return {}
        found = {}
        for link in self.tree(name).iter(_LINK):
            target = "" if link.get("TargetMode") == "External" else posixpath.join(posixpath.dirname(part), link.get("Target", ""))
            there = self._lower.get(posixpath.normpath(target).lstrip("/").lower(), "")
            found[str(link.get("Id"))] = Link(str(link.get("Type")).rpartition("/")[2], there)
        return found

    def link(self, part: str, to: str, kind: str) -> str:
        """Relate a part to another; the id of the relation."""
        name = _links_of(part)
        if name.lower() not in self._lower:
            self.put(name, HEADER + f'<Relationships xmlns="{PACKAGE}/relationships"/>'.encode())
        tree = self.tree(name)
        taken = {link.get("Id") for link in tree.iter(_LINK)}
        id_ = next(made for number in range(1, 100_000) if (made := f"rId{number}") not in taken)
        etree.SubElement(tree, _LINK, Id=id_, Type=f"{OFFICE}/{kind}", Target=f"/{to}")
        self.put_tree(name, tree)
        return id_

    def unlink_all(self, part: str) -> None:
        """Leave a part without relations."""
        if _links_of(part).lower() in self._lower:
            self.put(_links_of(part), HEADER + f'<Relationships xmlns="{PACKAGE}/relationships"/>'.encode())

    def declare(self, part: str, kind: str) -> None:
        """Say what a new part is."""
        etree.SubElement(self._types, f"{{{PACKAGE}/content-types}}Override", PartName=f"/{part}", ContentType=kind)

    def default(self, extension: str, kind: str) -> None:
        """Say what parts of an extension are, where nobody has."""
        if not any((one.get("Extension") or "").lower() == extension for one in self._types):
            made = etree.Element(f"{{{PACKAGE}/content-types}}Default", Extension=extension, ContentType=kind)
            self._types.insert(0, made)

    def packed(self) -> bytes:
        """The whole archive; parts that were not touched keep their packed bytes."""
        self.put_tree(_CONTENT, self._types)
        pieces: dict[str, Piece] = {}
        for name, entry in self._there.items():
            if name in self._new:
                pieces[name] = piece(self._new.pop(name))
            else:
                pieces[name] = Piece(self._body[entry.start : entry.start + entry.packed], entry.size, entry.crc, entry.deflated)
        return archive(pieces | {name: piece(content) for name, content in self._new.items()})


def name_of(title: str, taken: Iterable[str]) -> str:
    """A sheet's name as a workbook may hold it, none of those taken (in case-folded form)."""
    taken = set(taken)
    title = "".join(char if char.isprintable() else "_" for char in title.translate(_FORBIDDEN))[:_LONGEST].strip("'") or "_"
    tries = chain((title,), (f"{title[: _LONGEST - 6]} ({number})" for number in range(2, 100_000)))
    return next(name for name in tries if name.casefold() not in taken)


def _links_of(part: str) -> str:
    folder, _, name = part.rpartition("/")
    return f"{folder}/_rels/{name}.rels"


def _broken(name: str) -> Rejected:
    return Rejected(Problem(code="xlsx_structure", where=name[:100]))
