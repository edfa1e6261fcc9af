"""What makes linking say each of its codes."""

from collections.abc import Callable, Iterable
from functools import partial

from gateway.domain.linking import Asking, Holder, method_of, refusal
from gateway.domain.problems import Rejected
from gateway.domain.profile import Linking
from tests.samples.api import asked


def asking(known: Linking, number: str = "78010000002778", **told: str) -> Callable[[], Iterable[str]]:
    """The codes that an asking brings out where one way is known."""

    def codes() -> Iterable[str]:
        one = Asking(login="ivan", number=number, **told)
        try:
            problem = refusal(method_of(one, [known]), one, Holder(agreement_id=1, number=number, profile="", name="Иванов"))
        except Rejected as refused:
            return [problem.code for problem in refused.problems]
        return [problem.code] if problem else []

    return codes


SAMPLES: dict[str, Callable[[], Iterable[str]]] = {
    "link_by_staff": asking("manager", email="a@example.org"),
    "link_proof_wanted": asking("inn_number", email="a@example.org"),
    "link_number_wrong": asking("number_email", number="1", email="a@example.org"),
    "link_inn_wrong": asking("inn_number", inn="1"),
    "link_email_wrong": asking("number_email", email="a"),
    "link_no_match": asking("account_surname", surname="Петров", email="a@example.org"),
    "link_no_email": asking("number_email", email="a@example.org"),
    **{
        code: partial(asked, code)
        for code in ("link_email_limit", "link_too_often", "link_secret_unknown", "login_invalid", "party_unknown")
    },
}
