"""Who is told: a mail server and a webhook receiver made of other people's code.

    receiver.py FOLDER

Mail is received by aiosmtpd; webhooks are verified by `standardwebhooks`, so
that neither our SMTP client nor our signatures are judged by ourselves. Both
listen on free ports of 127.0.0.1, which `FOLDER/ports.json` names once they do.
What arrives is appended to `FOLDER/arrived.jsonl`, one JSON object a line.

A channel `NAME` posts to `/hook/NAME`; its secret is read from
`FOLDER/NAME.secret` at each request. A request that does not verify is refused
with 401 and still written down.

If `FOLDER/delay` holds a number, answers come that many seconds after what they
answer was written down: long enough for a sender to be killed in between.
"""

import asyncio
import email
import email.policy
import http.server
import json
import os
import sys
import threading
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

MAX_BODY = 1024 * 1024


class Journal:
    """What arrived, in order, written line by line."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")
        self.lock = threading.Lock()

    def write(self, entry):
        with self.lock:
            self.file.write(json.dumps(entry) + "\n")
            self.file.flush()


def delay(folder):
    """Seconds between taking something and saying so."""
    try:
        return float((folder / "delay").read_text())
    except OSError:
        return 0.0


class MailHandler:
    """What aiosmtpd calls for each message."""

    def __init__(self, journal, folder):
        self.journal = journal
        self.folder = folder

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        plain = message.get_body(preferencelist=("plain",))
        self.journal.write(
            {
                "via": "email",
                "envelope_from": envelope.mail_from,
                "envelope_to": envelope.rcpt_tos,
                "headers": {name.lower(): str(value) for name, value in message.items()},
                "text": plain.get_content() if plain else "",
                "defects": [str(defect) for defect in message.defects],
            }
        )
        await asyncio.sleep(delay(self.folder))
        return "250 OK"


def hook_handler(journal, folder):
    class HookHandler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(min(length, MAX_BODY))
            channel = self.path.removeprefix("/hook/")
            headers = {name.lower(): value for name, value in self.headers.items()}
            error = verify(folder / f"{Path(channel).name}.secret", body, headers)
            journal.write(
                {
                    "via": "webhook",
                    "channel": channel,
                    "verified": error is None,
                    "error": error,
                    "headers": headers,
                    "body": json_or_none(body),
                }
            )
            time.sleep(delay(folder))
            self.send_response(204 if error is None else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    return HookHandler


def verify(secret_file, body, headers):
    """Why the request is not from who it says; None if it is."""
    try:
        Webhook(secret_file.read_text().strip()).verify(body, headers)
    except (OSError, ValueError, WebhookVerificationError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def json_or_none(body):
    try:
        return json.loads(body)
    except ValueError:
        return None


async def receive(folder):
    started_by = os.getppid()
    journal = Journal(folder / "arrived.jsonl")
    hooks = http.server.ThreadingHTTPServer(("127.0.0.1", 0), hook_handler(journal, folder))
    threading.Thread(target=hooks.serve_forever, daemon=True).start()
    loop = asyncio.get_running_loop()
    # aiosmtpd's own Controller cannot take port 0.
    mail = await loop.create_server(
        lambda: SMTP(MailHandler(journal, folder), enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
    )
    ports = {
        "smtp": mail.sockets[0].getsockname()[1],
        "webhook": hooks.server_address[1],
    }
    unfinished = folder / "ports.json.new"
    unfinished.write_text(json.dumps(ports))
    unfinished.rename(folder / "ports.json")
    # Nobody is left to receive for once the test has ended, however it ended.
    while os.getppid() == started_by:
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(receive(Path(sys.argv[1])))
