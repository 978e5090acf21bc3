"""A SAML application made of pysaml2: an independent judge of our responses, metadata and logout messages, and a maker of
requests that are not ours.

Usage: pysaml2_sp.py WORKDIR, with idp.xml (our metadata), sp.key and sp.crt in WORKDIR.

Reads one JSON object from standard input and prints one. `entity_id`, `acs`, `slo` and `do` are always there:

  do = "metadata"         -> {"xml"}
  do = "request"          binding, relay_state; sign and options of create_authn_request, if not the usual ones
                          -> {"id", "to", "query"} or {"id", "to", "form"}
  do = "response"         saml_response, request_id -> {"name_id", "format", "attributes", "session_index", "context",
                          "authorities", "issuer", "not_on_or_after"}, or {"status"} for a failure that it understands
  do = "artifact"         artifact, request_id -> the same as "response", or {"empty"}, asked for over HTTP; for artifact_acs
  do = "idp"              what it reads in our metadata -> {"entity_id", "sso", "slo", "certificates"}
  do = "logout"           binding, name_id, format, session_index, destination -> {"id", "query"} or {"id", "form"}
  do = "logout_request"   query or form, name_id, format, perhaps name_qualifier, sp_name_qualifier, signed_in -> {"query"} or {"form"}
  do = "logout_response"  query or form -> {"success"}

An exception ends it with a trace and without an answer.
"""

import base64
import json
import pathlib
import re
import sys
import time
import html
import urllib.parse

from saml2 import BINDING_HTTP_ARTIFACT, BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.metadata import entity_descriptor
from saml2.response import StatusError
from saml2.saml import NameID
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

BINDINGS = {"redirect": BINDING_HTTP_REDIRECT, "post": BINDING_HTTP_POST}


def config_of(workdir, order):
    key, certificate = str(workdir / "sp.key"), str(workdir / "sp.crt")
    config = SPConfig()
    config.load(
        {
            "entityid": order["entity_id"],
            "xmlsec_binary": "/usr/bin/xmlsec1",
            "key_file": key,
            "cert_file": certificate,
            "encryption_keypairs": [{"key_file": key, "cert_file": certificate}],
            "metadata": {"local": [str(workdir / "idp.xml")]} if (workdir / "idp.xml").exists() else {},
            "allow_unknown_attributes": True,
            "service": {
                "sp": {
                    "endpoints": {
                        "assertion_consumer_service": [(order["acs"], BINDING_HTTP_POST)]
                        + ([(order["artifact_acs"], BINDING_HTTP_ARTIFACT)] if "artifact_acs" in order else []),
                        "single_logout_service": [
                            (order["slo"], BINDING_HTTP_REDIRECT),
                            (order["slo"], BINDING_HTTP_POST),
                        ],
                    },
                    "authn_requests_signed": order.get("sign", True),
                    "logout_requests_signed": True,
                    "want_assertions_signed": True,
                    "want_response_signed": order.get("want_response_signed", False),
                    "signing_algorithm": SIG_RSA_SHA256,
                    "digest_algorithm": DIGEST_SHA256,
                }
            },
        }
    )
    return config


def travelling(info):
    """The query, or the value of the form's field, in which pysaml2 sends a message."""
    location = dict(info["headers"]).get("Location") or info.get("url")
    if location and "?" in location:
        return {"query": urllib.parse.urlsplit(location).query}
    field = re.search(r'name="SAML(?:Request|Response)"\s+value="([^"]*)"', info["data"])
    return {"form": html.unescape(field.group(1))}


def arrived(order, name):
    """A message, its binding and what belongs to it, from a query or form."""
    if "form" in order:
        return order["form"], BINDING_HTTP_POST, {}
    query = dict(urllib.parse.parse_qsl(order["query"], keep_blank_values=True))
    more = {"relay_state": query.get("RelayState"), "sigalg": query["SigAlg"], "signature": query["Signature"]}
    return query[name], BINDING_HTTP_REDIRECT, more


