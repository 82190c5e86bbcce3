"""Bugs where the house meets the world: activities, workflows, what comes in."""

from tests.sabotage.bug import Bug

_WORKING, _CASE, _EVENTS = "activities/working.py", "workflows/case.py", "dunwell/intake/events.py"
_FOUND = "tests/step/test_found_intents.py::test_"

BUGS = (
    Bug(
        "key-made-anew-for-each-attempt",
        _WORKING,
        "key=str(sending.key), channel=sending.channel,",
        'key=f"{sending.key}/{sending.attempt}", channel=sending.channel,',
        (_FOUND + "where_nothing_can_be_looked_up_but_keys_are_honoured_the_same_key_is_sent_again",),
    ),
    Bug(
        "found-intent-not-looked-up",
        _WORKING,
        "            if receipt is not None:\n",
        "            if receipt is None:\n",
        ("tests/step/test_look_ups.py::test_where_only_a_look_up_tells_a_retry_asks_before_it_sends",),
    ),
    Bug(
        "gate-asked-after-sending",
        _WORKING,
        "        refused = await self.steps.may_send(ask, sending, clock)\n",
        "        await self._send(ask, sending, channel, clock, run_id, entered)\n"
        "        refused = await self.steps.may_send(ask, sending, clock)\n",
        (_FOUND + "an_intent_found_behind_a_stop_is_abandoned_and_its_reservation_returned",),
    ),
    Bug(
        "old-key-sent-again",
        _WORKING,
        "if clock() - sending.made_at > channel.keeps_keys_for:",
        "if sending.made_at - clock() > channel.keeps_keys_for:",
        (_FOUND + "a_key_older_than_the_provider_keeps_it_is_never_sent_again",),
    ),
    Bug(
        "clock-without-the-wait",
        _WORKING,
        "timedelta(seconds=ask.offset) + waited",
        "timedelta(seconds=ask.offset)",
        ("tests/step/test_case_clock.py",),
    ),
    Bug(
        "clock-without-the-offset",
        _WORKING,
        "start = ask.asked_at.astimezone(UTC) + timedelta(seconds=ask.offset) + waited",
        "start = ask.asked_at.astimezone(UTC) + waited",
        ("tests/step/test_case_clock.py",),
    ),
    Bug(
        "run-ends-with-a-full-inbox",
        _CASE,
        "            if self.next is None or self.inbox:\n",
        "            if self.next is not None and self.next.closed:\n"
        "                return self.next.reason\n"
        "            if self.next is None or self.inbox:\n",
        ("tests/step/test_full_inbox.py::test_what_did_not_fit_into_the_closing_step_is_heard_before_the_run_ends",),
    ),
    Bug(
        "fresh-history-drops-the-inbox",
        _CASE,
        "offset=self.offset.total_seconds(), inbox=self.inbox)",
        "offset=self.offset.total_seconds())",
        ("tests/step/test_size.py::test_a_long_case_goes_on_in_a_fresh_history_with_its_inbox_and_its_clock",),
    ),
    Bug(
        "undecodable-signal-dropped",
        _CASE,
        "if all(n.id != note.id for n in self.inbox):",
        "if note.raw is None and all(n.id != note.id for n in self.inbox):",
        ("tests/step/test_messages.py::test_what_cannot_be_read_is_kept_raw_and_a_person_is_asked_to_look",),
    ),
    Bug(
        "stop-waits-for-its-case",
        _EVENTS,
        'if name == "inbound_message":',
        'if name == "stop":',
        ("tests/store/test_steps.py::test_a_stop_said_to_one_case_holds_the_others_before_any_case_has_heard_it",),
    ),
    Bug(
        "rejected-row-silently-dropped",
        "dunwell/intake/portfolio.py",
        "            except BadCell as e:\n                self._reject(file, row, e)\n",
        "            except BadCell:\n",
        ("tests/intake/test_portfolio.py::test_a_bad_payment_is_one_reported_row_and_nothing_else_is_lost",),
    ),
    Bug(
        "known-id-with-other-content-taken",
        "dunwell/intake/portfolio.py",
        "elif known[id] != found:",
        "elif known[id] is found:",
        ("tests/intake/test_portfolio.py::test_a_bad_row_of_another_file_is_reported_by_its_column",),
    ),
)
