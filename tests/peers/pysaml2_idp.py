"""A SAML identity provider made of pysaml2: an independent judge of our requests and metadata, and a maker of
responses that are not ours.

Usage: pysaml2_idp.py WORKDIR

Prints one line of JSON when it listens: {"port", "entity_id", "metadata_file"}. Then, over HTTP on that port:

  POST /control   a JSON object, all members optional:
                  sp_metadata_url  fetch this metadata and trust that service provider
                  require_signed   refuse requests that are not signed
                  person           {"name_id", "attributes": {local name: [values]}}
                  sign             "response" | "assertion" | "both"
                  encrypt          true | false
                  status           null, or a pair of SAML status codes (last segments) to fail with
                  by_artifact      true: a form with an artifact, and the ArtifactResponse alone is signed
                  answers {"ok": true} or {"error"}
  GET  /seen      what the last request said, after pysaml2 has checked it
  GET|POST /sso   the single sign-on service: a form that posts itself
  POST /artifact  the artifact resolution service, for signed questions only
  POST /logout    {"binding": "redirect" | "post"}: {"to", "query"} or {"to", "form"} of a LogoutRequest for the last session
  GET|POST /slo   the single logout service: a signed answer by redirect, or, of an answer to its own request, what it makes of it
"""

import base64
import datetime
import functools
import html
import json
import pathlib
import re
import sys
import traceback
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, BINDING_SOAP, entity, samlp, sigver
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

STATUS = "urn:oasis:names:tc:SAML:2.0:status:"


def use_aes_gcm():
    """pysaml2 knows only triple DES for encrypting; the template and the session key decide, so we give others."""
    entity.pre_encryption_part = functools.partial(
        sigver.pre_encryption_part, msg_enc="http://www.w3.org/2009/xmlenc11#aes256-gcm"
    )
    original = sigver.CryptoBackendXmlSec1.encrypt_assertion

    def encrypt_assertion(self, statement, enc_key, template, key_type="aes-256", node_xpath=None, node_id=None):
        return original(self, statement, enc_key, template, "aes-256", node_xpath, node_id)

    sigver.CryptoBackendXmlSec1.encrypt_assertion = encrypt_assertion


def make_certificate(workdir):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pysaml2 identity provider")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = workdir / "idp.key", workdir / "idp.crt"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return str(key_file), str(certificate_file)


