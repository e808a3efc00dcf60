"""Session timers (RFC 4028): both ends confirm now and then that the call is still there; one that nobody does ends.

What must survive stands in the dialog, `session_interval` (0: no timer), `session_refresher` (`ours` or `theirs`) and
`session_min`, and in two timers, which move with it. Every re-INVITE and UPDATE refreshes, ours and theirs; what
is sent when nothing else is (an UPDATE, or a re-INVITE with the same description) is `reoffer`'s. Leaves out: proxies.
"""

from __future__ import annotations

from longline.base.errors import RemoteProtocolError
from longline.sip.core import Core
from longline.sip.dialog import Dialog
from longline.sip.refused import Refused
from longline.sip.syntax.headers import parse_number, parse_params
from longline.sip.syntax.message import Message, Request, Response
from longline.sip.timers import Timer
from longline.sip.usage import InviteUsage, Stage

LEAST_MIN_SE_S = 90
"""RFC 4028 §5: what Min-SE is when nobody names it, and the least it may be on the wire."""
MAX_INTERVAL_S = 2**31
MAX_RAISES = 4
"""How often a 422 makes us ask for a longer interval in one dialog; then it is a refusal like any other."""
MAX_EARLY_S = 32.0
"""§10: the BYE leaves this long before the session expires, or a third of the interval."""
_OPTION = "timer"


class SessionTimers:
    def __init__(self, core: Core) -> None:
        self.core = core
        core.option_tags.append(_OPTION)
        core.moving_timers += [Timer.SESSION_REFRESH, Timer.SESSION_EXPIRY]

    # ---- requests of ours

    def ask(self, request: Request, dialog: Dialog) -> None:
        """Write what we want into an INVITE or UPDATE (§7.1, §7.4)."""
        settings = self.core.settings
        if dialog.session_interval:
            role = "uac" if dialog.session_refresher == "ours" else "uas"
            value = f"{max(dialog.session_interval, dialog.session_min)};refresher={role}"
        elif settings.session_expires_s and not dialog.confirmed:
            value = str(max(settings.session_expires_s, dialog.session_min, settings.min_session_expires_s))
        else:
            return
        request.headers.set("Session-Expires", value)
        least = max(dialog.session_min, settings.min_session_expires_s)
        if least != LEAST_MIN_SE_S:
            request.headers.set("Min-SE", str(least))

    def settle(self, now: float, usage: InviteUsage, dialog: Dialog, response: Response) -> None:
        """What a 2xx to an INVITE or UPDATE of ours says (§7.2); without Session-Expires there is no timer any more."""
        try:
            found = _session_expires(response)
        except RemoteProtocolError:
            self.core.counters["sip.malformed"] += 1
            found = None
        if found is None:
            self._set(now, usage, dialog, 0, "")
            return
        interval, refresher = found
        least = self.core.settings.min_session_expires_s
        if interval < least:
            self.core.counters["sip.session_intervals_too_short"] += 1
        self._set(now, usage, dialog, max(interval, least), "theirs" if refresher == "uas" else "ours")

    def raise_interval(self, dialog: Dialog, response: Response) -> bool:
        """§7.3: take up the Min-SE of a 422. False when asking again makes no sense."""
        try:
            least = _seconds(response.headers.get("Min-SE"), "Min-SE")
        except RemoteProtocolError:
            return False
        asked = max(dialog.session_interval or self.core.settings.session_expires_s, dialog.session_min)
        if least is None or least <= asked or dialog.session_raises >= MAX_RAISES:
            return False
        dialog.session_raises += 1
        dialog.session_min = least
        return True

    # ---- requests of theirs

    def check(self, request: Request) -> None:
        """§9: refuse an interval that is too short, if the peer can ask for a longer one. RemoteProtocolError (400)."""
        least = self.core.settings.min_session_expires_s
        found = _session_expires(request)
        _seconds(request.headers.get("Min-SE"), "Min-SE")  # `accept` must not find out that it is none
        if found is not None and found[0] < least and _supports(request):
            raise Refused(422, headers=[("Min-SE", str(least))])

    def accept(self, now: float, usage: InviteUsage, dialog: Dialog, request: Request) -> list[tuple[str, str]]:
        """What our 2xx to an INVITE or UPDATE says (§9, table 2), which then holds."""
        settings, found, supports = self.core.settings, _session_expires(request), _supports(request)
        least = max(_seconds(request.headers.get("Min-SE"), "Min-SE") or LEAST_MIN_SE_S, settings.min_session_expires_s)
        ours = settings.session_expires_s
        refresher = ""
        if found is None:
            interval = dialog.session_interval or (0 if dialog.confirmed else ours)
            interval = max(interval, least) if interval else 0
        else:
            interval, refresher = found
            if interval < settings.min_session_expires_s:
                interval = 0  # a proxy's wish, and the peer could not be told of ours: there is no timer
            elif ours:
                interval = max(min(interval, ours), min(least, interval))
        if not interval:
            self._set(now, usage, dialog, 0, "")
            return []
        if not supports:
            who = "ours"  # table 2: who does not know of timers cannot refresh
        elif refresher:
            who = "theirs" if refresher == "uac" else "ours"
        else:
            who = dialog.session_refresher or "ours"
        self._set(now, usage, dialog, interval, who)
        headers = [("Session-Expires", f"{interval};refresher={'uas' if who == 'ours' else 'uac'}")]
        return [*headers, ("Require", _OPTION)] if who == "theirs" else headers

    # ---- time

    def _set(self, now: float, usage: InviteUsage, dialog: Dialog, interval: int, refresher: str) -> None:
        dialog.session_interval = interval
        dialog.session_refresher = refresher
        timers = self.core.timers
        timers.disarm(usage.handle, Timer.SESSION_REFRESH, Timer.SESSION_EXPIRY)
        if not interval or usage.stage is Stage.ENDED:
            return
        if refresher == "ours":
            timers.arm(usage.handle, Timer.SESSION_REFRESH, now + interval / 2)
        # §10: whoever refreshes, each side ends what is about to expire.
        timers.arm(usage.handle, Timer.SESSION_EXPIRY, now + interval - min(MAX_EARLY_S, interval / 3))

    def refresh_later(self, now: float, usage: InviteUsage, at_least_s: float = 5.0) -> None:
        """A refresh has failed for now: once more, while there is time."""
        end = self.core.timers.at(usage.handle, Timer.SESSION_EXPIRY)
        if end is not None:
            self.core.timers.arm(usage.handle, Timer.SESSION_REFRESH, now + max(at_least_s, (end - now) / 4))


def _supports(message: Message) -> bool:
    tags = [*message.headers.get_tokens("Supported"), *message.headers.get_tokens("Require")]
    return _OPTION in (tag.lower() for tag in tags)


def _session_expires(message: Message) -> tuple[int, str] | None:
    """Seconds, and who refreshes: uac, uas or "". None when it is not there. RemoteProtocolError (400)."""
    value = message.headers.get("Session-Expires")
    interval = _seconds(value, "Session-Expires")
    if value is None or interval is None:
        return None
    _, semicolon, rest = value.partition(";")
    refresher = (parse_params(semicolon + rest).get("refresher") or "").lower()
    return interval, refresher if refresher in ("uac", "uas") else ""


def _seconds(value: str | None, what: str) -> int | None:
    return None if value is None else parse_number(value.partition(";")[0].strip(), MAX_INTERVAL_S, what)
