"""The pages of docs/ that say how to run this keep step with what runs."""

import re

from dunwell.local.temporal_server import SEARCH_ATTRIBUTES
from dunwell.settings import CHECKOUT, PREFIX, Settings
from tools.settings_page import PAGE, page


def test_the_page_of_settings_is_the_one_that_the_settings_make() -> None:
    assert PAGE.read_text() == page(), "run: python -m tools.settings_page"


def test_every_variable_that_a_page_names_is_a_setting() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in ("deploying", "upgrading", "trouble"):
        told = set(re.findall(r"\bDUNWELL_\w+", (CHECKOUT / "docs" / f"{name}.md").read_text()))
        assert told <= known, name


def test_the_search_attributes_to_ask_an_operator_for_are_those_of_cases() -> None:
    wanted = " ".join(f"{name}={kind}" for name, kind in SEARCH_ATTRIBUTES.items())
    assert wanted in (CHECKOUT / "docs" / "deploying.md").read_text()
