"""What is wrong with a file: where, what, with which value, and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to correct. `file` is relative to the checkout; `line` counts from 1."""

    file: str
    line: int
    what: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}, {self.value}, {self.remedy}"


class CatalogueError(ValueError):
    """The files cannot be used; the message lists every problem, one a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(p) for p in self.problems))


def choose_among(said: str, known: Iterable[str]) -> str:
    """A remedy: the one word that was probably meant, else all that are known."""
    words = sorted(known)
    meant = get_close_matches(said, words, n=1)
    if meant:
        return f"did you mean {meant[0]}?"
    return f"use one of: {', '.join(words)}" if words else "there is none to choose from yet"
