"""What a bench found, as a table and as flat keys."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench.cases import Figures, Shape
from bench.payments import BARE_PER_SECOND, PAYMENTS_PER_SECOND, Latency, Payments
from bench.simulated import Simulated

Row = tuple[str, float | None, float | None]
_PARTS = ("worker", "temporal", "postgres")


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio or figure of ours, and the bound that it should keep."""

    key: str
    bound: float
    at_least: bool = False

    def kept(self, value: float) -> bool:
        """Is it as it should be?"""
        return value >= self.bound if self.at_least else value <= self.bound


GOALS = (
    Goal("events_ratio", 1.10),
    Goal("transitions_ratio", 1.00),
    Goal("cases_per_second_ratio", 1.00, at_least=True),
    Goal("commits_per_case", 10),
    Goal("postgres_cpu_ms_per_case", 2.0),
    Goal("largest_payload_bytes", 8192),
    Goal("payment_p50_ratio", 1.3),
    Goal("payment_p99_ratio", 1.5),
    Goal("intake_p50_ratio", 1.5),
    Goal("intake_p99_ratio", 2.0),
    Goal("simulate_speedup", 100, at_least=True),
)


def keys(four: Shape, paid: Shape, paying: Payments, simulated: Simulated | None) -> dict[str, float]:
    """Everything, flat. Ratios are ours to bare."""
    found: dict[str, float] = {}
    for shape, prefix in ((four, ""), (paid, "paid_")):
        for name, ours, bare in _case_rows(shape):
            key = prefix + name.replace(" ", "_")
            found |= {f"{key}_{kind}": v for kind, v in (("ours", ours), ("bare", bare)) if v is not None}
            if ours is not None and bare:
                found[f"{key}_ratio"] = ours / bare
        found[f"{prefix}commits_per_case"] = shape.ours.used.commits / shape.ours.cases
        found[f"{prefix}wal_syncs_per_case"] = shape.ours.used.wal_syncs / shape.ours.cases
        found[f"{prefix}postgres_cpu_ms_per_case"] = shape.ours.cpu_ms("postgres")
    found["largest_payload_bytes"] = max(four.ours.largest_payload, paid.ours.largest_payload)
    ways = (("payment", paying.signalled), ("intake", paying.paid), ("intake_ledger", paying.accepted))
    for part in (50, 95, 99):
        bare_ms = paying.bare.percentile(part / 100)
        found[f"bare_signal_p{part}_ms"] = bare_ms
        for key, way in ways:
            found[f"{key}_p{part}_ms"] = way.percentile(part / 100)
            found[f"{key}_p{part}_ratio"] = way.percentile(part / 100) / bare_ms
    if simulated is not None:
        found["simulate_steps_per_cpu_second"] = simulated.per_second
        found["engine_steps_per_cpu_second"] = simulated.engine_per_second
        found["simulate_speedup"] = simulated.per_second / simulated.engine_per_second
    return {key: round(value, 4) for key, value in found.items()}


def show(console: Console, shapes: list[Shape], paying: Payments, simulated: Simulated | None) -> None:
    """Print the tables."""
    for shape in shapes:
        table = _table(f"{shape.name}: {shape.ours.cases} cases of each kind", "per case")
        for name, ours, bare in _case_rows(shape):
            _add(table, name, ours, bare)
        _add(table, "own writing transactions", shape.ours.used.commits / shape.ours.cases, None)
        _add(table, "WAL syncs", shape.ours.used.wal_syncs / shape.ours.cases, None)
        console.print(table)
    load = f"{PAYMENTS_PER_SECOND} a second beside {BARE_PER_SECOND} bare signals a second"
    title = f"payments: {load}, {paying.waiting} cases waiting"
    table = Table(title=title, title_justify="left")
    for column in ("ms", "p50", "p95", "p99", "ratio p50", "ratio p99", "count"):
        table.add_column(column, justify="left" if column == "ms" else "right")
    for way in (paying.bare, paying.signalled, paying.paid, paying.accepted):
        table.add_row(way.name, *_latency(way, paying.bare), str(len(way.ms)))
    console.print(table)
    if simulated is not None:
        table = _table(f"simulation: {simulated.people} people of {simulated.portfolio}", "")
        _add(table, "steps per CPU second (bare: the engine)", simulated.per_second, simulated.engine_per_second)
        _add(table, "entries in the journals", simulated.simulated_entries, simulated.engine_entries)
        console.print(table)


def show_goals(console: Console, found: dict[str, float]) -> None:
    """Each goal, kept or not."""
    table = Table(title="goals", title_justify="left")
    for column in ("figure", "found", "goal", ""):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for goal in GOALS:
        if goal.key not in found:
            continue
        kept = "[green]kept" if goal.kept(found[goal.key]) else "[red]missed"
        sign = "at least" if goal.at_least else "at most"
        table.add_row(goal.key, f"{found[goal.key]:.2f}", f"{sign} {goal.bound:g}", kept)
    console.print(table)


def _case_rows(shape: Shape) -> Iterator[Row]:
    ours, bare = shape.ours, shape.bare
    for name, a, b in zip(("events", "transitions", "history bytes"), ours.histories, bare.histories, strict=True):
        yield name, a, b
    yield "cases per second", ours.cases_per_second, bare.cases_per_second
    for part in _PARTS:
        name = {"temporal": "server"}.get(part, part)
        yield f"{name} cpu", *_cpu(part, ours, bare)
    yield "cpu in all", sum(ours.cpu_ms(p) for p in _PARTS), sum(bare.cpu_ms(p) for p in _PARTS)
    yield "largest payload", ours.largest_payload, bare.largest_payload


def _cpu(part: str, ours: Figures, bare: Figures) -> tuple[float, float]:
    return ours.cpu_ms(part), bare.cpu_ms(part)


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in (first, "ours", "bare", "ratio"):
        table.add_column(column, justify="left" if column == first else "right")
    return table


def _add(table: Table, name: str, ours: float | None, bare: float | None) -> None:
    ratio = f"{ours / bare:.2f}" if ours is not None and bare else ""
    unit = " (ms)" if name.endswith("cpu") or name == "cpu in all" else ""
    table.add_row(name + unit, _number(ours), _number(bare), ratio)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def _latency(way: Latency, bare: Latency) -> Iterator[str]:
    for part in (0.5, 0.95, 0.99):
        yield f"{way.percentile(part):.1f}"
    for part in (0.5, 0.99):
        yield "" if way is bare else f"{way.percentile(part) / bare.percentile(part):.2f}"
