"""A sheet against the shape it must have: each departure as a problem with its line and remedy."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dunwell.catalogue.problems import Problem, choose_among
from dunwell.catalogue.sheet import Loc, Sheet, said
from dunwell.domain.strategy import Data

Shape = TypeVar("Shape", bound=Data)

_REMEDIES = {
    "int_type": "write a whole number without quotes",
    "string_type": "put the value in quotes",
    "tuple_type": "write a list: [one, other]",
    "model_type": "write `key: value` lines below it",
    "model_attributes_type": "write `key: value` lines below it",
    "dict_type": "write `key: value` lines below it",
    "bool_type": "write true or false",
    "time_type": 'write a time of day in quotes, such as "09:00"',
    "time_parsing": 'write a time of day in quotes, such as "09:00"',
    "too_short": "list at least one",
}
_BOUNDS = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}


def fit(sheet: Sheet, shape: type[Shape], problems: list[Problem]) -> Shape | None:
    """The sheet as `shape`, or None after adding to `problems`."""
    problems += sheet.problems
    if not sheet.readable:
        return None
    try:
        return shape.model_validate_json(sheet.canonical, strict=True)
    except ValidationError as e:
        problems += [_problem(sheet, shape, error) for error in e.errors(include_url=False)]
        return None


def _problem(sheet: Sheet, shape: type[BaseModel], error: ErrorDetails) -> Problem:
    kind, loc, value, ctx = error["type"], tuple(error["loc"]), error["input"], error.get("ctx", {})
    if kind == "missing":
        what = f"{said(loc)} is missing"
        return sheet.problem(loc[:-1], what, "nothing there", f"add `{loc[-1]}:`{_described(shape, loc)}")
    if kind == "extra_forbidden":
        known = _fields(shape, loc[:-1])
        return sheet.problem(loc, "unknown key", said(loc), choose_among(str(loc[-1]), known), key=True)
    if loc and loc[-1] == "[key]":
        remedy = _words(str(loc[-2]), ctx)
        return sheet.problem(loc[:-1], f"unknown key in {said(loc[:-2])}", loc[-2], remedy, key=True)
    if kind == "literal_error":
        return sheet.problem(loc, f"{said(loc)} is none of the known words", value, _words(str(value), ctx))
    if kind == "value_error":
        at = value.get("id") or value.get("name") or said(loc) if isinstance(value, dict) else said(loc)
        return sheet.problem(loc, f"{said(loc)} does not hold together", at, str(ctx["error"]))
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return sheet.problem(loc, f"{said(loc)} is out of range", value, f"write {words} {ctx[name]}")
    remedy = _REMEDIES.get(kind, error["msg"])
    return sheet.problem(loc, f"{said(loc)} has a wrong value", value, remedy)


def _words(value: str, ctx: Mapping[str, Any]) -> str:
    expected = str(ctx.get("expected", "")).replace(" or ", ", ").split(", ")
    return choose_among(value, [word.strip("'") for word in expected])


def _described(shape: type[BaseModel], loc: Loc) -> str:
    field = _fields(shape, loc[:-1]).get(str(loc[-1]))
    return f" ({field.description})" if field is not None and field.description else ""


def _fields(shape: type[BaseModel], loc: Loc) -> Mapping[str, Any]:
    """The fields of the model that stands at `loc` below `shape`."""
    found: Any = shape
    for part in loc:
        if isinstance(found, type) and issubclass(found, BaseModel) and part in found.model_fields:
            found = found.model_fields[str(part)].annotation
        else:
            found = _items(found)
        found = _unwrapped(found)
    return found.model_fields if isinstance(found, type) and issubclass(found, BaseModel) else {}


def _unwrapped(annotation: Any) -> Any:
    return _unwrapped(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def _items(annotation: Any) -> Any:
    """What a list or a mapping holds."""
    inside: Sequence[Any] = [a for a in get_args(annotation) if a is not ...]
    return _unwrapped(inside[-1]) if inside else annotation
