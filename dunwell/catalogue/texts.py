"""The texts that people receive: one file for each template and language, a short one beside it for text messages.

`templates/en/first_reminder.txt` begins with `Subject: ...`, then an empty line and the text; `first_reminder.sms.txt` and
`first_contact.voice.txt` are the text alone. `templates/languages.yaml` says how each language writes a date and an offer, and
which language stands in for one that has no texts.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from string import Formatter

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field

from dunwell.catalogue.problems import CatalogueError, Problem, choose_among
from dunwell.catalogue.shape import fit
from dunwell.catalogue.sheet import Sheet, said
from dunwell.catalogue.sms import MOST_SEGMENTS, segments
from dunwell.domain.codes import CHANNELS, Channel
from dunwell.domain.events import Due, Option
from dunwell.domain.money import say
from dunwell.domain.strategy import Data

LANGUAGES = "templates/languages.yaml"
SUBJECT = "Subject:"


class NoText(LookupError):
    """There is no text of that name or in that language; the message says what to add where."""


class Tongue(Data):
    """How a language writes a date, and the two kinds of offers. Placeholders in braces."""

    date: str
    months: tuple[str, ...] = ()
    instalments: str
    instalment: str
    between: str
    later: str


class Languages(Data):
    """`templates/languages.yaml`."""

    languages: dict[str, Tongue]
    read_as: dict[str, str] = Field(default_factory=dict)


# What may stand in braces in each pattern of a language.
_PLACES = {
    "date": {"day", "month", "month_name", "year"},
    "instalments": {"count", "list"},
    "instalment": {"amount", "on"},
    "between": set(),
    "later": {"amount", "on"},
}


@dataclass(frozen=True, slots=True)
class Variables:
    """What a text may say. `amount` in minor units of `currency`; `options` from `Texts.options`."""

    name: str
    lender: str
    amount: int
    currency: str
    due_on: date
    dpd: int
    loan_ref: str
    reply_to: str
    options: tuple[str, ...] = ()


# `currency` is said with the amount, never alone.
VARIABLES = frozenset(f.name for f in fields(Variables)) - {"currency"}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text ready to send. `language` is the one it is written in; the hash is of the template's file."""

    subject: str | None
    text: str
    language: str
    template_hash: str


@dataclass(frozen=True, slots=True)
class _Letter:
    """One compiled file."""

    subject: Template | None
    body: Template
    content_hash: str


class Texts:
    """All texts, compiled and tried out. Rendering reads no file."""

    def __init__(self, letters: Mapping[tuple[str, str], _Letter], languages: Languages) -> None:
        self._letters = letters
        self._languages = languages

    def language(self, tag: str) -> str:
        """The language whose texts a person of this BCP 47 tag reads.

        Raises: NoText when it is neither complete nor mapped.
        """
        known = self._languages
        parts = tag.replace("_", "-").lower().split("-")
        for end in range(len(parts), 0, -1):
            short = "-".join(parts[:end])
            found = short if short in known.languages else known.read_as.get(short)
            if found is not None:
                return found
        raise NoText(
            f"{LANGUAGES}: no texts for the language {tag!r}, add it under `read_as` or write templates/{parts[0]}/"
        )

    def options(self, language: str, options: Sequence[Option], currency: str) -> tuple[str, ...]:
        """The lines of an offer, each payment with its amount and day."""
        tongue = self._languages.languages[self.language(language)]
        return tuple(_option(tongue, option, currency) for option in options)

    def render(self, template: str, language: str, channel: Channel, variables: Variables) -> Rendered:
        """The text for one channel: its own file where there is one, else the template's ordinary text.

        Raises: NoText when there is no such template or language.
        """
        tongue = self.language(language)
        letter = self._letters.get((tongue, f"{template}.{channel}.txt")) or self._letters.get(
            (tongue, f"{template}.txt")
        )
        if letter is None:
            raise NoText(
                f"templates/{tongue}/{template}.txt: there is no such text, write it or correct the step's template"
            )
        return _render(letter, tongue, self._languages.languages[tongue], variables)


