"""A case told in sentences, from its journal alone."""

from datetime import date, datetime, tzinfo

from dunwell.domain import events as ev
from dunwell.domain.messages import plain
from dunwell.domain.money import say

_BY = {
    "sms": "by text message",
    "email": "by e-mail",
    "voice": "by telephone",
    "letter": "by letter",
    "legal": "at court",
    "agency": "with the agency",
}
_CONTACTS = {
    "payment_reminder_pre_due": "reminded before the due date",
    "collection_demand": "reminded",
    "first_contact": "contacted, to ask for the reason",
    "hardship_offer": "offered ways to pay",
    "statutory_notice": "sent the letter before claim",
    "court_filing": "filed the claim",
    "placement_notice": "placed the case",
    "reply": "replied",
}
_HEARD = {
    "promise": "the person promises to pay",
    "plan_answer": "the person answers the offer",
    "reversal": "a payment was taken back",
    "payment": "a payment came by signal",
}
_RESULTS = {
    "answered_right_party": "the person answered",
    "answered_third_party": "somebody else answered",
    "answered_then_dropped": "somebody answered, then the line dropped",
    "voicemail_left": "a voice message was left",
}


def tell(event: ev.Event, currency: str, zone: tzinfo) -> str:
    """One event as a sentence. Amounts with their currency, instants in `zone`."""
    match event:
        case ev.EpisodeOpened():
            return (
                f"late since {_day(event.opened_on)}: {_days(event.dpd)} past due, likely reason: {plain(event.reason)}"
            )
        case ev.ReasonAnalysed():
            return f"reason {'given by the person' if event.confirmed else 'now looks like'}: {plain(event.reason)}"
        case ev.PathChosen():
            return f"goes on the {event.path} path: {event.why}"
        case ev.AnchorMoved():
            return f"the oldest unpaid instalment is now the one due {_day(event.anchor)} ({_days(event.dpd)} past due)"
        case ev.StageEntered():
            return f"enters the stage {plain(event.stage)}: {event.why}"
        case ev.StepSkipped():
            return f"skipped {plain(event.step)}: {event.why}"
        case ev.ContactMade():
            return _contact(event)
        case ev.ContactWithheld():
            until = f", not before {_local(event.until, zone)}" if event.until else ""
            return f"no contact {_BY[event.channel]}{until}: {event.why}"
        case ev.ContactAnswered():
            reason = f", reason: {plain(event.reason)}" if event.reason else ""
            return f"contact {event.number}: {_RESULTS.get(event.result, plain(event.result))}{reason}"
        case ev.PointFailed():
            return f"the person cannot be reached {_BY[event.channel]} any more: {plain(event.result)}"
        case ev.MessageHeard():
            return _HEARD.get(event.about) or f"heard: {plain(event.about)}"
        case ev.MessageKept():
            return f"a message {event.name!r} was kept unread: {event.why}"
        case _:
            return _agreement(event, currency) or _standing(event, currency, zone)


def _contact(event: ev.ContactMade) -> str:
    what = f"{_CONTACTS[event.purpose]} {_BY[event.channel]} (contact {event.number})"
    match event.state:
        case "sent":
            return what
        case "unknown":
            return f"{what}; whether it arrived nobody can say, so it counts and is not sent again"
        case "abandoned":
            return f"gave up contact {event.number} {_BY[event.channel]} before it left: {plain(event.code)}"
        case _:
            return f"contact {event.number} {_BY[event.channel]} failed: {plain(event.code)}"


def _agreement(event: ev.Event, currency: str) -> str | None:
    match event:
        case ev.PromiseMade():
            return f"promise {event.number}: {say(event.amount, currency)} by {_day(event.due_on)}"
        case ev.PromiseRefused():
            return f"a promise was not accepted: {event.why}"
        case ev.PromiseJudged():
            came = f"{say(event.received, currency)} came" if event.received else "nothing came"
            return f"promise {event.number} {plain(event.verdict)}: {came}"
        case ev.OfferMade():
            ways = "; ".join(f"{i}. {_option(o, currency)}" for i, o in enumerate(event.options, 1))
            return f"offer {event.number}, open until {_day(event.until)}: {ways}"
        case ev.OfferAnswered():
            answers = {"yes": f"accepted, way {event.choice}", "no": "declined", "none": "not answered in time"}
            return f"offer {event.number} was {answers[event.answer]}"
        case ev.PlanStarted():
            name = "settlement" if event.settles else "deferral" if event.deferral else "plan"
            dues = ", ".join(f"{say(d.amount, currency)} on {_day(d.due_on)}" for d in event.dues)
            return f"{name} agreed: {dues}"
        case ev.PlanInstalmentJudged():
            return f"plan instalment {event.index + 1} {event.verdict}"
        case ev.PlanEnded():
            return f"plan {plain(event.verdict)}: {event.why}"
        case ev.ApprovalAsked():
            return f"asked for a person's approval of {plain(event.what)}, until {_day(event.until)}"
        case ev.ApprovalGiven():
            return f"{event.by} {'approved' if event.answer == 'approve' else 'refused'} going to law"
        case ev.DecisionTaken():
            amount = f" for {say(event.amount, currency)}" if event.amount is not None else ""
            due = f", first payment on {_day(event.due_on)}" if event.due_on is not None else ""
            return f"{event.by} decided: {plain(event.what)}{amount}{due}"
        case _:
            return None


def _option(option: ev.Option, currency: str) -> str:
    if option.deferral:
        return f"all on {_day(option.dues[0].due_on)}"
    about = say(option.dues[-1].amount, currency)
    return f"{len(option.dues)} instalments of about {about} from {_day(option.dues[0].due_on)} on"


def _standing(event: ev.Event, currency: str, zone: tzinfo) -> str:
    match event:
        case ev.HoldSeen():
            return f"held: {plain(event.hold_kind)}" + (f" until {_day(event.ends_on)}" if event.ends_on else "")
        case ev.HoldEnded():
            return f"no longer held: {plain(event.hold_kind)}"
        case ev.MoneyChanged():
            return f"owed {say(event.outstanding, currency)}, past due {say(event.past_due, currency)}"
        case ev.AttentionRaised():
            return f"needs a person: {event.why}"
        case ev.AttentionCleared():
            return f"{event.by} has looked at it"
        case ev.EpisodeClosed():
            late = f"; at worst {_days(event.worst_dpd)} past due" if event.worst_dpd else ""
            return f"closed: {plain(event.ending)} on {_day(event.ended_on)}{late}"
        case ev.Planned():
            return f"next, {_local(event.due, zone)}: {event.why}"
        case _:
            return plain(event.kind)


def _day(on: date) -> str:
    return f"{on.day} {on:%b %Y}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _local(at: datetime, zone: tzinfo) -> str:
    local = at.astimezone(zone)
    return f"{local.day} {local:%b %Y %H:%M}"
