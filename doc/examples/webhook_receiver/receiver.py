"""A receiver of maintenance messages: python receiver.py PORT SECRET."""

import base64
import hashlib
import hmac
import http.server
import json
import sys
import time

#: How old a message may be, in seconds; an older one may be a copy.
TOLERANCE = 300
#: Messages that were dealt with; a real receiver keeps them where it keeps
#: its work.
SEEN = set()


class Refused(Exception):
    """Whoever sent it did not know the secret, or sent it long ago."""


def verify(secret, headers, body, now=None):
    """Return what a message says, if it is what was signed, and new.

    :param secret: the webhook's, a string.
    :param headers: of the request.
    :param body: of the request, the bytes as they came.
    :raises Refused: do not believe it, and do not answer 2xx.
    """
    now = time.time() if now is None else now
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE:
        raise Refused("too old")
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(digest).decode()}"
    given = headers.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(one, wanted) for one in given):
        raise Refused("wrong signature")
    return json.loads(body)


class Handler(http.server.BaseHTTPRequestHandler):
    """Prints each message once, however often it is sent."""

    secret = ""

    def do_POST(self):
        """Take one message; what takes long is done after the answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            message = verify(self.secret, self.headers, body)
        except Refused as exc:
            self.send_error(403, str(exc))
            return
        if message["message_id"] not in SEEN:
            SEEN.add(message["message_id"])
            payload = message["payload"]
            sys.stdout.write(f"{message['event_type']} {payload['state']}\n")
            sys.stdout.flush()
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    Handler.secret = sys.argv[2]
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", int(sys.argv[1])), Handler
    )
    server.serve_forever()
