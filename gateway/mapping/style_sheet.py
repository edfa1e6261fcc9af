"""The style sheet of a workbook that is marked: a cell keeps its format but for the colour, which can be taken away again."""

from typing import Any, Final

from lxml import etree

from gateway.mapping.marks import COLOURS, Level
from gateway.mapping.package import Package
from gateway.mapping.sheet_parts import HEADER, MAIN, TYPES, Styles

_EMPTY: Final = (
    f'<styleSheet xmlns="{MAIN}"><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2">'
    '<fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/></cellXfs></styleSheet>'
)
_WRAP: Final = '<alignment vertical="top" wrapText="1"/>'


def _made(xml: str) -> Any:
    """An element of the main namespace."""
    return etree.fromstring(f'<x xmlns="{MAIN}">{xml}</x>')[0]


class StyleSheet:
    """Fonts, fills and formats of a workbook; new ones are added behind those that are there."""

    def __init__(self, package: Package, main: str) -> None:
        """Read it; a workbook without one gets one."""
        self._package = package
        self._part = next((link.part for link in package.links(main).values() if link.kind == "styles" and link.part), "")
        if not self._part:
            self._part = package.free("xl/styles{}.xml")
            package.put(self._part, HEADER + _EMPTY.encode())
            package.declare(self._part, f"{TYPES}.styles+xml")
            package.link(main, self._part, "styles")
        self._tree = package.tree(self._part)
        self._formats, self._fills, self._fonts = (self._group(name) for name in ("cellXfs", "fills", "fonts"))
        self._known: dict[tuple[int, Level], int] = {}
        self._there = self._places()

    def unmark(self) -> None:
        """Give every format that an earlier marking coloured its own fill back: it stands as the background that a solid fill hides."""
        restored = {}
        for number, fill in enumerate(list(self._fills)):
            pattern = fill.find(f"{{{MAIN}}}patternFill")
            front, back = (None, None) if pattern is None else (pattern.find(f"{{{MAIN}}}{kind}Color") for kind in ("fg", "bg"))
            if front is not None and front.get("rgb") in COLOURS.values():
                restored[str(number)] = "0" if back is None or back.get("indexed") == "64" else str(self._fill(back))
        for one in self._formats:
            if one.get("fillId") in restored:
                one.set("fillId", restored[one.get("fillId")])
        self._there = self._places()

    def marked(self, number: int, level: Level) -> int:
        """The format of a cell with its colour changed and nothing else."""
        if number >= len(self._formats):
            number = 0
        if (number, level) not in self._known:
            own = self._formats[number]
            copy = etree.fromstring(etree.tostring(own))
            copy.set("fillId", str(self._coloured(int(own.get("fillId", "0")), level)))
            copy.set("applyFill", "1")
            self._known[number, level] = self._add(self._formats, copy)
        return self._known[number, level]

    def ours(self) -> Styles:
        """The formats of the list of problems."""
        bold = self._add(self._fonts, _made('<font><b/><sz val="11"/><name val="Calibri"/></font>'))
        blue = self._add(self._fonts, _made('<font><u/><sz val="11"/><color rgb="FF0563C1"/><name val="Calibri"/></font>'))
        return Styles(
            plain=self._format(0, 0, ""),
            text=self._format(0, 0, _WRAP),
            head=self._format(bold, 0, _WRAP),
            link=self._format(blue, 0, _WRAP),
            error=self._format(0, self._coloured(0, "error"), _WRAP),
            warning=self._format(0, self._coloured(0, "warning"), _WRAP),
        )

    def put(self) -> None:
        """Write it back."""
        for group in (self._formats, self._fills, self._fonts):
            group.set("count", str(len(group)))
        self._package.put_tree(self._part, self._tree)

    def _group(self, name: str) -> Any:
        return next(self._tree.iter(f"{{{MAIN}}}{name}"))

    def _places(self) -> dict[str, dict[bytes, int]]:
        """By group, where each of its elements stands: the same one is not added twice."""
        groups = (self._formats, self._fills, self._fonts)
        return {group.tag: {etree.tostring(one, method="c14n"): place for place, one in enumerate(group)} for group in groups}

    def _format(self, font: int, fill: int, inside: str) -> int:
        return self._add(
            self._formats,
            _made(
                f'<xf numFmtId="49" fontId="{font}" fillId="{fill}" borderId="0" xfId="0" quotePrefix="1" applyNumberFormat="1" '
                f'applyFont="1" applyFill="1" applyAlignment="1">{inside}</xf>'
            ),
        )

    def _coloured(self, own: int, level: Level) -> int:
        """A fill of the level's colour that remembers the cell's own."""
        pattern = self._fills[own].find(f"{{{MAIN}}}patternFill") if own < len(self._fills) else None
        solid = pattern is not None and pattern.get("patternType") == "solid"
        front = pattern.find(f"{{{MAIN}}}fgColor") if solid and pattern is not None else None
        said = " ".join(f'{name}="{value}"' for name, value in front.attrib.items()) if front is not None else 'indexed="64"'
        colours = f'<fgColor rgb="{COLOURS[level]}"/><bgColor {said}/>'
        return self._add(self._fills, _made(f'<fill><patternFill patternType="solid">{colours}</patternFill></fill>'))

    def _fill(self, back: Any) -> int:
        made = _made('<fill><patternFill patternType="solid"><fgColor/><bgColor indexed="64"/></patternFill></fill>')
        made[0][0].attrib.update(back.attrib)
        return self._add(self._fills, made)

    def _add(self, group: Any, made: Any) -> int:
        """The place of this element in its group, which gets it when it is new."""
        there, wanted = self._there[group.tag], etree.tostring(made, method="c14n")
        if wanted not in there:
            there[wanted] = len(group)
            group.append(made)
        return there[wanted]
