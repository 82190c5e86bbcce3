"""A room imports what its rule allows and nothing else."""

import grimp
import pytest

from tools.import_rules import Room


def graph_with(importer: str, imported: str) -> grimp.ImportGraph:
    graph = grimp.ImportGraph()
    for module in ("dunwell", "dunwell.domain", "dunwell.domain.gate", "dunwell.store", "dunwell.store.ledger"):
        graph.add_module(module)
    if imported not in graph.modules:
        graph.add_module(imported, is_squashed=True)
    graph.add_import(importer=importer, imported=imported, line_number=3, line_contents="import ...")
    return graph


def rule(room: str, **options: object) -> Room:
    return Room("a rule", {}, {"room": room, **options})


@pytest.mark.parametrize("imported", ["dunwell.store.ledger", "temporalio", "random", "starter"])
def test_the_domain_may_not_import_another_room_another_package_or_a_barred_module(imported: str) -> None:
    domain = rule("dunwell.domain", may_import=[], packages=["pydantic"], barred=["random"])

    check = domain.check(graph_with("dunwell.domain.gate", imported), verbose=False)

    assert check.metadata["offences"] == [f"dunwell.domain.gate imports {imported} (line 3)"]
    assert not check.kept


@pytest.mark.parametrize("imported", ["dunwell.domain", "pydantic", "decimal"])
def test_the_domain_may_import_itself_pydantic_and_the_standard_library(imported: str) -> None:
    domain = rule("dunwell.domain", may_import=[], packages=["pydantic"], barred=["random"])

    assert domain.check(graph_with("dunwell.domain.gate", imported), verbose=False).kept


def test_the_store_may_import_the_domain_but_not_the_other_way_round() -> None:
    store = rule("dunwell.store", may_import=["dunwell.domain"])

    assert store.check(graph_with("dunwell.store.ledger", "dunwell.domain.gate"), verbose=False).kept
