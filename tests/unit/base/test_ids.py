"""Ids are reversible, ordered, and strict about what they read."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longline.base.ids import MalformedId, Prefix, decode_id, encode_id, new_id, new_request_id, render_id


@given(st.uuids(), st.sampled_from(list(Prefix)))
def test_an_encoded_id_reads_back_as_the_same_uuid(value: UUID, prefix: Prefix) -> None:
    text = encode_id(prefix, value)
    assert len(text) == len(prefix) + 1 + 26
    assert decode_id(text, prefix) == value
    assert decode_id(text.replace(text.split("_")[1], text.split("_")[1].lower()), prefix) == value
    assert decode_id(str(value), prefix) == value


@given(st.uuids(), st.uuids())
def test_encoded_ids_sort_as_their_uuids(one: UUID, other: UUID) -> None:
    assert (encode_id("cs", one) < encode_id("cs", other)) == (one.int < other.int)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cs_",
        "cl_01M7Z2CSJCFQARNB24E7G5XZ77",  # of another kind
        "cs_01M7Z2CSJCFQARNB24E7G5XZ7",  # too short
        "cs_01M7Z2CSJCFQARNB24E7G5XZ777",  # too long
        "cs_81M7Z2CSJCFQARNB24E7G5XZ77",  # more than 128 bits
        "cs_01M7Z2CSJCFQARNB24E7G5XZ7U",  # U is not of the alphabet
        "cs_01M7Z2CSJCFQARNB24E7G5XZ7é",
        "01M7Z2CSJCFQARNB24E7G5XZ77",
        "not-a-uuid",
    ],
)
def test_malformed_ids_are_refused(text: str) -> None:
    with pytest.raises(MalformedId):
        decode_id(text, "cs")


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        decode_id(text, "cs")
    except MalformedId:
        return
    assert decode_id(text, "cs") == decode_id(encode_id("cs", decode_id(text, "cs")), "cs")


def test_letters_that_look_like_digits_are_read_as_those() -> None:
    value = UUID(int=0x10)
    assert decode_id(encode_id("cs", value).replace("0", "O"), "cs") == value


def test_new_ids_are_version_7_and_strictly_increase() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {(value.version, value.variant) for value in made} == {(7, "specified in RFC 4122")}


def test_the_webhook_version_decides_how_an_id_is_shown() -> None:
    value = new_id()
    assert render_id("cs", value, "2025-08-01") == str(value)
    assert render_id("cs", value, "2026-06-01") == encode_id("cs", value)


def test_a_request_id_is_24_hexadecimal_digits() -> None:
    head, _, tail = new_request_id().partition("_")
    assert head == "req"
    assert len(tail) == 24
    int(tail, 16)
