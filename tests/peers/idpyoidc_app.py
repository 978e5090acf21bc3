"""An OpenID Connect application made of idpyoidc: an independent judge of our provider.

Usage: idpyoidc_app.py '{"issuer", "base", "client", "private_key"?}'

`client` is the library's own configuration of one client; without `client_id` it registers itself. `base` is where the
application would stand; the library makes its addresses of it. `private_key` is PEM, RSA.

Then one JSON object per line on stdin, and one answer per line on stdout:
  {"do": "begin", "parameters": {..}}       {"url", "state"}: where the browser goes; no state where an object has it
  {"do": "callback", "answer", "replace"?}  {"claims", "header", "id_token", "access_token", "refresh_token"?}; `answer` has
                                            the parameters of the authorization response, `replace` stands in for members of
                                            the token response
  {"do": "refresh", "replace"?}             the same
  {"do": "userinfo"}                        {"claims"}
  {"do": "end_session", "uri"}              {"url", "state"}
  {"do": "logout_token", "logout_token"}    {"state"}: of the login that it ends
  {"do": "client_credentials", "parameters"} {"access_token", ..}
  {"do": "introspect", "token"}             {"active", ..}
  {"do": "revoke", "token"}                 {"status"}
  {"do": "registered"}                      what the registration gave
A failure is {"error", "message"}; the process goes on.
"""

import json
import sys
from urllib.parse import parse_qs, urlparse

import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptojwt import KeyJar
from cryptojwt.jwk.rsa import RSAKey
from cryptojwt.jws.jws import factory
from cryptojwt.key_bundle import KeyBundle
from idpyoidc.client.defaults import DEFAULT_OIDC_SERVICES
from idpyoidc.client.oauth2.stand_alone_client import StandAloneClient, backchannel_logout
from idpyoidc.client.rp_handler import RPHandler
from idpyoidc.message.oauth2 import is_error_message

SERVICES = {
    **DEFAULT_OIDC_SERVICES,
    "end_session": {"class": "idpyoidc.client.oidc.end_session.EndSession"},
    "client_credentials": {"class": "idpyoidc.client.oauth2.client_credentials.CCAccessTokenRequest"},
    "introspection": {"class": "idpyoidc.client.oauth2.introspection.Introspection"},
    "token_revocation": {"class": "idpyoidc.client.oauth2.token_revocation.TokenRevocation"},
}


class Refused(Exception):
    """An error that the provider told."""

    def __init__(self, answer):
        super().__init__(answer.get("error_description", ""))
        self.error = answer["error"]


class Wire:
    """The way to the provider, on which token responses can be altered."""

    def __init__(self):
        self.replace = None
        self.last = None

    def __call__(self, method, url, **arguments):
        answer = requests.request(method, url, **{"timeout": 10, **arguments})
        if url.endswith("/oauth/token") and answer.status_code == 200:
            told = {**answer.json(), **(self.replace or {})}
            answer._content = json.dumps(told).encode()
            self.last = told
        return answer


class Application:
    def __init__(self, settings):
        self.issuer, self.wire = settings["issuer"], Wire()
        keys = KeyJar()
        if settings.get("private_key"):
            key = RSAKey(priv_key=load_pem_private_key(settings["private_key"].encode(), None), use="sig", kid="own")
            bundle = KeyBundle()
            bundle.append(key)
            keys.add_kb("", bundle)
        config = {"client_type": "oidc", "issuer": self.issuer, "services": SERVICES, **settings["client"]}
        config["client_authn_methods"] = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"]
        config.setdefault("add_ons", {})["pkce"] = {
            "function": "idpyoidc.client.oauth2.add_on.pkce.add_support",
            "kwargs": {"code_challenge_length": 64, "code_challenge_method": "S256"},
        }
        self.handler = RPHandler(
            base_url=settings["base"],
            client_configs={self.issuer: config},
            services=SERVICES,
            keyjar=keys,
            httpc=self.wire,
            httpc_params={"verify": True},
            client_class=StandAloneClient,
        )
        # Discovery, and registration where there is no client_id.
        self.client = self.handler.client_setup(self.issuer)
        context = self.client.get_context()
        if not context.registration_response:
            # The library judges logout tokens by what a registration told, and there was none.
            alg = config["preference"]["id_token_signing_alg_values_supported"][0]
            context.registration_response = {"id_token_signed_response_alg": alg}

    def begin(self, command):
        url = self.client.init_authorization(req_args=command.get("parameters") or None)
        return {"url": url, "state": parse_qs(urlparse(url).query).get("state", [None])[0]}

    def callback(self, command):
        self.wire.replace, self.wire.last = command.get("replace"), None
        answer = self.client.finalize_auth(command["answer"])
        if is_error_message(answer):
            raise Refused(answer)
        self.state = answer["state"]
        got = self.client.get_access_and_id_token(answer, state=self.state)
        told = self.wire.last or answer.to_dict()
        return self.told(got["id_token"], told, got["access_token"])

    def refresh(self, command):
        self.wire.replace = command.get("replace")
        answer = self.client.refresh_access_token(self.state)
        return self.told(answer.get("__verified_id_token"), self.wire.last, answer["access_token"])

    def told(self, claims, answer, access_token):
        id_token = answer.get("id_token")
        return {
            "claims": claims.to_dict() if claims else None,
            "header": factory(id_token).jwt.headers if isinstance(id_token, str) else None,
            "id_token": id_token if isinstance(id_token, str) else None,
            "access_token": access_token,
            "refresh_token": answer.get("refresh_token"),
        }

    def userinfo(self, _command):
        return {"claims": self.client.get_user_info(self.state).to_dict()}

    def end_session(self, command):
        asked = self.client.logout(self.state, post_logout_redirect_uri=command["uri"])
        return {"url": asked["url"], "state": asked["request"]["state"]}

    def logout_token(self, command):
        return {"state": backchannel_logout(self.client, request_args={"logout_token": command["logout_token"]})}

    def client_credentials(self, command):
        return self.asked("client_credentials", command["parameters"], "client_credentials")

    def introspect(self, command):
        return self.asked("introspection", {"token": command["token"]})

    def asked(self, service, arguments, state="none"):
        answer = self.client.do_request(service, request_args=arguments, state=state, authn_method=self.method())
        if is_error_message(answer):
            raise Refused(answer)
        return answer.to_dict()

    def revoke(self, command):
        service = self.client.get_service("token_revocation")
        asked = service.get_request_parameters(request_args={"token": command["token"]}, authn_method=self.method())
        answer = self.wire(asked["method"], asked["url"], data=asked.get("body"), headers=asked.get("headers"))
        return {"status": answer.status_code}

    def method(self):
        return self.client.get_client_authn_method(self.client, "token_endpoint")

    def registered(self, _command):
        return dict(self.client.get_context().registration_response)


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
