"""Lock-out and rates: who is shut out, for how long, and who is not shut out with him."""

from collections import Counter

from longline.sip.access.bounded import BoundedTable
from longline.sip.access.lockout import Lockout, LockoutPolicy
from longline.sip.access.rates import TokenBuckets, source_key

POLICY = LockoutPolicy(per_address=5, per_account=8, unanswered=10, window_s=60, lock_s=100)
EVE, OFFICE = "198.51.100.9", "203.0.113.1"


def lockout() -> tuple[Lockout, Counter[str]]:
    counters: Counter[str] = Counter()
    return Lockout(POLICY, counters), counters


def test_address_is_locked_after_so_many_wrong_passwords_for_whichever_account() -> None:
    doors, counters = lockout()
    for n in range(4):
        doors.failed(0, EVE, f"user{n}")
    assert not doors.is_locked(0, EVE, "user0")
    doors.failed(0, EVE, "user4")
    assert doors.is_locked(0, EVE, "anybody")
    assert not doors.is_locked(0, OFFICE, "anybody")
    assert counters["sip.locked_address"] == 1


def test_lock_ends_by_itself() -> None:
    doors, _ = lockout()
    for _ in range(5):
        doors.failed(0, EVE, "alice")
    assert doors.is_locked(99, EVE, "alice")
    assert not doors.is_locked(100, EVE, "alice")


def test_failures_outside_of_the_window_do_not_add_up() -> None:
    doors, _ = lockout()
    for n in range(20):
        doors.failed(n * 61, EVE, f"user{n}")
    assert not doors.is_locked(20 * 61, EVE, "user1")


def test_account_is_locked_for_guesses_from_many_addresses_but_not_for_its_own_phone() -> None:
    doors, counters = lockout()
    doors.succeeded(OFFICE, "alice")
    for n in range(8):
        doors.failed(0, f"198.51.100.{n}", "alice")
    assert counters["sip.locked_account"] == 1
    assert doors.is_locked(0, "192.0.2.200", "alice")
    assert not doors.is_locked(0, OFFICE, "alice")


def test_phone_that_works_is_not_locked_out_by_another_behind_its_address() -> None:
    doors, _ = lockout()
    doors.succeeded(OFFICE, "alice")
    for _ in range(5):
        doors.failed(0, OFFICE, "bob")
    assert doors.is_locked(0, OFFICE, "bob")
    assert doors.is_locked(0, OFFICE, "carol")
    assert not doors.is_locked(0, OFFICE, "alice")


def test_own_failures_lock_even_an_old_friend() -> None:
    doors, _ = lockout()
    doors.succeeded(OFFICE, "alice")
    for _ in range(5):
        doors.failed(0, OFFICE, "alice")
    assert doors.is_locked(0, OFFICE, "alice")
    assert not doors.is_locked(0, OFFICE, "bob")


def test_challenges_that_nobody_answers_lock_and_answered_ones_do_not() -> None:
    doors, counters = lockout()
    for n in range(30):
        doors.challenged(0, OFFICE)
        doors.succeeded(OFFICE, f"phone{n}")
    assert not doors.is_locked(0, OFFICE, "phone99")
    for _ in range(10):
        doors.challenged(0, EVE)
    assert doors.is_locked(0, EVE, "100")
    assert counters["sip.locked_scan"] == 1


def test_unanswered_challenges_do_not_shut_an_address_that_phones_log_in_from() -> None:
    """Its datagrams may be forged by anybody."""
    doors, _ = lockout()
    doors.succeeded(OFFICE, "alice")
    for _ in range(50):
        doors.challenged(0, OFFICE)
    assert not doors.is_locked(0, OFFICE, "bob")


def test_long_names_are_cut() -> None:
    doors, _ = lockout()
    for _ in range(5):
        doors.failed(0, EVE, "x" * 10_000)
    assert all(len(key) < 100 for _, key in doors._suspects._entries)


def test_whole_64_of_ipv6_is_one_source() -> None:
    doors, _ = lockout()
    for n in range(5):
        doors.failed(0, f"2001:db8:1:2::{n:x}", f"user{n}")
    assert doors.is_locked(0, "2001:db8:1:2:ffff::1", "alice")
    assert not doors.is_locked(0, "2001:db8:1:3::1", "alice")
    assert source_key("::ffff:192.0.2.1") == "192.0.2.1"


def test_bucket_gives_a_burst_and_then_its_rate() -> None:
    counters: Counter[str] = Counter()
    buckets = TokenBuckets(counters)
    assert sum(buckets.take(0, EVE, 10, 20) for _ in range(50)) == 20
    assert sum(buckets.take(1, EVE, 10, 20) for _ in range(50)) == 10
    assert buckets.take(1, OFFICE, 10, 20)
    assert sum(buckets.take(1000, EVE, 10, 20) for _ in range(50)) == 20


def test_table_forgets_what_was_touched_longest_ago_and_counts_it() -> None:
    counters: Counter[str] = Counter()
    table: BoundedTable[str, int] = BoundedTable(2, counters, "gone")
    table.put("a", 1)
    table.put("b", 2)
    table.put("a", 3)
    table.put("c", 4)
    assert (table.get("a"), table.get("b"), table.get("c"), len(table)) == (3, None, 4, 2)
    assert counters["gone"] == 1
