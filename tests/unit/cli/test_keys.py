"""`longline keys` and `longline accounts`: what they make is what a node lets in."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from longline.api.callers import Caller, Callers
from longline.api.scopes import ALL_SCOPES, Scope
from longline.base.clock import SystemClock
from longline.base.ids import DEFAULT_ACCOUNT_ID
from longline.base.keyfile import read_key_file, write_key_file
from longline.cli import app
from longline.store.durable import Durable

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on a data directory of its own; it must succeed unless told otherwise."""
    monkeypatch.setenv("LONGLINE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("LONGLINE_API_KEY", raising=False)

    def command(*words: str, fails: bool = False) -> Result:
        result = CliRunner().invoke(app, list(words))
        assert (result.exit_code != 0) == fails, result.output
        return result

    return command


def key_of(result: Result) -> str:
    """Standard output is the key and nothing else."""
    assert re.fullmatch(r"ll_[A-Za-z0-9_-]{43}\n", result.stdout), result.stdout
    return result.stdout.strip()


def ask(tmp_path: Path, work: Callable[[Durable], Awaitable[Any]]) -> Any:
    async def opened() -> Any:
        durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path / 'longline.db'}")
        try:
            return await work(durable)
        finally:
            await durable.close()

    return asyncio.run(opened())


def caller(tmp_path: Path, key: str) -> Caller | None:
    found: Caller | None = ask(tmp_path, lambda durable: Callers(durable.accounts, SystemClock()).of_key(key))
    return found


def test_a_key_is_printed_once_and_let_in(run: Run, tmp_path: Path) -> None:
    key = key_of(run("keys", "create"))
    found = caller(tmp_path, key)
    assert found is not None and (found.account_id, Scope.ADMIN in found.scopes) == (DEFAULT_ACCOUNT_ID, True)
    listed = run("keys", "list").stdout
    assert key not in listed and key[:11] in listed and "good" in listed
    assert key.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_keys_never_repeat_and_have_256_bits(run: Run) -> None:
    keys = {key_of(run("keys", "create", "--name", f"k{number}")) for number in range(3)}
    assert len(keys) == 3


def test_a_key_has_the_scopes_the_rate_and_the_end_that_it_was_given(run: Run, tmp_path: Path) -> None:
    given = ("--scope", "read", "--scope", "calls", "--expires", "0s", "--rate", "3.5", "--name", "ci")
    made = run("keys", "create", *given)
    assert caller(tmp_path, key_of(made)) is None  # it had no time at all
    made = run("keys", "create", *given[:4], "--expires", "1h", *given[6:])
    found = caller(tmp_path, key_of(made))
    assert found is not None and found.scopes == {Scope.READ, Scope.CALLS} != ALL_SCOPES
    assert found.key_requests_per_s == 3.5
    listed = run("keys", "list").stdout
    assert "expired" in listed and "calls, read" in listed and "ci" in listed


def test_a_rotated_key_and_the_new_one_are_both_good_for_the_overlap(run: Run, tmp_path: Path) -> None:
    old = key_of(run("keys", "create", "--scope", "read", "--name", "app"))
    new = key_of(run("keys", "rotate", old[:11], "--overlap", "1h"))
    before, after = caller(tmp_path, old), caller(tmp_path, new)
    assert before is not None and after is not None
    assert (before.scopes, before.account_id) == (after.scopes, after.account_id)
    newest = key_of(run("keys", "rotate", new[:11], "--overlap", "0s"))
    assert caller(tmp_path, new) is None and caller(tmp_path, newest) is not None
    assert "good no longer" in run("keys", "rotate", new[:11], fails=True).output


def test_an_overlap_does_not_prolong_a_key_that_ends_sooner(run: Run, tmp_path: Path) -> None:
    old = key_of(run("keys", "create", "--expires", "1h"))
    run("keys", "rotate", old[:11], "--overlap", "30d")
    ends = ask(tmp_path, lambda durable: durable.accounts.all_keys())[0].expires_at
    assert (ends - SystemClock().now()).total_seconds() <= 3600


def test_the_key_file_follows_a_rotation_of_the_key_that_is_in_it(run: Run, tmp_path: Path) -> None:
    first, other = key_of(run("keys", "create")), key_of(run("keys", "create"))
    write_key_file(tmp_path, first)
    run("keys", "rotate", other[:11])
    assert read_key_file(tmp_path) == first
    assert read_key_file(tmp_path) != key_of(run("keys", "rotate", first[:11])) == read_key_file(tmp_path)


def test_a_revoked_key_is_refused(run: Run, tmp_path: Path) -> None:
    key = key_of(run("keys", "create"))
    run("keys", "revoke", key[:11])
    assert caller(tmp_path, key) is None
    assert "revoked" in run("keys", "list").stdout


def test_an_account_has_keys_of_its_own_and_none_while_it_is_suspended(run: Run, tmp_path: Path) -> None:
    run("accounts", "create", "Acme", "--rate", "7")
    key = key_of(run("keys", "create", "--account", "Acme"))
    found = caller(tmp_path, key)
    assert found is not None and found.account_id != DEFAULT_ACCOUNT_ID and found.account_requests_per_s == 7
    assert key[:11] in run("keys", "list", "--account", "Acme").stdout
    assert key[:11] not in run("keys", "list", "--account", "default").stdout
    run("accounts", "suspend", "Acme")
    assert caller(tmp_path, key) is None
    assert "suspended" in run("accounts", "list").stdout
    run("accounts", "resume", "Acme")
    assert caller(tmp_path, key) is not None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("keys", "create", "--account", "nobody"), "no account"),
        (("keys", "create", "--expires", "soon"), "must be a number"),
        (("keys", "create", "--expires", "999999999d"), "must be a number"),
        (("keys", "create", "--name", ""), "printable"),
        (("keys", "revoke", "ll_nothing"), "no key"),
        (("keys", "revoke", ""), "no key"),
        (("accounts", "create", "default"), "already"),
        (("accounts", "suspend", "acc_x"), "no account"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, words: tuple[str, ...], why: str) -> None:
    assert why in run(*words, fails=True).output
