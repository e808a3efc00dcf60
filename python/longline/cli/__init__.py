"""The command line: one file per command."""

from __future__ import annotations

import typer

from longline.cli.accounts import accounts
from longline.cli.call import call
from longline.cli.calls import calls
from longline.cli.conformance import conformance
from longline.cli.demo import demo
from longline.cli.dial import dial
from longline.cli.hangup import hangup
from longline.cli.keys import keys
from longline.cli.phones import phones
from longline.cli.recordings import recordings
from longline.cli.rehearse import rehearse
from longline.cli.serve import serve
from longline.cli.trunks import trunks
from longline.cli.turns import turns
from longline.cli.webhooks import webhooks

app = typer.Typer(
    name="longline",
    help="The open, self-hosted voice API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
for command in (serve, call, calls, turns, hangup, trunks, phones, dial, demo, rehearse):
    app.command()(command)
for group in (recordings, keys, accounts, webhooks, conformance):
    app.add_typer(group)


def main() -> None:
    """The program `longline`."""
    app()
