"""A billing that is a folder of paper: it honours no key, and does as the word in its file `mood` says. A real target, of class C."""

from collections.abc import Mapping
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


class Clerk(Paper, frozen=True, kw_only=True):
    """The same paper with a clerk who honours no key but can be asked: class B. `tray`: what he has and has not written down yet."""

    @property
    def guarantee(self) -> Guarantee:
        return "B"

    def deliver(self, batch: Batch) -> Receipt:
        match Path(self.folder, "mood").read_text("utf-8"):
            case "vanish":
                raise Unavailable("lost on the way there", sent=True)
            case "tray":
                with Path(self.folder, "tray").open("a", encoding="utf-8") as tray:
                    tray.writelines(f"{item.key}\n" for item in batch.items)
                return self._say(batch, Outcome.PENDING)
        return super().deliver(batch)

    def ask(self, batch: Batch, tried: Mapping[str, str]) -> Receipt:
        with Path(self.folder, "questions").open("a", encoding="utf-8") as questions:
            questions.writelines(f"{item.key} {tried.get(item.key)}\n" for item in batch.items)
        match Path(self.folder, "mood").read_text("utf-8"):
            case "away":
                raise Unavailable("nobody there", sent=False)
            case "closed":
                raise Misconfigured("the door is locked")
            case "broken":
                raise ZeroDivisionError
            case "later":
                return self._say(batch, Outcome.LATER)
            case "silent":
                return Receipt(answers=())
            case "refuse":
                return self._say(batch, Outcome.REFUSED)
        written, tray = self._lines("journal"), self._lines("tray")
        words = {Outcome.TAKEN: written, Outcome.PENDING: tray}
        answers = [
            Answer(
                key=item.key,
                outcome=next((word for word, keys in words.items() if item.key in keys), Outcome.UNKNOWN),
                reference="as asked",
            )
            for item in batch.items
        ]
        return Receipt(answers=tuple(answers), raw=b"as asked")

    def _lines(self, name: str) -> set[str]:
        path = Path(self.folder, name)
        return {line.split()[0] for line in path.read_text("utf-8").splitlines()} if path.exists() else set()
