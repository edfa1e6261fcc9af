"""XML that strangers send, made from a seed: attacks on the parser, each with what the gate says of it, and attacks on the envelope."""

import random
from collections.abc import Callable
from typing import Final

from tests.soap import ENVELOPES, NS, envelope, status

AT: Final = "{at}"
"""Stands in these payloads for the only address they name; a listener waits there."""

_ENTITIES: Final = "".join(f"<!ENTITY l{n} '" + f"&l{n - 1};" * 10 + "'>" for n in range(1, 10))
_RUBBISH: Final = random.Random(7).randbytes(100_000)  # noqa: S311 - no secret is made of it
_ASK: Final = status("sub_1")
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"


def _soap(before: str = "", body: str = _ASK, key: str = "{key}", header: str = "") -> str:
    """A whole message with something before it, and a key to be put in."""
    return before + envelope(body, key=key, version=12, header=header).decode()


def _doctype(subset: str, use: str = "&x;") -> str:
    return _soap(f"<!DOCTYPE a {subset}>", status(use))


def _crowd(number: int, attribute: str) -> str:
    return "<a " + " ".join(map(attribute.format, range(number))) + "/>"


def _declared(charset: str, text: str = "Ж") -> str:
    return _soap(f'<?xml version="1.0" encoding="{charset}"?>', status(text))


