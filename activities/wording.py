"""What a contact says, and where it goes."""

from dataclasses import dataclass

from dunwell.catalogue import Texts, Variables
from dunwell.domain.case import CaseState
from dunwell.domain.step import Intent
from dunwell.store.sealing import Personal
from dunwell.store.steps import Text


@dataclass(frozen=True, slots=True)
class Wording:
    """Renders an intent in the person's language. `lender` writes; answers go to `reply_to`."""

    texts: Texts
    lender: str
    reply_to: str

    def render(self, intent: Intent, personal: Personal, state: CaseState) -> Text:
        """The text of a contact. Raises: catalogue.NoText for a language that has none."""
        said = self.texts.render(
            intent.template,
            intent.language,
            intent.channel,
            Variables(
                name=personal.name,
                lender=self.lender,
                amount=intent.amount,
                currency=intent.currency,
                due_on=intent.due_on,
                dpd=intent.dpd,
                loan_ref=state.loan_id,
                reply_to=self.reply_to,
                options=self.texts.options(intent.language, intent.options, intent.currency),
            ),
        )
        return Text(_address(intent, personal), said.subject, said.text)


def _address(intent: Intent, personal: Personal) -> str:
    match intent.channel:
        case "sms" | "voice":
            return personal.phone
        case "email":
            return personal.email
        case "letter":
            return f"{personal.name}, address on file"
        case "legal":
            return "the competent court"
        case "agency":
            return "the agency of record"
