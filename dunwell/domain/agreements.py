"""Promises to pay, offers and plans: what was agreed, and whether it is kept."""

from datetime import date, timedelta

from dunwell.domain import events as ev
from dunwell.domain.case import Plan, Promise
from dunwell.domain.facts import PostCredit
from dunwell.domain.ledger import Credit
from dunwell.domain.messages import PlanAnswer, PromiseToPay
from dunwell.domain.money import say, split
from dunwell.domain.story import Story
from dunwell.domain.strategy import LadderStep, PlanRules, PromiseRules


def promise_rules(story: Story) -> PromiseRules:
    """Those of the case's path; the strictest defaults before it has one."""
    path = story.facts.book.paths.get(story.state.path or "")
    return path.promises if path else PromiseRules()


def plan_rules(story: Story) -> PlanRules:
    """Those of the case's path."""
    path = story.facts.book.paths.get(story.state.path or "")
    return path.plans if path else PlanRules()


def take_promise(story: Story, id: str, said: PromiseToPay) -> None:
    """Accept a promise, or say in words why not. A new one takes the place of an open one."""
    rules, today, there = promise_rules(story), story.today, story.position
    currency = story.facts.money.currency
    refusal = None
    if not there.past_due:
        refusal = "nothing is past due"
    elif said.due_on < today:
        refusal = f"{said.due_on} is over"
    elif said.due_on > today + timedelta(days=rules.max_days_ahead):
        refusal = f"a promise may reach {rules.max_days_ahead} days ahead, not to {said.due_on}"
    elif said.amount > there.outstanding:
        refusal = f"no more than {say(there.outstanding, currency)} is owed"
    if refusal:
        story.tell(ev.PromiseRefused(refusal))
        story.answer(id, False, refusal)
        return
    open_ones = story.state.open_promises
    for old in open_ones[: len(open_ones) - rules.max_open + 1]:
        story.tell(ev.PromiseJudged(old.number, "superseded", old.received))
    story.tell(
        ev.PromiseMade(
            number=len(story.state.promises) + 1,
            amount=said.amount,
            due_on=said.due_on,
            verdict_on=said.due_on + timedelta(days=rules.grace_days),
            needed=-(-said.amount * rules.threshold_pct // 100),
            known=_known(story),
        )
    )
    story.answer(id, True, f"promised: {say(said.amount, currency)} by {said.due_on}; nothing is sent until then")


def judge_promises(story: Story) -> None:
    """Verdicts by value date, oldest promise first; a reversal re-judges even a closed one."""
    for promise, received in _appropriated(story):
        verdict = _verdict(promise, received, story.today)
        if (verdict, received) != (promise.verdict, promise.received) and verdict != "open":
            story.tell(ev.PromiseJudged(promise.number, verdict, received))


def _appropriated(story: Story) -> list[tuple[Promise, int]]:
    """One unit of money keeps one promise only: what came since fills the promise due first."""
    live = sorted(
        (p for p in story.state.promises if p.verdict not in ("superseded", "cancelled")),
        key=lambda p: (p.due_on, p.number),
    )
    received = dict.fromkeys((p.number for p in live), 0)
    for credit in _payments(story):
        left = credit.amount
        for promise in live:
            if credit_name(credit) in promise.known or credit.value_date > promise.verdict_on:
                continue
            part = min(left, promise.amount - received[promise.number])
            received[promise.number] += part
            left -= part
    return [(p, received[p.number]) for p in live]


def _payments(story: Story) -> list[Credit]:
    """Money that counts by today, in the order of its value dates."""
    came = (c for c in story.facts.money.credits if c.kind == "payment" and c.value_date <= story.today)
    return sorted(came, key=lambda c: (c.value_date, c.source, c.id))


def credit_name(credit: Credit) -> str:
    """What a promise or a plan knows a payment by."""
    return f"{credit.source}/{credit.id}"


def _known(story: Story) -> tuple[str, ...]:
    """The payments of today's facts: an agreement made now is kept by others."""
    return tuple(credit_name(c) for c in story.facts.money.credits if c.kind == "payment")


def _verdict(promise: Promise, received: int, today: date) -> str:
    if received >= promise.needed:
        return "kept"
    if today <= promise.verdict_on:
        return "open"
    return "partly_kept" if received else "broken"


def offer_options(story: Story, step: LadderStep) -> tuple[ev.Option, ...]:
    """Two or three ways to pay what is past due."""
    there, today = story.position, story.today
    if not there.past_due:
        return ()
    return tuple(
        ev.Option(
            terms.deferral,
            tuple(
                ev.Due(today + timedelta(days=terms.first_in_days + k * terms.every_days), part)
                for k, part in enumerate(split(there.past_due, [1] * min(terms.instalments, there.past_due)))
            ),
        )
        for terms in step.offers
    )


def make_offer(story: Story, options: tuple[ev.Option, ...], answer_days: int) -> None:
    """What was sent is on offer from now on, for some days."""
    number = story.state.offer.number + 1 if story.state.offer else 1
    story.tell(ev.OfferMade(number, options, story.today + timedelta(days=answer_days)))


def take_plan_answer(story: Story, id: str, said: PlanAnswer) -> None:
    """Yes starts the chosen plan; no is recorded and the ladder goes on."""
    offer = story.state.offer
    if offer is None or offer.answer is not None or story.today > offer.until:
        story.answer(id, False, "no offer is open")
        return
    if said.answer == "no":
        story.tell(ev.OfferAnswered(offer.number, "no", None))
        story.answer(id, True, "the offer was declined")
        return
    if said.choice is None or said.choice > len(offer.options):
        story.answer(id, False, f"choose one of the {len(offer.options)} options")
        return
    option = offer.options[said.choice - 1]
    story.tell(ev.OfferAnswered(offer.number, "yes", said.choice))
    start_plan(story, option.dues, option.deferral, settles=0)
    story.answer(id, True, "agreed: the plan runs from today")


def start_plan(story: Story, dues: tuple[ev.Due, ...], deferral: bool, settles: int) -> None:
    """A plan takes the place of promises and of any plan before it."""
    for promise in story.state.open_promises:
        story.tell(ev.PromiseJudged(promise.number, "superseded", promise.received))
    running = story.state.running_plan
    if running is not None:
        story.tell(ev.PlanEnded(running.number, "superseded", "a new plan was agreed"))
    rules = plan_rules(story)
    story.tell(
        ev.PlanStarted(
            len(story.state.plans) + 1, dues, deferral, settles, _known(story),
            rules.grace_days, rules.missed_to_break,
        )
    )  # fmt: skip


def lapse_offer(story: Story) -> None:
    """No answer in time is an answer of its own; it proves nothing about willingness."""
    offer = story.state.offer
    if offer is not None and offer.answer is None and story.today > offer.until:
        story.tell(ev.OfferAnswered(offer.number, "none", None))


def follow_plan(story: Story) -> None:
    """Judge each plan instalment once it is due, and the plan by the rule it was agreed with."""
    plan = story.state.running_plan
    if plan is None:
        return
    paid = sum(c.amount for c in _payments(story) if credit_name(c) not in plan.known)
    needed = 0
    for index, due in enumerate(plan.dues):
        needed += due.amount
        if paid >= needed:
            verdict = "paid"
        elif story.today > due.due_on + timedelta(days=plan.grace_days):
            verdict = "missed"
        else:
            verdict = "due"
        if plan.judged.get(index, "due") != verdict:
            story.tell(ev.PlanInstalmentJudged(plan.number, index, verdict))
    _end_plan(story, plan)


def _end_plan(story: Story, plan: Plan) -> None:
    verdicts = [plan.judged.get(k, "due") for k in range(len(plan.dues))]
    missed = verdicts.count("missed")
    if missed == 0 and "due" not in verdicts:
        _book_discount(story, plan)
        story.tell(ev.PlanEnded(plan.number, "kept", "every instalment of the plan was paid"))
    elif missed >= plan.missed_to_break or (missed and "due" not in verdicts):
        story.tell(ev.PlanEnded(plan.number, "broken", f"{missed} instalments missed"))
    elif not story.position.past_due and not plan.settles:
        story.tell(ev.PlanEnded(plan.number, "kept", "all that was past due is paid"))


def _book_discount(story: Story, plan: Plan) -> None:
    """The discount of a settlement is booked when it is fulfilled, not before."""
    left = story.position.outstanding
    if plan.settles and left:
        discount = Credit(
            "dunwell", f"{story.state.case_id}/settlement/{plan.number}", story.today,
            min(left, plan.settles), "settlement_discount",
        )  # fmt: skip
        story.write(PostCredit(discount))


def next_plan_day(story: Story) -> date | None:
    """The day after the grace of the plan's next instalment without a verdict."""
    plan = story.state.running_plan
    if plan is None:
        return None
    open_dues = [d.due_on for k, d in enumerate(plan.dues) if plan.judged.get(k, "due") == "due"]
    return min(open_dues) + timedelta(days=plan.grace_days + 1) if open_dues else None
