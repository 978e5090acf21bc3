"""Judges a logout token as an application would (OpenID Connect Back-Channel Logout 1.0, 2.6), by joserfc.

One JSON object on stdin: {"issuer", "client_id", "logout_token"}; the claims on stdout. What is wrong is an exception.
"""

import json
import sys
import time

import requests
from joserfc import jwt
from joserfc.jwk import KeySet

EVENT = "http://schemas.openid.net/event/backchannel-logout"


def main():
    order = json.load(sys.stdin)
    metadata = requests.get(f"{order['issuer']}/.well-known/openid-configuration", timeout=10).json()
    assert metadata["backchannel_logout_supported"] is True and metadata["backchannel_logout_session_supported"] is True
    keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())
    algorithms = metadata["id_token_signing_alg_values_supported"]
    token = jwt.decode(order["logout_token"], keys, algorithms=algorithms)
    claims = token.claims
    assert token.header["typ"] == "logout+jwt", token.header
    assert claims["aud"] == order["client_id"], claims
    assert claims["iss"].startswith("http"), claims
    now = time.time()
    assert now - 120 < claims["iat"] <= now + 5, claims
    assert now < claims["exp"] <= now + 125, claims
    assert claims["sub"] and claims["sid"] and claims["jti"], claims
    assert claims["events"] == {EVENT: {}}, claims
    assert "nonce" not in claims, claims
    return claims


if __name__ == "__main__":
    print(json.dumps(main()))
