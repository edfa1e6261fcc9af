"""What a pinned WSDL says of one operation: where rows go in, where answers stand, and a body made ready once that only wants its cells."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr
from zoneinfo import ZoneInfo

import msgspec
import zeep
from zeep import xsd
from zeep.xsd.elements.indicators import Indicator

from gateway.outbound.soap_cells import Cell, cell_of

ENVELOPES: Final = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")


class _Local(zeep.Transport):
    """Reads the WSDL and what it imports from the disk and from nowhere else."""

    def load(self, url: str) -> Any:
        if urlsplit(url).scheme in ("http", "https"):
            raise ValueError(f"wsdl: it imports {url}; keep a copy beside it and name that")
        library: Any = super()
        return library.load(url)


class Slot(msgspec.Struct, frozen=True):
    """One cell of a row: its field, of which register where a row is a whole reading, how it is written, its tags if it may be missing."""

    field: str
    register: str
    write: Cell
    tags: tuple[str, str] | None

    @property
    def may_be_missing(self) -> bool:
        """A reading may lack what it is compared with, and a register; and a register may have no word of its own."""
        return bool(self.register) or self.field in ("previous", "consumption", "quantity", "zone")


class Form(msgspec.Struct, frozen=True):
    """A request made ready: what stands before and after the rows, one row with a hole for each slot, and how it is sent."""

    head: str
    row: str
    tail: str
    slots: tuple[Slot, ...]
    headers: dict[str, str]

    def body(self, rows: Iterable[tuple[str, ...]]) -> bytes:
        """Fill in rows, each the texts of its cells in the order of `slots`."""
        row = self.row
        return "".join([self.head, *(row % cells for cells in rows), self.tail]).encode()


class Operation:
    """One operation of a pinned WSDL. Every wrong name is a ValueError that says the setting, and what the WSDL has there instead."""

    def __init__(self, wsdl: str, service: str, port: str, operation: str, setting: str = "operation") -> None:
        """Read the WSDL from the disk and find the operation in it."""
        read: Any = zeep.Client
        local: Any = _Local
        settings = zeep.Settings(strict=True, forbid_dtd=True, forbid_entities=True, forbid_external=True, xml_huge_tree=False)
        try:
            document = read(wsdl, transport=local(), settings=settings).wsdl
        except (OSError, zeep.exceptions.Error, LookupError, AttributeError) as error:
            raise ValueError(f"wsdl: {wsdl} cannot be read: {error}") from error
        if not document.services:
            raise ValueError(f"wsdl: {wsdl} holds no service")
        found = _chosen("service", service, document.services)
        binding = _chosen("port", port, {name: one for name, one in found.ports.items() if "oap" in type(one.binding).__name__})
        self.address = str(binding.binding_options["address"])
        self._binding = binding.binding
        self._operation = _chosen(setting, operation, self._binding.all())
        if self._operation.input.body is None or self._operation.output is None or self._operation.output.body is None:
            raise ValueError(f"{setting}: {operation} has no request or no answer")
        self.space = str(self._binding.nsmap["soap-env"])
        answer = self._operation.output.body.qname  # of rpc style the library names the message, where the wire has the operation
        rpc = self._operation.style == "rpc"
        self.answer: str = f"{{{answer.namespace}}}{self._operation.name}Response" if rpc else answer.text

    def form(self, rows: str, row: Mapping[str, str], constants: Mapping[str, str], zone: str, header: str, names: tuple[str, ...]) -> Form:
        """Make a request ready. `names`: the settings of rows, of a row's cells and of constants, for what is said of a mistake."""
        element = self._operation.input.body
        writer = _Writer(rows, row, constants, ZoneInfo(zone), names)
        writer.look(element)
        inner = writer.write(element, (), needed=True)
        writer.finish()
        head, tail = inner.split(_ROWS)
        space, action = self.space, str(self._operation.soapaction or "")
        told = f"<e:Header>{header}</e:Header>" if header else ""
        spaces = "".join(f" xmlns:{prefix}={quoteattr(uri)}" for uri, prefix in writer.prefixes.items())
        old = space == ENVELOPES[0]
        kind = "text/xml; charset=utf-8" if old else f'application/soap+xml; charset=utf-8; action="{action}"'
        return Form(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<e:Envelope xmlns:e="{space}"{spaces}>{told}<e:Body>{head}',
            writer.row,
            f"{tail}</e:Body></e:Envelope>",
            tuple(writer.slots),
            {"Content-Type": kind} | ({"SOAPAction": f'"{action}"'} if old else {}),
        )

    def repeating(self, setting: str, path: str) -> tuple[str, str]:
        """Split the way to an element of the request at the last element that may stand there many times."""
        element, names, many = self._operation.input.body, _names(path), 0
        for place, name in enumerate(names, 1):
            element = _child(setting, element, name)
            if getattr(element, "accepts_multiple", False):
                many = place
        if not many:
            raise ValueError(f"{setting}: nothing in {path} may stand there more than once")
        return "/".join(names[:many]), "/".join(names[many:])

    def path(self, setting: str, path: str, below: str = "") -> str:
        """The way lxml finds an element of the answer: `path` below the element at `below`, which is below the answer itself."""
        way = self._operation.output.body
        for name in _names(below):
            way = _child(setting, way, name)
        steps = []
        for name in _names(path):
            way = _child(setting, way, name)
            steps.append(_tag(way) if not name.startswith("@") else name)
        return "/".join(steps)


