"""An OpenID Connect application made of authlib: an independent judge of our provider.

Usage: authlib_app.py '{"issuer", "client_id", "client_secret", "auth_method", "alg", "redirect_uri"}'

Then one JSON object per line on stdin, and one answer per line on stdout:
  {"do": "begin", "parameters": {..}}   {"url"}: where the browser goes, with PKCE, state and nonce
  {"do": "callback", "url"}             {"claims", "id_token", "access_token", "refresh_token"?, "scope"}
  {"do": "refresh"}                     the same
  {"do": "userinfo"}                    {"claims"}
A failure is {"error", "message"}; the process goes on.
"""

import json
import os
import sys
import urllib.parse

# Loopback without TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet


class Application:
    def __init__(self, settings):
        self.settings = settings
        answer = requests.get(f"{settings['issuer']}/.well-known/openid-configuration", timeout=10)
        self.metadata = answer.json()
        assert self.metadata["issuer"] == settings["issuer"], self.metadata
        self.keys = KeySet.import_key_set(requests.get(self.metadata["jwks_uri"], timeout=10).json())
        self.session = OAuth2Session(
            settings["client_id"],
            settings["client_secret"],
            redirect_uri=settings["redirect_uri"],
            scope="openid profile email groups offline_access",
            token_endpoint_auth_method=settings["auth_method"],
            code_challenge_method="S256",
        )
        self.session.metadata["token_endpoint"] = self.metadata["token_endpoint"]

    def begin(self, command):
        self.verifier, self.nonce = generate_token(48), generate_token()
        url, self.state = self.session.create_authorization_url(
            self.metadata["authorization_endpoint"],
            code_verifier=self.verifier,
            nonce=self.nonce,
            **command.get("parameters", {}),
        )
        return {"url": url}

    def callback(self, command):
        # RFC 9207, which the library leaves to us.
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(command["url"]).query))
        assert query["iss"] == self.settings["issuer"], query["iss"]
        self.session.fetch_token(
            self.metadata["token_endpoint"],
            authorization_response=command["url"],
            state=self.state,
            code_verifier=self.verifier,
        )
        return self.told(self.nonce)

    def refresh(self, _command):
        self.session.refresh_token(self.metadata["token_endpoint"], self.session.token["refresh_token"])
        return self.told(None)

    def userinfo(self, _command):
        answer = self.session.get(self.metadata["userinfo_endpoint"])
        answer.raise_for_status()
        return {"claims": answer.json()}

    def told(self, nonce):
        token = self.session.token
        read = jwt.decode(token["id_token"], self.keys, algorithms=[self.settings["alg"]])
        claims = CodeIDToken(
            read.claims,
            read.header,
            options={
                "iss": {"essential": True, "value": self.settings["issuer"]},
                "aud": {"essential": True, "value": self.settings["client_id"]},
            },
            params={
                "nonce": nonce,
                "client_id": self.settings["client_id"],
                "access_token": token["access_token"],
            },
        )
        claims.validate()
        return {
            "claims": dict(read.claims),
            "alg": read.header["alg"],
            "id_token": token["id_token"],
            "access_token": token["access_token"],
            "refresh_token": token.get("refresh_token"),
            "scope": token.get("scope"),
        }


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    application = Application(json.loads(sys.argv[1]))
    say({"ready": True})
    for line in sys.stdin:
        command = json.loads(line)
        try:
            say(getattr(application, command["do"])(command))
        except Exception as error:
            say({"error": getattr(error, "error", None) or type(error).__name__, "message": str(error)})


if __name__ == "__main__":
    main()
