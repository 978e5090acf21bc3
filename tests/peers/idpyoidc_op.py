"""An OpenID provider made of idpyoidc: an independent judge of what we ask providers.

Usage: idpyoidc_op.py '{}'

Then one JSON object per line on stdin, and one answer per line on stdout:
  {"do": "listen"}                    {"issuer"}: a port of its own
  {"do": "register", "client": {..}}  its only client, in the words of client registration; `jwks_uri` is fetched now. The
                                      token endpoint takes the `token_endpoint_auth_method` of the client and no other
  {"do": "rotate"}                    it signs with new keys from now on, and publishes only those
  {"do": "alter", "what": {..}}       until the next of these: `id_token` and `userinfo` have other claims, after they were
                                      signed; `logout_token` likewise
  {"do": "sign_in", "url", "login"}   {"url"}: where the browser goes with the answer
  {"do": "end_session", "url"}        {"url"}: the same browser ends its session there, and is sent on
  {"do": "end_all"}                   {"statuses"}: it tells our back channel, as if the person had left elsewhere
  {"do": "seen"}                      {"asked": ["POST /token", ..]} since the last time
A failure is {"error", "message"}; the process goes on.
"""

import base64
import http.server
import json
import logging
import sys
import threading
from urllib.parse import parse_qs, urlparse

import requests
from cryptojwt.key_jar import init_key_jar
from idpyoidc.message.oauth2 import is_error_message
from idpyoidc.server import Server
from idpyoidc.server.configure import OPConfiguration
from idpyoidc.server.token.id_token import IDToken

logging.disable(logging.CRITICAL)

KEYS = [
    {"type": "RSA", "use": ["sig"]},
    {"type": "EC", "crv": "P-256", "use": ["sig"]},
]
HIDDEN = [{"type": "oct", "bytes": "24", "use": ["enc"], "kid": name} for name in ("code", "token", "refresh")]
PEOPLE = {
    name: {"name": f"{name} of acme", "email": f"{name}@acme.example", "email_verified": True} for name in ("jane", "joe")
}


class EncryptedWhereRegistered(IDToken):
    """The library encrypts ID tokens when it is told to, and nobody in it does."""

    def __call__(self, *arguments, **named):
        return IDToken.__call__(self, *arguments, **{**named, "encrypt": "id_token_encrypted_response_alg" in CLIENT})


CLIENT = {}


