"""A broken rule or strategy is refused at its line, with what to do; a good one is pinned by its content."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from dunwell.catalogue import CatalogueError, load_book
from dunwell.domain.codes import HOLDS

CHECKOUT = Path(__file__).resolve().parents[2]
FIRM, GENTLE, UNABLE, SEGMENTS, HOUSE = (
    "strategies/firm.yaml",
    "strategies/gentle.yaml",
    "strategies/unable.yaml",
    "strategies/segments.yaml",
    "rules/house.yaml",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what users edit."""
    for folder in ("rules", "strategies", "templates"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder)
    return tmp_path


def refusal(root: Path) -> list[str]:
    with pytest.raises(CatalogueError) as refused:
        load_book(root)
    return str(refused.value).split("\n")


def change(root: Path, file: str, old: str, new: str) -> int:
    """Replace the first `old`; the line it stands on."""
    before = (root / file).read_text(encoding="utf-8")
    assert old in before
    (root / file).write_text(before.replace(old, new, 1), encoding="utf-8")
    return before[: before.index(old)].count("\n") + 1


def test_the_rules_and_strategies_of_the_project_load() -> None:
    book = load_book(CHECKOUT)

    assert set(book.hashes) == {"house", "segments", *book.paths}
    assert set(book.house.holds) == set(HOLDS)
    assert {rule.path for rule in book.segments.rules} <= set(book.paths)


def test_a_hash_pins_the_content_not_its_layout(checkout: Path) -> None:
    before = load_book(checkout).hashes

    change(checkout, FIRM, "name: firm\ntitle: firm path\n", "title:   'firm path'  # moved\nname: firm\n")
    assert load_book(checkout).hashes == before

    change(checkout, FIRM, "after_days: 3", "after_days: 4")
    after = load_book(checkout).hashes
    assert {name for name in after if after[name] != before[name]} == {"firm"}


@dataclass(frozen=True)
class Slip:
    """An edit, and what is said of it, `down` lines below the place of the edit."""

    file: str
    old: str
    new: str
    says: str
    down: int = 0