class IdentityProvider:
    def __init__(self, workdir, port):
        self.base = f"http://127.0.0.1:{port}"
        self.key_file, self.certificate_file = make_certificate(workdir)
        self.settings = {
            "require_signed": False,
            "sign": "assertion",
            "encrypt": False,
            "status": None,
            "by_artifact": False,
            "person": {"name_id": "jane", "attributes": {"mail": ["jane@acme.example"]}},
        }
        self.sp_metadata = None
        self.session = None
        self.seen = {}
        self.metadata_file = workdir / "idp-metadata.xml"
        self.metadata_file.write_text(str(entity_descriptor(self.config())))

    def config(self):
        sso = f"{self.base}/sso"
        config = {
            "entityid": f"{self.base}/metadata",
            "key_file": self.key_file,
            "cert_file": self.certificate_file,
            "encryption_keypairs": [],
            "signing_algorithm": SIG_RSA_SHA256,
            "digest_algorithm": DIGEST_SHA256,
            "service": {
                "idp": {
                    "endpoints": {
                        "single_sign_on_service": [(sso, BINDING_HTTP_REDIRECT), (sso, BINDING_HTTP_POST)],
                        "single_logout_service": [
                            (f"{self.base}/slo", BINDING_HTTP_REDIRECT),
                            (f"{self.base}/slo", BINDING_HTTP_POST),
                        ],
                        "artifact_resolution_service": [(f"{self.base}/artifact", BINDING_SOAP)],
                    },
                    "name_id_format": [NAMEID_FORMAT_PERSISTENT],
                    "want_authn_requests_signed": self.settings["require_signed"],
                    "policy": {"default": {"lifetime": {"minutes": 5}, "attribute_restrictions": None}},
                }
            },
        }
        if self.sp_metadata:
            config["metadata"] = {"inline": [self.sp_metadata]}
        return IdPConfig().load(config)

    def control(self, changes):
        url = changes.pop("sp_metadata_url", None)
        if url:
            with urllib.request.urlopen(url, timeout=10) as answer:
                self.sp_metadata = answer.read().decode()
        unknown = set(changes) - set(self.settings)
        if unknown:
            raise ValueError(f"unknown settings: {unknown}")
        self.settings.update(changes)
        self.server = Server(config=self.config())
        return {"ok": True, "service_providers": list(self.server.metadata.keys())}

    def sign_on(self, fields, binding):
        request = self.server.parse_authn_request(
            fields["SAMLRequest"],
            binding,
            relay_state=fields.get("RelayState"),
            sigalg=fields.get("SigAlg"),
            signature=fields.get("Signature"),
        )
        message = request.message
        self.seen = {
            "binding": binding.rsplit(":", 1)[-1],
            "id": message.id,
            "issuer": message.issuer.text,
            "destination": message.destination,
            "force_authn": message.force_authn,
            "is_passive": message.is_passive,
            "signed": bool(fields.get("Signature")) or message.signature is not None,
        }
        where = self.server.response_args(message)
        if self.settings["status"]:
            return where["destination"], self.failure(where, message), fields.get("RelayState")
        person = self.settings["person"]
        sp = where["sp_entity_id"]
        sign = None if self.settings["by_artifact"] else self.settings["sign"]
        response = self.server.create_authn_response(
            {name: list(values) for name, values in person["attributes"].items()},
            in_response_to=message.id,
            destination=where["destination"],
            sp_entity_id=sp,
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=person["name_id"], sp_name_qualifier=sp),
            userid=person["name_id"],
            authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": self.base},
            sign_response=sign in ("response", "both"),
            sign_assertion=sign in ("assertion", "both"),
            encrypt_assertion=self.settings["encrypt"],
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )
        index = re.search(r'SessionIndex="([^"]*)"', str(response))
        self.session = (sp, person["name_id"], index and index.group(1))
        if self.settings["by_artifact"]:
            return where["destination"], Artifact(self.server.use_artifact(response)), fields.get("RelayState")
        return where["destination"], response, fields.get("RelayState")

    def begin_logout(self, binding):
        sp, name, index = self.session
        destination = self.server.metadata.single_logout_service(sp, binding, "spsso")[0]["location"]
        redirect = binding == BINDING_HTTP_REDIRECT
        _, request = self.server.create_logout_request(
            destination,
            sp,
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=name, sp_name_qualifier=sp),
            session_indexes=[index],
            sign=not redirect,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )
        if not redirect:
            return {"to": destination, "form": base64.b64encode(str(request).encode()).decode()}
        info = self.server.apply_binding(binding, str(request), destination, "", sign=True, sigalg=SIG_RSA_SHA256)
        return {"to": destination, "query": urllib.parse.urlsplit(dict(info["headers"])["Location"]).query}

    def log_out(self, fields, binding, raw_query):
        """The address that brings the answer back; None for an answer to a request of its own."""
        if "SAMLRequest" not in fields:
            self.signed_by(self.session[0], fields, raw_query)
            response = self.server.parse_logout_request_response(fields["SAMLResponse"], binding)
            self.seen = {"success": response.status_ok(), "issuer": response.response.issuer.text}
            return None
        request = self.server.parse_logout_request(
            fields["SAMLRequest"],
            binding,
            relay_state=fields.get("RelayState"),
            sigalg=fields.get("SigAlg"),
            signature=fields.get("Signature"),
        )
        message = request.message
        if binding == BINDING_HTTP_REDIRECT:
            self.signed_by(message.issuer.text, fields, raw_query)
        assert binding == BINDING_HTTP_REDIRECT or message.signature is not None, "not signed"
        self.seen = {
            "binding": binding.rsplit(":", 1)[-1],
            "issuer": message.issuer.text,
            "name_id": message.name_id.text,
            "session_indexes": [index.text for index in message.session_index],
            "is_of_the_session": self.session[1:] == (message.name_id.text, message.session_index[0].text),
        }
        where = self.server.response_args(message, [BINDING_HTTP_REDIRECT])
        response = self.server.create_logout_response(message, [BINDING_HTTP_REDIRECT], sign=False)
        info = self.server.apply_binding(
            BINDING_HTTP_REDIRECT,
            str(response),
            where["destination"],
            fields.get("RelayState", ""),
            response=True,
            sign=True,
            sigalg=SIG_RSA_SHA256,
        )
        return dict(info["headers"])["Location"]

    def signed_by(self, sp, fields, raw_query):
        """SAML Bindings 3.4.4.1, by the key of our metadata; pysaml2 itself does not look at the query of an answer."""
        assert fields["SigAlg"] == SIG_RSA_SHA256, fields["SigAlg"]
        signed = raw_query.split("&Signature=")[0].encode()
        for _, certificate in self.server.metadata.certs(sp, "spsso", "signing"):
            key = x509.load_der_x509_certificate(base64.b64decode("".join(certificate.split()))).public_key()
            try:
                key.verify(base64.b64decode(fields["Signature"]), signed, padding.PKCS1v15(), hashes.SHA256())
                return
            except InvalidSignature:
                continue
        raise InvalidSignature("no key of the metadata")

    def resolve(self, envelope):
        text = re.search("<samlp:ArtifactResolve.*</samlp:ArtifactResolve>", envelope, re.DOTALL).group(0)
        request = self.server.sec.correctly_signed_message(text, "artifact_resolve", must=True)
        again = self.server.parse_artifact_resolve(envelope)
        assert again.artifact.text == request.artifact.text
        response = self.server.create_artifact_response(
            request,
            request.artifact.text,
            bindings=[BINDING_SOAP],
            issuer=self.server._issuer(),
            sign=False,
        )
        # It can only sign what it has put together.
        response = self.server.sign(response, sign_alg=SIG_RSA_SHA256, digest_alg=DIGEST_SHA256)
        del self.server.artifact[request.artifact.text]
        response = re.sub(r"^<\?xml.*?\?>\s*", "", str(response))
        soap = "http://schemas.xmlsoap.org/soap/envelope/"
        return f'<e:Envelope xmlns:e="{soap}"><e:Body>{response}</e:Body></e:Envelope>'

    def failure(self, where, message):
        first, second = self.settings["status"]
        status = samlp.Status(
            status_code=samlp.StatusCode(
                value=STATUS + first, status_code=samlp.StatusCode(value=STATUS + second)
            )
        )
        return self.server._response(
            message.id,
            where["destination"],
            status,
            sign=True,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )


class Artifact(str):
    """What goes through the browser instead of a response."""


def handler(idp):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path, _, query = self.path.partition("?")
            if path == "/sso":
                self.form(dict(urllib.parse.parse_qsl(query)), BINDING_HTTP_REDIRECT)
            elif path == "/slo":
                self.logout(dict(urllib.parse.parse_qsl(query)), BINDING_HTTP_REDIRECT, query)
            elif path == "/seen":
                self.answer(200, "application/json", json.dumps(idp.seen))
            else:
                self.answer(404, "text/plain", "nothing here")

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.path == "/control":
                try:
                    self.answer(200, "application/json", json.dumps(idp.control(json.loads(body))))
                except Exception as error:
                    traceback.print_exc()
                    self.answer(500, "application/json", json.dumps({"error": repr(error)}))
            elif self.path == "/sso":
                self.form(dict(urllib.parse.parse_qsl(body)), BINDING_HTTP_POST)
            elif self.path == "/slo":
                self.logout(dict(urllib.parse.parse_qsl(body)), BINDING_HTTP_POST, "")
            elif self.path == "/logout":
                bindings = {"redirect": BINDING_HTTP_REDIRECT, "post": BINDING_HTTP_POST}
                self.answer(200, "application/json", json.dumps(idp.begin_logout(bindings[json.loads(body)["binding"]])))
            elif self.path == "/artifact":
                try:
                    self.answer(200, "text/xml", idp.resolve(body))
                except Exception as error:
                    traceback.print_exc()
                    self.answer(403, "text/plain", f"refused: {error!r}")
            else:
                self.answer(404, "text/plain", "nothing here")

        def form(self, fields, binding):
            try:
                action, response, relay_state = idp.sign_on(fields, binding)
            except Exception as error:
                traceback.print_exc()
                return self.answer(400, "text/plain", f"refused: {error!r}")
            if isinstance(response, Artifact):
                names = {"SAMLart": str(response)}
            else:
                names = {"SAMLResponse": base64.b64encode(str(response).encode()).decode()}
            if relay_state is not None:
                names["RelayState"] = relay_state
            inputs = "".join(
                f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in names.items()
            )
            self.answer(
                200,
                "text/html; charset=utf-8",
                f'<!doctype html><title>IdP</title><form method="post" action="{html.escape(action)}" id="go">{inputs}'
                '<button>Continue</button></form><script>document.getElementById("go").submit()</script>',
            )

        def logout(self, fields, binding, raw_query):
            try:
                location = idp.log_out(fields, binding, raw_query)
            except Exception as error:
                traceback.print_exc()
                return self.answer(400, "text/plain", f"refused: {error!r}")
            self.answer(303 if location else 200, "text/plain", "signed out", location)

        def answer(self, status, content_type, text, location=None):
            body = text.encode()
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def main():
    workdir = pathlib.Path(sys.argv[1])
    use_aes_gcm()
    listener = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    idp = IdentityProvider(workdir, listener.server_port)
    listener.RequestHandlerClass = handler(idp)
    ready = {"port": listener.server_port, "entity_id": f"{idp.base}/metadata", "metadata_file": str(idp.metadata_file)}
    print(json.dumps(ready), flush=True)
    listener.serve_forever()


if __name__ == "__main__":
    main()
