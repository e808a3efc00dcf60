"""`longline accounts`: the tenants of this database. A fresh one has one, `default`, and needs no more."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from longline.base.ids import Prefix, encode_id
from longline.cli.client import ConfigOption
from longline.cli.failure import told
from longline.cli.host import on_host

accounts = typer.Typer(name="accounts", help="The accounts of this host's database.", no_args_is_help=True)

Named = Annotated[str, typer.Argument(metavar="ACCOUNT", help="its name or id")]


@accounts.callback()
def group() -> None:
    """The accounts of this host's database: each sees its own calls, trunks and keys, and nothing else."""


@accounts.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    rate: Annotated[
        float | None, typer.Option(min=0, help="requests a second of all its keys, if not as the node is set; 0: any")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make an account. It can do something once it has a key: longline keys create."""
    with told():
        made = on_host(config, lambda _, admin, __: admin.create_account(name, rate))
    print(encode_id(Prefix.ACCOUNT, made.id))


@accounts.command("list")
def show(config: ConfigOption = None) -> None:
    """Show every account."""
    with told():
        found = on_host(config, lambda durable, _, __: durable.accounts.all_accounts())
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("id", "name", "state", "requests/s", "created"):
        table.add_column(title, no_wrap=True)
    for account in found:
        rate = "" if account.requests_per_s is None else f"{account.requests_per_s:g}"
        state = "active" if account.is_active else "[red]suspended[/red]"
        created = f"{account.created_at:%Y-%m-%d %H:%M}"
        table.add_row(encode_id(Prefix.ACCOUNT, account.id), escape(account.name), state, rate, created)
    _console().print(table)


@accounts.command()
def suspend(account: Named, config: ConfigOption = None) -> None:
    """Let none of an account's keys be good. Its live calls go on, calls still come in for it."""
    with told():
        on_host(config, lambda _, admin, __: admin.set_active(account, False))


@accounts.command()
def resume(account: Named, config: ConfigOption = None) -> None:
    """Let its keys be good again."""
    with told():
        on_host(config, lambda _, admin, __: admin.set_active(account, True))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=200)
