"""The demo for real: the table that the README shows, nothing left behind, and an honest failure; and the README's own commands."""

import re
import signal
import subprocess
from pathlib import Path

import httpx

from gateway.postgres import default_folder
from tests.cli.conftest import Command, Running, Start, at, bare_environment
from tests.conftest import Database
from tests.peers import PLAIN, until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The README's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def masked(text: str) -> str:
    """The output without what differs from run to run and from month to month: the damaged cell comes after as many lines as days."""
    return re.sub(r"line [0-9]{3}", "line ...", re.sub(r"in [0-9.]+ s\.", "in ... s.", text.strip()))


def left_behind(folder: Path) -> list[Path]:
    """Folders of a demo whose temporary folder is `folder`, the database's included when it lies elsewhere."""
    return [place for place in (folder, default_folder(folder / "data")) if place.exists()]


def test_the_demo_prints_what_the_readme_shows_and_leaves_nothing(installed_command: Command, reachable_folder: Path) -> None:
    done = installed_command("demo", TMPDIR=str(reachable_folder))
    assert done.returncode == 0, done.stderr
    assert masked(done.stdout) == masked(blocks("text")[0])
    assert list(reachable_folder.iterdir()) == []


def test_a_demo_that_is_not_billed_in_time_fails_and_shows_the_logs(installed_command: Command, reachable_folder: Path) -> None:
    done = installed_command("demo", "--patience", "0", TMPDIR=str(reachable_folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert "not billed within 0 s: contractor_heat " in done.stderr
    assert "--- gateway.log\nmetergate listening on " in done.stderr
    assert list(reachable_folder.iterdir()) == []


def test_a_kept_demo_answers_until_it_is_told_to_stop(start_installed: Start, reachable_folder: Path) -> None:
    running = start_installed("demo", "--keep", TMPDIR=str(reachable_folder))
    until(lambda: "  water " in running.log.read_text("utf-8"), "the keys", patience=60)
    said = running.log.read_text("utf-8")
    url, key = re.findall(r" API (http://\S+)/docs", said)[0], re.findall(r"  water +(mg_\S+)", said)[0]
    found = httpx.get(f"{url}/v1/submissions", headers={"Authorization": f"Bearer {key}"}, verify=PLAIN).json()
    assert found["submissions"][0]["counters"] == {"total": 25, "accepted": 23, "in_review": 0, "rejected": 2}
    page = re.findall(r"status page: (http://\S+)", said)[0]
    assert (httpx.get(url, verify=PLAIN).status_code, httpx.get(page, follow_redirects=True, verify=PLAIN).status_code) == (404, 200)
    assert gone_after(running, signal.SIGTERM, reachable_folder) == []


def test_a_demo_stopped_while_it_starts_leaves_nothing(start_installed: Start, reachable_folder: Path) -> None:
    running = start_installed("demo", TMPDIR=str(reachable_folder))
    until(lambda: any(reachable_folder.glob("*/gateway.log")), "the first process")
    assert gone_after(running, signal.SIGINT, reachable_folder) == []


def gone_after(running: Running, number: int, folder: Path) -> list[Path]:
    """Stop a demo, and return what it left of its folders."""
    [place] = folder.iterdir()
    assert running.stop(number) == 130
    return left_behind(place)


def test_the_commands_of_the_readme_do_what_it_says(start: Start, database: Database, tmp_path: Path) -> None:
    gateway = start("up", "--port", "0", **at(database)).listening()
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    [script] = [block for block in blocks("sh") if "partner add" in block]
    environment = bare_environment(**at(database), METERGATE_URL=gateway.url, METERGATE_LANGUAGE="en")
    done = subprocess.run(["/bin/sh", "-eu", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Brought in 1 registers of 1 meters" in done.stdout
    assert "Taken by billing" in done.stdout
    assert list((tmp_path / "data/billing/city_water/billing").rglob("*.csv"))
    assert gateway.stop() == 0


def test_the_readme_links_to_what_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
    assert len(README.splitlines()) < 120
