"""What users edit, loaded and checked: rules, strategies and texts."""

from dunwell.catalogue.book import load_book
from dunwell.catalogue.problems import CatalogueError, Problem
from dunwell.catalogue.texts import NoText, Rendered, Texts, Variables, load_texts

__all__ = ["CatalogueError", "NoText", "Problem", "Rendered", "Texts", "Variables", "load_book", "load_texts"]
