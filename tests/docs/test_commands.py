"""What the documents show exists: every command line parses, every file that they lead to is there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup, TyperOption
from typer.testing import CliRunner

from dunwell.cli.app import app
from dunwell.settings import CHECKOUT

PAGES = [CHECKOUT / "README.md", CHECKOUT / "sample" / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
_LINE = re.compile(r"starter\.py ([^\n`|]+)")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
_FILE = re.compile(
    r"`((?:docs|deploy|rules|strategies|templates|sample|tools|workflows|activities|dunwell|tests|bench)/[\w./-]*)`"
)
GROUP = typer.main.get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = GROUP.commands


def command_lines() -> Iterator[tuple[str, str]]:
    """Every `starter.py ...` of the documents, with its page."""
    for page in PAGES:
        for found in _LINE.finditer(page.read_text(encoding="utf-8")):
            yield page.name, found[1].split("  #")[0].strip()


@pytest.mark.parametrize(("page", "line"), sorted(set(command_lines())))
def test_each_command_line_of_the_documents_parses(page: str, line: str) -> None:
    words = [word for word in shlex.split(line) if word != "…"]
    if words[0].startswith("--"):
        assert words == ["--help"], f"{page}: {line}"
        return
    command = COMMANDS.get(words[0])
    assert command is not None, f"{page} names a command that does not exist: {line}"
    if len(words) > 1:
        command.make_context(words[0], words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_file_that_a_document_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    linked = [page.parent / target for target in _LINK.findall(text)]
    named = [CHECKOUT / target for target in _FILE.findall(text)]

    assert [str(file) for file in [*linked, *named] if not file.exists()] == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_a_command_tells_what_it_does_and_every_option(name: str) -> None:
    said = CliRunner().invoke(app, [name, "--help"], terminal_width=200, env={"NO_COLOR": "1", "COLUMNS": "200"}).output

    for parameter in COMMANDS[name].params:
        if isinstance(parameter, TyperOption):
            assert parameter.opts[0] in said
            assert parameter.help, f"{name} {parameter.opts[0]} has no help"
    assert (COMMANDS[name].help or "").split("\n")[0].split("`")[0].strip()[:40] in said