SLIPS = {
    "a misspelt key": Slip(GENTLE, "    title: first reminder", "    titel: first reminder", "did you mean title?"),
    "a word that is no kind": Slip(
        GENTLE, "kind: remind", "kind: remnd", "steps[0].kind is none of the known words, remnd, did you mean remind?"
    ),
    "a word for a number": Slip(
        GENTLE, "offset_days: 2", "offset_days: two", "two, write a whole number without quotes"
    ),
    "a yes for a number": Slip(FIRM, "after_days: 3", "after_days: true", "true, write a whole number without quotes"),
    "too many instalments": Slip(
        GENTLE,
        "instalments: 2",
        "instalments: 99",
        "steps[4].offers[0].instalments is out of range, 99, write at most 24",
    ),
    "two clocks": Slip(
        FIRM,
        "  - id: firm_contact",
        "  - id: firm_contact\n    offset_days: 4",
        "firm_contact, give either offset_days or after_days",
    ),
    "a `then` to nowhere": Slip(GENTLE, "then: firm", "then: form", "no path has this name, form, did you mean firm?"),
    "a circle": Slip(FIRM, "then: null", "then: gentle", "firm > gentle > firm, end one with `then: null`"),
    "a segment to nowhere": Slip(
        SEGMENTS, "path: unable", "path: unble", "no path has this name, unble, did you mean unable?"
    ),
    "a condition we lack": Slip(
        SEGMENTS, "[promises_broken]", "[promise_broken]", "promise_broken, did you mean promises_broken?"
    ),
    "a text that is missing": Slip(
        FIRM,
        "template: formal_reminder",
        "template: formal_reminda",
        "formal_reminda, did you mean formal_reminder? Else write templates/de/",
    ),
    "no short text for sms": Slip(
        UNABLE, "channels: [voice, email, letter]", "channels: [sms, email]", "write templates/de/check_in.sms.txt", -1
    ),
    "a step id of another path": Slip(
        UNABLE, "id: unable_offer", "id: gentle_offer", "choose another; it names the step at strategies/gentle.yaml:42"
    ),
    "the id of the placement": Slip(
        UNABLE, "id: unable_offer", "id: placement", "it names the placement with an agency"
    ),
    "a key given twice": Slip(
        FIRM,
        "tone: formal",
        "tone: formal\ntone: friendly",
        "the key stands twice, tone, keep one; the first is on line 4",
        1,
    ),
    "a window that closes first": Slip(
        HOUSE, '    closes: "16:00"', '    closes: "09:00"', "10:00-09:00, let `closes` be later than `opens`"
    ),
    "a window shorter than its guard": Slip(
        HOUSE, "guard_minutes_before_close: 5", "guard_minutes_before_close: 360", "10:00-16:00, let it be longer", -5
    ),
    "hours YAML reads as seconds": Slip(
        HOUSE, '    opens: "10:00"', "    opens: 1000", 'write a time of day in quotes, such as "09:00"'
    ),
    "a channel without hours": Slip(
        HOUSE, "channels: [letter]", "channels: [email]", "the channel has no window, letter"
    ),
    "a hold without a rule": Slip(
        HOUSE, "  litigation:", "  # litigation:", "a hold without a rule, litigation, add `litigation: "
    ),
    "a hold we do not know": Slip(HOUSE, "  minor:", "  minors:", "unknown key in holds, minors, did you mean minor?"),
    "a hold that stops no channel": Slip(
        HOUSE, "channels: [voice], says", "says", "list its `channels`, or stop everything"
    ),
    "an alias": Slip(FIRM, "title: firm path", "title: &t firm path\nx: *t", "write the value out again"),
    "a tag": Slip(
        FIRM,
        "title: firm path",
        "title: !!python/object/apply:os.getcwd []",
        "python/object/apply:os.getcwd, write the plain value",
    ),
    "broken YAML": Slip(FIRM, "title: firm path", "title: [firm path", "correct the indentation"),
}
# What is wrong stands in another place than the edit.
ELSEWHERE = {
    "a circle": (FIRM, 5),
    "a channel without hours": (FIRM, 15),
    "a hold without a rule": (HOUSE, 28),
    "broken YAML": (FIRM, 4),
    "an alias": (FIRM, 3),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_is_named_with_its_line_and_remedy(checkout: Path, name: str) -> None:
    slip = SLIPS[name]
    line = change(checkout, slip.file, slip.old, slip.new) + slip.down
    file, line = ELSEWHERE.get(name, (slip.file, line))

    said = refusal(checkout)

    assert any(s.startswith(f"{file}:{line}: ") and slip.says in s for s in said), said


def test_one_refusal_tells_every_problem_of_every_file(checkout: Path) -> None:
    change(checkout, FIRM, "kind: remind", "kind: remnd")
    change(checkout, FIRM, "then: null", "then: fim")
    change(checkout, GENTLE, "tone: friendly", "tone: kind")
    change(checkout, SEGMENTS, "path: unable", "path: unble")
    change(checkout, HOUSE, '    closes: "16:00"', '    closes: "09:00"')

    assert [s.split(": ")[0] for s in refusal(checkout)] == [
        "rules/house.yaml:14",
        "strategies/firm.yaml:5",
        "strategies/firm.yaml:12",
        "strategies/gentle.yaml:4",
        "strategies/segments.yaml:3",
    ]


def test_a_file_that_is_missing_misnamed_or_in_another_encoding_is_named(checkout: Path) -> None:
    (checkout / HOUSE).unlink()
    (checkout / FIRM).rename(checkout / "strategies/firm.yml")
    (checkout / UNABLE).write_bytes("name: unable\ntitle: für\n".encode("latin-1"))

    said = "\n".join(refusal(checkout))

    assert "rules/house.yaml:1: the file is missing" in said
    assert "strategies/firm.yml:1: the file is not read, firm.yml, rename it to firm.yaml" in said
    assert "strategies/unable.yaml:2: not UTF-8" in said


def test_a_time_without_quotes_is_the_time_that_stands_there(checkout: Path) -> None:
    change(checkout, HOUSE, '    opens: "10:00"', "    opens: 10:00")

    assert load_book(checkout).hashes == load_book(CHECKOUT).hashes
