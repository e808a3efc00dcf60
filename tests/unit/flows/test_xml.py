"""XML of strangers: what is read, and what is refused."""

import pytest

from longline.flows.xml import MAX_DEPTH, MAX_ELEMENTS, XmlInvalid, is_xml, parse_xml


def test_elements_have_their_attributes_text_children_and_place() -> None:
    root = parse_xml(
        '<?xml version="1.0" encoding="UTF-8"?><!-- hm --><Response><Gather numDigits="1"><Say> Hello &amp; '
        "<![CDATA[<you>]]> </Say></Gather><Gather/></Response>"
    )
    assert root.name == "Response"
    first, second = root.children
    assert (first.attributes, second.path) == ({"numDigits": "1"}, "Response/Gather[2]")
    assert first.children[0].text == "Hello & <you>"
    assert first.children[0].path == "Response/Gather/Say"
    assert parse_xml("<Say>one <break/>two <b>three</b></Say>").content == "one two three"


def test_another_encoding_and_a_byte_order_mark_are_read() -> None:
    assert parse_xml('<?xml version="1.0" encoding="ISO-8859-1"?><Say>Grüß</Say>'.encode("latin-1")).text == "Grüß"
    assert parse_xml("\ufeff<Say>ä</Say>").text == "ä"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("", "no element found"),
        ("<Response>", "no element found"),
        ("<Response></Respond>", "mismatched tag"),
        ("<Response/><Response/>", "junk after document element"),
        ("<a>&nbsp;</a>", "undefined entity"),
        ('<!DOCTYPE r [<!ENTITY a "b">]><r>&a;</r>', "a document type is not allowed"),
        ('<!DOCTYPE r SYSTEM "http://example.com/x.dtd"><r/>', "a document type is not allowed"),
        ("<a>" * (MAX_DEPTH + 1) + "</a>" * (MAX_DEPTH + 1), "elements within more than 8 others"),
        ("<a>" + "<b/>" * MAX_ELEMENTS + "</a>", "more than 1000 elements"),
        ("<a " + " ".join(f'b{n}=""' for n in range(65)) + "/>", "more than 64 attributes"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "unknown encoding"),
        ("<a>\x00</a>", "not well-formed"),
    ],
)
def test_what_is_refused_says_why(document: str, problem: str) -> None:
    with pytest.raises(XmlInvalid, match=problem):
        parse_xml(document)


@pytest.mark.parametrize(
    ("body", "content_type", "is_it"),
    [
        (b"", "text/xml; charset=utf-8", True),
        (b" \n<Response/>", "text/html", True),
        (b"\xef\xbb\xbf<Response/>", "", True),
        (b'{"action": "hangup"}', "application/json", False),
    ],
)
def test_xml_is_told_by_its_type_or_its_beginning(body: bytes, content_type: str, is_it: bool) -> None:
    assert is_xml(body, content_type) is is_it
