"""The book of rules and strategies, checked as a whole before anything runs by it."""

from collections.abc import Iterator
from pathlib import Path

from dunwell.catalogue.problems import CatalogueError, Problem, choose_among
from dunwell.catalogue.shape import fit
from dunwell.catalogue.sheet import EACH, Loc, Sheet, said
from dunwell.catalogue.texts import text_files
from dunwell.domain.codes import CHANNELS, HOLDS
from dunwell.domain.decide import PLACEMENT
from dunwell.domain.strategy import Book, HouseRules, Segments, Strategy, Window

HOUSE = "rules/house.yaml"
SEGMENTS = "strategies/segments.yaml"
# They reach a court or an agency, never a person: no hours of a person's day bind them.
NO_WINDOW = frozenset({"legal", "agency"})


def load_book(root: Path) -> Book:
    """Read `rules/house.yaml` and `strategies/*.yaml` below `root`.

    Raises: CatalogueError with every problem of every file.
    """
    problems: list[Problem] = list(_misnamed(root))
    house_sheet, segments_sheet = Sheet(root, HOUSE), Sheet(root, SEGMENTS)
    names = sorted(p.stem for p in (root / "strategies").glob("*.yaml") if p.name != Path(SEGMENTS).name)
    sheets = {name: Sheet(root, f"strategies/{name}.yaml") for name in names}
    if not sheets:
        problems.append(Problem("strategies", 1, "there is no path", "no file", "put back gentle.yaml or another path"))

    house = fit(house_sheet, HouseRules, problems)
    segments = fit(segments_sheet, Segments, problems)
    paths = {name: fit(sheet, Strategy, problems) for name, sheet in sheets.items()}

    problems += _names(sheets)
    problems += _then(sheets)
    problems += _segment_paths(segments_sheet, sheets)
    problems += _step_ids(sheets)
    problems += _templates(root, sheets)
    if house is not None:
        problems += _windows(house_sheet, house)
        problems += _holds(house_sheet, house)
        problems += _hours_of_channels(sheets, house)
    if problems or house is None or segments is None:
        raise CatalogueError(problems)
    hashes = {"house": house_sheet.content_hash, "segments": segments_sheet.content_hash}
    hashes |= {name: sheet.content_hash for name, sheet in sheets.items()}
    return Book(
        house=house,
        segments=segments,
        paths={name: path for name, path in paths.items() if path is not None},
        hashes=hashes,
    )


def _misnamed(root: Path) -> Iterator[Problem]:
    for path in sorted([*(root / "strategies").glob("*.yml"), *(root / "rules").glob("*.yml")]):
        file = path.relative_to(root).as_posix()
        yield Problem(file, 1, "the file is not read", path.name, f"rename it to {path.stem}.yaml")


def _names(sheets: dict[str, Sheet]) -> Iterator[Problem]:
    for file_name, sheet in sheets.items():
        if file_name in ("house", "segments"):
            yield sheet.problem((), "a path may not have this name", file_name, "rename the file")
        for loc, name in sheet.each("name"):
            if name != file_name:
                yield sheet.problem(loc, "the name differs from the file's", name, f"write {file_name}")


def _then(sheets: dict[str, Sheet]) -> Iterator[Problem]:
    after: dict[str, str] = {}
    for name, sheet in sheets.items():
        for loc, then in sheet.each("then"):
            if isinstance(then, str) and then not in sheets:
                yield sheet.problem(loc, "no path has this name", then, choose_among(then, sheets))
            elif isinstance(then, str):
                after[name] = then
    rings = {ring for start in after if (ring := _ring(after, start))}
    for ring in sorted(rings):
        way = " > ".join([*ring, ring[0]])
        yield sheets[ring[0]].problem(("then",), "the paths lead round in a circle", way, "end one with `then: null`")


def _ring(after: dict[str, str], start: str) -> tuple[str, ...]:
    """The circle that `start` runs into, told from its first name in the alphabet; empty when the way ends."""
    way = [start]
    while (then := after.get(way[-1])) is not None:
        if then in way:
            ring = way[way.index(then) :]
            turn = ring.index(min(ring))
            return (*ring[turn:], *ring[:turn])
        way.append(then)
    return ()


