"""The `viisikko` command."""

from __future__ import annotations

import typer

from console.commands import catalogue, clients, contract, events, joining, parked, running, vocabulary

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Runs, feeds and watches a network. Begin with `viisikko demo`, or `viisikko up` and `viisikko status`.",
)
for commands in (running, joining, events):
    app.add_typer(commands.app)
app.add_typer(clients.app, name="clients")
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(contract.app, name="contract")
app.add_typer(parked.app, name="parked")
app.add_typer(vocabulary.app, name="vocabulary")
