"""The schema that is published is the one that parses."""

from pathlib import Path
from typing import get_args

from longline.flows.schema import flow_schema, reference_page
from longline.flows.verbs import VERBS, Verb

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "flows.md"


def test_every_verb_is_in_the_table_and_in_the_schema() -> None:
    assert set(get_args(Verb)) == set(VERBS.values())
    one, many = flow_schema()["anyOf"]
    assert set(one["discriminator"]["mapping"]) == set(VERBS)
    assert many["type"] == "array" and many["maxItems"] == 50
    assert flow_schema()["$defs"]["Gather"]["properties"]["num_digits"]["anyOf"][0]["maximum"] == 64


def test_every_verb_says_what_it_does() -> None:
    assert all(flow_schema()["$defs"][verb.__name__]["description"] for verb in VERBS.values())


def test_the_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference_page(), "run: python -m longline.flows.schema > docs/reference/flows.md"
