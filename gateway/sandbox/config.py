"""The sandbox billing's settings: a TOML file, with the command line laid over it."""

import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec


class SandboxFailed(Exception):  # noqa: N818 - says what happened, as the house's three do
    """The sandbox cannot start, and the message says what to mend."""


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One customer of this billing: its `token` at our door, and where and with which key its settlements go (nowhere without a URL).

    `keys`: whether a key is honoured; without it a row sent twice counts twice. `drop`: the folder it hands files over in, if it does.
    `points`: code of a point in its makets -> whose it is, the agreement; without them any point is known.
    """

    name: str
    token: str
    settle_url: str = ""
    settle_key: str = ""
    refuse_meters: tuple[str, ...] = ()
    keys: bool = True
    drop: str = ""
    points: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not self.name or not self.token:
            raise ValueError("an account needs a name and a token")
        if self.settle_url and not self.settle_url.startswith(("http://", "https://")):
            raise ValueError(f"account {self.name}: settle_url is no http(s) address")
        if self.drop.startswith("~") or "\0" in self.drop:
            raise ValueError(f"account {self.name}: drop is no folder")

    def __repr__(self) -> str:
        return f"Account({self.name!r})"


class SandboxConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. `calculate_after`: seconds from taking a row to its calculation; `bill_after`: seconds from there to its bill.

    `price`: amount per unit of volume. `control_token`: opens `/control` and `/journal`, which are shut without it. `sftp_port`: where
    the accounts' drops can be reached (nowhere without it), `sftp_host_key`: the file of that server's key, beside the journal when
    empty, made when missing. `drop_scan`: seconds between two looks into a drop.
    """

    host: str = "127.0.0.1"
    port: int = 8090
    journal: Path = Path("sandbox.journal")
    calculate_after: float = 5.0
    bill_after: float = 5.0
    price: Decimal = Decimal(1)
    control_token: str = ""
    sftp_port: int | None = None
    sftp_host_key: str = ""
    drop_scan: float = 0.2
    accounts: tuple[Account, ...] = ()

    def __post_init__(self) -> None:
        tokens = [account.token for account in self.accounts] + [self.control_token]
        if len({account.name for account in self.accounts}) < len(self.accounts) or len(set(tokens)) < len(tokens):
            raise ValueError("two accounts share a name or a token")
        if self.calculate_after < 0 or self.bill_after < 0:
            raise ValueError("calculate_after and bill_after are seconds, 0 or more")
        if self.drop_scan <= 0:
            raise ValueError("drop_scan is seconds, more than 0")
        drops = [account.drop for account in self.accounts if account.drop]
        if len(set(drops)) < len(drops):
            raise ValueError("two accounts share a drop")

    def __repr__(self) -> str:
        return f"SandboxConfig({self.host}:{self.port}, {', '.join(account.name for account in self.accounts)})"


def account(text: str) -> Account:
    """Read `NAME:TOKEN` or `NAME:TOKEN:SETTLE_URL:SETTLE_KEY` (only the URL may hold colons). Raises SandboxFailed."""
    name, _, rest = text.partition(":")
    token, _, settle = rest.partition(":")
    url, _, key = settle.rpartition(":")
    if settle and not (url and key):
        raise SandboxFailed(f"--account {name}: give NAME:TOKEN or NAME:TOKEN:SETTLE_URL:SETTLE_KEY")
    try:
        return Account(name=name, token=token, settle_url=url, settle_key=key)
    except ValueError as error:
        raise SandboxFailed(f"--account {name}: {error}") from error


def load(path: Path | None, accounts: Sequence[str], overrides: dict[str, Any]) -> SandboxConfig:
    """Read the file, if any, and lay the given values over it; accounts add up. Raises SandboxFailed naming the wrong key.

    A token or key that begins with `$` is the name of a variable, with `@` the name of a file, that holds it.
    """
    try:
        tree: dict[str, Any] = msgspec.toml.decode(path.read_bytes()) if path else {}
        tree |= {name: value for name, value in overrides.items() if value is not None}
        config = msgspec.convert(tree, SandboxConfig, dec_hook=lambda kind, text: kind(text))
        told = (*config.accounts, *(account(text) for text in accounts))
        opened = tuple(
            msgspec.structs.replace(one, token=_secret(one.token, one.name), settle_key=_secret(one.settle_key, one.name)) for one in told
        )
        return msgspec.structs.replace(config, accounts=opened, control_token=_secret(config.control_token, "control_token"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise SandboxFailed(f"{path or 'command line'}: {error}") from error


def _secret(text: str, where: str) -> str:
    if text[:1] not in ("$", "@"):
        return text
    try:
        return os.environ[text[1:]] if text[0] == "$" else Path(text[1:]).read_text("utf-8").strip()
    except (KeyError, OSError) as error:
        raise SandboxFailed(f"{where}: the secret {text} cannot be read") from error
