"""Verifies requests to a webhook endpoint by the reference library of Standard Webhooks.

One JSON object a line on standard input: secret, headers, body. Says how many it verified.
"""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

verified = 0
for line in sys.stdin:
    given = json.loads(line)
    webhook = Webhook(given["secret"])
    event = webhook.verify(given["body"], given["headers"])
    assert event["id"] == given["headers"]["webhook-id"]
    for changed in (given["body"].replace('"seq"', '"sec"'), given["body"] + " "):
        try:
            webhook.verify(changed, given["headers"])
        except WebhookVerificationError:
            continue
        sys.exit("a changed body was verified")
    verified += 1
print(verified)
