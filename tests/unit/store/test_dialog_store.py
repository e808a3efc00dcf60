"""An answered call is in the store from before its answer leaves until it has ended."""

import asyncio
import sqlite3
from pathlib import Path

from longline.store.committer import CommitFailed, EngineCommitter
from longline.store.durable import Durable


async def test_the_last_snapshot_of_each_dialog_is_kept(durable: Durable) -> None:
    await durable.dialogs.save("a", {"n": 1})
    await durable.dialogs.save("b", {"n": 2, "text": "\u00ff"})
    await durable.dialogs.save("a", {"n": 3})
    assert await durable.dialogs.all() == {"a": {"n": 3}, "b": {"n": 2, "text": "\u00ff"}}


async def test_dialog_that_has_ended_is_deleted(durable: Durable) -> None:
    await durable.dialogs.save("a", {})
    await durable.dialogs.delete("a")
    await durable.dialogs.delete("never there")
    assert await durable.dialogs.all() == {}


async def test_changes_of_one_dialog_take_effect_in_the_order_in_which_they_were_asked_for(durable: Durable) -> None:
    asked = [durable.dialogs.save("a", {"n": 1}), durable.dialogs.delete("a"), durable.dialogs.save("b", {"n": 1})]
    asked += [durable.dialogs.delete("b"), durable.dialogs.save("b", {"n": 2})]
    await asyncio.gather(*asked)
    assert await durable.dialogs.all() == {"b": {"n": 2}}


async def test_many_changes_that_come_together_share_a_transaction(durable: Durable) -> None:
    before = durable.counters.get("transactions", 0)
    await asyncio.gather(*[durable.dialogs.save(str(number), {}) for number in range(100)])
    assert durable.counters["transactions"] - before <= 2
    assert len(await durable.dialogs.all()) == 100


async def test_through_the_engine_of_sqlalchemy_the_same_is_stored_and_deleted(tmp_path: Path) -> None:
    """The way of every database but SQLite; a URL with options takes it with SQLite too."""
    durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}?timeout=5")
    assert isinstance(durable._writer._committer, EngineCommitter)
    asked = [durable.dialogs.save("a", {"n": 1}), durable.dialogs.delete("a"), durable.dialogs.save("b", {"n": 2})]
    await asyncio.gather(*asked)
    await durable.dialogs.delete("never there")
    assert await durable.dialogs.all() == {"b": {"n": 2}}
    await durable.dialogs.delete("b")
    assert await durable.dialogs.all() == {}
    await durable.close()


async def test_row_that_cannot_be_written_costs_its_own_caller_only(tmp_path: Path) -> None:
    for options in ("", "?timeout=5"):
        durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path / f'{len(options)}.db'}{options}")
        asked = [durable.dialogs.save("good", {}), durable.dialogs.save("bad", {"n": object()})]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert outcomes[0] is None and isinstance(outcomes[1], CommitFailed)
        assert await durable.dialogs.all() == {"good": {}}
        await durable.close()


async def test_what_was_awaited_is_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    durable = await Durable.open(f"sqlite+aiosqlite:///{file}")
    await durable.dialogs.save("a", {"n": 1})
    with sqlite3.connect(file) as other:  # as after a kill: nothing was closed
        assert other.execute("SELECT handle FROM dialogs").fetchall() == [("a",)]
    await durable.close()
