"""A step is written down at its own time, in whatever way it was worked."""

from datetime import UTC, date, datetime, timedelta

from tests.step.engine import Engine

AT = datetime(2025, 1, 14, 6, 0, tzinfo=UTC)
# A skipped timer fires up to two seconds late.
LATE = timedelta(seconds=3)


async def test_every_step_is_written_at_its_due_time_also_when_retried_and_never_behind_the_one_before(
    engine: Engine,
) -> None:
    case = await engine.open("clock", AT, date(2025, 1, 10), instalments=3)
    due = (await engine.planned(case))["next_due"]
    assert due.date() == AT.date()

    engine.lender.provider("faults", channel="sms", chances={"busy": 1.0}, times=2)
    await engine.take_next_step(case)
    [intended], [made] = [await engine.lender.journal(case, k) for k in ("contact_intended", "contact_made")]
    assert timedelta(0) <= intended["at"] - due < LATE
    # Two retries, after one and two seconds: the time of the outcome is the time of the attempt that had it.
    assert timedelta(seconds=2.5) < made["at"] - intended["at"] < timedelta(seconds=10)

    dues, kinds = [], []
    for _ in range(4):
        row = await engine.lender.row(case)
        dues.append(row["next_due"])
        kinds.append(row["next_kind"])
        await engine.take_next_step(case)
    assert kinds == ["remind", "contact", "negotiate", "assess"]
    journal = await engine.lender.journal(case)
    regular = [e["at"] for e in journal if e["kind"] == "contact_intended"][1:]
    [local] = [e["at"] for e in journal if e["kind"] == "offer_answered"]
    for took_place, was_due in zip([*regular, local], dues, strict=True):
        assert timedelta(0) <= took_place - was_due < LATE
    times = [e["at"] for e in journal]
    assert times == sorted(times)
