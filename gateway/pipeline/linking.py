"""Agreements are linked to a portal's users: asked for, confirmed, bound by somebody of the utility."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from gateway.domain import linking
from gateway.domain.linking import Asking, Holder
from gateway.domain.problems import Problem, Rejected
from gateway.domain.profile import Profile
from gateway.domain.supply import key
from gateway.domain.windows import local_day
from gateway.settings import Links
from gateway.store import Connection, Store, letters, links, people
from gateway.store.links import HOUR, Link
from gateway.store.people import Sender
from gateway.texts import Language


def ask(store: Store, sender: Sender, asking: Asking, rules: Links, language: Language, now: datetime) -> Link:
    """Link an agreement to a login, at once or when a letter is answered, as the agreement's profile says.

    Asking again for what is linked, or within a moment for what waits, answers the same link. Every other asking is written down and
    counted, refused ones too. Raises Rejected.
    """
    with store.transaction(sender.utility_id) as connection:
        outcome = _asked(connection, sender, asking, rules, language, now)
    if isinstance(outcome, Problem):
        raise Rejected(outcome)
    return outcome


def _asked(connection: Connection, sender: Sender, asking: Asking, rules: Links, language: Language, now: datetime) -> Link | Problem:
    utility, email, number = sender.utility_id, linking.email_key(asking.email), key(asking.number)
    profiles = people.profiles(connection, utility)
    method = linking.method_of(asking, {profile.linking for profile in profiles.values()})
    links.alone(connection, utility, [f"login {asking.login}", f"number {number}", *([f"email {email}"] if email else [])])
    if limited := _limited(connection, utility, asking.login, number, rules, now):
        return limited
    same = [profile for profile in profiles.values() if profile.linking == method]
    holder = links.holder(connection, sender, asking.number, [one.name for one in same], local_day(now, same[0].zone))
    problem = linking.refusal(method, asking, holder)
    known = [] if problem or holder is None else links.live(connection, sender, asking.login, now, holder.agreement_id, hold=True)
    if known and (known[0].state == "linked" or (now - known[0].asked_at).total_seconds() < rules.resend):
        return known[0]
    if holder is not None and problem is None:
        most = profiles[holder.profile].link.accounts_per_email
        if most and email and links.accounts(connection, utility, email, holder.agreement_id, now) >= most:
            problem = Problem(code="link_email_limit", where="email", values={"limit": str(most)})
    told: dict[str, Any] = {"login": asking.login, "email": email, "asked": number, "method": method, "actor": sender.principal, "now": now}
    if problem is not None or holder is None:
        links.add(connection, utility, state="refused", **told)
        return problem or Problem(code="link_no_match")
    _open(connection, utility, holder, profiles[holder.profile], told, rules, language)
    [made] = links.live(connection, sender, asking.login, now, holder.agreement_id)
    return made


def _limited(connection: Connection, utility: int, login: str, number: str, rules: Links, now: datetime) -> Problem | None:
    """Too many askings of this login or of this number in an hour, with the seconds after which the next one is heard."""
    since = now - HOUR
    spent = [
        links.spent(connection, utility, column, value, most, since)
        for column, value, most in (("login", login, rules.per_login), ("asked", number, rules.per_agreement))
    ]
    waits = [(at + HOUR - now).total_seconds() for at in spent if at is not None]
    if not waits:
        return None
    seconds = max(1, -int(-max(waits) // 1))
    return Problem(code="link_too_often", values={"seconds": str(seconds), "minutes": str(-(-seconds // 60))})


def _open(
    connection: Connection, utility: int, holder: Holder, profile: Profile, told: dict[str, Any], rules: Links, language: Language
) -> None:
    """Write a link that is proven; one proven by an e-mail waits until a letter is answered (F-020).

    The letter goes to the address as it stands in the agreement, not as it was typed.
    """
    if told["method"] != "number_email":
        links.add(connection, utility, state="linked", agreement_id=holder.agreement_id, **told)
        return
    secret, hours = secrets.token_urlsafe(32), profile.link.confirm_hours
    waiting: dict[str, Any] = {
        "agreement_id": holder.agreement_id,
        "secret_hash": people.digest(secret),
        "expires_at": told["now"] + timedelta(hours=hours),
    }
    id_ = links.add(connection, utility, state="waiting", **waiting, **told)
    url = rules.confirm_url.get(people.code_of(connection, utility), "").replace("{secret}", secret)
    values = {"agreement": holder.number, "login": told["login"], "secret": secret, "url": url, "hours": str(hours)}
    [recipient, *_] = [one.strip() for one in holder.emails if linking.email_key(one) == told["email"]]
    letters.write(
        connection,
        utility,
        "link_confirm",
        recipient,
        f"link {id_}",
        language,
        values,
        holder.agreement_id,
        expires_at=waiting["expires_at"],
    )


def confirm(store: Store, sender: Sender, secret: str, now: datetime) -> Link:
    """Answer the letter: the link that waited for this secret is linked; once more, the same answer. Raises Rejected."""
    with store.transaction(sender.utility_id) as connection:
        found = links.confirm(connection, sender, people.digest(secret), now)
    if found is None:
        raise Rejected(Problem(code="link_secret_unknown", where="secret"))
    return found


def bind(connection: Connection, sender: Sender, *, login: str, email: str, agreement: str, party: str, now: datetime) -> list[Link]:
    """Somebody of the utility links a login to an agreement, or to all open ones of a party (F-009, F-027, F-001). Raises Rejected."""
    if problems := linking.email_problems(email) if email.strip() else []:
        raise Rejected(*problems)
    if bool(agreement.strip()) == bool(party.strip()):
        raise Rejected(Problem(code="link_proof_wanted", values={"wanted": "agreement; party"}))
    links.alone(connection, sender.utility_id, [f"login {login}"])
    found = links.agreements_of(connection, sender, agreement=agreement, party=party)
    if not found:
        code, value = ("agreement_unknown", agreement) if agreement.strip() else ("party_unknown", party)
        raise Rejected(Problem(code=code, where=code.partition("_")[0], values={code.partition("_")[0]: value}))
    profiles = people.profiles(connection, sender.utility_id)
    by_staff = {name for name, profile in profiles.items() if profile.linking == "contractor"}
    methods = {id_: "contractor" if profile in by_staff else "manager" for id_, profile in found.items()}
    return links.bind(connection, sender, login=login, email=linking.email_key(email), methods=methods, now=now)
