"""The one gate for untrusted JSON: encoding, depth, repeated keys and syntax are judged before anyone looks at the content."""

import json
import re
from typing import Final, NoReturn, TypeVar

import msgspec

from gateway.domain.problems import Problem, Rejected

T = TypeVar("T")

_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b'[]{}"'))
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_BAD_ESCAPE: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_ESCAPE: Final = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_BYTE: Final = re.compile(r"\(byte ([0-9]+)\)")


def parse_untrusted_json(body: bytes, decoder: msgspec.json.Decoder[T], *, depth: int) -> T:
    """Decode a body that a stranger sent. Raises Rejected when it is not honest JSON, msgspec.ValidationError when its shape is another."""
    check_encoding(body)
    check_depth(body, depth)
    try:
        decoded = decoder.decode(body)
    except msgspec.ValidationError:
        check_syntax(body)
        raise
    except msgspec.DecodeError as error:
        raise malformed(body, str(error)) from error
    check_syntax(body)
    return decoded


def check_encoding(body: bytes) -> None:
    """Refuse invalid UTF-8, a byte order mark, NUL and lone surrogates. Raises Rejected."""
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise Rejected(Problem(code="json_encoding", where="byte 0", values={"reason": "byte order mark"}))
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Rejected(Problem(code="json_encoding", where=f"byte {error.start}", values={"reason": "UTF-8"})) from error
    nul = body.find(b"\0")
    if nul >= 0:
        raise Rejected(Problem(code="json_encoding", where=f"byte {nul}", values={"reason": "NUL"}))
    if b"\\" in body and _BAD_ESCAPE.search(body):
        _check_escapes(body)


def check_depth(body: bytes, depth: int) -> bool:
    """Refuse a body that nests deeper than `depth`, whether or not it is JSON; True for any other. Raises Rejected."""
    if body.count(b"[") + body.count(b"{") <= depth:
        return True
    brackets = body.translate(None, _ALL_BUT_BRACKETS).replace(b'""', b"") if b"\\" not in body else b'"'
    if b'"' in brackets:
        brackets = _STRING.sub(b"", body).translate(None, _ALL_BUT_BRACKETS)
    brackets = brackets.replace(b"{", b"[").replace(b"}", b"]")
    inner = brackets
    for _ in range(depth):
        inner = inner.replace(b"[]", b"")
        if not inner:
            return True
    open_now = 0
    for bracket in brackets:
        open_now += 1 if bracket == ord("[") else -1
        if open_now > depth:
            raise Rejected(Problem(code="json_too_deep", values={"limit": str(depth)}))
    return True


def check_syntax(body: bytes, place: str = "") -> object:
    """Refuse malformed JSON and repeated keys, naming the place below `place`; what it says, numbers as they are written, otherwise.

    Exact, and ten times slower than a decoder.
    """
    try:
        tree = json.loads(body, object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except ValueError as error:
        raise malformed(body, str(error)) from error
    below = _repeated(tree)
    if below:
        repeated = (place + below).removeprefix(".")
        raise Rejected(Problem(code="json_duplicate_key", where=repeated, values={"key": repeated.rpartition(".")[2]}))
    return tree


def malformed(body: bytes, reason: str) -> Rejected:
    """The refusal of a body that is no JSON, with the byte where reading stopped; the body must not be too deep."""
    try:
        json.loads(body, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where, reason = f"byte {len(error.doc[: error.pos].encode())}", error.msg
    except ValueError:
        try:
            msgspec.json.decode(body, type=msgspec.Raw)
        except msgspec.DecodeError as error:
            reason = str(error)
        byte = _BYTE.search(reason)
        where = f"byte {byte[1] if byte else len(body)}"
    else:
        where = ""
    return Rejected(Problem(code="json_malformed", where=where, values={"reason": reason}))


def _check_escapes(body: bytes) -> None:
    high = -1
    for escape in _ESCAPE.finditer(body):
        code = int(escape[1] or b"20", 16)
        if high >= 0:
            if escape.start() == high + 6 and 0xDC00 <= code <= 0xDFFF:
                high = -1
                continue
            raise Rejected(Problem(code="json_encoding", where=f"byte {high}", values={"reason": "surrogate"}))
        if 0xD800 <= code <= 0xDBFF:
            high = escape.start()
        elif code == 0 or 0xDC00 <= code <= 0xDFFF:
            reason = "surrogate" if code else "NUL"
            raise Rejected(Problem(code="json_encoding", where=f"byte {escape.start()}", values={"reason": reason}))
    if high >= 0:
        raise Rejected(Problem(code="json_encoding", where=f"byte {high}", values={"reason": "surrogate"}))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


class _Repeated(dict[str, object]):
    key: str = ""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    marked, seen = _Repeated(pairs), set[str]()
    marked.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return marked


def _repeated(tree: object) -> str:
    """The place of the first repeated key below this one, put together only once it is found: a key may be as long as the body."""
    if isinstance(tree, _Repeated):
        return f".{tree.key}"
    if isinstance(tree, dict):
        return next((f".{key}{below}" for key, inner in tree.items() if (below := _repeated(inner))), "")
    if isinstance(tree, list):
        return next((f"[{index}]{below}" for index, inner in enumerate(tree) if (below := _repeated(inner))), "")
    return ""
