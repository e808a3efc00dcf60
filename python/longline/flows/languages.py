"""The languages that flows may be written in beside our own, by the name that a call's manner has for them."""

from __future__ import annotations

from typing import Final

from longline.flows.jambonz_verbs import JambonzVerbs
from longline.flows.language import Document, Languages
from longline.flows.ncco import Ncco
from longline.flows.plivo_xml import PLIVO_ALONE, PlivoXml
from longline.flows.telnyx_calls import TelnyxCalls
from longline.flows.twiml import Twiml
from longline.flows.xml import XmlInvalid, parse_xml


def languages(base_url: str = "") -> Languages:
    """`base_url` is where this node is to be reached."""
    return {
        "twilio": Twiml(base_url),
        "plivo": PlivoXml(base_url),
        "vonage": Ncco(base_url),
        "telnyx": TelnyxCalls(),
        "jambonz": JambonzVerbs(),
    }


LANGUAGES: Final = languages()


def language_of(document: Document) -> str:
    """The language of a document that an application of ours has answered in the place of JSON: of the two in XML it is
    TwiML, unless it has an element that Plivo alone has."""
    try:
        children = parse_xml(document.body).children
    except XmlInvalid:
        return "twilio"
    return "plivo" if any(child.name in PLIVO_ALONE for child in children) else "twilio"