def _segment_paths(sheet: Sheet, sheets: dict[str, Sheet]) -> Iterator[Problem]:
    for loc, path in sheet.each("rules", EACH, "path"):
        if isinstance(path, str) and path not in sheets:
            yield sheet.problem(loc, "no path has this name", path, choose_among(path, sheets))


def _step_ids(sheets: dict[str, Sheet]) -> Iterator[Problem]:
    """The journal knows a step by its id alone, whichever path it stood on."""
    first: dict[str, str] = {PLACEMENT.id: "the placement with an agency"}
    for sheet in sheets.values():
        for loc, id in sheet.each("steps", EACH, "id"):
            if not isinstance(id, str):
                continue
            if id in first:
                yield sheet.problem(loc, "the step id is taken", id, f"choose another; it names {first[id]}")
            else:
                first[id] = f"the step at {sheet.file}:{sheet.line(loc)}"


def _templates(root: Path, sheets: dict[str, Sheet]) -> Iterator[Problem]:
    files = text_files(root) or {"en": set()}
    known = {name.split(".")[0] for names in files.values() for name in names}
    for file in _missing(files, f"{PLACEMENT.template}.txt"):
        yield Problem(file, 1, "the text is missing", PLACEMENT.template, "put back the text that goes to an agency")
    for sheet in sheets.values():
        for loc, template in sheet.each("steps", EACH, "template"):
            if not isinstance(template, str):
                continue
            missing = _missing(files, f"{template}.txt")
            if any(value == "sms" for value in _channels_beside(sheet, loc)):
                missing += _missing(files, f"{template}.sms.txt")
            if missing:
                meant = "" if template in known else f"{choose_among(template, known)} Else "
                yield sheet.problem(loc, "the step's text is missing", template, f"{meant}write {', '.join(missing)}")


def _missing(files: dict[str, set[str]], name: str) -> list[str]:
    return [f"templates/{language}/{name}" for language, names in files.items() if name not in names]


def _channels_beside(sheet: Sheet, loc: Loc) -> Iterator[object]:
    """The channels of the step at whose template `loc` points."""
    for found, channel in sheet.each("steps", EACH, "channels", EACH):
        if found[:2] == loc[:2]:
            yield channel


def _windows(sheet: Sheet, house: HouseRules) -> Iterator[Problem]:
    for i, window in enumerate(house.windows):
        loc: Loc = ("windows", i, "closes")
        hours = f"{window.opens:%H:%M}-{window.closes:%H:%M}"
        if window.opens >= window.closes:
            yield sheet.problem(loc, "the window closes before it opens", hours, "let `closes` be later than `opens`")
        elif _minutes(window) <= house.guard_minutes_before_close:
            remedy = "let it be longer than guard_minutes_before_close"
            yield sheet.problem(loc, "the window is never open", hours, remedy)
        for name, listed in (("channels", window.channels), ("days", window.days)):
            if not listed:
                loc = ("windows", i, name)
                yield sheet.problem(loc, f"{said(loc)} is empty", "[]", "list at least one, or remove the window")


def _minutes(window: Window) -> int:
    return (window.closes.hour - window.opens.hour) * 60 + window.closes.minute - window.opens.minute


def _holds(sheet: Sheet, house: HouseRules) -> Iterator[Problem]:
    for kind in HOLDS:
        if kind not in house.holds:
            yield sheet.problem(
                ("holds",), "a hold without a rule", kind, f"add `{kind}: {{stops: everything, says: ...}}`", key=True
            )
    for kind, rule in house.holds.items():
        if rule.stops == "channels" and not rule.channels:
            loc: Loc = ("holds", kind)
            yield sheet.problem(
                loc, "the hold stops no channel", kind, "list its `channels`, or stop everything", key=True
            )


def _hours_of_channels(sheets: dict[str, Sheet], house: HouseRules) -> Iterator[Problem]:
    open_some_day = {c for w in house.windows if w.days for c in w.channels} | NO_WINDOW
    for sheet in sheets.values():
        for loc, channel in sheet.each("steps", EACH, "channels", EACH):
            if channel in CHANNELS and channel not in open_some_day:
                remedy = f"add it to a window in {HOUSE}, or take it from the step"
                yield sheet.problem(loc, "the channel has no window", channel, remedy)
