"""PromQL as far as our dashboard and alerts use it: which metrics a query names, with which labels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?(?!\s*[\w(])")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_WORDS = frozenset({"and", "or", "unless", "bool", "offset"})


@dataclass(frozen=True)
class Selector:
    """One metric in a query. `equal` are the label values it asks for, `labels` all labels the query needs of it."""

    metric: str
    labels: frozenset[str]
    equal: frozenset[tuple[str, str]]


def selectors(query: str, legend: str = "") -> Iterator[Selector]:
    """The metrics of a query. Labels that it groups by, and that the legend shows, belong to each of them."""
    grouped = {label.strip() for found in _GROUPING.findall(query) for label in found.split(",")}
    shown = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend))
    assert shown - {"instance", "job"} <= grouped, f"the legend {legend} shows what the query does not group by"
    bare = re.sub(r"\[[^\]]*\]", "", _GROUPING.sub(" ", query))
    for found in _SELECTOR.finditer(bare):
        if found[1] in _WORDS:
            continue
        matchers = _MATCHER.findall(found[2] or "")
        labels = {label for label, _, _ in matchers} | grouped | (shown & {"instance", "job"})
        yield Selector(found[1], frozenset(labels), frozenset((n, v) for n, how, v in matchers if how == "="))
