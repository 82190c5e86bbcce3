"""What operations does with a portfolio, command by command."""

import asyncio
import csv
import json
from pathlib import Path

from temporalio.client import Client, WorkflowHistory

from dunwell.store.database import connect
from tests.cli.conftest import Town
from tests.cli.folder import BAD_ROWS, CANARIES, day, write_bad_rows, write_folder


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_migrate_makes_the_database_and_then_finds_it_up_to_date(town: Town) -> None:
    first, second = town.migrated

    assert (first.status, second.status) == (0, 0)
    assert first.out.startswith("applied ")
    assert second.out == "the database is up to date\n"


async def test_the_overdue_list_names_each_late_loan_with_its_reason_and_a_second_sweep_adds_nothing(
    town: Town,
) -> None:
    again = await town.starter("sweep")

    assert "3 overdue, 3 cases opened" in town.swept.out
    assert "3 overdue, 0 cases opened" in again.out
    (file,) = town.lists.glob("overdue-*.csv")
    rows = rows_of(file)
    assert list(rows[0]) == ["loan_id", "case_id", "stage", "currency", "days_past_due", "past_due", "reason"]
    found = [(r["loan_id"], r["days_past_due"], r["past_due"], r["reason"]) for r in rows]
    assert found == [
        ("K3", "40", "5000", "disputed"),
        ("K2", "20", "50.00", "partly_paid"),
        ("K1", "3", "100.00", "forgot"),
    ]


async def test_bad_rows_are_each_reported_once_with_their_remedy_and_nothing_else_is_lost(
    town: Town, tmp_path: Path
) -> None:
    said = await town.starter("import", write_bad_rows(tmp_path / "bad", "B"), "--out", tmp_path / "out")

    assert said.status == 1
    assert said.out == ("1 people and 1 loans new; payments: 1 posted, 0 known already, 0 for review; 0 disputes\n")
    rows = rows_of(tmp_path / "out" / "rejected.csv")
    assert list(rows[0]) == ["file", "line", "column", "value", "problem", "remedy"]
    assert {r["file"] for r in rows} == {"payments.csv"}
    for row, (line, column, value, remedy) in zip(rows, BAD_ROWS, strict=True):
        assert (row["line"], row["column"]) == (line, column)
        assert row["value"].endswith(value)
        assert row["remedy"].startswith(remedy), row


async def test_a_wrong_encoding_refuses_the_folder_before_anything_is_written(town: Town, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "latin", {"loans": ["Z1,Z,loan,EUR"]})
    (folder / "customers.csv").write_bytes(
        "customer_id,name,language,jurisdiction,time_zone,phone,email\nZ,Jürgen,de,DE,,,\n".encode("latin-1")
    )

    said = await town.starter("import", folder, "--out", tmp_path / "out")

    assert said.status == 2
    assert "customers.csv: is not UTF-8" in said.line
    assert "save it as UTF-8" in said.line
    assert not (tmp_path / "out").exists()


async def test_a_case_reads_the_same_by_its_loan_its_id_and_its_workflow(town: Town) -> None:
    told = json.loads((await town.starter("show", "K2", "--json")).out)
    by = [await town.starter("show", name) for name in ("K2", told["case"], told["workflow"])]

    assert by[0].out == by[1].out == by[2].out
    assert "20 days past due, 50.00 EUR past due of 50.00 EUR owed" in by[0].out
    assert "likely reason: partly paid" in by[0].out
    assert by[0].out.splitlines()[-1].startswith("next ")


async def test_cases_are_listed_by_stage_and_by_hold(town: Town) -> None:
    async def listed(*words: str) -> set[str]:
        said = await town.starter("list", "--json", *words)
        assert said.status == 0
        return {row["loan_id"] for row in json.loads(said.out)}

    assert await listed() >= {"K1", "K2", "K3"}
    assert await listed("--hold", "dispute") == {"K3"}
    assert await listed("--stage", "legal") == set()
    assert (await town.starter("list", "--stage", "sleeping")).status == 2


async def test_a_case_that_needs_a_person_goes_on_by_a_decision(town: Town) -> None:
    client = await Client.connect(town.stack.addresses.temporal_address)
    case = json.loads((await town.starter("show", "K1", "--json")).out)["workflow"]
    await client.get_workflow_handle(case).signal("pigeon_post", {"from": "nobody"})
    await _until(town, "select attention is not null from collection_case where loan_id = 'K1'")

    listed = await town.starter("list", "--attention")
    decided = await town.starter("decide", "K1", "resume", "--by", "supervisor")

    assert "K1" in listed.out
    assert decided.out == "accepted: resume recorded\n"
    assert (await town.starter("list", "--attention")).out == "none\n"
    assert "supervisor decided: resume" in (await town.starter("show", "K1")).out


