"""`partner add`: who may send."""

import argparse
import re
import sys
from typing import Any

from gateway import profiles
from gateway.cli import OK
from gateway.cli.common import settings_of
from gateway.cli.database import database_url
from gateway.cli.logins import login_of, public_key
from gateway.domain.problems import Misconfigured
from gateway.domain.supply import key
from gateway.store import Store, migrate, people

AUTHOR = "metergate"
CODE = re.compile(r"[a-z][a-z0-9_]{0,62}")


def add(args: argparse.Namespace) -> int:
    """Make a key, or a login of the SFTP drop, for a partner and print it, and nothing else, to stdout: only its hash is kept."""
    if args.ssh_key is not None and args.sftp is None:
        raise Misconfigured("--ssh-key opens a login of the SFTP drop: give --sftp too")
    login = None if args.sftp is None else login_of(args.sftp, args.utility, args.name)
    public = b"" if args.ssh_key is None else public_key(args.ssh_key)
    if not args.name.strip() or not args.name.isprintable() or len(args.name) > 100:
        raise Misconfigured("the partner's name must be 1 to 100 characters that can be printed")
    with database_url(settings_of(args)) as url:
        migrate(url)
        store = Store(url, role="owner", pool=1)
        try:
            with store.transaction() as connection:
                utility = utility_of(connection, args.utility, args.profile)
                agreements = _agreements(connection, utility, args.agreement) if args.agreement else None
                scopes = args.scope or ["submit", "read"]
                if login is None:
                    made = people.add_credential(connection, utility, args.name.strip(), scopes)
                else:
                    made = people.add_login(connection, utility, args.name.strip(), scopes, login, public_key=public)
                if agreements is not None:
                    kept = people.key_digest(login or "", public) if public else people.digest(made)
                    narrowed = {"hash": kept, "ids": agreements}
                    connection.exec_driver_sql("update credential set agreement_ids = %(ids)s where secret_hash = %(hash)s", narrowed)
        finally:
            store.close()
    whose = f"{args.name} at {args.utility}"
    if login is None:
        print(f"The key of {whose}; it is shown this once:", file=sys.stderr)
    elif public:
        print(f"The login of {whose}, which {args.ssh_key} opens:", file=sys.stderr)
    else:
        print(f"The password of {whose}, login {login}; it is shown this once:", file=sys.stderr)
    print(made or login)
    return OK


def utility_of(connection: Any, code: str, profile: str) -> int:
    """The utility's id; a new one is made, and a shipped profile is installed as version 1 when it is first named. Raises Misconfigured."""
    if CODE.fullmatch(code) is None:
        raise Misconfigured(f"utility {code!r}: a lower-case name such as city_water is wanted")
    utility = people.ensure_utility(connection, code)
    try:
        known = people.profiles(connection, utility)
    except Misconfigured:
        known = {}
    if profile and profile not in known:
        people.ship(connection, utility, profile, AUTHOR)
    elif not profile and not known:
        raise Misconfigured(f"{code} is new: give it a rulebook by --profile, one of {', '.join(sorted(profiles.shipped()))}")
    return utility


def _agreements(connection: Any, utility: int, numbers: list[str]) -> list[int]:
    """The ids of these agreements. Raises Misconfigured naming those that the registry does not know."""
    rows = connection.exec_driver_sql(
        "select id, key from agreement where utility_id = %(u)s and key = any(%(keys)s)",
        {"u": utility, "keys": [key(number) for number in numbers]},
    )
    found = {row.key: row.id for row in rows}
    if unknown := [number for number in numbers if key(number) not in found]:
        raise Misconfigured(f"agreements not in the registry: {', '.join(unknown)} (metergate registry import brings them in)")
    return sorted(found.values())
