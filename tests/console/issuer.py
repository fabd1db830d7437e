"""A small OpenID Connect issuer over real HTTP: discovery, sign-in page, codes, PKCE, keys."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt

from poolctl.local_keys import ALGORITHM, KEY_ID, LocalKeys

CLIENT = "the-console"


@dataclass
class Issuer:
    """`with Issuer(keys) as issuer: issuer.url`. A user enters only a name; the token names `tenant`."""

    keys: LocalKeys
    tenant: str = "main"
    refusing: bool = False
    spoils_nonce: bool = False
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    exchanges: int = 0

    def __enter__(self) -> Self:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.answer(self, dict(parse_qsl(urlsplit(self.path).query)))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                issuer.answer(self, {name: values[0] for name, values in parse_qs(body).items()})

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/realm"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, parameters: dict[str, str]) -> None:
        match urlsplit(handler.path).path.removeprefix("/realm"):
            case "/.well-known/openid-configuration":
                endpoints = {"issuer": self.url, "authorization_endpoint": f"{self.url}/enter"}
                send(handler, endpoints | {"token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys"})
            case "/keys":
                send(handler, json.loads(self.keys.jwks.read_text()))
            case "/enter":
                self.requests.append(parameters)
                send(
                    handler,
                    "",
                    f"<form action=entered>{hidden_inputs(parameters)}<input name=user><button>Enter</button></form>",
                )
            case "/entered":
                redirect(
                    handler, parameters["redirect_uri"], self.issue_code(parameters) | {"state": parameters["state"]}
                )
            case "/token":
                self.exchanges += 1
                token = self.token(parameters)
                send(handler, token or {"error": "invalid_grant"}, status=200 if token else 400)
            case _:
                send(handler, {}, status=404)

    def issue_code(self, parameters: dict[str, str]) -> dict[str, str]:
        if self.refusing:
            return {"error": "access_denied"}
        code = secrets.token_urlsafe(16)
        self.codes[code] = parameters
        return {"code": code}

    def token(self, parameters: dict[str, str]) -> dict[str, Any] | None:
        """Return tokens for an unused code if the client that requested it sends the verifier of its challenge."""
        stored = self.codes.pop(parameters["code"], None)
        digest = hashlib.sha256(parameters["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        expected = {"client_id": CLIENT, "redirect_uri": parameters["redirect_uri"], "code_challenge": challenge}
        if (
            stored is None
            or parameters["client_id"] != CLIENT
            or any(stored[name] != value for name, value in expected.items())
        ):
            return None
        nonce = "another" if self.spoils_nonce else stored["nonce"]
        standard_claims = {"iss": self.url, "aud": CLIENT, "sub": stored["user"], "exp": int(time.time()) + 600}
        claims = standard_claims | {"nonce": nonce, "tenant": self.tenant}
        signed = jwt.encode(claims, self.keys.private.read_bytes(), ALGORITHM, {"kid": KEY_ID})
        return {"access_token": "opaque", "id_token": signed, "token_type": "Bearer"}


def hidden_inputs(parameters: dict[str, str]) -> str:
    return "".join(f'<input type=hidden name="{name}" value="{value}">' for name, value in parameters.items())


def redirect(handler: BaseHTTPRequestHandler, address: str, parameters: dict[str, str]) -> None:
    handler.send_response(302)
    handler.send_header("Location", f"{address}?{urlencode(parameters)}")
    handler.end_headers()


def send(handler: BaseHTTPRequestHandler, body: Any, page: str = "", status: int = 200) -> None:
    content = (page or json.dumps(body)).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "text/html" if page else "application/json")
    handler.send_header("Access-Control-Allow-Origin", "*")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
