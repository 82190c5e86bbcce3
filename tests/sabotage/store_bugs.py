"""Bugs in the two transactions of a step, in ledger, outbox and journal."""

from tests.sabotage.bug import Bug

_STEPS, _READING, _SAVING = "dunwell/store/steps.py", "dunwell/store/reading.py", "dunwell/store/saving.py"
_LEDGER, _JOURNAL = "dunwell/store/ledger.py", "dunwell/store/journal.py"

_STEP = "tests/store/test_steps.py::test_"
_POSTED = "tests/store/test_ledger.py::test_"
_CHAIN = (
    "tests/store/test_journal.py::"
    "test_a_chain_holds_over_all_steps_and_shows_each_line_that_was_changed_left_out_or_moved"
)
_WAITS = _STEP + "a_step_waits_for_whoever_changes_its_person_or_its_loan"
_BRINGS = _STEP + "what_a_retry_brings_along_is_kept_also_when_it_finds_an_intent"
_WAKES = _STEP + "a_wake_up_is_done_when_the_case_has_seen_what_it_tells_of_and_never_before"
_ONE_A_DAY = "tests/step/test_caps.py::test_one_contact_a_day_reaches_a_person_however_many_processes_work_their_loans"

BUGS = (
    Bug(
        "lock-of-the-person-dropped",
        _READING,
        "where id = (select person_id from collection_case where id = $1) for no key update",
        "where id = (select person_id from collection_case where id = $1)",
        (_ONE_A_DAY,),
    ),
    Bug("lock-of-the-loan-dropped", _READING, "for no key update of l, k", "for no key update of k", (_WAITS,)),
    Bug(
        "intent-counts-only-once-it-left",
        _READING,
        "where c.person_id = $2 and c.made_at > $3)",
        "where c.person_id = $2 and c.made_at > $3 and c.state <> 'planned')",
        (_STEP + "what_is_about_to_leave_counts_against_the_caps_of_the_persons_other_loans",),
    ),
    Bug(
        "messages-heard-out-of-order",
        _READING,
        "taken_at is null order by arrived_at, id",
        "taken_at is null order by id",
        (_STEP + "messages_are_heard_once_and_in_the_order_in_which_they_came",),
    ),
    Bug(
        "reversed-payment-still-counts",
        _READING,
        "in events if not back\n",
        "in events\n",
        (_POSTED + "what_is_reversed_is_owed_again_and_both_bookings_stay_in_balance",),
    ),
    Bug(
        "newer-snapshot-accepted",
        _READING,
        'if row["snapshot_version"] > SNAPSHOT_VERSION:',
        'if row["snapshot_version"] > SNAPSHOT_VERSION + 1:',
        ("tests/step/test_old_and_new.py::test_a_newer_snapshot_is_refused_and_left_for_another_worker",),
    ),
    Bug(
        "second-transaction-unconditional",
        _STEPS,
        "where key = $1 and state = 'planned' returning 1",
        "where key = $1 returning 1",
        (_STEP + "an_attempt_that_comes_second_changes_nothing",),
    ),
    Bug(
        "late-truth-forgotten",
        _STEPS,
        "where key = $1 and state in ('abandoned', 'unknown') returning number",
        "where key = $1 and state in ('unknown') returning number",
        (_STEP + "what_was_given_up_and_did_leave_after_all_is_recorded_as_made",),
    ),
    Bug(
        "sequence-not-checked",
        _STEPS,
        "    if ask.sequence is not None and ask.sequence != row.state.sequence:\n",
        "    if ask.sequence is not None and ask.sequence > row.state.sequence:\n",
        (_STEP + "a_step_that_is_asked_for_again_returns_the_current_next_step_and_writes_nothing",),
    ),
    Bug(
        "messages-of-a-retry-lost",
        _STEPS,
        "        await _keep(c, row, ask, now)\n        if row.state.intended is not None:\n",
        "        if row.state.intended is None:\n            await _keep(c, row, ask, now)\n        else:\n",
        (_BRINGS,),
    ),
    Bug(
        "message-id-not-kept",
        _STEPS,
        "from unnest($3::text[], $4::text[], $5::bytea[]) as t(i, n, r)\n",
        "from (select gen_random_uuid(), n, r from unnest($3::text[], $4::text[], $5::bytea[]) as u(i, n, r)) as t(i, n, r)\n",
        (_BRINGS,),
    ),
    Bug(
        "sent-though-a-message-waits",
        _STEPS,
        'return "message_waiting"',
        "pass",
        (_BRINGS,),
    ),
    Bug(
        "sent-though-its-hours-are-over",
        _STEPS,
        "if now >= sending.expires_at:",
        "if now > sending.expires_at:",
        (_STEP + "an_intent_whose_hours_are_over_may_not_go_out",),
    ),
    Bug(
        "gate-not-asked-again-on-a-retry",
        _STEPS,
        'return None if verdict.answer == "allow" else verdict.code',
        "return None",
        (_STEP + "an_intent_that_the_facts_no_longer_ask_for_may_not_go_out",),
    ),
    Bug(
        "now-goes-behind-the-journal",
        _STEPS,
        "return max(now, row.last_at) if row.last_at else now",
        "return now",
        (_STEP + "now_never_goes_behind_the_journal",),
    ),
    Bug(
        "stranger-moves-money",
        _STEPS,
        "if source not in self._signal_sources:",
        "if not source:",
        (_STEP + "a_signal_from_a_source_that_may_not_moves_no_money",),
    ),
    Bug(
        "outbox-done-with-the-intent",
        _STEPS,
        "await save(c, row, worked.events, now, run_id, seen=False)",
        "await save(c, row, worked.events, now, run_id, seen=True)",
        (_WAKES,),
    ),
    Bug(
        "outbox-done-before-its-message-is-taken",
        _SAVING,
        "m.id = o.message_id and m.taken_at is null)",
        "m.id = o.message_id and m.taken_at is null and false)",
        (_STEP + "a_message_that_no_step_could_take_goes_on_waking_its_case",),
    ),
    Bug(
        "seen-version-not-stored",
        _SAVING,
        "seen_loan = $2, seen_person = $3,",
        "seen_loan = $2,",
        (_STEP + "a_case_that_has_seen_everything_does_not_look_again",),
    ),
    Bug(
        "sweep-wakes-twice",
        "dunwell/store/cases.py",
        """if await c.fetchval("select 1 from outbox where case_id = $1 and name = 'opened'", case_id):""",
        """if await c.fetchval("select 1 from outbox where case_id = $1 and name = 'open'", case_id):""",
        (_POSTED + "the_daily_sweep_run_twice_wakes_a_case_once",),
    ),
    Bug(
        "payment-posted-twice",
        _LEDGER,
        "    if same_id is not None:\n",
        "    if same_id is not None and not found:\n",
        (_POSTED + "a_payment_is_posted_once_however_often_it_is_told",),
    ),
    Bug(
        "payment-from-two-sources-posted-twice",
        _LEDGER,
        '    if found:\n        return Posted("review", f"the same amount',
        '    if not found:\n        return None\n    if len(found) > 1:\n        return Posted("review", f"the same amount',
        (_POSTED + "the_same_amount_and_day_from_another_source_waits_for_a_person",),
    ),
    Bug(
        "reversal-booked-the-wrong-way-round",
        _LEDGER,
        "sign = -1 if reverses else 1",
        "sign = 1",
        (_POSTED + "what_is_reversed_is_owed_again_and_both_bookings_stay_in_balance",),
    ),
    Bug(
        "chain-without-the-line-before",
        _JOURNAL,
        "        head = sha256(head + kept).digest()\n        yield",
        "        head = sha256(kept).digest()\n        yield",
        (_CHAIN,),
    ),
    Bug(
        "verifier-looks-at-nothing",
        _JOURNAL,
        "if head != stored:",
        "if len(head) != len(stored):",
        (_CHAIN,),
    ),
    Bug(
        "erased-key-kept",
        "dunwell/store/sealing.py",
        '"delete from person_key where person_id = $1"',
        '"update person_key set key = key where person_id = $1"',
        ("tests/store/test_journal.py::test_erasing_a_person_makes_their_texts_unreadable_and_leaves_the_chain_whole",),
    ),
)