GATE: Final[dict[str, tuple[Callable[[], str | bytes], str]]] = {
    "billion laughs": (lambda: _doctype(f'[<!ENTITY l0 "lol">{_ENTITIES}]', "&l9;"), "xml_doctype_forbidden"),
    "quadratic blow-up": (lambda: _doctype('[<!ENTITY x "' + "A" * 100_000 + '">]', "&x;" * 10_000), "xml_doctype_forbidden"),
    "recursive entity": (lambda: _doctype('[<!ENTITY x "&y;"><!ENTITY y "&x;">]'), "xml_doctype_forbidden"),
    "xxe file": (lambda: _doctype('[<!ENTITY x SYSTEM "file:///etc/passwd">]'), "xml_doctype_forbidden"),
    "xxe http": (lambda: _doctype(f'[<!ENTITY x SYSTEM "{AT}/x">]'), "xml_doctype_forbidden"),
    "xxe public": (lambda: _doctype(f'[<!ENTITY x PUBLIC "-//A//B" "{AT}/x">]'), "xml_doctype_forbidden"),
    "xxe parameter": (lambda: _doctype(f'[<!ENTITY % x SYSTEM "{AT}/x"> %x;]', "1"), "xml_doctype_forbidden"),
    "xxe blind": (
        lambda: _doctype(f"[<!ENTITY % f SYSTEM 'file:///etc/hostname'><!ENTITY % x SYSTEM '{AT}/?'> %x;]", "1"),
        "xml_doctype_forbidden",
    ),
    "external dtd": (lambda: _doctype(f'SYSTEM "{AT}/x.dtd"', "1"), "xml_doctype_forbidden"),
    "public dtd": (lambda: _doctype(f'PUBLIC "-//A//B" "{AT}/x.dtd"', "1"), "xml_doctype_forbidden"),
    "entity in attribute": (lambda: _soap('<!DOCTYPE a [<!ENTITY x "y">]>', f'<GetStatus xmlns="{NS}" a="&x;"/>'), "xml_doctype_forbidden"),
    "attribute defaults": (lambda: _doctype('[<!ATTLIST Submission a CDATA "1">]', "1"), "xml_doctype_forbidden"),
    "doctype behind a comment": (lambda: _soap("<!-- > --> <?a b?>\n<!DOCTYPE a>"), "xml_doctype_forbidden"),
    "doctype in utf-16": (lambda: _doctype(f'SYSTEM "{AT}/x.dtd"', "1").encode("utf-16"), "xml_doctype_forbidden"),
    "doctype in small letters": (lambda: _soap("<!doctype a>"), "xml_malformed"),
    "doctype in the middle": (lambda: _soap(body=f"<!DOCTYPE a>{_ASK}"), "xml_malformed"),
    "undeclared entity": (lambda: _soap(body=status("&x;")), "xml_malformed"),
    "utf-7 declared": (lambda: _declared("UTF-7").encode("utf-7"), "xml_encoding"),
    "utf-7 in disguise": (lambda: _declared("utf-7", "+ADwAIQ-DOCTYPE a+AD4-").encode(), "xml_encoding"),
    "utf-7 bare": (lambda: "+ADw-a/+AD4-".encode("ascii"), "xml_malformed"),
    "utf-16 without a mark": (lambda: _declared("utf-16").encode("utf-16-le"), "xml_encoding"),
    "utf-16 without a mark, big": (lambda: _declared("utf-16").encode("utf-16-be"), "xml_encoding"),
    "utf-16 that says utf-8": (lambda: _declared("utf-8").encode("utf-16"), "xml_encoding"),
    "utf-8 that says utf-16": (lambda: _declared("utf-16").encode(), "xml_encoding"),
    "utf-16 cut in a letter": (lambda: _soap(body=status("Ж")).encode("utf-16")[:-1], "xml_encoding"),
    "utf-32": (lambda: _soap().encode("utf-32"), "xml_encoding"),
    "cp1251 that says utf-8": (lambda: _declared("utf-8").encode("cp1251"), "xml_encoding"),
    "cp1251 that says nothing": (lambda: _soap(body=status("Ж")).encode("cp1251"), "xml_encoding"),
    "cp1251 with a byte it has not": (lambda: _declared("windows-1251").encode("cp1251").replace(b"\xc6", b"\x98"), "xml_encoding"),
    "utf-8 mark, says cp1251": (lambda: b"\xef\xbb\xbf" + _declared("windows-1251").encode("cp1251"), "xml_encoding"),
    "koi8-r": (lambda: _declared("koi8-r").encode("koi8-r"), "xml_encoding"),
    "cp866": (lambda: _declared("cp866").encode("cp866"), "xml_encoding"),
    "ebcdic": (lambda: _declared("cp037", "x").encode("cp037"), "xml_encoding"),
    "an invented charset": (lambda: _declared("x-" + "y" * 400, "1").encode(), "xml_encoding"),
    "overlong utf-8": (lambda: _soap(body=status("#")).encode().replace(b"#", b"\xc0\xbc"), "xml_encoding"),
    "surrogates in utf-8": (lambda: _soap(body=status("#")).encode().replace(b"#", b"\xed\xa0\x80"), "xml_encoding"),
    "nul": (lambda: _soap(body=status("\0")), "xml_malformed"),
    "nul by number": (lambda: _soap(body=status("&#0;")), "xml_malformed"),
    "depth 300,000": (lambda: _soap(body="<a>" * 300_000), "xml_too_deep"),
    "depth 300,000, closed": (lambda: _soap(body="<a>" * 300_000 + "</a>" * 300_000), "xml_too_deep"),
    "depth 65": (lambda: _soap(body="<a>" * 63 + "</a>" * 63), "xml_too_deep"),
    "300,000 attributes": (lambda: _soap(body=_crowd(300_000, 'a{}="1"')), "xml_too_many_attributes"),
    "65 attributes": (lambda: _soap(body=_crowd(65, "a{}='>'")), "xml_too_many_attributes"),
    "300,000 namespaces": (lambda: _soap(body=_crowd(300_000, 'xmlns:a{}="u"')), "xml_too_many_attributes"),
    "attribute twice": (lambda: _soap(body='<a b="1" b="2"/>'), "xml_malformed"),
    "a name of 10 MB": (lambda: _soap(body="<" + "a" * 10_000_000 + "/>"), "xml_too_large"),
    "a name of an attribute of 10 MB": (lambda: _soap(body="<a " + "b" * 10_000_000 + '="1"/>'), "xml_too_large"),
    "a text of 11 MB": (lambda: _soap(body=status("x" * 11_000_000)), "xml_too_large"),
    "comment flood": (lambda: _soap(body="<!-- -->" * 1_000_000 + _ASK), "xml_too_large"),
    "instruction flood": (lambda: _soap(body="<?a b?>" * 1_000_000 + _ASK), "xml_too_large"),
    "element flood": (lambda: _soap(body=f"<a>{'<b/>' * 4_000_000}</a>"), "xml_too_large"),
    "attribute flood": (lambda: _soap(body="<a>" + '<b c="" d="" e=""/>' * 400_000 + "</a>"), "xml_too_large"),
    "stylesheet": (lambda: _soap(f'<?xml-stylesheet type="text/xsl" href="{AT}/x.xsl"?>'), "xml_instruction_forbidden"),
    "an instruction in a text": (lambda: _soap(body=status("1<?php echo ?>2")), "xml_instruction_forbidden"),
    "declaration in the middle": (lambda: _soap(body=f'<?xml version="1.0"?>{_ASK}'), "xml_malformed"),
    "two documents": (lambda: _soap() + _soap(), "xml_malformed"),
    "rubbish": (lambda: _RUBBISH, "xml_encoding"),
    "html": (lambda: "<html><br></html>", "xml_malformed"),
    "json": (lambda: '{"readings":[]}', "xml_malformed"),
    "cdata that ends nowhere": (lambda: _soap(body=status("<![CDATA[")), "xml_malformed"),
    "cdata that ends nowhere, 90,000 times": (lambda: _soap(body="<![CDATA[" * 90_000 + "<?a?>"), "xml_malformed"),
    "cdata that ends nowhere, flood": (lambda: _soap(body="<![CDATA[" * 1_900_000 + "<?a?>"), "xml_too_large"),
    "comments that end nowhere": (lambda: _soap(body="<!--" * 999 + "x" * 5_000_000 + "<?a?>"), "xml_malformed"),
    "instructions that end nowhere": (lambda: "<?xml " * 999 + "x" * 5_000_000, "xml_malformed"),
    "comments that end nowhere before the root": (lambda: "<!-- -" * 999 + "-" * 5_000_000 + _soap(), "xml_malformed"),
    "blanks before the root": (lambda: " " * 20_000_000 + "<!DOCTYPE a>", "xml_doctype_forbidden"),
}
"""What the gate refuses before anybody knows who sends: the document, and the code."""


