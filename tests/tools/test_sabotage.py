"""The bugs of `make sabotage` follow the code: each changes a line that is there, and names tests that are there."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.sabotage import BUGS
from tests.sabotage.bug import Bug

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_still_applies_and_its_tests_exist(bug: Bug) -> None:
    bug.put_into((CHECKOUT / bug.file).read_text(encoding="utf-8"))
    for test in bug.caught_by:
        file, _, name = test.partition("::")
        text = (CHECKOUT / file).read_text(encoding="utf-8")
        assert not name or re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), test


def test_each_bug_has_a_name_of_its_own() -> None:
    assert max(Counter(bug.name for bug in BUGS).values()) == 1