def load_texts(root: Path) -> Texts:
    """Read, compile and try out everything below `templates/`.

    Raises: CatalogueError with every problem of every file.
    """
    problems: list[Problem] = []
    sheet = Sheet(root, LANGUAGES)
    languages = fit(sheet, Languages, problems)
    files = text_files(root)
    problems += _incomplete(files)
    letters: dict[tuple[str, str], _Letter] = {}
    for language, names in files.items():
        for name in sorted(names):
            letter = _compiled(root, f"templates/{language}/{name}", problems)
            if letter is not None:
                letters[language, name] = letter
    if languages is not None:
        problems += _patterns(sheet, languages)
        problems += _unmapped(sheet, languages, files)
    if languages is None or problems:
        raise CatalogueError(problems)
    for (language, name), letter in letters.items():
        problems += _tried(f"templates/{language}/{name}", letter, language, languages.languages[language])
    if problems:
        raise CatalogueError(problems)
    return Texts(letters, languages)


def text_files(root: Path) -> dict[str, set[str]]:
    """The names of the text files in each language's folder."""
    folders = [p for p in (root / "templates").glob("*") if p.is_dir() and not p.name.startswith((".", "_"))]
    return {folder.name: {p.name for p in folder.glob("*.txt")} for folder in sorted(folders)}


def _incomplete(files: Mapping[str, set[str]]) -> Iterator[Problem]:
    every = set().union(*files.values()) if files else set()
    if not every:
        yield Problem("templates", 1, "there are no texts", "no file", "put back templates/en")
    for language, names in files.items():
        for name in sorted(every - names):
            there = next(other for other in files if name in files[other])
            file = f"templates/{language}/{name}"
            yield Problem(
                file, 1, "the text is missing", name, f"write it as templates/{there}/{name} is, or map {language}"
            )
        for name in sorted(names):
            channel = name.split(".")[1]
            if channel != "txt" and (channel not in CHANNELS or name.count(".") != 2):
                remedy = choose_among(channel, CHANNELS)
                yield Problem(f"templates/{language}/{name}", 1, "no channel has this name", channel, remedy)


def _unmapped(sheet: Sheet, languages: Languages, files: Mapping[str, set[str]]) -> Iterator[Problem]:
    for folder in sorted(files.keys() - languages.languages.keys()):
        what, remedy = "a folder of texts that is not described", f"add {folder} to `languages`"
        yield sheet.problem(("languages",), what, folder, remedy, key=True)
    for name in languages.languages:
        if name not in files:
            remedy = f"write templates/{name}/, or map it under `read_as`"
            yield sheet.problem(("languages", name), "a language without texts", name, remedy, key=True)
    for name, other in languages.read_as.items():
        if name in languages.languages:
            remedy = "remove this line: it has texts of its own"
            yield sheet.problem(("read_as", name), "the language is mapped and has texts", name, remedy, key=True)
        if name != name.lower():
            yield sheet.problem(("read_as", name), "a tag in capitals", name, f"write {name.lower()}", key=True)
        if other not in languages.languages:
            remedy = choose_among(other, languages.languages)
            yield sheet.problem(("read_as", name), f"no texts to read {name} in", other, remedy)


def _patterns(sheet: Sheet, languages: Languages) -> Iterator[Problem]:
    for language, tongue in languages.languages.items():
        for name, places in _PLACES.items():
            loc, pattern = ("languages", language, name), getattr(tongue, name)
            try:
                used = {(place, spec, how) for _, place, spec, how in Formatter().parse(pattern) if place is not None}
            except ValueError as e:
                yield sheet.problem(
                    loc, f"{said(loc)} has a wrong brace", pattern, f"write each place as {{word}}: {e}"
                )
                continue
            for place, spec, how in sorted(used, key=str):
                if place not in places or spec or how:
                    yield sheet.problem(
                        loc, f"{said(loc)} has an unknown place", f"{{{place}}}", choose_among(place, places)
                    )
        if "month_name" in tongue.date and len(tongue.months) != 12:
            loc = ("languages", language, "months")
            remedy = "list all twelve, January first"
            yield sheet.problem(loc, f"{said(loc)} is not a year", len(tongue.months), remedy)