def _many(size: int, piece: str) -> str:
    return piece * (size // len(piece))


PIECES: Final = (
    *("<![CDATA[", "]]>", "<![CDATA[]]>", "<!--", "-->", "<!---->", "<!-- -", "<?", "?>", "<?a?>", "<?xml ", '<?xml version="1.0"?>'),
    *("<!DOCTYPE a>", "<!", "<", ">", "<a", "<a>", "<a/>", "</a>", '<a b="', "<a b='", '<a b=""/>', '"', "'", "='", 'b="" ', "b='\"' "),
    *("&", "&a;", "&#0;", "&#49;", "&#x", "-", "]", "?", "=", " ", "\n", "x", "\0", "Ж", 'xmlns:x="u" ', "<x:a/>", '<a xmlns="u">'),
)
"""What may cost more than its size when it is repeated."""

GROWING: Final[dict[str, Callable[[int, str], str]]] = {
    "before all": _many,
    "before the root": lambda size, piece: _soap(_many(size, piece)),
    "in the root": lambda size, piece: _soap(body=_many(size, piece) + "<?a?>"),
    "in a tag": lambda size, piece: _soap(body=f"<a {_many(size, piece)}/><?a?>"),
    "in a value": lambda size, piece: _soap(body=f"<a b=\"{_many(size // 2, piece)}\" c='{_many(size // 2, piece)}'/><?a?>"),
    "in a comment": lambda size, piece: _soap(body=f"<!--{_many(size, piece)}--><?a?>"),
    "as often as allowed, then length": lambda size, piece: _soap(body=piece * 900 + "x" * size + "<?a?>"),
    "as often as allowed before length before the root": lambda size, piece: piece * 900 + " " * size + _soap(),
}
"""Where a piece is repeated up to a size: bodies whose cost may grow with their size and no faster."""


def _readings(inner: str, attributes: str = "") -> str:
    return f'<SubmitReadings xmlns="{NS}" {attributes}>{inner}</SubmitReadings>'


_ROW: Final = "<Reading><Meter>1</Meter><Register><Code>A+</Code><Value>{}</Value></Register></Reading>"
_SOAPENC: Final = 'xmlns:c="http://schemas.xmlsoap.org/soap/encoding/" xmlns:x="http://www.w3.org/2001/XMLSchema"'

ENVELOPE: Final[dict[str, tuple[Callable[[], str], str]]] = {
    "two operations": (lambda: _soap(body=_ASK * 2), "soap_envelope_invalid"),
    "two bodies": (lambda: _soap().replace("</e:Envelope>", f"<e:Body>{_ASK}</e:Body></e:Envelope>"), "soap_envelope_invalid"),
    "a body in the header": (
        lambda: _soap(header=f"<e:Body>{_ASK}</e:Body>").replace(f"<e:Body>{_ASK}</e:Body></e:Env", "<e:Body/></e:Env"),
        "soap_envelope_invalid",
    ),
    "a body behind the body": (lambda: _soap().replace("</e:Envelope>", "<x/></e:Envelope>"), "soap_envelope_invalid"),
    "100,000 headers": (lambda: _soap(header='<x xmlns="urn:x"/>' * 100_000), "soap_envelope_invalid"),
    "a foreign version": (lambda: _soap().replace(ENVELOPES[12], "urn:x"), "soap_version_mismatch"),
    "security that must be understood": (
        lambda: _soap(header='<w:Security xmlns:w="urn:w" e:mustUnderstand="true"/>'),
        "soap_not_understood",
    ),
    "an array of 10^9": (lambda: _soap(body=_readings("", f'{_SOAPENC} c:arrayType="x:int[1000000000]"')), "xml_schema"),
    "an array of arrays": (lambda: _soap(body=_readings(_ROW.format(1), f'{_SOAPENC} c:arrayType="x:int[9999,9999,9999]"')), "xml_schema"),
    "another type": (lambda: _soap(body=_readings("", f'xmlns:i="{_XSI}" i:type="Receipt"')), "xml_schema"),
    "nothing of a type": (lambda: _soap(body=_readings(f'<Reading xmlns:i="{_XSI}" i:nil="true"/>')), "xml_schema"),
    "schema location": (lambda: _soap(body=_readings("", f'xmlns:i="{_XSI}" i:schemaLocation="{NS} {AT}/x.xsd"')), "xml_schema"),
    "schema location of none": (
        lambda: _soap(body=_readings("", f'xmlns:i="{_XSI}" i:noNamespaceSchemaLocation="{AT}/x.xsd"')),
        "xml_schema",
    ),
    "xinclude": (lambda: _soap(body=_readings(f'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="{AT}/x"/>')), "xml_schema"),
    "xinclude of a file": (
        lambda: _soap(body=_readings('<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="/etc/passwd" parse="text"/>')),
        "xml_schema",
    ),
    "10,000 rows with 10 breaches each": (
        lambda: _soap(body=_readings(f"<Reading><Meter>1</Meter>{'<Register/>' * 10}</Reading>" * 10_000)),
        "xml_schema",
    ),
    "1,000,000 registers": (lambda: _soap(body=_readings(f"<Reading><Meter>1</Meter>{'<Register/>' * 1_000_000}</Reading>")), "xml_schema"),
    "1,000,000 rows": (lambda: _soap(body=_readings("<Reading/>" * 1_000_000)), "too_many_readings"),
    "a reference to elsewhere": (lambda: _soap(body=f'<GetStatus xmlns="{NS}" href="{AT}/x"/>'), "xml_schema"),
}
"""What is refused once the document is read: the message, and the code."""

VALUES: Final[dict[str, tuple[str, str]]] = {
    "cdata splits": ("1<![CDATA[5]]>0", ""),
    "comments in a number": ("1<!-- 9 -->50", ""),
    "characters by number": ("&#49;&#x35;0", ""),
    "markup in cdata": ("<![CDATA[<Value>150</Value>]]>", "not_a_number"),
    "arabic digits": ("١٥٠", "not_a_number"),
    "not a number": ("NaN", "number_not_finite"),
    "hexadecimal": ("0x96", "not_a_number"),
    "an exponent": ("1.5E2", "not_a_number"),
    "a million digits": ("1" * 1_000_000, "number_too_long"),
    "a blank within": ("1 50", "not_a_number"),
    "nothing": ("", "not_a_number"),
}
"""What stands in a Value and its code; without one it is read as 150."""


def row(value: str) -> str:
    """SubmitReadings of one value of meter 1, whose message wants the key."""
    return _soap(body=_readings(_ROW.format(value)))