_ROWS: Final = "\0rows\0"
_HOLE: Final = "\0hole\0"
_TEXT: Final = "_value_1"
"""The library's name for the text of an element that has attributes."""


class _Writer:
    """Walks the request's elements in the order of the schema, and writes those that something is said of."""

    def __init__(self, rows: str, row: Mapping[str, str], constants: Mapping[str, str], zone: ZoneInfo, names: tuple[str, ...]) -> None:
        self.row = ""
        self.slots: list[Slot] = []
        self._rows = _names(rows)
        self._cells = {_names(path): field for path, field in row.items()}
        self._constants = {_names(path): text for path, text in constants.items()}
        self._zone = zone
        self._names = names
        self._used: set[tuple[str, ...]] = set()
        self.prefixes: dict[str, str] = {}

    def look(self, element: Any) -> None:
        """Raises ValueError for a path that leads nowhere in the WSDL."""
        _walk(self._names[0], element, self._rows)
        for path in self._cells:
            _walk(self._names[1], element, self._rows + path)
        for path in self._constants:
            _walk(self._names[2], element, path)

    def finish(self) -> None:
        """Raises ValueError for what was said of an element that cannot hold it."""
        if not self.row:
            raise ValueError(f"{self._names[0]}: it is empty")
        for setting, paths, below in ((self._names[1], self._cells, self._rows), (self._names[2], self._constants, ())):
            for path in paths:
                if below + path not in self._used:
                    raise ValueError(f"{setting}: {'/'.join(path)} holds no text of its own, or two things are said of it")

    def write(self, element: Any, path: tuple[str, ...], *, needed: bool) -> str:
        """An element with all that is said of it and below; nothing when nothing is. Raises ValueError for a required one."""
        if path == self._rows and path:
            if not element.accepts_multiple:
                raise ValueError(f"{self._names[0]}: {'/'.join(path)} may stand there only once")
            self.row = self._plain(element, path, needed=True).replace("%", "%%").replace(_HOLE, "%s")
            return _ROWS
        return self._plain(element, path, needed=needed)

    def _plain(self, element: Any, path: tuple[str, ...], *, needed: bool) -> str:
        opened, closed = self._tags(element, path)
        inside = self._inside(element, path)
        if isinstance(inside, Slot):
            optional = inside.may_be_missing and not needed
            self.slots.append(msgspec.structs.replace(inside, tags=(opened, closed) if optional else None))
            return _HOLE if optional else f"{opened}{_HOLE}{closed}"
        return f"{opened}{inside}{closed}"

    def _inside(self, element: Any, path: tuple[str, ...]) -> str | Slot:
        cell, content = self._cell(path), _content(element.type)
        if content is not None and cell is not None:
            self._used.add(path)
            return self._slot(cell, content, path)
        if content is not None and path in self._constants:
            self._used.add(path)
            return self._constant(content, path)
        parts = []
        for child, needed in _members(element.type):
            below = (*path, child.name)
            if self._said(below):
                parts.append(self.write(child, below, needed=needed))
            elif needed:
                raise ValueError(f"{self._names[1 if self._in_rows(below) else 2]}: {'/'.join(below)} is required by the WSDL")
        return "".join(parts)

    def _tags(self, element: Any, path: tuple[str, ...]) -> tuple[str, str]:
        space = element.qname.namespace or ""
        name = element.qname.localname
        tag = f"{self.prefixes.setdefault(space, f'n{len(self.prefixes)}')}:{name}" if space else name
        attributes = "".join(self._attribute(attribute, (*path, f"@{attribute.name}")) for attribute in _attributes(element.type))
        return f"<{tag}{attributes}>", f"</{tag}>"

    def _attribute(self, attribute: Any, path: tuple[str, ...]) -> str:
        cell = self._cell(path)
        if cell is not None:
            self._used.add(path)
            self.slots.append(self._slot(cell, attribute.type, path))
            return f' {attribute.name}="{_HOLE}"'
        if path in self._constants:
            self._used.add(path)
            return f" {attribute.name}={quoteattr(self._constant(attribute.type, path))}"
        if attribute.required:
            raise ValueError(f"{self._names[1 if self._in_rows(path) else 2]}: {'/'.join(path)} is required by the WSDL")
        return ""

    def _slot(self, said: str, kind: Any, path: tuple[str, ...]) -> Slot:
        field, _, register = said.partition(".")
        where = f"{self._names[1]}: {'/'.join(path[len(self._rows) :])}"
        try:
            return Slot(field, register, cell_of(field, kind, self._zone), None)
        except ValueError as error:
            raise ValueError(f"{where}: {field} {error}") from None

    def _constant(self, kind: Any, path: tuple[str, ...]) -> str:
        text = self._constants[path]
        try:
            kind.pythonvalue(text)
        except (ValueError, ArithmeticError, LookupError, TypeError) as error:
            raise ValueError(f"{self._names[2]}: {'/'.join(path)}: {text!r} is no {kind.name}") from error
        return escape(text)

    def _cell(self, path: tuple[str, ...]) -> str | None:
        return self._cells.get(path[len(self._rows) :]) if self._in_rows(path) else None

    def _in_rows(self, path: tuple[str, ...]) -> bool:
        return path[: len(self._rows)] == self._rows

    def _said(self, path: tuple[str, ...]) -> bool:
        wanted = [self._rows, *(self._rows + cell for cell in self._cells), *self._constants]
        return any(one[: len(path)] == path for one in wanted)