def main():
    workdir, order = pathlib.Path(sys.argv[1]), json.load(sys.stdin)
    config = config_of(workdir, order)
    do = order["do"]
    if do == "metadata":
        return {"xml": str(entity_descriptor(config))}
    client = Saml2Client(config=config)
    algorithms = {"sign_alg": SIG_RSA_SHA256, "digest_alg": DIGEST_SHA256}
    idp = client.metadata.identity_providers()[0]
    if do == "idp":
        services = client.metadata.service(idp, "idpsso_descriptor", "single_sign_on_service")
        logout = client.metadata.service(idp, "idpsso_descriptor", "single_logout_service")
        return {
            "entity_id": idp,
            "sso": {binding: [each["location"] for each in found] for binding, found in services.items()},
            "slo": {binding: [each["location"] for each in found] for binding, found in logout.items()},
            "certificates": len(client.metadata.certs(idp, "idpsso", "signing")),
        }
    if do == "request":
        binding = BINDINGS[order["binding"]]
        sign = order.get("sign", True)
        signed = {"sigalg": SIG_RSA_SHA256, "digest_alg": DIGEST_SHA256} if sign else {}
        options = order.get("options", {})
        made, info = client.prepare_for_authenticate(
            idp, relay_state=order["relay_state"], binding=binding, sign=sign, **signed, **options
        )
        return {"id": made, "to": info["url"].split("?")[0], **travelling(info)}
    if do == "artifact":
        text = client.artifact2message(order["artifact"], "idpsso", sign=True, **algorithms).text
        answer = re.search("<samlp:ArtifactResponse.*</samlp:ArtifactResponse>", text, re.DOTALL).group(0)
        # pysaml2 writes an ArtifactResponse anew before it looks at it, and loses prefixes; xmlsec1 looks at it as it came.
        _, certificate = client.metadata.certs(idp, "idpsso", "signing")[0]
        pem = workdir / "idp.crt"
        pem.write_text(f"-----BEGIN CERTIFICATE-----\n{''.join(certificate.split())}\n-----END CERTIFICATE-----\n")
        node = "urn:oasis:names:tc:SAML:2.0:protocol:ArtifactResponse"
        assert client.sec.verify_signature(answer, cert_file=str(pem), node_name=node)
        response = re.search("<samlp:Response.*</samlp:Response>", answer, re.DOTALL)
        if not response:
            return {"empty": True}
        do, order["saml_response"] = "artifact response", base64.b64encode(response.group(0).encode()).decode()
    if do in ("response", "artifact response"):
        binding = BINDING_HTTP_POST if do == "response" else BINDING_HTTP_ARTIFACT
        try:
            response = client.parse_authn_request_response(
                order["saml_response"], binding, outstanding={order["request_id"]: "/"}
            )
        except StatusError as error:
            return {"status": type(error).__name__}
        statement = response.assertion.authn_statement[0]
        return {
            "name_id": response.name_id.text,
            "format": response.name_id.format,
            "attributes": response.ava,
            "session_index": statement.session_index,
            "context": statement.authn_context.authn_context_class_ref.text,
            "authorities": [authority.text for authority in statement.authn_context.authenticating_authority],
            "issuer": response.issuer(),
            "not_on_or_after": statement.session_not_on_or_after,
        }
    if do == "logout":
        binding, redirect = BINDINGS[order["binding"]], order["binding"] == "redirect"
        made, request = client.create_logout_request(
            order["destination"],
            idp,
            name_id=NameID(format=order["format"], text=order["name_id"]),
            session_indexes=[order["session_index"]],
            sign=not redirect,
            **algorithms,
        )
        info = client.apply_binding(binding, str(request), order["destination"], "", sign=redirect, sigalg=SIG_RSA_SHA256)
        return {"id": made, **travelling(info)}
    if do == "logout_request":
        message, binding, more = arrived(order, "SAMLRequest")
        qualifiers = {name: order[name] for name in ("name_qualifier", "sp_name_qualifier") if order.get(name)}
        name_id = NameID(format=order["format"], text=order["name_id"], **qualifiers)
        if order.get("signed_in"):
            session = {"name_id": name_id, "issuer": idp, "ava": {}, "not_on_or_after": int(time.time()) + 600}
            client.users.add_information_about_person(session)
        more["relay_state"] = more.get("relay_state") or ""
        info = client.handle_logout_request(message, name_id, binding, sign=True, **algorithms, **more)
        return travelling(info)
    message, binding, _ = arrived(order, "SAMLResponse")
    return {"success": client.parse_logout_request_response(message, binding).status_ok()}


if __name__ == "__main__":
    print(json.dumps(main()))
