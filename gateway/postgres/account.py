"""Who runs the server: never root, and only where that account can reach what it needs."""

import contextlib
import grp
import os
import pwd
from pathlib import Path
from typing import NamedTuple

from gateway.domain.problems import Misconfigured


class Account(NamedTuple):
    """The unprivileged account that runs the server when we are root."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def unprivileged(name: str | None) -> Account | None:
    """None unless we are root: whom the server then runs as."""
    if os.geteuid() != 0:
        if name is not None and os.geteuid() not in {entry.pw_uid for entry in pwd.getpwall() if entry.pw_name == name}:
            raise Misconfigured(f"Only root can run PostgreSQL as the account {name}")
        return None
    for candidate in [name] if name else ["metergate", "nobody"]:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(candidate)
            if entry.pw_uid == 0:
                break
            groups = {entry.pw_gid, *(group.gr_gid for group in grp.getgrall() if candidate in group.gr_mem)}
            return Account(candidate, entry.pw_uid, entry.pw_gid, tuple(sorted(groups)))
    raise Misconfigured(f"PostgreSQL does not run as root and there is no unprivileged account {name or 'metergate or nobody'}")


def reaches(account: Account, path: Path) -> bool:
    """Whether the account may pass every folder down to this path and read or run it."""
    for place in (path, *path.parents):
        facts = place.stat()
        shift = 6 if facts.st_uid == account.uid else 3 if facts.st_gid in account.groups else 0
        if not facts.st_mode >> shift & 1:
            return False
    return True
