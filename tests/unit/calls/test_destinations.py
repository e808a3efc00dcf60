"""Which numbers the settings let be called."""

import pytest

from longline.base.access_config import Access
from longline.base.errors import DestinationDenied
from longline.calls.destinations import check_destination

PREMIUM = Access(deny_destinations=["+1900", "+881"])
HOME_ONLY = Access(allow_destinations=["+49", "+4"], deny_destinations=["+49900", "+44"])


@pytest.mark.parametrize(
    ("access", "target", "may"),
    [
        (Access(), "+19005550100", True),
        (PREMIUM, "+14155550100", True),
        (PREMIUM, "+19005550100", False),
        (PREMIUM, "sip:+19005550100@carrier.example", False),
        (PREMIUM, "sip:%2B19005550100@carrier.example;transport=tcp", False),
        (PREMIUM, "sip:+1-900-555.0100;phone-context=x@carrier.example", False),
        (PREMIUM, "sip:19005550100@carrier.example", False),
        (PREMIUM, "sip:0019005550100:secret@carrier.example", False),
        (PREMIUM, "tel:+19005550100", False),
        (PREMIUM, "SIPS:+8811234567@x", False),
        (PREMIUM, "sip:alice@here.example", True),
        (PREMIUM, "sip:here.example", True),
        (HOME_ONLY, "+4930123456", True),
        (HOME_ONLY, "+49900123456", False),
        (HOME_ONLY, "+447700900123", False),
        (HOME_ONLY, "+14155550100", False),
        (HOME_ONLY, "sip:alice@here.example", True),
        (Access(deny_destinations=["+"]), "+14155550100", False),
        (Access(deny_destinations=["+"], allow_destinations=["+1"]), "+14155550100", True),
        (Access(deny_destinations=["+1"], allow_destinations=["+1"]), "+14155550100", False),
    ],
)
def test_longest_prefix_decides(access: Access, target: str, may: bool) -> None:
    if may:
        check_destination(target, access)
    else:
        with pytest.raises(DestinationDenied):
            check_destination(target, access)
