"""An OpenID Connect application made of authlib: an independent judge of our provider.

Usage: authlib_app.py '{"issuer", "client_id", "client_secret", "auth_method", "alg", "redirect_uri", "scope"?,
"private_key"?}'; `private_key` is PEM, RSA, for private_key_jwt (PS256).

Then one JSON object per line on stdin, and one answer per line on stdout:
  {"do": "discovery"}                    {"issuer"}: the metadata as the library judges them, with https in the place of http
  {"do": "begin", "parameters": {..}}    {"url"}: where the browser goes, with PKCE, state and nonce
  {"do": "begin_pushed" or "begin_object", "parameters": {..}}  the same, with the request pushed, or as an object by value
  {"do": "callback", "url", "replace"?}  {"claims", "id_token", "access_token", "refresh_token"?, "scope"}; `replace` stands
                                         in for members of the token response
  {"do": "front", "answer"}              the same of tokens in the authorization response, whose parameters are `answer`
  {"do": "refresh"}                      the same
  {"do": "userinfo"}                     {"claims"}
  {"do": "end_session", "uri"}           {"url", "state"}
  {"do": "logout_token", "logout_token"} {"claims"}
  {"do": "client_credentials", "parameters"} {"access_token", "scope"}
  {"do": "introspect", "token"}          {"active", ..}
  {"do": "revoke", "token"}              {"status"}
  {"do": "device"}                       what the device shows; then {"do": "poll"}, the tokens
A failure is {"error", "message"}; the process goes on.
"""

import json
import os
import sys
import time
import urllib.parse

# Loopback without TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.common.security import generate_token
from authlib.integrations.base_client.sync_app import BaseApp, OAuth2Mixin
from authlib.integrations.base_client.sync_openid import OpenIDMixin
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.core import CodeIDToken, HybridIDToken, ImplicitIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jws, jwt
from joserfc.jwk import KeySet, RSAKey
from joserfc.jwt import JWTClaimsRegistry

SCOPE = "openid profile email groups offline_access"
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


class Client(OAuth2Mixin, OpenIDMixin, BaseApp):
    """The library's application, without one of the web frameworks that it fits into."""

    client_cls = OAuth2Session

    def _on_update_token(self, token, refresh_token=None, access_token=None):
        """The session has it already."""