class Provider:
    def __init__(self):
        self.seen, self.altered, self.cookies = [], {}, []

    def listen(self, _command):
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.issuer = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return {"issuer": self.issuer}

    def register(self, command):
        CLIENT.clear()
        CLIENT.update(command["client"])
        self.keys = requests.get(CLIENT["jwks_uri"], timeout=10).json() if "jwks_uri" in CLIENT else None
        self.build()
        return {}

    def rotate(self, _command):
        self.build()
        return {}

    def alter(self, command):
        self.altered = command["what"]
        return {}

    def build(self):
        method = CLIENT["token_endpoint_auth_method"]
        algorithms = {"id_token_signing_alg_values_supported": ["RS256", "ES256"]}
        oidc = "idpyoidc.server.oidc"
        configuration = {
            "issuer": self.issuer,
            "httpc_params": {"timeout": 10},
            "key_conf": {"key_defs": KEYS, "uri_path": "jwks.json"},
            "preference": {"subject_types_supported": ["public"], **algorithms},
            "token_handler_args": {
                "key_conf": {"key_defs": HIDDEN},
                "code": {"lifetime": 600, "kwargs": {"crypt_conf": crypt()}},
                "token": {"class": "idpyoidc.server.token.jwt_token.JWTToken", "kwargs": {"lifetime": 3600}},
                "id_token": {"class": "__main__.EncryptedWhereRegistered", "kwargs": algorithms},
            },
            "endpoint": {
                "provider_config": {
                    "path": ".well-known/openid-configuration",
                    "class": f"{oidc}.provider_config.ProviderConfiguration",
                    "kwargs": {},
                },
                "authorization": {
                    "path": "authorization",
                    "class": f"{oidc}.authorization.Authorization",
                    "kwargs": {"response_types_supported": ["code"], "response_modes_supported": ["query"]},
                },
                "token": {"path": "token", "class": f"{oidc}.token.Token", "kwargs": {"client_authn_method": [method]}},
                "userinfo": {
                    "path": "userinfo",
                    "class": f"{oidc}.userinfo.UserInfo",
                    "kwargs": {"client_authn_method": ["bearer_header"]},
                },
                "session": {
                    "path": "end_session",
                    "class": f"{oidc}.session.Session",
                    "kwargs": {
                        "logout_verify_url": f"{self.issuer}/verify_logout",
                        "post_logout_uri_path": "bye",
                        "signing_alg": "ES256",
                        "backchannel_logout_supported": True,
                        "backchannel_logout_session_supported": True,
                    },
                },
            },
            "userinfo": {"class": "idpyoidc.server.user_info.UserInfo", "kwargs": {"db": PEOPLE}},
            "authentication": {
                "page": {
                    "acr": "urn:example:good",
                    "class": "idpyoidc.server.user_authn.user.NoAuthn",
                    "kwargs": {"user": "jane"},
                }
            },
            "add_on": {
                "pkce": {
                    "function": "idpyoidc.server.oauth2.add_on.pkce.add_support",
                    "kwargs": {"essential": True, "code_challenge_methods": {"S256": None}},
                }
            },
            "session_params": {"encrypter": crypt()},
            "cookie_handler": {
                "class": "idpyoidc.server.cookie_handler.CookieHandler",
                "kwargs": {
                    "keys": {"key_defs": [{"type": "OCT", "use": [use], "kid": use} for use in ("enc", "sig")]},
                    "name": {name: name for name in ("session", "register", "session_management")},
                },
            },
        }
        self.server = Server(OPConfiguration(configuration, base_path="."), cwd=".")
        self.context = self.server.context
        client = {**CLIENT, "allowed_scopes": ["openid", "profile", "email"]}
        for name in ("redirect_uris", "post_logout_redirect_uris"):
            if name in client:
                client[name] = [(uri, {}) for uri in client[name]]
        client.setdefault("response_types_supported", ["code"])
        if "post_logout_redirect_uris" in client:
            client["post_logout_redirect_uri"] = client.pop("post_logout_redirect_uris")
        self.context.cdb["gateway"] = {"client_id": "gateway", **client}
        if "client_secret" in CLIENT:
            self.server.keyjar.add_symmetric("gateway", CLIENT["client_secret"])
        if self.keys:
            self.server.keyjar.import_jwks(self.keys, "gateway")
        self.context.httpc = self.send
        # Whoever leaves proves nothing; the library would look for an access token.
        self.server.endpoint["session"].client_authentication = lambda *_, **__: {}

    def send(self, method, url, **named):
        """What it tells our back channel."""
        if "logout_token" in self.altered:
            name, token = named["data"].split("=", 1)
            named["data"] = f"{name}={altered(token, self.altered['logout_token'])}"
        answer = requests.request(method, url, **named)
        self.statuses.append(answer.status_code)
        return answer

    # What browsers and we ask of it.

    def metadata(self, _request):
        return 200, "application/json", json.dumps(dict(self.context.provider_info.items()))

    def jwks(self, _request):
        return 200, "application/json", json.dumps(self.server.keyjar.export_jwks())

    def ask(self, name, request):
        endpoint = self.server.endpoint[name]
        info = {"headers": {key.lower(): value for key, value in request["headers"].items()}, "cookie": self.cookies}
        arguments = {"http_info": info}
        try:
            parsed = endpoint.parse_request(request["said"], **arguments)
            said = parsed if is_error_message(parsed) else endpoint.process_request(parsed, **arguments)
        except Exception as error:  # The library raises where it refuses a client.
            return None, 401, json.dumps({"error": "invalid_client", "error_description": repr(error)})
        if is_error_message(said) or "error" in said:
            return None, 400, json.dumps(dict(said.items()))
        return said, 200, {} if "redirect_location" in said else endpoint.do_response(request=parsed, **said)

    def token(self, request):
        said, status, answer = self.ask("token", request)
        if said is None:
            return status, "application/json", answer
        answer = json.loads(answer["response"])
        if "id_token" in self.altered:
            answer["id_token"] = altered(answer["id_token"], self.altered["id_token"])
        return 200, "application/json", json.dumps(answer)

    def userinfo(self, request):
        said, status, answer = self.ask("userinfo", request)
        if said is None:
            return status, "application/json", answer
        body, kind = answer["response"], dict(answer["http_headers"])["Content-type"]
        if "userinfo" in self.altered:
            body = altered(body, self.altered["userinfo"])
        return 200, kind, body

    # What the person does.

    def sign_in(self, command):
        for method in self.context.authn_broker.db.values():
            method["method"].user = command.get("login", "jane")
        url = urlparse(command["url"])
        self.cookies = []
        said, _, answer = self.ask("authorization", {"headers": {}, "said": url.query})
        assert said is not None, answer
        self.cookies = said.get("cookie", [])
        return {"url": answer["response"]}

    def end_session(self, command):
        self.statuses = []
        said, _, answer = self.ask("session", {"headers": {}, "said": query(urlparse(command["url"]).query)})
        assert said is not None, answer
        verified = self.server.endpoint["session"].unpack_signed_jwt(query(urlparse(said["redirect_location"]).query)["sjwt"])
        self.server.endpoint["session"].do_verified_logout(verified["sid"])
        return {"url": verified["redirect_uri"], "statuses": self.statuses}

    def end_all(self, _command):
        self.statuses = []
        handler = self.context.cookie_handler
        session = json.loads(handler.parse_cookie(handler.name["session"], self.cookies)[0]["value"])
        self.server.endpoint["session"].do_verified_logout(session["sid"], alla=True)
        return {"statuses": self.statuses}

    def asked(self, _command):
        seen, self.seen = self.seen, []
        return {"asked": seen}


def crypt():
    return {
        "kwargs": {
            "keys": {
                "key_defs": [
                    {"type": "OCT", "use": ["enc"], "kid": "password"},
                    {"type": "OCT", "use": ["enc"], "kid": "salt"},
                ]
            },
            "iterations": 1,
        }
    }


def query(text):
    return {name: values[0] for name, values in parse_qs(text).items()}


def altered(token, claims):
    """The same token with other claims, which its signature does not know."""
    header, payload, signature = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    told.update(claims)
    payload = base64.urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=").decode()
    return f"{header}.{payload}.{signature}"


def handler(provider):
    paths = {
        "/.well-known/openid-configuration": provider.metadata,
        "/jwks.json": provider.jwks,
        "/token": provider.token,
        "/userinfo": provider.userinfo,
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            url = urlparse(self.path)
            provider.seen.append(f"{self.command} {url.path}")
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            what = paths.get(url.path)
            said = query(body) if self.command == "POST" else query(url.query)
            status, kind, text = what({"headers": self.headers, "said": said}) if what else (404, "text/plain", "")
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = answer

        def log_message(self, *_):
            """The lines on stdout are answers."""

    return Handler


def main():
    provider = Provider()
    names = ("listen", "register", "rotate", "alter", "sign_in", "end_session", "end_all")
    verbs = {**{name: getattr(provider, name) for name in names}, "seen": provider.asked}
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = verbs[command["do"]](command)
        except Exception as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), flush=True)


main()
