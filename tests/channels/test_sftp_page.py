"""The page for contractors: its session is typed into the stock client and answered as the page shows, its status has these keys."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.postgres import Server as Postgres
from gateway.settings import Limits
from gateway.settings import Sftp as SftpSettings
from tests.channels.sftp import Partner, Server, running_drop
from tests.conftest import ROOT, fresh_database

PAGE = (ROOT / "contracts_schema" / "sftp_drop.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def server(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway with a drop."""
    for database in fresh_database(server):
        with running_drop(database, tmp_path_factory.mktemp("drop")) as running:
            yield running


def test_the_session_on_the_page_goes_as_it_says(server: Server, tmp_path: Path) -> None:
    utility = server.utility("legal_entity")
    utility.meters("1")
    partner = Partner(server, utility, tmp_path)
    partner.write("january.json", partner.readings())
    [session] = [text for _, text in BLOCKS if text.startswith("sftp> ")]
    typed = [line.removeprefix("sftp> ") for line in session.splitlines() if line.startswith("sftp> ")]
    run = subprocess.run(
        partner.command(),
        input="\n".join(typed).replace("!sleep 10", "!sleep 2") + "\n",
        env=partner.environment(),
        cwd=partner.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    said = re.sub(r"^Warning: Permanently added.*\n", "", run.stdout, flags=re.MULTILINE).replace("!sleep 2", "!sleep 10").replace("\r", "")
    assert said == session
    got = json.loads((partner.home / "january.json.status.json").read_bytes())
    [shown] = [json.loads(text) for kind, text in BLOCKS if kind == "json"]
    assert shown.keys() == got.keys()


def test_the_settings_on_the_page_are_the_defaults() -> None:
    [shown] = [msgspec.toml.decode(text)["sftp"] for kind, text in BLOCKS if kind == "toml"]
    assert shown.pop("port") == 2222
    assert shown == {name: value for name, value in msgspec.to_builtins(SftpSettings()).items() if name != "port"}
    assert f"at most {Limits().file_bytes // 1024**2} MB" in PAGE
