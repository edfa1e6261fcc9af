"""What the child does to mark a sender's own workbook: only the parts that must change are rewritten, all others keep their bytes."""

import re
from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Any, Final

import msgspec
from lxml import etree

from gateway.domain.problems import Problem, Rejected
from gateway.mapping import sheet_parts as parts
from gateway.mapping.marks import AUTHOR, Level, Marking
from gateway.mapping.package import Package, name_of
from gateway.mapping.sheet_parts import MAIN, TYPES
from gateway.mapping.style_sheet import StyleSheet
from gateway.mapping.tables import letters, number_of
from gateway.settings import Limits

LISTED: Final = "_metergate_problems"
"""A hidden name of the workbook that points at our list, so that a marked workbook that comes back gets a new list and not a second one."""

_BEGINS: Final = f"\n\n— {AUTHOR} —\n"
"""What stands between the sender's own comment of a cell and ours."""
_CELL: Final = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?c[\s/>]")
_PLACE: Final = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})").fullmatch
_BOX: Final = re.compile(rb"<v:shape\b(?:(?!</?v:shape\b).)*+</v:shape>", re.DOTALL)
_AT: Final = re.compile(rb"<x:(Row|Column)>\s*(\d+)\s*</x:")
_BOX_ID: Final = re.compile(rb"_x0000_s(\d{1,9})")
_AFTER_DRAWING: Final = (
    "legacyDrawingHF",
    "drawingHF",
    "picture",
    "oleObjects",
    "controls",
    "webPublishItems",
    "tableParts",
    "extLst",
)
_AFTER_NAMES: Final = ("calcPr", "oleSize", "customWorkbookViews", "pivotCaches", "smartTagPr", "smartTagTypes", "webPublishing")
_NAMES_END: Final = (*_AFTER_NAMES, "fileRecoveryPr", "webPublishObjects", "extLst")


