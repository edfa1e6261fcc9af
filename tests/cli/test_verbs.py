"""The verbs themselves: help at once and without the server, a message for every mistake, the page that tells them all."""

# ruff: noqa: SLF001 - argparse has no public way to ask a parser what it knows

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.verbs import parser
from tests.cli.conftest import Command, bare_environment

ROOT = Path(__file__).parents[2]
HEAVY = ("litestar", "sqlalchemy", "psycopg", "lxml", "httpx", "openpyxl", "uvicorn", "msgspec")
VERBS = [
    "read",
    "check",
    "mapping",
    "send",
    "status",
    "template",
    "partner",
    "registry",
    "config",
    "reminders",
    "doubt",
    "review",
    "links",
    "up",
    "serve",
    "worker",
    "sandbox",
    "demo",
    "db",
    "doctor",
]


def groups(top: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every verb with its parser, verbs of verbs included."""
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, below in action.choices.items():
                yield f"{name} {verb}".strip(), below
                yield from groups(below, f"{name} {verb}".strip())


def test_the_verbs_are_exactly_those_of_the_contract() -> None:
    assert [name for name, _ in groups(parser()) if " " not in name] == VERBS


def test_help_imports_no_server() -> None:
    code = "import sys; from gateway.cli import main\ntry: main(['--help'])\nexcept SystemExit: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], env=bare_environment(), capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stderr.split()} & set(HEAVY) == set()


def test_every_verb_and_option_stands_on_its_page() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for name, verb in groups(parser()):
        if any(isinstance(action, argparse._SubParsersAction) for action in verb._actions):
            continue
        assert f"`metergate {name}" in page, name
        for action in verb._actions:
            long = [option for option in action.option_strings if option.startswith("--") and option != "--help"]
            assert all(re.search(rf"{option}(?![\w-])", page) for option in long), (name, long)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "VERB"),
        (("fly",), "invalid choice"),
        (("send",), "the following arguments are required: file"),
        (("--config", "absent.toml", "db", "migrate"), "absent.toml: there is no such settings file"),
        (("send", "absent.json", "--key", "mg_x"), "absent.json: No such file or directory"),
        (("send", "absent.json"), "no access key"),
        (("check", "absent.xlsx"), "absent.xlsx: No such file or directory"),
        (("check", ".", "--zone", "Mars/Base"), "is not an IANA time zone"),
        (("status", "--url", "ftp://x", "--key", "k"), "http or https"),
        (("status", "--url", "http://127.0.0.1:9", "--key", "k"), "http://127.0.0.1:9"),
        (("status", "--key", "@absent.key"), "absent.key: No such file or directory"),
        (("db", "restore", "absent.dump"), "absent.dump: there is no such file"),
        (("sandbox", "--config", "absent.toml"), "absent.toml"),
    ],
)
def test_a_mistake_is_a_message_and_code_2(installed_command: Command, args: tuple[str, ...], said: str) -> None:
    done = installed_command(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", [("review", "list"), ("registry", "syncs"), ("status",)], ids=" ".join)
@pytest.mark.parametrize("many", ["0", "-1", "few"])
def test_a_list_of_none_is_a_mistake(verb: tuple[str, ...], many: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It would say that nothing waits, or stop at the database."""
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args([*verb, "--limit", many])
    assert (stopped.value.code, "1 or more is wanted" in capsys.readouterr().err) == (2, True)


def test_a_wrong_setting_is_named_with_its_place(installed_command: Command, tmp_path: Path) -> None:
    (tmp_path / "metergate.toml").write_text("[http]\nport = 'eighty'\n", "utf-8")
    done = installed_command("doctor")
    assert done.returncode == 1
    assert "$.http.port" in done.stdout
    assert "$.http.port" in installed_command("up").stderr


def test_options_of_everywhere_may_stand_before_and_after_the_verb() -> None:
    for line in (["--data", "x", "--lang", "uk", "doctor"], ["doctor", "--data", "x", "--lang", "uk"]):
        args = parser().parse_args(line)
        assert (args.data, args.lang) == (Path("x"), "uk")


def test_the_version_is_the_packages(installed_command: Command) -> None:
    done = installed_command("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "metergate")


@pytest.mark.parametrize("verb", ["read", "check"])
def test_a_period_that_is_none_is_exit_2(installed_command: Command, tmp_path: Path, verb: str) -> None:
    (tmp_path / "a.json").write_text('{"readings":[{"meter":"1","registers":[{"register":"A+","value":"5"}]}]}', "utf-8")
    done = installed_command(verb, "a.json", "--period", "2022-13")
    assert (done.returncode, "period_invalid" in done.stdout) == (2, True)
