"""Every verb with its options, as argparse knows them."""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

LANGUAGES = ("ru", "uk", "en")
KINDS = ("calendar", "crosswalk", "mapping", "profile")
SCOPES = ("submit", "read", "settle", "registry", "link", "manage", "review", "phone", "control", "automatic")
_ENDING = "Exit codes: 0 all good, 1 done with problems, 2 refused, unreachable or misconfigured. docs/cli.md tells each verb's."

Verbs = Any  # argparse has no public name for what add_subparsers returns


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    everywhere = _everywhere()
    top = argparse.ArgumentParser(
        prog="metergate", description="An integration gateway for meter readings.", epilog=_ENDING, parents=[_everywhere()]
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    top.set_defaults(config=None, data=None, lang=None, verbose=0)
    verbs = top.add_subparsers(title="verbs", metavar="VERB", prog="metergate")
    for add in (_offline, _mapping, _portal, _registry, _config, _reminders, _doubts, _reviews, _links, _running, _database):
        add(verbs, everywhere)
    return top


def _everywhere() -> argparse.ArgumentParser:
    """Options that may stand before or after the verb."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("everywhere")
    group.add_argument(
        "--config", type=Path, metavar="FILE", help="settings (default: METERGATE_CONFIG, else metergate.toml if there is one)"
    )
    group.add_argument("--data", type=Path, metavar="DIR", help="data folder, over the settings")
    group.add_argument("--lang", choices=LANGUAGES, help="language of problems and states (default: the settings')")
    group.add_argument("-v", "--verbose", action="count", help="say more on stderr")
    return common


def _verb(verbs: Verbs, name: str, run: str, what: str, everywhere: argparse.ArgumentParser) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=what[:1].upper() + what[1:] + ".", parents=[everywhere])
    made.set_defaults(run=run)
    return made


def _group(verbs: Verbs, name: str, what: str, everywhere: argparse.ArgumentParser) -> Verbs:
    made: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=what[:1].upper() + what[1:] + ".", parents=[everywhere])
    return made.add_subparsers(title="verbs", metavar="VERB", required=True, prog=f"metergate {name}")


def _envelope(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--agreement", default="", help="agreement, when the file does not name it")
    verb.add_argument("--meter", default="", help="meter, when the file does not name it")
    verb.add_argument("--period", default="", metavar="YYYY-MM", help="billing period, when the file does not name it")
    verb.add_argument("--kind", default="", help="format of the file, when it must not be guessed")


def _offline(verbs: Verbs, everywhere: argparse.ArgumentParser) -> None:
    for name, what in (
        ("read", "print every value of a file as JSON lines, without server or database"),
        ("check", "the same for people: what is in a file and what is wrong with it"),
    ):
        verb = _verb(verbs, name, f"gateway.cli.offline:{name}", what, everywhere)
        verb.add_argument("file", type=Path)
        verb.add_argument("--format", default="", metavar="KIND", help="format of the file (default: told by its bytes)")
        verb.add_argument("--zone", type=_zone, default=None, help="IANA time zone of the file's local times (default: the settings')")
        verb.add_argument("--point", default="", help="usage point or meter, when the file names none")
        verb.add_argument("--period", default="", metavar="YYYY-MM", help="billing period, when the file does not name it")


def _mapping(verbs: Verbs, everywhere: argparse.ArgumentParser) -> None:
    mapping = _group(verbs, "mapping", "how a partner's table is read, from one sample of it; without server or database", everywhere)
    infer = _verb(mapping, "infer", "gateway.cli.mapping:propose", "propose a mapping for a sample, with what is left to ask", everywhere)
    infer.add_argument("file", type=Path)
    infer.add_argument("--name", default="", help="name of the mapping (default: made of the file's)")
    tried = _verb(mapping, "try", "gateway.cli.mapping:attempt", "read a file by a mapping: its values and what is wrong", everywhere)
    kept = _verb(mapping, "accept", "gateway.cli.mapping:accept", "keep a sample with what its mapping reads in it", everywhere)
    for verb in (tried, kept):
        verb.add_argument("file", type=Path)
        verb.add_argument("--mapping", type=Path, required=True, metavar="DOC.toml", help="the mapping document")
        verb.add_argument(
            "--crosswalk", type=Path, default=None, metavar="CODES.csv", help="the partner's codes, when the mapping names any"
        )
        verb.add_argument("--zone", type=_zone, default=None, help="IANA time zone of the file's local times (default: the settings')")
        verb.add_argument("--point", default="", help="usage point or meter, when the file names none")
        verb.add_argument("--period", default="", metavar="YYYY-MM", help="billing period, when the file does not name it")
    kept.add_argument("--into", type=Path, required=True, metavar="FOLDER", help="where accepted samples are, each in a folder of its own")
    kept.add_argument("--name", default="", help="name of the sample's folder (default: the mapping's name)")
    again = _verb(mapping, "test", "gateway.cli.mapping:replay", "read every accepted sample again and say what differs", everywhere)
    again.add_argument("folder", type=Path)


def _gateway(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--url", default="", help="a running gateway (default: METERGATE_URL, else the settings' address)")
    verb.add_argument("--key", default="", help="access key, or @FILE that holds it (default: METERGATE_KEY)")


def _portal(verbs: Verbs, everywhere: argparse.ArgumentParser) -> None:
    send = _verb(verbs, "send", "gateway.cli.portal:send", "send a file of readings to a running gateway", everywhere)
    send.add_argument("file", type=Path)
    _gateway(send)
    _envelope(send)
    send.add_argument(
        "--wait", type=float, nargs="?", const=60.0, metavar="SECONDS", help="until every row was taken by billing or refused (60 s)"
    )
    send.add_argument("--json", action="store_true", help="print the receipt as the gateway gave it")
    status = _verb(verbs, "status", "gateway.cli.portal:status", "what became of submissions, or of one with its rows", everywhere)
    status.add_argument("submission", nargs="?", default="")
    _gateway(status)
    status.add_argument("--limit", type=_many, default=20, help="how many in the list")
    status.add_argument("--status", default="", help="only those in this state")
    status.add_argument("--json", action="store_true", help="print what the gateway answered")
    template = _verb(verbs, "template", "gateway.cli.portal:template", "download a workbook to fill in", everywhere)
    template.add_argument("kind", choices=["integral_workbook", "interval_workbook"])
    _gateway(template)
    template.add_argument("--agreement", required=True)
    template.add_argument("--meter", default="", help="the meter of an interval workbook")
    template.add_argument("--period", required=True, metavar="YYYY-MM")
    template.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")


def _registry(verbs: Verbs, everywhere: argparse.ArgumentParser) -> None:
    partner = _group(verbs, "partner", "who may send", everywhere)
    add = _verb(partner, "add", "gateway.cli.partners:add", "make a partner's access key and print it once", everywhere)
    add.add_argument("name", help="whose key it is, as the timeline will say it")
    add.add_argument("--utility", required=True, help="code of the utility; made when it is new")
    add.add_argument("--profile", default="", help="rulebook of the utility; a shipped one is installed when it is first named")
    add.add_argument("--scope", action="append", choices=SCOPES, default=None, help="what the key may do (default: submit and read)")
    add.add_argument("--agreement", action="append", default=[], help="only this agreement; may be given again (default: all)")
    add.add_argument(
        "--sftp",
        nargs="?",
        const="",
        default=None,
        metavar="LOGIN",
        help="a login of the drop instead of a key (default: UTILITY.NAME)",
    )
    add.add_argument("--ssh-key", type=Path, default=None, metavar="FILE", help="public key that opens the login, instead of a password")
    registry = _group(verbs, "registry", "agreements, points, meters and registers", everywhere)
    brought = _verb(
        registry, "import", "gateway.cli.registering:import_registry", "bring a registry file in, all of it or nothing", everywhere
    )
    brought.add_argument("--dry-run", action="store_true", help="say what would be done and change nothing")
    brought.add_argument(
        "--max-retired",
        type=float,
        default=5.0,
        metavar="PERCENT",
        help="with --whole: stop when more of the meters than that would be retired (default: 5)",
    )
    differs = _verb(registry, "diff", "gateway.cli.registering:diff", "what a registry file would change, thing by thing", everywhere)
    for verb in (brought, differs):
        verb.add_argument("file", type=Path)
        verb.add_argument("--utility", required=True, help="code of the utility; made when it is new")
        verb.add_argument("--profile", required=True, help="rulebook of these agreements")
        verb.add_argument("--whole", action="store_true", help="the file is all there is: meters that it does not name are retired today")
    fetched = _verb(registry, "sync", "gateway.cli.syncing:sync", "fetch master data from a billing now", everywhere)
    fetched.add_argument("--utility", default="", help="code of the utility (default: all)")
    fetched.add_argument("--target", default="", metavar="NAME", help="a target of the settings (default: all that offer master data)")
    fetched.add_argument("--dry-run", action="store_true", help="say thing by thing what would be done and change nothing")
    fetched.add_argument(
        "--max-retired",
        type=float,
        default=None,
        metavar="PERCENT",
        help="this time: stop when more of the meters than that would be retired (default: the target's master_max_retired)",
    )
    ended = _verb(registry, "syncs", "gateway.cli.syncing:last", "how the last fetches of master data ended", everywhere)
    ended.add_argument("--utility", default="", help="code of the utility (default: all)")
    ended.add_argument("--limit", type=_many, default=20, help="how many")
    past = _verb(registry, "history", "gateway.cli.registering:history", "let registers learn what is usual from old values", everywhere)
    past.add_argument("file", type=Path)
    past.add_argument("--utility", required=True, help="code of the utility")
    past.add_argument("--dry-run", action="store_true", help="say what would be done and change nothing")
    empty = _verb(registry, "template", "gateway.cli.registering:template", "write an empty registry as a workbook", everywhere)
    empty.add_argument("file", type=Path, help="where to, a name in .xlsx")
    out = _verb(registry, "export", "gateway.cli.registering:export", "write the registry as a file to bring in again", everywhere)
    out.add_argument("file", type=Path, nargs="?", default=None, help="where to (default: the terminal)")
    out.add_argument("--utility", required=True, help="code of the utility")
    out.add_argument("--profile", required=True, help="rulebook of the agreements")


def _config(verbs: Verbs, everywhere: argparse.ArgumentParser) -> None:
    config = _group(verbs, "config", "a utility's documents: profiles and calendars", everywhere)
    out = _verb(config, "export", "gateway.cli.configuring:export", "write every document into a folder, as KIND/NAME.toml", everywhere)
    out.add_argument("folder", type=Path)
    brought = _verb(config, "apply", "gateway.cli.configuring:apply", "bring documents in, all of them or none", everywhere)
    brought.add_argument("place", type=Path, help="a folder as export writes it, or one file of it; a file elsewhere is a profile")
    told = _verb(config, "history", "gateway.cli.configuring:history", "the versions of a document, newest first", everywhere)
    back = _verb(config, "rollback", "gateway.cli.configuring:rollback", "make an old version of a document the newest one", everywhere)
    for verb in (told, back):
        verb.add_argument("kind", choices=KINDS)
        verb.add_argument("name")
    back.add_argument("version", type=int)
    for verb in (brought, back):
        verb.add_argument("--dry-run", action="store_true", help="say what would change and for whom, and change nothing")
        verb.add_argument("--by", default="", metavar="NAME", help="who wrote the new versions (default: your login)")
    for verb in (out, brought, told, back):
        verb.add_argument("--utility", required=True, help="code of the utility" + ("; made when it is new" if verb is brought else ""))


def _reminders(verbs: Verbs, everywhere: argparse.ArgumentParser) -> None:
    verb = _verb(verbs, "reminders", "gateway.cli.reminders:reminders", "write the reminders of today, or show those of a day", everywhere)
    verb.add_argument("--dry-run", action="store_true", help="say who would get what and why, and write nothing")
    verb.add_argument("--on", type=_day, default=None, metavar="DATE", help="with --dry-run: of that day, YYYY-MM-DD (default: today)")
    verb.add_argument("--utility", default="", help="code of the utility (default: all)")


def _doubts(verbs: Verbs, everywhere: argparse.ArgumentParser) -> None:
    doubt = _group(verbs, "doubt", "deliveries that a person must decide about", everywhere)
    told = _verb(doubt, "list", "gateway.cli.doubts:waiting", "what is in doubt or dead, since when, and billing's last answer", everywhere)
    told.add_argument("--utility", default="", help="code of the utility (default: all)")
    for name, what, decision in (
        ("taken", "billing has it: the reading is acknowledged and its lane goes on", "taken by billing"),
        ("again", "billing does not have it: it goes out once more under the same key; a dead one too", "queued again"),
        ("refused", "billing does not want it: the sender is told the reason", "refused by billing"),
    ):
        verb = _verb(doubt, name, f"gateway.cli.doubts:{name}", what, everywhere)
        verb.set_defaults(decision=decision)
        verb.add_argument("key", help="the key that billing knows, as the list shows it")
        verb.add_argument("--by", default="", metavar="NAME", help="who decides, as the timeline will say it (default: your login)")
        if name == "taken":
            verb.add_argument("--reference", default="", help="billing's own number of it")
        else:
            verb.add_argument("--reason", default="", required=name == "refused", help="why, as the timeline will say it")


def _reviews(verbs: Verbs, everywhere: argparse.ArgumentParser) -> None:
    review = _group(verbs, "review", "readings that a person must decide about", everywhere)
    told = _verb(review, "list", "gateway.cli.reviews:waiting", "what waits for a person, the oldest first, and why", everywhere)
    told.add_argument("--utility", default="", help="code of the utility (default: all)")
    told.add_argument("--limit", type=_many, default=50, help="how many")
    told.add_argument("--json", action="store_true", help="print them as JSON")
    for name, what in (
        ("accept", "let a reading pass: it is judged once more, as its registers stand now"),
        ("refuse", "refuse a reading: its sender is told the reason"),
    ):
        verb = _verb(review, name, f"gateway.cli.reviews:{name}", what, everywhere)
        verb.add_argument("reading", help="as the list shows it, rdg_0199…")
        verb.add_argument("--reason", required=True, help="why, as the timeline will say it")
        verb.add_argument("--by", default="", metavar="NAME", help="who decides, as the timeline will say it (default: your login)")


def _links(verbs: Verbs, everywhere: argparse.ArgumentParser) -> None:
    group = _group(verbs, "links", "which agreement belongs to which user of a portal", everywhere)
    told = _verb(group, "list", "gateway.cli.links:listed", "who is linked, and who waits for a confirmation", everywhere)
    told.add_argument("--login", default="", help="only this user of the portal")
    told.add_argument("--agreement", default="", help="only this agreement")
    bind = _verb(group, "bind", "gateway.cli.links:bind", "link a login to an agreement, or to all open ones of a consumer", everywhere)
    bind.add_argument("login", help="the portal's name of its user")
    whose = bind.add_mutually_exclusive_group(required=True)
    whose.add_argument("--agreement", default="", help="its number")
    whose.add_argument("--party", default="", help="the consumer's code, EDRPOU or tax number")
    bind.add_argument("--email", default="", help="where reminders go")
    end = _verb(group, "end", "gateway.cli.links:end", "end a link, as for somebody who lost his access", everywhere)
    end.add_argument("link", help="as the list shows it, lnk_17")
    for verb in (told, bind, end):
        verb.add_argument("--utility", required=True, help="code of the utility")
        verb.add_argument("--by", default="", metavar="NAME", help="who does it, as the link will say (default: your login)")


def _running(verbs: Verbs, everywhere: argparse.ArgumentParser) -> None:
    for name, what in (("up", "run everything in one process: database, web server, worker"), ("serve", "run the web server alone")):
        verb = _verb(verbs, name, f"gateway.cli.running:{name}", what, everywhere)
        verb.add_argument("--host", default="", help="address to listen on, over the settings")
        verb.add_argument("--port", type=_port, default=None, help="port to listen on, over the settings; 0 takes a free one")
    _verb(verbs, "worker", "gateway.cli.running:worker", "run a worker alone: translates files, delivers to billing", everywhere)
    sandbox = _verb(
        verbs, "sandbox", "gateway.cli.running:sandbox", "run a billing to try things with, as a process of its own", everywhere
    )
    sandbox.add_argument("--host", default=None)
    sandbox.add_argument("--port", type=_port, default=None, help="0 takes a free one")
    sandbox.add_argument("--journal", type=Path, default=None, metavar="FILE", help="where it keeps what it took")
    sandbox.add_argument("--calculate-after", type=float, default=None, metavar="SECONDS")
    sandbox.add_argument("--bill-after", type=float, default=None, metavar="SECONDS", help="after the calculation")
    sandbox.add_argument("--control-token", default=None, metavar="TOKEN", help="opens /control and /journal")
    sandbox.add_argument(
        "--account", action="append", default=[], metavar="NAME:TOKEN[:SETTLE_URL:SETTLE_KEY]", help="a customer; may be given again"
    )
    demo = _verb(verbs, "demo", "gateway.cli.running:demo", "five utilities send readings, a sandbox bills them, one table", everywhere)
    demo.add_argument("--keep", action="store_true", help="leave it running and print the address and the keys")
    demo.add_argument("--patience", type=float, default=120.0, metavar="SECONDS", help="how long to wait for billing")


def _database(verbs: Verbs, everywhere: argparse.ArgumentParser) -> None:
    db = _group(verbs, "db", "the database: a prompt, a copy, a copy back, the schema", everywhere)
    psql = _verb(db, "psql", "gateway.cli.database:psql", "open psql, or run it with the arguments after --", everywhere)
    psql.add_argument("arguments", nargs="*", metavar="ARGUMENT")
    for name, what in (("dump", "write the whole database to one file"), ("restore", "replace the database by a dump, all or nothing")):
        _verb(db, name, f"gateway.cli.database:{name}", what, everywhere).add_argument("file", type=Path)
    _verb(db, "migrate", "gateway.cli.database:migrate", "bring the schema to this version, forward only", everywhere)
    _verb(verbs, "doctor", "gateway.cli.doctor:doctor", "look whether this installation can work", everywhere)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535 is wanted")
    return int(text)


def _many(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not how many: 1 or more is wanted")
    return int(text)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day: 2022-10-21 is one") from None


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{name!r} is not an IANA time zone") from error
    return name


class _Version(argparse.Action):
    """Looks the version up only when it is asked for, which takes longer than all the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and leave."""
        from importlib.metadata import version

        print(f"metergate {version('metergate')}")
        parser.exit()
