"""Calls every method of a client once, and fails where an address is not known.

    addresses.py waha|waha-py BASE_URL TOKEN

Nothing needs to work: the session does not exist, and the bodies are empty. But
each address must be there for its method: no 404 for the address, no 405.
"""

import inspect
import sys

import waha

# They would make a session, with a name of the gateway's own.
LEFT_OUT = {"sessions.create"}


def dummy(parameter):
    """Something that goes into an address or a body and means nothing."""
    if parameter.name in ("participants", "contacts", "options", "buttons"):
        return []
    if parameter.name in ("latitude", "longitude"):
        return 1.0
    if parameter.name == "format":
        return waha.types.QRFormat.RAW
    if parameter.name == "link_preview":
        return waha.types.LinkPreview(url="http://127.0.0.1/")
    if parameter.name == "file":
        return "http://127.0.0.1/none"
    if parameter.name == "session":
        return "nobody"
    if parameter.name in ("chat_id", "contact_id"):
        return "4915100000001@c.us"
    return "x"


def arguments(method):
    """Values for what must be given, and the session and payload where they can be."""
    given = {}
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        needed = parameter.name in ("session", "format", "phone_number")
        if parameter.default is parameter.empty or needed:
            given[parameter.name] = dummy(parameter)
        elif parameter.name == "payload":
            given[parameter.name] = {"session": "nobody", "name": "nobody"}
    return given


def methods(client):
    for area, api in vars(client).items():
        if area.startswith("_"):
            continue
        for name, method in inspect.getmembers(api, inspect.ismethod):
            # The asynchronous ones of waha-py ask the same addresses.
            if not name.startswith(("_", "a_")):
                yield f"{area}.{name}", method


def main():
    which, base, token = sys.argv[1:]
    answers = []

    def note(response):
        response.read()
        answers.append(response)

    client = waha.WahaClient(base_url=base, api_key=token)
    if which == "waha-py":
        client._http._sync_client.event_hooks["response"].append(note)
    else:
        client._http_client.client.event_hooks["response"].append(note)
    asked, unsupported, wrong = 0, 0, []
    for name, method in methods(client):
        if name in LEFT_OUT:
            continue
        answers.clear()
        try:
            method(**arguments(method))
        except Exception as error:  # whatever the client makes of the answer
            trouble = error
        else:
            trouble = None
        if not answers:
            wrong.append(f"{name}: not asked: {trouble!r}")
            continue
        asked += 1
        answer = answers[-1]
        what = f"{name}: {answer.request.method} {answer.request.url.path}: {answer.status_code}"
        if answer.status_code >= 400:
            if answer.headers["content-type"] != "application/problem+json":
                wrong.append(f"{what}: no problem")
                continue
            problem = answer.json()
            unsupported += problem["code"] == "unsupported"
            if problem["code"] in ("not_found", "method_not_allowed", "internal"):
                wrong.append(f"{what}: {problem['code']}")
            if problem["message"] != problem["detail"]:
                wrong.append(f"{what}: no message")
    for line in wrong:
        print(line)
    print(f"{asked} methods, {unsupported} of them not supported")
    sys.exit(1 if wrong or asked == 0 else 0)


main()
