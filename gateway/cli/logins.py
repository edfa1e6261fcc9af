"""Logins of the SFTP drop: what one may be, and the public key that opens it."""

import base64
import binascii
import re
import struct
from pathlib import Path
from typing import Final

from gateway.domain.problems import Misconfigured

LOGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
KEYS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
RSA_BYTES: Final = 256
"""The shortest modulus of an RSA key."""


def login_of(asked: str, utility: str, name: str) -> str:
    """The login asked for, else `UTILITY.NAME`. Raises Misconfigured when it can be none."""
    login = asked or f"{utility}.{name.strip()}"
    if LOGIN.fullmatch(login) is None:
        raise Misconfigured(f"{login!r} cannot be a login: give one of Latin letters, digits, dots, dashes by --sftp LOGIN")
    return login


def public_key(path: Path) -> bytes:
    """The bytes of the public key in a file of one line, as ssh-keygen writes it. Raises Misconfigured saying what is wrong."""
    try:
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path}: this is no public key") from error
    if lines and "PRIVATE KEY" in lines[0]:
        raise Misconfigured(f"{path}: this is a private key, which nobody but its owner may have; the public one ends in .pub")
    words = lines[0].split() if len(lines) == 1 else []
    if len(words) < 2 or words[0] not in KEYS:
        raise Misconfigured(f"{path}: one line is wanted that begins with one of {', '.join(KEYS)}")
    try:
        key = base64.b64decode(words[1], validate=True)
        parts = _parts(key)
    except (binascii.Error, struct.error) as error:
        raise Misconfigured(f"{path}: the key is damaged") from error
    if parts[0] != words[0].encode("ascii") or len(parts) < 2:
        raise Misconfigured(f"{path}: the key is damaged")
    if words[0] == "ssh-rsa" and len(parts[-1].lstrip(b"\0")) < RSA_BYTES:
        raise Misconfigured(f"{path}: an RSA key of less than 2048 bits is too weak; ssh-keygen -t ed25519 makes a good one")
    return key


def _parts(key: bytes) -> list[bytes]:
    """The fields of a key, each after its length (RFC 4251, 5)."""
    parts, at = [], 0
    while at < len(key):
        (length,) = struct.unpack_from(">L", key, at)
        parts.append(struct.unpack_from(f"{length}s", key, at + 4)[0])
        at += 4 + length
    return parts
