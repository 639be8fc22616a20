"""waha-py, unmodified, from an empty gateway to messages that arrive.

    with_waha_py.py BASE_URL TOKEN CONTROL_URL PHONE
"""

import base64
import sys

import httpx
from waha import WahaClient
from world import PNG, Receiver, Simulator, bare, until

base, token, control, phone = sys.argv[1:]
client = WahaClient(base_url=base, api_key=token)
simulator = Simulator(control, phone)
ANN = "4915155500001"
CHAT = f"{ANN}@c.us"
NOBODY = "4915155500009"
SESSION = "default"


def refused(status, code, call):
    """The call ends in the client's own kind of error, with our problem in it."""
    try:
        call()
    except httpx.HTTPStatusError as error:
        problem = error.response.json()
        assert (error.response.status_code, problem["code"]) == (status, code), problem
        return problem
    raise AssertionError(f"{code} was expected")


# What runs here.
assert client.ping.ping() == {"message": "pong"}
assert client.health.check()["status"] == "ok"
assert client.version.get()["engine"] == "WEBJS"
assert client.server.get()["tier"] == "PLUS"
assert client.server.status()["uptime"] >= 0

# Errors.
refused(404, "session_unknown", lambda: client.sessions.get("nobody"))
refused(401, "token_unknown", lambda: WahaClient(base_url=base, api_key="wrong").sessions.list())
refused(501, "unsupported", lambda: client.chatting.send_list({"session": SESSION}))
refused(422, "invalid_field", lambda: client.chatting.send_text({"session": SESSION}))

# A session from its making to work.
simulator.has_whatsapp(ANN)
simulator.has_whatsapp(NOBODY, False)
receiver = Receiver("a secret key")
config = {
    "metadata": {"user.id": "7"},
    "webhooks": [
        {
            "url": receiver.url,
            "events": ["session.status", "message", "message.any", "message.ack", "message.reaction"],
            "hmac": {"key": "a secret key"},
            "retries": {"policy": "constant", "delaySeconds": 1, "attempts": 5},
            "customHeaders": [{"name": "X-Mine", "value": "yes"}],
        }
    ],
}
made = client.sessions.create({"name": SESSION, "start": True, "config": config})
assert made["name"] == SESSION and made["config"]["metadata"] == {"user.id": "7"}, made
assert made["config"]["webhooks"][0]["url"] == receiver.url, made
assert "a secret key" not in str(made), "a secret was shown"


def status():
    return client.sessions.get(SESSION)["status"]


# A message that is sent before the session works is not lost.
early = client.chatting.send_text({"session": SESSION, "chatId": CHAT, "text": "early"})
assert (early["ack"], early["ackName"]) == (0, "PENDING"), early

until("a code", lambda: status() == "SCAN_QR_CODE")
picture = client.auth.get_qr(SESSION)
assert base64.b64decode(picture["data"]).startswith(b"\x89PNG"), picture
simulator.scan(client.auth.get_qr(SESSION, params={"format": "raw"})["value"])
until("work", lambda: status() == "WORKING")
assert client.sessions.get_me(SESSION)["id"] == f"{phone}@c.us"
assert [s["name"] for s in client.sessions.list(params={"all": True})] == [SESSION]
simulator.arrived(early)

# Every kind of message arrives.
where = {"session": SESSION, "chatId": CHAT}
png = {"mimetype": "image/png", "filename": "dot.png", "data": PNG}
text_file = {"mimetype": "text/plain", "filename": "a.txt", "data": base64.b64encode(b"hello").decode()}
ogg = {"mimetype": "audio/ogg; codecs=opus", "data": base64.b64encode(b"OggS" + bytes(60)).decode()}


def sent(message, **fields):
    """The server has it, and so has its recipient."""
    assert message["ack"] >= 1, message
    assert message["id"].startswith("true_") and message["fromMe"], message
    assert message["source"] == "api" and message["to"] == CHAT, message
    for name, value in fields.items():
        assert message[name] == value, (name, message)
    simulator.arrived(message)
    return message


hello = sent(client.chatting.send_text({**where, "text": "hello"}), body="hello", hasMedia=False)
sent(client.chatting.send_text({**where, "text": "yes", "reply_to": hello["id"]}))
sent(client.chatting.send_image({**where, "file": png, "caption": "a dot"}), body="a dot", hasMedia=True)
sent(client.chatting.send_file({**where, "file": text_file}), hasMedia=True)
sent(client.chatting.send_voice({**where, "file": ogg, "convert": False}), hasMedia=True)
sent(client.chatting.send_location({**where, "latitude": 52.5, "longitude": 13.4, "title": "Berlin"}))
sent(client.chatting.send_poll({**where, "poll": {"name": "Which?", "options": ["a", "b"], "multipleAnswers": False}}))
sent(client.chatting.send_contact_vcard({**where, "contacts": [{"fullName": "Bob", "phoneNumber": "+4915155500002"}]}))
sent(client.chatting.forward_message({**where, "messageId": hello["id"]}))

# What is done to a message, and beside it.
client.chatting.set_reaction({"session": SESSION, "messageId": hello["id"], "reaction": "👍"})
client.chats.edit_message(SESSION, CHAT, hello["id"], {"text": "hello again"})
gone = sent(client.chatting.send_text({**where, "text": "a mistake"}))
client.chats.delete_message(SESSION, CHAT, gone["id"])
client.chatting.send_seen(where)
client.chatting.start_typing(where)
client.chatting.stop_typing(where)
client.presence.set_presence(SESSION, {"presence": "online"})

# What can be asked.
assert client.contacts.check_exists(params={"phone": f"+{ANN}", "session": SESSION})["numberExists"] is True
assert client.contacts.check_exists(params={"phone": NOBODY, "session": SESSION})["numberExists"] is False
assert any(chat["id"] == CHAT for chat in client.chats.get_chats(SESSION))
simulator.somebody_writes(ANN, "how are you?")
messages = until(
    "the answer in the chat",
    lambda: [m for m in client.chats.get_chat_messages(SESSION, CHAT, params={"limit": 50}) if m["body"] == "how are you?"],
)
assert messages[0]["fromMe"] is False and messages[0]["from"].split("@")[0], messages
everything = client.chats.get_chat_messages(SESSION, CHAT, params={"limit": 50})
assert any(bare(m["id"]) == bare(hello["id"]) for m in everything), everything

# The webhook told of it, signed.
event = receiver.got("message", lambda e: e["payload"]["body"] == "how are you?")
assert event["session"] == SESSION and event["id"].startswith("evt_"), event
assert event["metadata"] == {"user.id": "7"} and event["engine"] == "WEBJS", event
assert event["me"]["id"] == f"{phone}@c.us" and event["environment"]["tier"] == "PLUS", event
assert event["headers"].get("x-mine") == "yes", event
assert event["payload"]["hasMedia"] is False and event["payload"]["source"] == "app", event
receiver.got("session.status", lambda e: e["payload"]["status"] == "WORKING")
receiver.got("message.ack", lambda e: bare(e["payload"]["id"]) == bare(hello["id"]) and e["payload"]["ack"] >= 1)
receiver.got("message.any", lambda e: bare(e["payload"]["id"]) == bare(hello["id"]))

client.sessions.stop(SESSION)
assert status() == "STOPPED"
client.close()
print("waha-py: all is well")
