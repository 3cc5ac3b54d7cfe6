"""A stand-in for the token endpoint of Microsoft Entra ID, at its own address.

It is the HTTPS proxy of the agent, and answers for `login.microsoftonline.com` with a certificate that the agent
trusts. So the identity libraries call the address that they call in production.
"""

import datetime
import json
import ssl
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "login.microsoftonline.com"
CLIENT = "3c9a7e14-0b52-4d6f-8e21-5a7c1f9b2d08"
SECRET = "a secret of the client"
ASSERTION = "a.projected.token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of the host that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "entra.pem", folder / "entra.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return pem, private


class TokenEndpoint(ThreadingHTTPServer):
    """Gives this token to the one client that it knows, for one audience."""

    daemon_threads = True

    def __init__(self, folder: Path, tenant: str, audience: str, token: str | None) -> None:
        self.folder, self.tenant, self.audience, self.token = folder, tenant, audience, token
        self.pem, private = write_certificate(folder)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.pem, private)
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def env(self, by: str) -> dict[str, str]:
        """What a program finds in its environment, with a client secret or a workload identity."""
        env = {
            "HO_AUDIENCE": self.audience,
            "AZURE_TENANT_ID": self.tenant,
            "AZURE_CLIENT_ID": CLIENT,
            "HTTPS_PROXY": f"http://127.0.0.1:{self.server_port}",
            "https_proxy": f"http://127.0.0.1:{self.server_port}",
        }
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
            env[name] = str(self.pem)
        if by == "secret":
            return env | {"AZURE_CLIENT_SECRET": SECRET}
        file = self.folder / "projected-token"
        file.write_text(ASSERTION)
        return env | {"AZURE_FEDERATED_TOKEN_FILE": str(file)}

    def knows(self, form: dict[str, list[str]]) -> bool:
        proof = {name: form.get(name) for name in ("client_secret", "client_assertion", "client_assertion_type")}
        by_secret = {"client_secret": [SECRET], "client_assertion": None, "client_assertion_type": None}
        by_assertion = {
            "client_secret": None,
            "client_assertion": [ASSERTION],
            "client_assertion_type": [ASSERTION_TYPE],
        }
        return (
            proof in (by_secret, by_assertion)
            and form["grant_type"] == ["client_credentials"]
            and form["client_id"] == [CLIENT]
            and form["scope"][0].split() == [f"{self.audience}/.default"]
        )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TokenEndpoint

    def connect(self) -> None:
        if self.path != f"{HOST}:443":
            self.send_error(502)
            return
        self.send_response(200)
        self.end_headers()
        try:
            self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        except (OSError, ssl.SSLError):
            self.close_connection = True
            return
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        # Only a kept connection reads on.
        self.close_connection = False

    def describe(self) -> None:
        authority = f"https://{HOST}/{self.server.tenant}"
        if self.path.startswith("/common/discovery/instance?"):
            alias = {"preferred_network": HOST, "preferred_cache": HOST, "aliases": [HOST]}
            discovery = f"{authority}/v2.0/.well-known/openid-configuration"
            self.answer(200, {"tenant_discovery_endpoint": discovery, "metadata": [alias]})
        elif self.path.startswith(f"/{self.server.tenant}/v2.0/.well-known/openid-configuration"):
            configuration = {
                "issuer": f"{authority}/v2.0",
                "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
                "token_endpoint": f"{authority}/oauth2/v2.0/token",
            }
            self.answer(200, configuration)
        else:
            self.answer(404, {"error": "not_found"})

    def respond_with_token(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        is_endpoint = self.path.partition("?")[0] == f"/{self.server.tenant}/oauth2/v2.0/token"
        if self.server.token and is_endpoint and self.server.knows(urllib.parse.parse_qs(body)):
            token = {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599}
            self.answer(200, token | {"access_token": self.server.token})
        else:
            # As Entra words it.
            said = f"AADSTS7000215: Invalid client secret provided. Ensure that it is the value, for app '{CLIENT}'."
            self.answer(401, {"error": "invalid_client", "error_description": said, "error_codes": [7000215]})

    do_CONNECT, do_GET, do_POST = connect, describe, respond_with_token

    def answer(self, status: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass
