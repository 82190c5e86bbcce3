"""Bugs in what the domain decides and reckons."""

from tests.sabotage.bug import Bug

_GATE, _LEDGER, _STEP = "dunwell/domain/gate.py", "dunwell/domain/ledger.py", "dunwell/domain/step.py"
_MONEY, _PERSON, _AGREED = "dunwell/domain/money.py", "dunwell/domain/person.py", "dunwell/domain/agreements.py"

_EDGES = "tests/domain/test_gate_edges.py::test_"
_STEPS = "tests/domain/test_step.py::test_"
_AGREEMENTS = "tests/domain/test_agreements.py::test_"
_AMOUNTS = "tests/domain/test_money.py::test_"
_OWED = "tests/domain/test_ledger.py::test_"

_HOURS = _EDGES + "hours_begin_with_their_first_minute_and_end_a_guard_before_their_last"
_HOLDS = _EDGES + "a_hold_is_in_force_on_its_last_day_and_until_it_is_lifted"
_LEFT_BEHIND = _STEPS + "an_intent_that_was_left_behind_may_go_out_only_while_the_facts_ask_for_the_very_same"
_TOLD_TWICE = _STEPS + "a_payment_told_twice_counts_once_and_one_taken_back_not_at_all"
_PARTS = _AMOUNTS + "parts_sum_to_the_whole_and_the_first_ones_take_what_does_not_divide"

BUGS = (
    Bug(
        "cap-off-by-one",
        _GATE,
        "if len(inside) >= cap.max:",
        "if len(inside) > cap.max:",
        (_EDGES + "the_second_contact_of_a_day_waits_for_the_next_and_the_fourth_of_a_week_for_the_eighth_day",),
    ),
    Bug(
        "cap-span-a-day-short",
        _GATE,
        "inside = [d for d in dates if d > today - timedelta(days=cap.dates)]",
        "inside = [d for d in dates if d > today - timedelta(days=cap.dates - 1)]",
        (_EDGES + "the_second_contact_of_a_day_waits_for_the_next_and_the_fourth_of_a_week_for_the_eighth_day",),
    ),
    Bug(
        "day-cap-counts-utc-dates",
        _GATE,
        "        c.at.astimezone(zone).date()\n",
        "        c.at.date()\n",
        (_EDGES + "a_day_is_the_persons_own_and_not_that_of_utc",),
    ),
    Bug(
        "hours-end-inclusive",
        _GATE,
        "and local.replace(tzinfo=None) < closes",
        "and local.replace(tzinfo=None) <= closes",
        (_HOURS,),
    ),
    Bug(
        "guard-before-close-dropped",
        _GATE,
        "closes = datetime.combine(local.date(), window.closes) - guard",
        "closes = datetime.combine(local.date(), window.closes)",
        (_HOURS,),
    ),
    Bug(
        "unknown-outcome-not-counted",
        _GATE,
        'frozenset({"abandoned", "failed", "expired"})',
        'frozenset({"abandoned", "failed", "expired", "unknown"})',
        (_EDGES + "every_attempt_counts_that_may_have_reached_somebody",),
    ),
    Bug(
        "stopped-hold-ignored",
        _GATE,
        'or rule.stops == "everything"\n',
        'or rule.stops == "nothing"\n',
        ("tests/domain/test_gate.py::test_every_hold_stops_what_it_says_and_no_more",),
    ),
    Bug(
        "unknown-zone-taken-for-utc",
        _PERSON,
        "        if not self.time_zone:\n            return None\n",
        "        if not self.time_zone:\n            return UTC\n",
        ("tests/domain/test_gate.py::test_nobody_is_contacted_whose_hours_are_not_known",),
    ),
    Bug(
        "hold-of-one-loan-stops-all",
        _PERSON,
        "if h.loan_id in (None, loan_id) and h.in_force(today)",
        "if h.in_force(today)",
        ("tests/domain/test_gate.py::test_a_hold_on_one_loan_leaves_the_others_alone",),
    ),
    Bug("hold-ends-a-day-early", _PERSON, "today <= self.ends_on", "today < self.ends_on", (_HOLDS,)),
    Bug(
        "lifted-hold-still-in-force",
        _PERSON,
        "return self.lifted_at is None and (self.ends_on",
        "return (self.ends_on",
        (_HOLDS,),
    ),
    Bug(
        "days-past-due-off-by-one",
        _LEDGER,
        "dpd = max(0, (on - oldest).days) if oldest else 0",
        "dpd = max(0, (on - oldest).days + 1) if oldest else 0",
        (_OWED + "paying_the_oldest_instalment_moves_day_zero",),
    ),
    Bug(
        "episode-ends-a-day-late",
        _LEDGER,
        "found.append(Episode(opened, start, worst))",
        "found.append(Episode(opened, start + DAY, worst))",
        (_STEPS + "a_payment_that_counts_from_a_later_day_closes_the_case_on_that_day",),
    ),
    Bug(
        "credit-lost",
        _LEDGER,
        "return Position(on, outstanding, past_due, left,",
        "return Position(on, outstanding, past_due, 0,",
        (_OWED + "what_is_left_over_stays_the_loans_credit",),
    ),
    Bug(
        "reversal-ignored",
        _LEDGER,
        "kept = tuple(c for c in self.credits if (c.source, c.id) != (source, id))",
        "kept = self.credits",
        (_TOLD_TWICE,),
    ),
    Bug(
        "payment-counts-before-its-value-date",
        _LEDGER,
        "return sum(c.amount for c in self.credits if c.value_date <= until)",
        "return sum(c.amount for c in self.credits)",
        (_STEPS + "a_payment_that_counts_from_a_later_day_closes_the_case_on_that_day",),
    ),
    Bug(
        "payment-counted-twice",
        "dunwell/domain/facts.py",
        "if (credit.source, credit.id) in known:",
        "if credit in known:",
        (_TOLD_TWICE,),
    ),
    Bug(
        "amount-by-float",
        _MONEY,
        'minor = int(whole) * scale + int(fraction.ljust(digits, "0") or "0")',
        "minor = int(float(text) * scale)",
        (_AMOUNTS + "an_amount_is_read_to_the_last_minor_unit",),
    ),
    Bug(
        "unknown-currency-has-two-decimals",
        _MONEY,
        "found = _EXPONENTS.get(currency, 2 if currency in _CENTS else None)",
        "found = _EXPONENTS.get(currency, 2)",
        (_AMOUNTS + "an_unknown_currency_is_refused_for_nobody_knows_its_decimals",),
    ),
    Bug(
        "decimals-too-many-taken",
        _MONEY,
        "if len(fraction) > digits:",
        "if len(fraction) > 4:",
        (_AMOUNTS + "more_decimals_than_the_currency_has_are_refused_not_rounded",),
    ),
    Bug(
        "split-loses-the-remainder",
        _MONEY,
        "for i in by_remainder[: amount - sum(parts)]:",
        "for i in by_remainder[:0]:",
        (_PARTS,),
    ),
    Bug(
        "tie-order-of-parts",
        _MONEY,
        "(-(amount * weights[i] % total), i))",
        "(-(amount * weights[i] % total), -i))",
        (_PARTS,),
    ),
    Bug(
        "promise-judged-a-day-early",
        _AGREED,
        "if today <= promise.verdict_on:",
        "if today < promise.verdict_on:",
        (_AGREEMENTS + "a_promise_is_open_through_its_last_day_of_grace_and_broken_on_the_day_after",),
    ),
    Bug(
        "promise-kept-by-older-money",
        _AGREED,
        "if credit_name(credit) in promise.known or credit.value_date > promise.verdict_on:",
        "if credit.value_date > promise.verdict_on:",
        (_AGREEMENTS + "money_that_was_known_when_the_promise_was_made_does_not_keep_it",),
    ),
    Bug(
        "promise-threshold-ignored",
        _AGREED,
        "if received >= promise.needed:",
        "if received >= promise.amount:",
        (_AGREEMENTS + "a_promise_is_kept_by_most_of_the_money_and_partly_kept_by_less",),
    ),
    Bug(
        "plan-break-off-by-one",
        _AGREED,
        "elif missed >= plan.missed_to_break or",
        "elif missed > plan.missed_to_break or",
        (_AGREEMENTS + "a_plan_breaks_with_its_second_missed_instalment_and_not_before",),
    ),
    Bug(
        "offer-lapses-a-day-early",
        _AGREED,
        "offer.answer is None and story.today > offer.until:",
        "offer.answer is None and story.today >= offer.until:",
        (_AGREEMENTS + "an_offer_waits_through_its_last_day_and_no_answer_is_told_on_the_next",),
    ),
    Bug(
        "contact-made-before-it-is-due",
        _STEP,
        "if kind in LEAVES_THE_HOUSE and _is_what_came_due(proposal, asked, story):",
        "if kind in LEAVES_THE_HOUSE:",
        (_STEPS + "a_contact_that_is_not_due_is_not_made_whoever_asks_for_it",),
    ),
    Bug(
        "retry-sends-an-old-amount",
        _STEP,
        "if not again or proposal.due > trial.minute or _amount(trial, intended.purpose) != intended.amount:",
        "if not again or proposal.due > trial.minute:",
        (_LEFT_BEHIND,),
    ),
    Bug(
        "backlog-begins-with-the-mildest",
        "dunwell/domain/ladder.py",
        "right = ripe[-1]",
        "right = ripe[0]",
        (_STEPS + "a_late_look_does_the_most_severe_step_and_skips_what_it_is_too_late_for",),
    ),
    Bug(
        "approval-outlives-what-it-was-for",
        "dunwell/domain/decide.py",
        'return story.state.approval == "approve" and story.state.approval_facts == facts_to_approve(story)',
        'return story.state.approval == "approve"',
        (_STEPS + "an_approval_is_bound_to_what_was_shown_when_it_was_asked",),
    ),
    Bug(
        "claim-filed-without-approval",
        "dunwell/domain/decide.py",
        "if right.step.needs_approval and right.on <= story.today and not _approved(story):",
        "if right.step.needs_approval and right.on < story.today and False:",
        (_STEPS + "an_approval_is_bound_to_what_was_shown_when_it_was_asked",),
    ),
    Bug(
        "case-opens-a-day-late",
        "dunwell/domain/opening.py",
        "first = max(start, due + DAY)",
        "first = max(start, due + 2 * DAY)",
        ("tests/domain/test_opening.py::test_a_case_opens_on_the_first_late_day",),
    ),
)
