"""All commands together."""

import typer

from dunwell.cli import acting, demo, importing, reading, replaying, scheduling

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="""Dunwell: each overdue loan is a durable case that reminds, listens, agrees and, at the end, goes to law.

With no address configured, commands talk to the embedded servers that run here (`make demo KEEP=1`).
Settings are environment variables: docs/settings.md. A loan id works wherever a case id does.""",
)

WATCH, WORK, PORTFOLIO = "Read cases", "Tell cases", "Whole portfolios"

app.command("show", rich_help_panel=WATCH)(reading.show)
app.command("list", rich_help_panel=WATCH)(reading.list_)
app.command("late", rich_help_panel=WATCH)(reading.late)
app.command("verify", rich_help_panel=WATCH)(reading.verify)
app.command("export", rich_help_panel=WATCH)(reading.export)
app.command("pay", rich_help_panel=WORK)(acting.pay)
app.command("reverse", rich_help_panel=WORK)(acting.reverse)
app.command("say", rich_help_panel=WORK)(acting.say)
app.command("hold", rich_help_panel=WORK)(acting.hold)
app.command("lift", rich_help_panel=WORK)(acting.lift)
app.command("promise", rich_help_panel=WORK)(acting.promise)
app.command("approve", rich_help_panel=WORK)(acting.approve)
app.command("decide", rich_help_panel=WORK)(acting.decide)
app.command("import", rich_help_panel=PORTFOLIO)(importing.import_)
app.command("sweep", rich_help_panel=PORTFOLIO)(acting.sweep)
app.command("replay", rich_help_panel=PORTFOLIO)(replaying.replay)
app.command("simulate", rich_help_panel=PORTFOLIO)(replaying.simulate)
app.command("demo", rich_help_panel=PORTFOLIO)(demo.demo)
app.command("migrate", rich_help_panel=PORTFOLIO)(scheduling.migrate)
app.command("schedule", rich_help_panel=PORTFOLIO)(scheduling.schedule)
