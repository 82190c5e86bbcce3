"""A case's journal holds together, whatever is done to its bytes or to the person's key."""

from datetime import timedelta
from hashlib import sha256

import pytest

from dunwell.domain.case import case_id_of
from dunwell.store import cases, sealing
from dunwell.store.journal import verify
from tests.step.lender import Lender
from tests.store.attempts import AT, DUE_ON, SOON, begin, conclude, intend


async def chain_of(lender: Lender, loan: str) -> list[tuple[int, bytes, bytes]]:
    async with lender.pool.acquire() as connection:
        lines = await cases.journal_of(connection, case_id_of(loan))
    return [(line["number"], bytes(line["bytes"]), bytes(line["hash"])) for line in lines]


async def test_a_chain_holds_over_all_steps_and_shows_each_line_that_was_changed_left_out_or_moved(
    lender: Lender,
) -> None:
    [loan] = await lender.lend("chained", DUE_ON)
    sending = await intend(lender, loan)
    await conclude(lender, loan, sending, "sent", AT + SOON)
    await begin(lender, loan, "assess", AT + timedelta(days=2))
    case, lines = str(case_id_of(loan)), await chain_of(lender, loan)
    assert verify(case, lines) is None
    for at, (number, kept, hashed) in enumerate(lines):
        changed = (number, kept.replace(b"GBP", b"EUR").replace(b"2025", b"2024"), hashed)
        broken = verify(case, [*lines[:at], changed, *lines[at + 1 :]])
        assert broken is not None
        assert broken.number == number
        without = verify(case, [*lines[:at], *lines[at + 1 :]])
        assert without is not None or at == len(lines) - 1
    # Whoever forges a line knows how it is hashed; the next one still hangs on what stood there.
    [(number, kept, _), *rest] = lines
    forged = kept.replace(b"2025", b"2024")
    broken = verify(case, [(number, forged, sha256(forged).digest()), *rest])
    assert broken is not None
    assert broken.number == number + 1


async def test_erasing_a_person_makes_their_texts_unreadable_and_leaves_the_chain_whole(lender: Lender) -> None:
    [loan] = await lender.lend("erased", DUE_ON)
    sending = await intend(lender, loan)
    async with lender.pool.acquire() as connection:
        assert sending.text.text in await sealing.read_content(connection, sending.key)
        await sealing.erase(connection, "erased")
        with pytest.raises(sealing.Erased):
            await sealing.read_content(connection, sending.key)
        with pytest.raises(sealing.Erased):
            await sealing.read_personal(connection, "erased")
    assert verify(str(case_id_of(loan)), await chain_of(lender, loan)) is None
