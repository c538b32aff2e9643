"""An SMTP server that prints its port, then each accepted mail as a line of JSON.

With SMTP_CERTIFICATE and SMTP_KEY it speaks TLS from the first byte; with
SMTP_PASSWORD it takes mail only from `ann@example.com` with that password.
"""
import asyncio
import email
import email.policy
import json
import os
import ssl

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 no such user here"
        if address.startswith("later@"):
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = lambda kind: mail.get_body(preferencelist=(kind,)).get_content()
        print(json.dumps({
            "to": ",".join(envelope.rcpt_tos),
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "text": part("plain"),
            "html": part("html"),
        }), flush=True)
        if envelope.rcpt_tos[0].startswith("hangup@"):
            server.transport.abort()
        return "250 accepted"


def authenticate(server, session, envelope, mechanism, data):
    right = (b"ann@example.com", os.environ.get("SMTP_PASSWORD", "").encode())
    return AuthResult(success=(data.login, data.password) == right, handled=False)


def session():
    if "SMTP_PASSWORD" not in os.environ:
        return SMTP(Handler())
    return SMTP(Handler(), authenticator=authenticate, auth_required=True, auth_require_tls=False)


async def main():
    loop = asyncio.get_running_loop()
    tls = None
    if "SMTP_CERTIFICATE" in os.environ:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(os.environ["SMTP_CERTIFICATE"], os.environ["SMTP_KEY"])
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
