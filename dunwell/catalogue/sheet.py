"""One YAML file as plain data that knows the line of each of its values.

Only what an editor of rules needs is read: mappings, lists and plain values. Tags, anchors and duplicate keys are problems.
A time such as 10:00 stays the text it is, where YAML 1.1 would read 600.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from dunwell.catalogue.problems import Problem

Plain = str | int | float | bool | None
Loc = tuple[str | int, ...]
EACH = "*"

_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
# What YAML gives to values that carry no tag.
_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)
# Beyond it a number would be another one in the canonical JSON of other languages.
_LARGEST = 2**53


class Sheet:
    """The data of one file, or the problems that kept it from being read (then `data` is None)."""

    def __init__(self, root: Path, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._lines: dict[Loc, int] = {}
        self._key_lines: dict[Loc, int] = {}
        self._seen: set[int] = set()
        self.data: object = self._read(root / file)

    @property
    def readable(self) -> bool:
        """Whether the whole file could be read as data."""
        return not self.problems

    @property
    def canonical(self) -> bytes:
        """The content as JSON: UTF-8, keys sorted, no spaces."""
        return json.dumps(self.data, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    @property
    def content_hash(self) -> str:
        """SHA-256 of the canonical content, in hex: layout and comments do not count."""
        return hashlib.sha256(self.canonical).hexdigest()

    def line(self, loc: Loc, *, key: bool = False) -> int:
        """The line of the value at `loc` (or of its key), or of what is nearest above it."""
        while loc:
            found = self._key_lines.get(loc) if key else self._lines.get(loc)
            if found is not None:
                return found
            loc = loc[:-1]
        return self._lines.get((), 1)

    def each(self, *path: str) -> Iterator[tuple[Loc, object]]:
        """Every value at `path`, where EACH stands for all items of a list; what has another shape is passed over."""
        found: list[tuple[Loc, object]] = [((), self.data)]
        for name in path:
            inner: list[tuple[Loc, object]] = []
            for loc, value in found:
                if name == EACH and isinstance(value, list):
                    inner += [((*loc, i), item) for i, item in enumerate(value)]
                elif isinstance(value, dict) and name in value:
                    inner.append(((*loc, name), value[name]))
            found = inner
        yield from found

    def problem(self, loc: Loc, what: str, value: object, remedy: str, *, key: bool = False) -> Problem:
        """A problem at the place in this file."""
        return Problem(self.file, self.line(loc, key=key), what, shown(value), remedy)

    def _read(self, path: Path) -> object:
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return self._refuse(1, "the file is missing", self.file, "put it back")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as e:
            line = raw[: e.start].count(b"\n") + 1
            return self._refuse(line, "not UTF-8", repr(raw[e.start : e.end]), "save the file as UTF-8")
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as e:
            mark = e.problem_mark or e.context_mark
            return self._refuse(
                mark.line + 1 if mark else 1,
                "not YAML",
                e.problem or "unreadable",
                "correct the indentation or put the value in quotes",
            )
        except yaml.reader.ReaderError as e:
            line = text[: e.position].count("\n") + 1
            return self._refuse(line, "not YAML", f"character {e.character!r}", "remove this character")
        except RecursionError:
            return self._refuse(1, "nested too deeply", self.file, "keep to the form of the files beside it")
        if node is None:
            return self._refuse(1, "the file is empty", self.file, "put it back")
        return self._plain(node, ())

    def _plain(self, node: yaml.Node, loc: Loc) -> object:
        line = node.start_mark.line + 1
        self._lines[loc] = line
        if id(node) in self._seen:
            return self._refuse(line, "an alias (*name)", said(loc), "write the value out again")
        self._seen.add(id(node))
        if node.tag not in _TAGS:
            return self._refuse(line, "a tag", node.tag, "write the plain value")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*loc, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # YAML has no fourth kind
        return self._scalar(node, line)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, object]:
        plain: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(line, "a key that is no word", said(loc), "write `key: value`")
                continue
            # A key is the word that stands there: `no:` is Norwegian, not false.
            key = key_node.value
            if key in plain:
                self._refuse(
                    line, "the key stands twice", key, f"keep one; the first is on line {self.line((*loc, key))}"
                )
                continue
            self._key_lines[*loc, key] = line
            plain[key] = self._plain(value_node, (*loc, key))
        return plain

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Plain:
        text: str = node.value
        if node.style is not None:
            return self._text(text, line)
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
        if _WHOLE.fullmatch(text) and abs(int(text[:20])) <= _LARGEST:
            return int(text)
        return float(text) if _DECIMAL.fullmatch(text) else self._text(text, line)

    def _text(self, text: str, line: int) -> str:
        if any("\ud800" <= c <= "\udfff" for c in text):
            self._refuse(line, "half a character", ascii(text), "write the character itself")
            return ""
        return text

    def _refuse(self, line: int, what: str, value: str, remedy: str) -> object:
        """Note the problem; in the place of the value stands None."""
        self.problems.append(Problem(self.file, line, what, value, remedy))
        return None


def said(loc: Loc) -> str:
    """`steps[3].offers[0].first_in_days`; the whole file for no place at all."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".") or "the file"


def shown(value: object) -> str:
    """The value as the file has it, short enough for one line."""
    text = value if isinstance(value, str) and value and value.isprintable() else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
