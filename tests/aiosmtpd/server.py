"""Takes mails over SMTP, after STARTTLS and with a password, and prints each as a line of JSON.

It prints its port first. It ends when its stdin does: with the tests that started it, however they
end.

    python server.py CERTIFICATE KEY USER PASSWORD
"""

import asyncio
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

certificate, key, user, password = sys.argv[1:]
credentials = LoginPassword(user.encode(), password.encode())
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(certificate, key)

# It warns of what it does itself.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class Printer:
    async def handle_DATA(self, server, session, envelope):
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "data": envelope.content.decode()}
        print(json.dumps(mail), flush=True)
        return "250 2.0.0 Taken"


def authenticate(server, session, envelope, mechanism, given):
    # Not handled: the server is to answer.
    return AuthResult(success=given == credentials, handled=False)


def session():
    return SMTP(
        Printer(),
        hostname="localhost",
        tls_context=tls,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
