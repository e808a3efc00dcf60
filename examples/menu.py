"""A telephone menu without a WebSocket: every turn is one request, answered with what to do next.

Run it, then `longline serve` with LONGLINE_INBOUND__FLOW_URL=http://127.0.0.1:9000/, and call: press 1 for the time,
2 to leave a message. The node needs a voice: espeak-ng or flite.
"""

import argparse
import json
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MENU = {
    "action": "gather",
    "prompt": {"action": "say", "text": "Press 1 for the time, or 2 to leave a message."},
    "num_digits": 1,
    "timeout": 5,
}
GOODBYE = [{"action": "say", "text": "Goodbye."}, {"action": "hangup"}]


def answer(turn: dict[str, Any]) -> Any:
    """What is done next with the call that `turn` tells of: an action, or a list of actions."""
    match turn:
        case {"action": "gather", "digits": "1"}:
            return [{"action": "say", "text": f"It is {datetime.now():%H:%M}."}, MENU]
        case {"action": "gather", "digits": "2"}:
            return [
                {"action": "say", "text": "Speak after the tone, then press the hash key."},
                {"action": "record", "max_length": 60},
            ]
        case {"action": "record", "recording_id": recording, "duration_ms": length}:
            print(f"a message of {length / 1000:.1f} s: {recording}", flush=True)
            return [{"action": "say", "text": "Thank you."}, *GOODBYE]
        case {"action": "gather", "reason": "timeout"}:
            return GOODBYE
        case {"action": "gather"}:
            return [{"action": "say", "text": "That is not on the menu."}, MENU]
        case _:  # the call has just begun
            return MENU


class Turns(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        turn = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(answer(turn)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Turns).serve_forever()
