"""A bug as data: what somebody might write by mistake, and who should notice."""

from dataclasses import dataclass
from pathlib import Path


class NoLongerApplies(ValueError):
    """The line that a bug changes is not there exactly once: the bug has to follow the code."""


@dataclass(frozen=True, slots=True)
class Bug:
    """`line` stands exactly once in `file`, a path from the checkout; `instead` takes its place.

    `caught_by`: node ids of pytest, of which at least one has to fail.
    """

    name: str
    file: str
    line: str
    instead: str
    caught_by: tuple[str, ...]

    def put_into(self, text: str) -> str:
        """The text of the file with the bug in it. Raises: NoLongerApplies."""
        found = text.count(self.line)
        if found != 1:
            raise NoLongerApplies(
                f"{self.name}: {self.file} holds {self.line.strip()!r} {found} times instead of once: "
                "give the bug the line as it is now"
            )
        broken = text.replace(self.line, self.instead)
        if self.file.endswith(".py"):
            compile(broken, self.file, "exec")
        return broken

    def apply(self, tree: Path) -> bytes:
        """Write the bug into a copy of the checkout; returns the file as it was."""
        file = tree / self.file
        before = file.read_bytes()
        file.write_text(self.put_into(before.decode()), encoding="utf-8")
        return before
