"""The gate for JSON: each way of not being honest JSON has its code and place, and nothing else is refused."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.problems import Rejected
from gateway.mapping.json_gate import parse_untrusted_json

ANY: msgspec.json.Decoder[object] = msgspec.json.Decoder()
DEPTH = 32

MALFORMED = [
    b"",
    b" ",
    b"[",
    b"]",
    b"{",
    b"[1",
    b"[1,]",
    b"[,1]",
    b"[1 2]",
    b"[1,,2]",
    b'{"a"}',
    b'{"a":}',
    b'{"a":1,}',
    b'{,"a":1}',
    b"{a:1}",
    b"{'a':1}",
    b"{1:1}",
    b'{"a" 1}',
    b'{"a":1}x',
    b"[1]]",
    b"[1][2]",
    b"nul",
    b"True",
    b"NaN",
    b"[Infinity]",
    b"[-Infinity]",
    b"[01]",
    b"[-01]",
    b"[1.]",
    b"[.5]",
    b"[+1]",
    b"[1e]",
    b"[1e+]",
    b"[0x10]",
    b"[-]",
    b"[1_000]",
    b'["]',
    b'["\\x"]',
    b'["\\u12"]',
    b'["\\u00g0"]',
    b'["\t"]',
    b'["\n"]',
    b'["a\\"]',
    b"[1/**/]",
    b"[1//x\n]",
    b"\xc2\xa0[1]",
    b"\x0c[1]",
    b"<json/>",
]


def refusal(body: bytes) -> tuple[str, str]:
    with pytest.raises(Rejected) as refused:
        parse_untrusted_json(body, ANY, depth=DEPTH)
    [problem] = refused.value.problems
    return problem.code, problem.where


@pytest.mark.parametrize("body", MALFORMED)
def test_malformed(body: bytes) -> None:
    code, where = refusal(body)
    assert code == "json_malformed"
    assert where.startswith("byte ")


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        (b'{"a":1}x', "json_malformed", "byte 7"),
        (b'{"a":[1', "json_malformed", "byte 7"),
        (b"\xef\xbb\xbf{}", "json_encoding", "byte 0"),
        ("[1]".encode("utf-16"), "json_encoding", "byte 0"),
        ("[1]".encode("utf-16-le"), "json_encoding", "byte 1"),
        (b'["\xff"]', "json_encoding", "byte 2"),
        (b'["\xc0\xaf"]', "json_encoding", "byte 2"),
        (b'["\xed\xa0\x80"]', "json_encoding", "byte 2"),
        (b'["\x00"]', "json_encoding", "byte 2"),
        (b'["\\u0000"]', "json_encoding", "byte 2"),
        (b'["\\ud800"]', "json_encoding", "byte 2"),
        (b'["\\udc00"]', "json_encoding", "byte 2"),
        (b'["\\ud800\\u0041"]', "json_encoding", "byte 2"),
        (b'{"a":1,"a":1}', "json_duplicate_key", "a"),
        (b'{"a":[{"b":1},{"b":1,"c":2,"b":3}]}', "json_duplicate_key", "a[1].b"),
        (b'{"a" : 1, "\\u0061" : 2}', "json_duplicate_key", "a"),
        (b"[" * 33 + b"]" * 33, "json_too_deep", ""),
        (b"[" * 100_000, "json_too_deep", ""),
        (b'{"a":' * 100_000, "json_too_deep", ""),
        (b"[" * 100_000 + b"]" * 100_000, "json_too_deep", ""),
        (b'["\\""' + b",[" * 50 + b"]" * 50 + b"]", "json_too_deep", ""),
    ],
    ids=lambda value: str(value)[:30],
)
def test_refused_with_code_and_place(body: bytes, code: str, where: str) -> None:
    assert refusal(body) == (code, where)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 32 + b"]" * 32,
        b'["' + b"[" * 500 + b'"]',
        b'["\\"' + b"{" * 500 + b'"]',
        b'["\\\\u0000", "\\ud83d\\ude00"]',
        b'{"a":{"a":1},"b":":"}',
        b" [1.5e3, -0, null, true] \r\n\t",
        b'["' + b"x" * 1_000_000 + b'"]',
        json.dumps({str(key): key for key in range(20_000)}).encode(),
    ],
    ids=lambda value: str(value)[:30],
)
def test_honest_json_passes(body: bytes) -> None:
    assert parse_untrusted_json(body, ANY, depth=DEPTH) == json.loads(body)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab:\\"[]{}', max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_whatever_is_written_is_read(value: object, escaped: bool) -> None:  # noqa: FBT001 - a drawn example
    assert parse_untrusted_json(json.dumps(value, ensure_ascii=escaped).encode(), ANY, depth=DEPTH) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parse_untrusted_json(body, ANY, depth=DEPTH)
    except (Rejected, msgspec.ValidationError):
        return
    json.loads(body)
