"""`links list | bind | end` on a real database."""

import getpass
from collections.abc import Iterator

import pytest

from tests.accounts import account
from tests.cli.conftest import Command
from tests.conftest import Database
from tests.store.ground import Ground


@pytest.fixture
def ground(database: Database) -> Iterator[Ground]:
    """A utility with a consumer of two agreements, and one agreement of somebody else."""
    made = Ground(database)
    for number, name in (("425", "Світло"), ("426", "Світло"), ("500", "Інший")):
        account(made.owner, made.utility, "legal_entity", number, name=name, tax="00131512" if name == "Світло" else "")
    yield made
    made.close()


def test_an_operator_binds_looks_and_ends(on_database: Command, ground: Ground) -> None:
    """F-005, F-009, F-027."""
    assert on_database("links", "list", "--utility", "city").stderr == "nobody is linked\n"
    bound = on_database("links", "bind", "svitlo", "--utility", "city", "--party", "00131512", "--email", "a@example.org", "--by", "Ольга")
    assert (bound.returncode, bound.stderr) == (0, "")
    head, *rows = bound.stdout.splitlines()
    assert head.split() == ["link", "login", "agreement", "state", "method", "e-mail", "since", "until", "by"]
    assert [row.split()[1:6] for row in rows] == [["svitlo", number, "linked", "manager", "a@example.org"] for number in ("425", "426")]
    assert all(row.endswith("operator:Ольга") for row in rows)
    assert on_database("links", "bind", "other", "--utility", "city", "--agreement", "500").returncode == 0
    assert on_database("links", "list", "--utility", "city", "--agreement", "425").stdout == "\n".join([head, rows[0]]) + "\n"
    assert len(on_database("links", "list", "--utility", "city").stdout.splitlines()) == 4
    link = rows[0].split()[0]
    ended = on_database("links", "end", link, "--utility", "city")
    assert (ended.returncode, ended.stdout) == (0, f"{link}: ended; svitlo, agreement 425\n")
    assert [row.split()[2] for row in on_database("links", "list", "--utility", "city", "--login", "svitlo").stdout.splitlines()[1:]] == [
        "426"
    ]
    assert ground.plain("select state, actor from link where id = 1") == [("ended", f"operator:{getpass.getuser()}")]


def test_what_cannot_be_done_is_said_and_changes_nothing(on_database: Command, ground: Ground) -> None:
    for args, said in (
        (("bind", "x", "--utility", "city", "--party", "00131513"), "The registry has no consumer 00131513."),
        (("bind", "x", "--utility", "city", "--agreement", "501"), "501"),
        (("bind", "x", "--utility", "city", "--agreement", "500", "--email", "x"), "is no e-mail address"),
        (("bind", " ", "--utility", "city", "--agreement", "500"), "cannot be empty"),
        (("bind", "x", "--utility", "city"), "one of the arguments --agreement --party is required"),
        (("bind", "x", "--utility", "village", "--agreement", "500"), "there is no utility 'village'"),
        (("end", "lnk_1", "--utility", "city"), "city has no such link"),
        (("end", "first", "--utility", "city"), "is no link"),
    ):
        done = on_database("links", *args, "--lang", "en")
        assert (done.returncode, done.stdout) == (2, ""), args
        assert said in done.stderr, args
    assert ground.plain("select from link") == []
