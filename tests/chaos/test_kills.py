"""A node that is killed at random points loses no webhook and tells none out of order; `make chaos` kills 200 times."""

from pathlib import Path

from tests.chaos.kills import Killing


async def test_nothing_that_was_stored_goes_untold_though_the_node_is_killed_ten_times(tmp_path: Path) -> None:
    report = await Killing(tmp_path, seed=1, longest_load_s=1.5).run(10)
    assert report.faults == []
    assert report.webhooks_received == report.webhooks_stored > 0
    assert report.undelivered_at_a_kill > 0  # or this test would prove nothing
