"""joserfc: an independent judge of every JWS and JWE that we make, and the maker of those that we read.

One JSON object per line on stdin, and one answer per line on stdout:
  {"do": "keys"}                                   {"jwks"}: public keys of every kind, whose private halves stay here
  {"do": "sign", "alg", "claims", "secret"?}       {"token"}, by the key of its kind, or by the secret
  {"do": "verify", "token", "jwks", "alg"}         {"header", "claims"}
  {"do": "encrypt", "alg", "enc", "jwk", "text", "cty"?}  {"token"}
  {"do": "decrypt", "token", "alg", "enc"}         {"header", "text"}, by the key of its kind
A failure is {"error", "message"}; the process goes on.
"""

import json
import sys

from joserfc import jwe, jws
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey


def named(kid):
    return {"kid": kid}


class Judge:
    def __init__(self):
        self.rsa = RSAKey.generate_key(2048, parameters=named("rsa"))
        self.ec = {curve: ECKey.generate_key(curve, parameters=named(curve)) for curve in ("P-256", "P-384", "P-521")}
        self.ed = OKPKey.generate_key("Ed25519", parameters=named("ed"))

    def keys(self, _command):
        every = [self.rsa, *self.ec.values(), self.ed]
        return {"jwks": {"keys": [key.as_dict(private=False) for key in every]}}

    def sign(self, command):
        alg = command["alg"]
        key = OctKey.import_key(command["secret"]) if alg.startswith("HS") else self.signing_key(alg)
        header = {"alg": alg} if alg.startswith("HS") else {"alg": alg, "kid": key.kid}
        payload = json.dumps(command["claims"]).encode()
        return {"token": jws.serialize_compact(header, payload, key, algorithms=[alg])}

    def verify(self, command):
        keys = KeySet.import_key_set(command["jwks"])
        read = jws.deserialize_compact(command["token"], keys, algorithms=[command["alg"]])
        return {"header": read.headers(), "claims": json.loads(read.payload)}

    def encrypt(self, command):
        names = [command["alg"], command["enc"]]
        kind = {"RSA": RSAKey, "EC": ECKey}[command["jwk"]["kty"]]
        key = kind.import_key(command["jwk"])
        header = {"alg": names[0], "enc": names[1], "kid": command["jwk"]["kid"]}
        if "cty" in command:
            header["cty"] = command["cty"]
        return {"token": jwe.encrypt_compact(header, command["text"].encode(), key, algorithms=names)}

    def decrypt(self, command):
        names = [command["alg"], command["enc"]]
        keys = [self.rsa] if names[0].startswith("RSA") else self.ec.values()
        for key in keys:
            try:
                read = jwe.decrypt_compact(command["token"], key, algorithms=names)
                return {"header": read.protected, "text": read.plaintext.decode()}
            except Exception as error:
                failure = error
        raise failure

    def signing_key(self, alg):
        curves = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
        if alg in curves:
            return self.ec[curves[alg]]
        return self.ed if alg in ("EdDSA", "Ed25519") else self.rsa


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    judge = Judge()
    say({"ready": True})
    for line in sys.stdin:
        command = json.loads(line)
        try:
            say(getattr(judge, command["do"])(command))
        except Exception as error:
            say({"error": type(error).__name__, "message": str(error)})


if __name__ == "__main__":
    main()
