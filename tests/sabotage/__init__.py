"""Bugs that the tests have to catch."""

from tests.sabotage import domain_bugs, edge_bugs, store_bugs

BUGS = (*domain_bugs.BUGS, *store_bugs.BUGS, *edge_bugs.BUGS)