def mark(request: bytes, limits: Limits) -> bytes:
    """Mark a workbook; the request is the workbook and its Marking, in msgpack. Raises Rejected when it cannot be marked itself."""
    body, marking = msgspec.msgpack.decode(request, type=tuple[bytes, Marking])
    package = Package(body, limits)
    try:
        return _Book(package, limits).mark(marking)
    except (etree.LxmlError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise Rejected(Problem(code="xlsx_structure", values={"reason": type(error).__name__})) from error


class _Book:
    """A workbook on its way to be marked."""

    def __init__(self, package: Package, limits: Limits) -> None:
        self.package, self.limits = package, limits
        self.main = package.main()
        self.tree = package.tree(self.main)
        self.links = package.links(self.main)
        self.sheets: dict[str, tuple[Any, str]] = {}
        for sheet in self.tree.iter(f"{{{MAIN}}}sheet"):
            link = self.links.get(next(str(value) for key, value in sheet.attrib.items() if str(key).endswith("}id")))
            if link is not None and link.kind == "worksheet" and link.part:
                self.sheets[str(sheet.get("name"))] = sheet, link.part
        self.styles = StyleSheet(package, self.main)

    def mark(self, marking: Marking) -> bytes:
        """Colour, comment and list; what an earlier marking left is taken away."""
        old = self._old_list()
        self.styles.unmark()
        said, cells = marking.comments(), marking.cells()
        names = {name: name for name in self.sheets if name != old}
        wanted = {name: cells[name] for name in names if cells.get(name)}
        self._weigh(part for name, (_, part) in self.sheets.items() if name in wanted)
        for name in names:
            _Sheet(self.package, self.sheets[name][1], self.styles).mark(wanted.get(name, {}), said.get(name, {}))
        self._list(marking, names, old)
        self.styles.put()
        self.package.put_tree(self.main, self.tree)
        return self.package.packed()

    def _weigh(self, found: Iterable[str]) -> None:
        cells = chain.from_iterable(_CELL.finditer(self.package.read(part)) for part in found)
        if next(islice(cells, self.limits.mark_cells, None), None) is not None:
            raise Rejected(Problem(code="xlsx_too_many_cells", values={"limit": str(self.limits.mark_cells)}))

    def _old_list(self) -> str | None:
        """The name of the sheet in which an earlier marking stands."""
        for name in self.tree.iter(f"{{{MAIN}}}definedName"):
            if name.get("name") == LISTED:
                sheet = (name.text or "").rpartition("!")[0]
                sheet = sheet[1:-1].replace("''", "'") if sheet[:1] == "'" else sheet
                name.getparent().remove(name)
                return sheet if sheet in self.sheets else None
        return None

    def _list(self, marking: Marking, names: Mapping[str, str], old: str | None) -> None:
        taken = {str(sheet.get("name")).casefold() for sheet in self.tree.iter(f"{{{MAIN}}}sheet")} - {(old or "").casefold()}
        title = name_of(marking.title, taken)
        if old is None:
            part = self.package.free("xl/worksheets/sheet{}.xml")
            self.package.declare(part, f"{TYPES}.worksheet+xml")
            link = self.package.link(self.main, part, "worksheet")
            sheets = next(self.tree.iter(f"{{{MAIN}}}sheets"))
            number = max((int(sheet.get("sheetId")) for sheet in sheets), default=0) + 1
            made = etree.SubElement(sheets, f"{{{MAIN}}}sheet", name=title, sheetId=str(number))
            made.set(f"{{{self.package.office}}}id", link)
        else:
            element, part = self.sheets[old]
            element.set("name", title)
            self.package.unlink_all(part)
        self.package.put(part, parts.list_of_problems(marking, names, self.styles.ours()))
        self._name(f"'{title.replace(chr(39), chr(39) * 2)}'!$A$1")

    def _name(self, place: str) -> None:
        names = next(self.tree.iter(f"{{{MAIN}}}definedNames"), None)
        if names is None:
            names = etree.Element(f"{{{MAIN}}}definedNames")
            after = next((child for child in self.tree if _bare(child) in _NAMES_END), None)
            if after is None:
                self.tree.append(names)
            else:
                after.addprevious(names)
        etree.SubElement(names, f"{{{MAIN}}}definedName", name=LISTED, hidden="1").text = place


class _Sheet:
    """One worksheet: its cells get other styles, its comments ours beside the sender's own."""

    def __init__(self, package: Package, part: str, styles: StyleSheet) -> None:
        self.package, self.part, self.styles = package, part, styles

    def mark(self, cells: Mapping[tuple[int, int], Level], said: Mapping[tuple[int, int], str]) -> None:
        """Rewrite the sheet only when there is something to mark in it, its comments only when there are any of ours."""
        links = self.package.links(self.part)
        noted = next((link.part for link in links.values() if link.kind == "comments" and link.part), None)
        gone = self._forget(noted) if noted else set()
        drawn = next((link.part for link in links.values() if link.kind == "vmlDrawing" and link.part), None)
        if drawn is not None and gone:
            self._erase(drawn, gone)
        if not cells:
            return
        tree = self.package.tree(self.part)
        self._colour(tree, cells)
        if said:
            self._comment(tree, noted, drawn, said)
        self.package.put_tree(self.part, tree)

    def _forget(self, noted: str) -> set[tuple[int, int]]:
        """Take our earlier comments away; where they stood."""
        tree = self.package.tree(noted)
        authors = [author.text or "" for author in tree.iter("{*}author")]
        gone = set()
        for one in list(tree.iter("{*}comment")):
            place, author = _PLACE(one.get("ref", "")), int(one.get("authorId", "0"))
            if place is not None and author < len(authors) and authors[author] == AUTHOR:
                gone.add((int(place[2]), number_of(place[1])))
                one.getparent().remove(one)
                continue
            for text in one.iter("{*}t"):
                text.text = (text.text or "").partition(_BEGINS)[0]
        self.package.put_tree(noted, tree)
        return gone

    def _erase(self, drawn: str, gone: set[tuple[int, int]]) -> None:
        def kept(found: re.Match[bytes]) -> bytes:
            at = {key: int(value) + 1 for key, value in _AT.findall(found[0])}
            return b"" if b"Note" in found[0] and (at.get(b"Row"), at.get(b"Column")) in gone else found[0]

        self.package.put(drawn, _BOX.sub(kept, self.package.read(drawn)))

    def _comment(self, tree: Any, noted: str | None, drawn: str | None, said: Mapping[tuple[int, int], str]) -> None:
        if noted is None:
            noted = self.package.free("xl/comments{}.xml")
            self.package.declare(noted, f"{TYPES}.comments+xml")
            self.package.link(self.part, noted, "comments")
            self.package.put(noted, parts.comments(said))
            new = said
        else:
            new = self._beside(noted, said)
        if drawn is None:
            drawn = self.package.free("xl/drawings/vmlDrawing{}.vml")
            self.package.default("vml", "application/vnd.openxmlformats-officedocument.vmlDrawing")
            self.package.put(drawn, parts.drawing(new))
            made = etree.Element(f"{{{MAIN}}}legacyDrawing")
            made.set(f"{{{self.package.office}}}id", self.package.link(self.part, drawn, "vmlDrawing"))
            after = next((child for child in tree if _bare(child) in _AFTER_DRAWING), None)
            if after is None:
                tree.append(made)
            else:
                after.addprevious(made)
        elif new:
            body = self.package.read(drawn)
            end = body.rindex(b"</")
            last = max((int(number) for number in _BOX_ID.findall(body)), default=1024)
            self.package.put(drawn, body[:end] + parts.boxes(new, last).encode() + body[end:])

    def _beside(self, noted: str, said: Mapping[tuple[int, int], str]) -> dict[tuple[int, int], str]:
        """Add our comments to a sheet that has some, behind the sender's own of the same cell. Return those that need a box."""
        tree = self.package.tree(noted)
        authors, listed = next(tree.iter("{*}authors")), next(tree.iter("{*}commentList"))
        names = [author.text or "" for author in authors]
        if AUTHOR not in names:
            etree.SubElement(authors, f"{{{MAIN}}}author").text = AUTHOR
        theirs = {one.get("ref"): one for one in listed}
        new = {}
        for (row, column), text in said.items():
            own = theirs.get(f"{letters(column - 1)}{row}")
            begins = "" if own is None else _BEGINS
            made = parts.comment((row, column), begins + text, [*names, AUTHOR].index(AUTHOR))
            element = etree.fromstring(made.replace("<comment ", f'<comment xmlns="{MAIN}" ', 1))
            if own is None:
                new[row, column] = text
                listed.append(element)
            else:
                next(own.iter("{*}text")).append(next(element.iter("{*}r")))
        self.package.put_tree(noted, tree)
        return new

    def _colour(self, tree: Any, cells: Mapping[tuple[int, int], Level]) -> None:
        data = next(tree.iter(f"{{{MAIN}}}sheetData"))
        columns = [(int(c.get("min")), int(c.get("max")), int(c.get("style", "0"))) for c in tree.iter(f"{{{MAIN}}}col")]
        rows = _Row(data, "row")
        for number, found in parts.coloured(cells):
            row = rows.at(number, {"r": str(number)})
            there = _Row(row, "c")
            own = int(row.get("s", "0")) if row.get("customFormat") in ("1", "true") else None
            for column in found:
                style = next((style for first, last, style in columns if first <= column <= last), 0) if own is None else own
                cell = there.at(column, {"r": f"{letters(column - 1)}{number}", "s": str(style)})
                cell.set("s", str(self.styles.marked(int(cell.get("s", "0")), cells[number, column])))
            row.attrib.pop("spans", None)


class _Row:
    """The cells of a row by their number, or the rows of a sheet; one that does not say its number follows the one before."""

    def __init__(self, parent: Any, kind: str) -> None:
        self.parent, self.kind = parent, kind
        self.known: dict[int, Any] = {}
        number = 0
        for child in parent:
            if _bare(child) == kind:
                reference = str(child.get("r") or "")
                told = reference if kind == "row" else number_of(reference.rstrip("0123456789"))
                number = int(told) if reference else number + 1
                self.known[number] = child
        self.order = sorted(self.known)

    def at(self, number: int, attributes: dict[str, str]) -> Any:
        """The one of this number; a new one with these attributes is put at its place."""
        if number not in self.known:
            made = etree.Element(f"{{{MAIN}}}{self.kind}", attributes)
            after = bisect_right(self.order, number)
            if after == len(self.order):
                self.parent.append(made)
            else:
                self.known[self.order[after]].addprevious(made)
            insort(self.order, number)
            self.known[number] = made
        return self.known[number]


def _bare(element: Any) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""
