"""waha, unmodified, with a session and a number of its own.

    with_waha.py BASE_URL TOKEN CONTROL_URL PHONE
"""

import base64
import sys

from waha import WahaClient
from waha.exceptions import WahaAPIError, WahaAuthenticationError
from waha.types import Base64File, ContactVcard, QRFormat, SessionStatus
from world import PNG, Simulator, bare, until

base, token, control, phone = sys.argv[1:]
client = WahaClient(base_url=base, api_key=token, timeout=60.0)
simulator = Simulator(control, phone)
ANN = "4915155500001"
CHAT = f"{ANN}@c.us"
SESSION = "shop"


def refused(kind, part, call):
    """The call ends in the client's own exception, with our words in it."""
    try:
        call()
    except kind as error:
        assert part in str(error), error
        return error
    raise AssertionError(f"{kind} was expected")


# Errors.
refused(WahaAuthenticationError, "Authentication failed", lambda: WahaClient(base, api_key="wrong").sessions.list())
refused(WahaAPIError, "HTTP 404", lambda: client.sessions.get("nobody"))
said = refused(WahaAPIError, "is no recipient", lambda: client.messages.send_text("nobody", "x"))
assert (said.status_code, said.details) == (422, "invalid_recipient"), said
refused(WahaAPIError, "not supported", lambda: client.messages.star("true_1_2"))

# A session from its making to work, linked with a code that is typed.
made = client.sessions.create(SESSION, config={"debug": False})
assert made.name == SESSION, made


def status():
    return client.sessions.get(SESSION).status


until("a code", lambda: status() == SessionStatus.SCAN_QR_CODE)
assert client.auth.get_qr_code(SESSION).startswith(b"\x89PNG")
assert client.auth.get_qr_code(SESSION, QRFormat.RAW).qr
simulator.type_code(client.auth.request_code(SESSION, f"+{phone}")["code"])
until("work", lambda: status() == SessionStatus.WORKING)
assert client.sessions.get_me(SESSION).id == f"{phone}@c.us"
assert SESSION in [session.name for session in client.sessions.list(all=True)]


def sent(message):
    """A dictionary, or the client's own model of it."""
    message = message if isinstance(message, dict) else {"id": message.id}
    simulator.arrived(message)
    return message


where = {"chat_id": CHAT, "session": SESSION}
hello = client.messages.send_text(text="hello", **where)
assert hello.fromMe and hello.body == "hello" and hello.id.startswith("true_"), hello
sent(hello)
sent(client.messages.send_text(text="yes", reply_to=hello.id, **where))
sent(client.messages.send_image(file=Base64File(mimetype="image/png", data=PNG), caption="a dot", **where))
hello_file = Base64File(mimetype="text/plain", filename="a.txt", data=base64.b64encode(b"hello").decode())
sent(client.messages.send_file(file=hello_file, **where))
voice = Base64File(mimetype="audio/ogg; codecs=opus", data=base64.b64encode(b"OggS" + bytes(60)).decode())
sent(client.messages.send_voice(file=voice, **where))
sent(client.messages.send_location(latitude=52.5, longitude=13.4, title="Berlin", **where))
sent(client.messages.send_poll(poll_text="Which?", options=["a", "b"], **where))
bob = ContactVcard(fullName="Bob", phoneNumber="+4915155500002", organization="Post")
sent(client.messages.send_contact_vcard(contacts=[bob], **where))
sent(client.messages.forward_message(message_id=hello.id, **where))
client.messages.react(message_id=hello.id, reaction="👍", session=SESSION)
client.messages.send_seen(**where)
client.messages.start_typing(**where)
client.messages.stop_typing(**where)
client.presence.set_online(SESSION)

assert client.contacts.check_exists(f"+{ANN}", session=SESSION).numberExists
assert any(chat.id == CHAT for chat in client.chats.list(session=SESSION))
messages = client.chats.get_messages(CHAT, session=SESSION, limit=50)
assert any(bare(message.id) == bare(hello.id) for message in messages), messages
assert client.profile.get(SESSION).id == f"{phone}@c.us"

assert client.sessions.stop(SESSION).status == SessionStatus.STOPPED
client.sessions.delete(SESSION)
refused(WahaAPIError, "HTTP 404", lambda: client.sessions.get(SESSION))
client._http_client.close()
print("waha: all is well")