def _compiled(root: Path, file: str, problems: list[Problem]) -> _Letter | None:
    """The file as templates; its lines keep their numbers, so that an error names the right one."""
    raw = (root / file).read_bytes()
    try:
        source = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as e:
        line = raw[: e.start].count(b"\n") + 1
        problems.append(Problem(file, line, "not UTF-8", repr(raw[e.start : e.end]), "save the file as UTF-8"))
        return None
    subject, body = None, source
    first, _, rest = source.partition("\n")
    spoken = file.endswith((".sms.txt", ".voice.txt"))
    if not spoken:
        if not first.startswith(SUBJECT) or not first.removeprefix(SUBJECT).strip():
            remedy = f"begin the file with `{SUBJECT} ...`"
            problems.append(Problem(file, 1, "the subject is missing", first or "an empty line", remedy))
            return None
        subject, body = first.removeprefix(SUBJECT).strip(), "\n" + rest
    elif first.startswith(SUBJECT):
        problems.append(Problem(file, 1, "a subject where none is shown", first, "remove this line"))
        return None
    found = len(problems)
    problems += _unknown_variables(file, source)
    if len(problems) > found:
        return None
    pages = _environment()
    return _Letter(
        pages.from_string(subject) if subject is not None else None,
        pages.from_string(body),
        hashlib.sha256(source.encode()).hexdigest(),
    )


def _unknown_variables(file: str, source: str) -> Iterator[Problem]:
    """Seen in the whole text, also in a branch that the sample does not take."""
    try:
        tree = _environment().parse(source)
    except TemplateSyntaxError as e:
        line = source.split("\n")[e.lineno - 1].strip()
        yield Problem(
            file, e.lineno, f"not a template: {e.message}", line, "write variables as {{ name }}, blocks as {% ... %}"
        )
        return
    unknown = meta.find_undeclared_variables(tree) - VARIABLES
    for name in tree.find_all(nodes.Name):
        if name.name in unknown and name.ctx == "load":
            yield Problem(file, name.lineno, "unknown variable", name.name, choose_among(name.name, VARIABLES))


def _environment() -> ImmutableSandboxedEnvironment:
    # Texts are plain, never HTML: escaping would show `&amp;` to people.
    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )


def _tried(file: str, letter: _Letter, language: str, tongue: Tongue) -> Iterator[Problem]:
    """Render the text for an invented person."""
    try:
        rendered = _render(letter, language, tongue, _sample(tongue))
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as e:
        yield Problem(
            file,
            _line_of(e),
            "the text cannot be rendered",
            str(e),
            "keep to {{ name }} and {% for option in options %}",
        )
        return
    if not rendered.text:
        yield Problem(file, 1, "the text is empty", "nothing there", "write what the person should read")
    if file.endswith(".sms.txt") and (count := segments(rendered.text)) > MOST_SEGMENTS:
        remedy = f"shorten it to {MOST_SEGMENTS} segments: {MOST_SEGMENTS * 153} plain or {MOST_SEGMENTS * 67} other characters"
        yield Problem(file, 1, "the text message is too long", f"{count} segments", remedy)


def _line_of(error: BaseException) -> int:
    """The line of the template in which it went wrong: Jinja puts it into the traceback."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _sample(tongue: Tongue) -> Variables:
    day = date(2026, 9, 30)
    options = (Option(False, (Due(day, 617_285), Due(day, 617_284))), Option(True, (Due(day, 1_234_569),)))
    return Variables(
        name="Maximilian Featherstone",
        lender="Example Savings Bank",
        amount=1_234_569,
        currency="EUR",
        due_on=day,
        dpd=123,
        loan_ref="LOAN-2026-000123",
        reply_to="help@lender.example",
        options=tuple(_option(tongue, option, "EUR") for option in options),
    )


def _render(letter: _Letter, language: str, tongue: Tongue, variables: Variables) -> Rendered:
    said_so = asdict(variables)
    said_so["amount"] = say(variables.amount, said_so.pop("currency"))
    said_so["due_on"] = _day(tongue, variables.due_on)
    # A subject is one line whatever a name holds: a line break there would begin another header.
    subject = " ".join(letter.subject.render(said_so).split()) if letter.subject is not None else None
    return Rendered(subject, letter.body.render(said_so).strip(), language, letter.content_hash)


def _option(tongue: Tongue, option: Option, currency: str) -> str:
    dues = [{"amount": say(due.amount, currency), "on": _day(tongue, due.due_on)} for due in option.dues]
    if option.deferral:
        return tongue.later.format(**dues[0])
    listed = tongue.between.join(tongue.instalment.format(**due) for due in dues)
    return tongue.instalments.format(count=len(dues), list=listed)


def _day(tongue: Tongue, day: date) -> str:
    name = tongue.months[day.month - 1] if tongue.months else ""
    return tongue.date.format(day=day.day, month=day.month, month_name=name, year=day.year)
