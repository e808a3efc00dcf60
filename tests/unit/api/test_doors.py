"""Where the key stands, and which door a path is behind."""

import base64

import pytest
from starlette.datastructures import Headers
from starlette.responses import Response

from longline.api.doors import Door, basic, bearer, door_of


def headers(authorization: str) -> Headers:
    return Headers({"authorization": authorization})


def pair(text: bytes) -> str:
    return base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("authorization", "found"),
    [
        (f"Basic {pair(b'MA1:key:more')}", ("MA1", "key:more")),
        (f"basic {pair(b':')}", ("", "")),
        (f"Basic {pair(b'no colon')}", ("", "")),
        (f"Basic {pair(bytes([255, 58]))}", ("", "")),
        ("Basic ***", ("", "")),
        (f"Basic {pair(b'a:' + b'x' * 2000)}", ("", "")),
        ("Bearer key", ("", "")),
        ("", ("", "")),
    ],
)
def test_name_and_password_are_read_or_there_are_none(authorization: str, found: tuple[str, str]) -> None:
    assert basic(headers(authorization)) == found


def test_a_token_is_read_or_there_is_none() -> None:
    assert bearer(headers("Bearer  key ")) == "key"
    assert bearer(headers("Basic key")) == ""


def test_a_path_is_behind_the_first_door_that_it_begins_with() -> None:
    one, two = (Door(prefix, lambda path, headers: "", lambda error, headers: Response()) for prefix in ("/a/", "/b/"))
    assert door_of((one, two), "/b/x") is two
    assert door_of((one, two), "/c/x") is None
