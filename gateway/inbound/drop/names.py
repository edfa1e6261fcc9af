"""What a file in a drop is called: by its sender, in the database, in `out/`. A name is a label and never a place."""

import hashlib
import re
from typing import Final

from gateway.inbound import arriving

LONGEST: Final = 255
"""Bytes of one name in a file system."""
STATUS: Final = ".status.json"
PROBLEMS: Final = ".problems.xlsx"
_REPLY: Final = b"80021_"
_XML: Final = b".xml"
_IN_THE_MAKING: Final = (b".part", b".filepart", b".tmp", b".uploading")
_ESCAPED: Final = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")


def in_the_making(name: bytes) -> bool:
    """Whether a name says that its file is not ready: it is never taken before it is renamed."""
    return name.startswith(b".") or name.lower().endswith(_IN_THE_MAKING)


def stored(name: bytes) -> str:
    """The name as text that tells every name from every other: a backslash and bytes that are no UTF-8 are escaped."""
    text = name.decode("utf-8", "surrogateescape").replace("\\", "\\\\")
    return "".join(f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else char for char in text)


def original(text: str) -> bytes:
    """The name of which `stored` made this text."""

    def unescaped(found: re.Match[str]) -> str:
        return "\\" if found[1] is None else chr(0xDC00 + int(found[1], 16))

    return _ESCAPED.sub(unescaped, text).encode("utf-8", "surrogateescape")


def shown(name: bytes) -> str:
    """The name for people; one that is no UTF-8 is most likely an old Windows client's."""
    try:
        return arriving.label(name.decode("utf-8"))
    except UnicodeDecodeError:
        return arriving.label(name.decode("cp1251", "replace"))


def hashed(name: bytes) -> str:
    """What stands for a name in the log, where no name may stand: the operator finds its file with it, nobody else learns a thing."""
    return hashlib.sha256(name).hexdigest()[:12]


def beside(name: bytes, ending: str) -> bytes:
    """The name in `out/` of what is said about a file: `NAME.status.json`; a name too long for that is cut and told apart by a hash."""
    return _fitting(b"", name, ending.encode("ascii"))


def reply(name: bytes) -> bytes:
    """The name in `out/` of the maket 80021 that answers a file: `80021_NAME.xml`, where NAME is without the `.xml` that it has."""
    return _fitting(_REPLY, name[: -len(_XML)] if name.lower().endswith(_XML) else name, _XML)


def _fitting(before: bytes, name: bytes, after: bytes) -> bytes:
    if len(before) + len(name) + len(after) <= LONGEST:
        return before + name + after
    mark = b"~" + hashlib.sha256(name).hexdigest()[:16].encode("ascii")
    head = name[: LONGEST - len(before) - len(after) - len(mark)]
    return before + head.decode("utf-8", "ignore").encode("utf-8") + mark + after