class Application:
    def __init__(self, settings):
        self.settings = settings
        method = settings["auth_method"]
        self.key = RSAKey.import_key(settings["private_key"]) if settings.get("private_key") else None
        self.client = Client(
            framework=None,
            client_id=settings["client_id"],
            client_secret=self.key if method == "private_key_jwt" else settings["client_secret"],
            server_metadata_url=f"{settings['issuer']}/.well-known/openid-configuration",
            client_auth_methods=[ClientSecretJWT(), PrivateKeyJWT(alg="PS256")],
            client_kwargs={
                "scope": settings.get("scope", SCOPE),
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": method,
                "revocation_endpoint_auth_method": method,
                "default_timeout": 10,
            },
        )
        self.metadata = self.client.load_server_metadata()
        assert self.metadata["issuer"] == settings["issuer"], self.metadata
        self.replace = None
        # One session for all requests of this application.
        self.session = self.client._get_oauth_client(**self.metadata)
        self.session.register_compliance_hook("access_token_response", self.on_the_way)

    def on_the_way(self, answer):
        if self.replace and answer.status_code == 200:
            answer._content = json.dumps({**answer.json(), **self.replace}).encode()
        return answer

    def discovery(self, _command):
        told = {name: value for name, value in self.metadata.items() if name not in ("_loaded_at", "jwks")}
        https = json.loads(json.dumps(told).replace("http://127.0.0.1", "https://127.0.0.1"))
        OpenIDProviderMetadata(https).validate()
        AuthorizationServerMetadata(https).validate()
        return {"issuer": told["issuer"]}

    def begin(self, command):
        parameters = command.get("parameters", {})
        kinds = parameters.get("response_type", "code").split()
        if "code" in kinds and len(kinds) > 1:
            # The library makes a challenge for the code flow alone.
            verifier = generate_token(48)
            challenge = {"code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256"}
            parameters = {**parameters, "code_verifier": verifier, **challenge}
        self.made = self.client.create_authorization_url(self.settings["redirect_uri"], **parameters)
        return {"url": self.made["url"]}

    def begin_pushed(self, command):
        asked = self.asked(command)
        method = self.settings["auth_method"]
        if method == "client_secret_post":
            # The authentication writes it.
            del asked["client_id"]
        answer = self.session.request(
            "POST",
            self.metadata["pushed_authorization_request_endpoint"],
            withhold_token=True,
            data=asked,
            auth=self.session.client_auth(method),
        )
        assert answer.status_code == 201, answer.text
        return self.instead({"request_uri": answer.json()["request_uri"]})

    def begin_object(self, command):
        now = int(time.time())
        claims = {"iss": self.settings["client_id"], "aud": self.settings["issuer"], "iat": now, "exp": now + 60}
        header = {"alg": "PS256", "typ": "oauth-authz-req+jwt"}
        return self.instead({"request": jwt.encode(header, {**self.asked(command), **claims}, self.key, algorithms=["PS256"])})

    def asked(self, command):
        url = self.begin(command)["url"]
        return dict(urllib.parse.parse_qsl(urllib.parse.urlparse(url).query))

    def instead(self, parameters):
        query = urllib.parse.urlencode({"client_id": self.settings["client_id"], **parameters})
        return {"url": f"{self.metadata['authorization_endpoint']}?{query}"}

    def callback(self, command):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(command["url"]).query))
        return self.redeemed(query, command)

    def redeemed(self, answer, command):
        # RFC 9207 and the state, which the library leaves to the framework around it.
        assert answer["iss"] == self.settings["issuer"], answer["iss"]
        assert answer["state"] == self.made["state"], "state"
        self.replace = command.get("replace")
        self.session.fetch_token(
            self.metadata["token_endpoint"],
            grant_type="authorization_code",
            code=answer["code"],
            redirect_uri=self.settings["redirect_uri"],
            code_verifier=self.made["code_verifier"],
        )
        return self.told(self.session.token, self.made["nonce"], CodeIDToken)

    def front(self, command):
        answer = command["answer"]
        assert answer["iss"] == self.settings["issuer"] and answer["state"] == self.made["state"], answer
        # The library's own reader does not know of the code.
        kind = HybridIDToken if "code" in answer else ImplicitIDToken
        told = self.told(answer, self.made["nonce"], kind)
        return self.redeemed(answer, command) if "code" in answer else told

    def refresh(self, command):
        self.replace = command.get("replace")
        self.session.refresh_token(self.metadata["token_endpoint"], self.session.token["refresh_token"])
        return self.told(self.session.token, None, CodeIDToken)

    def told(self, token, nonce, kind):
        # It reads our keys again by itself when there is one that it does not know.
        options = {
            "iss": {"essential": True, "value": self.settings["issuer"]},
            "aud": {"essential": True, "value": self.settings["client_id"]},
        }
        claims = self.client.parse_id_token(token, nonce, options, kind)
        header = jws.extract_compact(token["id_token"].encode()).headers()
        assert header["alg"] == self.settings["alg"], header
        params = {
            "nonce": nonce,
            "client_id": self.settings["client_id"],
            "access_token": token.get("access_token"),
            "code": token.get("code"),
        }
        kind(claims, header, options, params).validate()
        return {
            "claims": dict(claims),
            "alg": header["alg"],
            "kid": header["kid"],
            "id_token": token["id_token"],
            "access_token": token.get("access_token"),
            "refresh_token": token.get("refresh_token"),
            "scope": token.get("scope"),
        }

    def userinfo(self, _command):
        return {"claims": dict(self.client.userinfo(token=self.session.token))}

    def end_session(self, command):
        return self.client.create_logout_url(command["uri"], self.session.token["id_token"])

    def logout_token(self, command):
        keys = KeySet.import_key_set(self.client.fetch_jwk_set(force=True))
        algorithms = self.metadata["id_token_signing_alg_values_supported"]
        token = jwt.decode(command["logout_token"], keys, algorithms=algorithms)
        JWTClaimsRegistry(
            iss={"essential": True, "value": self.settings["issuer"]},
            aud={"essential": True, "value": self.settings["client_id"]},
            iat={"essential": True},
            exp={"essential": True},
            jti={"essential": True},
            events={"essential": True, "value": {LOGOUT: {}}},
        ).validate(token.claims)
        assert "nonce" not in token.claims and token.header["typ"] == "logout+jwt", token
        return {"claims": token.claims}

    def client_credentials(self, command):
        token = self.session.fetch_token(
            self.metadata["token_endpoint"], grant_type="client_credentials", **command["parameters"]
        )
        return dict(token)

    def introspect(self, command):
        return self.session.introspect_token(self.metadata["introspection_endpoint"], command["token"]).json()

    def revoke(self, command):
        answer = self.session.revoke_token(self.metadata["revocation_endpoint"], command["token"])
        return {"status": answer.status_code}

    def device(self, _command):
        answer = self.session.request(
            "POST",
            self.metadata["device_authorization_endpoint"],
            withhold_token=True,
            data={"client_id": self.settings["client_id"], "scope": self.settings.get("scope", SCOPE)},
            auth=self.session.client_auth(self.settings["auth_method"]),
        )
        self.waiting = answer.json()
        return self.waiting

    def poll(self, _command):
        self.session.fetch_token(
            self.metadata["token_endpoint"], grant_type=DEVICE, device_code=self.waiting["device_code"]
        )
        return self.told(self.session.token, None, CodeIDToken)


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
