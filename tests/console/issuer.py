"""A small issuer of OpenID Connect over real HTTP: discovery, a page to sign in on, codes, PKCE, keys."""

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

from tools.local.keys import ALGORITHM, KEY_ID, LocalKeys

CLIENT = "the-console"


@dataclass
class Issuer:
    """`with Issuer(keys) as issuer: issuer.url`. Whoever comes says their name; `tenant` goes into their token."""

    keys: LocalKeys
    tenant: str = "main"
    refusing: bool = False
    spoils_nonce: bool = False
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    exchanges: int = 0

    def __enter__(self) -> Self:
        issuer = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.answer(self, dict(parse_qsl(urlsplit(self.path).query)))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                issuer.answer(self, {name: values[0] for name, values in parse_qs(body).items()})

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}/realm"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, door: BaseHTTPRequestHandler, said: dict[str, str]) -> None:
        match urlsplit(door.path).path.removeprefix("/realm"):
            case "/.well-known/openid-configuration":
                known = {"issuer": self.url, "authorization_endpoint": f"{self.url}/enter"}
                send(door, known | {"token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys"})
            case "/keys":
                send(door, json.loads(self.keys.jwks.read_text()))
            case "/enter":
                self.asked.append(said)
                send(door, "", f"<form action=entered>{hidden(said)}<input name=user><button>Enter</button></form>")
            case "/entered":
                redirect(door, said["redirect_uri"], self.admit(said) | {"state": said["state"]})
            case "/token":
                self.exchanges += 1
                token = self.token(said)
                send(door, token or {"error": "invalid_grant"}, status=200 if token else 400)
            case _:
                send(door, {}, status=404)

    def admit(self, said: dict[str, str]) -> dict[str, str]:
        if self.refusing:
            return {"error": "access_denied"}
        code = secrets.token_urlsafe(16)
        self.codes[code] = said
        return {"code": code}

    def token(self, said: dict[str, str]) -> dict[str, Any] | None:
        """For an unused code, from the client that asked for it and knows what the challenge was made of."""
        given = self.codes.pop(said["code"], None)
        digest = hashlib.sha256(said["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        asked = {"client_id": CLIENT, "redirect_uri": said["redirect_uri"], "code_challenge": challenge}
        if given is None or said["client_id"] != CLIENT or any(given[name] != value for name, value in asked.items()):
            return None
        nonce = "another" if self.spoils_nonce else given["nonce"]
        about = {"iss": self.url, "aud": CLIENT, "sub": given["user"], "exp": int(time.time()) + 600}
        claims = about | {"nonce": nonce, "tenant": self.tenant}
        signed = jwt.encode(claims, self.keys.private.read_bytes(), ALGORITHM, {"kid": KEY_ID})
        return {"access_token": "opaque", "id_token": signed, "token_type": "Bearer"}


def hidden(said: dict[str, str]) -> str:
    return "".join(f'<input type=hidden name="{name}" value="{value}">' for name, value in said.items())


def redirect(door: BaseHTTPRequestHandler, address: str, said: dict[str, str]) -> None:
    door.send_response(302)
    door.send_header("Location", f"{address}?{urlencode(said)}")
    door.end_headers()


def send(door: BaseHTTPRequestHandler, body: Any, page: str = "", status: int = 200) -> None:
    content = (page or json.dumps(body)).encode()
    door.send_response(status)
    door.send_header("Content-Type", "text/html" if page else "application/json")
    door.send_header("Access-Control-Allow-Origin", "*")
    door.send_header("Content-Length", str(len(content)))
    door.end_headers()
    door.wfile.write(content)