async def test_promises_that_cannot_be_are_not_accepted_and_the_answer_says_why(town: Town) -> None:
    over = await town.starter("promise", "K2", "10.00", day(-1))
    far = await town.starter("promise", "K2", "10.00", day(90))
    more = await town.starter("promise", "K2", "900.00", day(5))

    assert [over.status, far.status, more.status] == [1, 1, 1]
    assert over.out == f"not accepted: {day(-1)} is over\n"
    assert "days ahead" in far.out
    assert more.out == "not accepted: no more than 50.00 EUR is owed\n"
    assert (await town.starter("approve", "K2", "--by", "ann")).out == "not accepted: nothing waits for approval\n"


async def test_a_settlement_is_less_than_what_is_owed(town: Town) -> None:
    said = await town.starter("decide", "K2", "settle", "--by", "ann", "--amount", "50.00", "--due", day(9))

    assert (said.status, said.out) == (1, "not accepted: a settlement is less than the 50.00 EUR owed\n")


async def test_a_case_behind_its_time_is_late_and_the_exit_status_says_so(town: Town) -> None:
    on_time = await town.starter("late")
    pool = await connect(town.stack.addresses.database_url, 1)
    due = await pool.fetchval("select next_due from collection_case where loan_id = 'K3'")
    # As after an outage: nobody has taken the step.
    await pool.execute("update collection_case set next_due = now() - interval '5 hours' where loan_id = 'K3'")

    behind, patient = await town.starter("late"), await town.starter("late", "--hours", "6")

    await pool.execute("update collection_case set next_due = $1 where loan_id = 'K3'", due)
    await pool.close()
    assert (on_time.status, on_time.out) == (0, "none\n")
    assert behind.status == 1
    assert "K3" in behind.out
    assert patient.status == 0


async def test_an_export_verifies_with_no_database_and_a_changed_byte_is_named(town: Town, tmp_path: Path) -> None:
    file = tmp_path / "journals.jsonl"
    exported = await town.starter("export", file)
    nowhere = {"DUNWELL_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    whole = await town.starter("verify", "--file", file, **nowhere)
    lines = file.read_text(encoding="utf-8").splitlines()
    changed = json.loads(lines[1])
    changed["line"] = changed["line"].replace("}", "]", 1)
    file.write_text("\n".join([lines[0], json.dumps(changed), *lines[2:]]) + "\n", encoding="utf-8")

    broken = await town.starter("verify", "--file", file, **nowhere)

    assert exported.out.startswith(f"{len(lines)} journal entries")
    assert whole.status == 0
    assert broken.status == 1
    assert f"case {changed['case']}, entry {changed['number']}: the bytes do not match their hash" in broken.out
    assert (await town.starter("verify")).status == 0


async def test_nothing_personal_is_seen_in_output_logs_or_the_temporal_server(town: Town) -> None:
    await town.starter("say", "K2", "question", "--text", "Quillon asks why", "--channel", "email")
    for command in (("show", "K1"), ("show", "K2"), ("show", "K3"), ("list",), ("list", "--json")):
        await town.starter(*command)
    there = town.stack.addresses
    client = await Client.connect(there.temporal_address)
    seen = [*town.starter.said, *(f.read_text(encoding="utf-8") for f in town.lists.iterdir())]
    seen += [f.read_text(errors="replace") for f in town.stack.logs.glob("worker*.log")]
    async for workflow in client.list_workflows():
        history: WorkflowHistory = await client.get_workflow_handle(workflow.id, run_id=workflow.run_id).fetch_history()
        described = await client.get_workflow_handle(workflow.id, run_id=workflow.run_id).describe()
        # Payloads stand in base64 in the history's JSON, so they are read from the events.
        seen += [workflow.id, str(described.raw_description)]
        seen += [event.SerializeToString().decode("utf-8", "replace") for event in history.events]

    everything = "\n".join(seen)
    assert "waits until" in everything, "the summaries of timers were not read"
    assert [word for word in CANARIES if word in everything] == []


async def _until(town: Town, question: str) -> None:
    pool = await connect(town.stack.addresses.database_url, 1)
    async with asyncio.timeout(20):
        while not await pool.fetchval(question):
            await asyncio.sleep(0.1)
    await pool.close()