def _names(path: str) -> tuple[str, ...]:
    return tuple(name for name in path.split("/") if name)


def _chosen(setting: str, name: str, there: Mapping[str, Any]) -> Any:
    """The one of that name, or the first when none is named."""
    if not there or (name and name not in there):
        raise ValueError(f"{setting}: no {name!r} in the WSDL, which has {', '.join(map(str, there)) or 'none'}")
    return there[name] if name else next(iter(there.values()))


def _walk(setting: str, element: Any, path: Sequence[str]) -> None:
    for name in path:
        element = _child(setting, element, name)


def _child(setting: str, element: Any, name: str) -> Any:
    there = {child.name: child for child, _ in _members(element.type)} | {f"@{one.name}": one for one in _attributes(element.type)}
    if name not in there:
        raise ValueError(f"{setting}: no {name!r} in {element.name}, which has {', '.join(there) or 'nothing below it'}")
    return there[name]


def _content(kind: Any) -> Any:
    """The simple type of an element's own text, None for one that holds elements."""
    if not isinstance(kind, xsd.ComplexType):
        return kind
    return next((element.type for _, element in kind.elements if element.name == _TEXT), None)


def _attributes(kind: Any) -> list[Any]:
    return [one for _, one in kind.attributes if one.name] if isinstance(kind, xsd.ComplexType) else []


def _members(kind: Any) -> Iterator[tuple[Any, bool]]:
    """The elements of a type in the schema's order, each with whether it must stand there; of a choice none must."""
    if isinstance(kind, xsd.ComplexType):
        for _, group in kind.elements_nested:
            yield from _of_group(group, needed=True)


def _of_group(group: Any, *, needed: bool) -> Iterator[tuple[Any, bool]]:
    if isinstance(group, xsd.Element):
        if group.name != _TEXT:
            yield group, needed and not group.is_optional
    elif isinstance(group, Indicator):
        inner = needed and not isinstance(group, xsd.Choice) and not group.is_optional
        within: Any = group
        for one in within:
            yield from _of_group(one[1] if isinstance(one, tuple) else one, needed=inner)


def _tag(element: Any) -> str:
    return f"{{{element.qname.namespace}}}{element.qname.localname}" if element.qname.namespace else str(element.qname.localname)
