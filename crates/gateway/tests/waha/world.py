"""What both scripts need beside the client under test: the simulator's control, a
webhook receiver, and waiting with a deadline."""

import hashlib
import hmac
import http.server
import json
import threading
import time

import httpx

# A browser starts, a page loads and syncs, on a machine that does other things too.
DEADLINE = 120.0

# The smallest files of their kinds that a decoder takes.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def until(what, ask):
    """Asks until the answer is true, and gives it."""
    end = time.monotonic() + DEADLINE
    while True:
        found = ask()
        if found:
            return found
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)


class Simulator:
    """The phone, the other people, and what the server saw."""

    def __init__(self, url, phone):
        self.phone = phone
        self.http = httpx.Client(base_url=url, headers={"X-Steadfast-Sim": "1"}, timeout=40.0)

    def call(self, method, path, body=None):
        answer = self.http.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def scan(self, code):
        self.call("POST", f"/accounts/{self.phone}/scan", {"code": code})

    def type_code(self, code):
        self.call("POST", f"/accounts/{self.phone}/pairing-code", {"code": code.replace("-", "")})

    def somebody_writes(self, number, text):
        self.call("POST", f"/accounts/{self.phone}/messages", {"from": number, "text": text})

    def has_whatsapp(self, number, exists=True):
        self.call("PATCH", f"/people/{number}", {"exists": exists})

    def seen(self, event, **wanted):
        """The newest entry of the journal that is like this, waited for."""

        def look():
            after, found = 0, None
            while True:
                page = self.call("GET", f"/journal?after={after}&limit=1000&events={event}")
                for entry in page["entries"]:
                    if all(entry.get(key) == value for key, value in wanted.items()):
                        found = entry
                if page["next"] <= after or page["next"] >= page["last"]:
                    return found
                after = page["next"]

        return until(f"{event} {wanted}", look)

    def arrived(self, message):
        """The message that an answer names has reached its recipient's phone."""
        return self.seen("delivered", id=bare(message["id"]))


def bare(key):
    """WhatsApp's id in `true_<chat>_<id>`."""
    return key.split("_")[2]


class Receiver:
    """Takes webhooks, and verifies each one's signature by itself."""

    def __init__(self, key):
        self.events = []
        self.faults = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                mac = hmac.new(key.encode(), body, hashlib.sha512).hexdigest()
                event = json.loads(body)
                if not hmac.compare_digest(mac, self.headers.get("X-Webhook-Hmac", "")):
                    receiver.faults.append(f"wrong signature of {event['event']}")
                if self.headers.get("X-Webhook-Hmac-Algorithm") != "sha512":
                    receiver.faults.append("no algorithm")
                if not self.headers.get("X-Webhook-Request-Id"):
                    receiver.faults.append("no request id")
                if not self.headers.get("X-Webhook-Timestamp", "").isdigit():
                    receiver.faults.append("no timestamp")
                event["headers"] = {name.lower(): value for name, value in self.headers.items()}
                receiver.events.append(event)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def got(self, name, fits=lambda event: True):
        """The first event of this name that fits, waited for."""

        def look():
            return next((e for e in list(self.events) if e["event"] == name and fits(e)), None)

        event = until(f"event {name}", look)
        assert not self.faults, self.faults
        return event
