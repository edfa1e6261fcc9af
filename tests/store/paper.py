"""A billing that is a folder of paper: it honours no key, and does as the word in its file `mood` says. A real target, of class C."""

from pathlib import Path

from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.outbound import Answer, Batch, Guarantee, Outcome, Receipt, Target


class Paper(Target, frozen=True, kw_only=True):
    """Writes the key of each item it takes on a line of `journal`."""

    folder: str

    def deliver(self, batch: Batch) -> Receipt:
        mood = Path(self.folder, "mood").read_text("utf-8")
        with Path(self.folder, "calls").open("a", encoding="utf-8") as calls:
            calls.write(f"{mood}\n")
        match mood:
            case "away":
                raise Unavailable("nobody there", sent=False)
            case "wait":
                raise Unavailable("busy", sent=False, retry_after=900.0)
            case "closed":
                raise Misconfigured("the door is locked")
            case "bad":
                raise Rejected(Problem(code="refused_by_billing", values={"reason": "not a word of it"}))
            case "refuse":
                return self._say(batch, Outcome.REFUSED)
            case "later":
                return self._say(batch, Outcome.LATER)
        with Path(self.folder, "journal").open("a", encoding="utf-8") as journal:
            journal.writelines(f"{item.key} {item.meter} {item.period} {item.revision}\n" for item in batch.items)
        match mood:
            case "lost":
                raise Unavailable("the answer is lost", sent=True)
            case "broken":
                raise ZeroDivisionError
            case "silent":
                return Receipt(answers=())
        return self._say(batch, Outcome.TAKEN)

    def _say(self, batch: Batch, outcome: Outcome) -> Receipt:
        return Receipt(answers=tuple(Answer(key=item.key, outcome=outcome, reason="as told") for item in batch.items), raw=b"as told")


class Honest(Paper, frozen=True, kw_only=True):
    """The same paper with a clerk who honours keys: class A."""

    @property
    def guarantee(self) -> Guarantee:
        return "A"
