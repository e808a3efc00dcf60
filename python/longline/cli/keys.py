"""`longline keys`: the API keys of this host's database. A key itself is printed once, alone on standard output."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from longline.api.callers import REMEMBERED_S, hash_key
from longline.api.key_admin import KeyAdmin
from longline.api.scopes import Scope
from longline.base.config import Config
from longline.base.ids import Prefix, encode_id
from longline.base.keyfile import read_key_file, write_key_file
from longline.cli.client import ConfigOption
from longline.cli.failure import told
from longline.cli.host import duration, on_host
from longline.store.durable import Durable
from longline.store.records import ApiKeyRecord

keys = typer.Typer(name="keys", help="The API keys of this host's database.", no_args_is_help=True)

Named = Annotated[str, typer.Argument(metavar="KEY", help="its id, or the first characters that the list shows")]
Expires = Annotated[
    timedelta | None,
    typer.Option(
        "--expires", metavar="TIME", parser=duration, help="how long it is good, such as 90d; else until it is revoked"
    ),
]


@keys.callback()
def group() -> None:
    """The API keys of this host's database."""


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="what it is for")] = "key",
    account: Annotated[str, typer.Option(help="name or id of the account")] = "default",
    scope: Annotated[
        list[Scope] | None, typer.Option(help="read, calls or admin (which is all); may be given several times")
    ] = None,
    expires: Expires = None,
    rate: Annotated[
        float | None, typer.Option(min=0, help="requests a second, if not as the node is set; 0: any")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make a key, and print it: nothing can show it again."""

    async def make(_: Durable, admin: KeyAdmin, __: Config) -> tuple[ApiKeyRecord, str]:
        whose = await admin.account(account)
        return await admin.create(whose, name, scope or [Scope.ADMIN], expires, rate)

    with told():
        record, key = on_host(config, make)
    _say(f"{encode_id(Prefix.API_KEY, record.id)} for account {account}: {', '.join(record.scopes)}{_until(record)}")
    print(key)


@keys.command("list")
def show(
    account: Annotated[str | None, typer.Option(help="name or id of the account; else of all")] = None,
    config: ConfigOption = None,
) -> None:
    """Show the keys: their first characters, what they may do, until when, and when they were last used."""

    async def find(durable: Durable, admin: KeyAdmin, _: Config) -> Table:
        only = None if account is None else (await admin.account(account)).id
        names = {each.id: each.name for each in await durable.accounts.all_accounts()}
        uses = await durable.accounts.last_uses()
        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("id", "begins", "account", "name", "scopes", "state", "last used"):
            table.add_column(title, no_wrap=True)
        for key in await durable.accounts.all_keys(only):
            used = uses.get(key.id)
            table.add_row(
                encode_id(Prefix.API_KEY, key.id),
                key.prefix or "?",
                escape(names.get(key.account_id, "?")),
                escape(key.name),
                ", ".join(key.scopes),
                _state(key),
                "never" if used is None else f"{used:%Y-%m-%d %H:%M}",
            )
        return table

    with told():
        table = on_host(config, find)
    console = Console()
    (console if console.is_terminal else Console(width=240)).print(table)


@keys.command()
def rotate(
    key: Named,
    overlap: Annotated[
        timedelta, typer.Option(metavar="TIME", parser=duration, help="how long the old one is still good")
    ] = "24h",  # type: ignore[assignment]
    expires: Expires = None,
    config: ConfigOption = None,
) -> None:
    """Make a key that may do the same, print it, and let the old one end."""

    async def turn(_: Durable, admin: KeyAdmin, settings: Config) -> tuple[ApiKeyRecord, ApiKeyRecord, str]:
        old = await admin.find(key)
        ending, new, made = await admin.rotate(old, overlap, expires)
        kept = read_key_file(settings.data_dir)
        if kept is not None and hash_key(kept) == old.hash:  # the commands of this host use it
            write_key_file(settings.data_dir, made)
        return ending, new, made

    with told():
        ending, new, made = on_host(config, turn)
    _say(f"{encode_id(Prefix.API_KEY, new.id)} takes the place of {ending.prefix}…, which is good{_until(ending)}")
    print(made)


@keys.command()
def revoke(key: Named, config: ConfigOption = None) -> None:
    """Refuse a key from now on."""

    async def end(_: Durable, admin: KeyAdmin, __: Config) -> ApiKeyRecord:
        return await admin.revoke(await admin.find(key))

    with told():
        revoked = on_host(config, end)
    _say(f"{encode_id(Prefix.API_KEY, revoked.id)} is revoked; a running node refuses it within {REMEMBERED_S:g} s")


def _until(key: ApiKeyRecord) -> str:
    return "" if key.expires_at is None else f" until {key.expires_at:%Y-%m-%d %H:%M:%S} UTC"


def _state(key: ApiKeyRecord) -> str:
    if key.revoked_at is not None:
        return f"[red]revoked[/red] {key.revoked_at:%Y-%m-%d}"
    if not key.is_valid(datetime.now(UTC)):
        return f"[red]expired[/red] {key.expires_at:%Y-%m-%d}"
    return "good" + (f" until {key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "")


def _say(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(escape(text))
