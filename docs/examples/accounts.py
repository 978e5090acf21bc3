#!/usr/bin/env python3
"""Accounts for Isthmus behind an endpoint: the five operations over a dictionary. Python's own library is enough.

ACCOUNTS_SECRET is the `secret` of [connection.database.custom]. Put TLS in front of it.
"""
import base64, hashlib, hmac, json, os, sys, time, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["ACCOUNTS_SECRET"].encode()
accounts = {}  # by user_id


def proven(headers, body):
    """Is the question from Isthmus, and asked now?"""
    at, given = headers.get("webhook-timestamp", ""), headers.get("webhook-signature", "")
    if not at.isdigit() or abs(time.time() - int(at)) > 300:
        return False
    signed = f"{headers.get('webhook-id')}.{at}.".encode() + body
    mac = "v1," + base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
    return any(hmac.compare_digest(mac, one) for one in given.split())


def hashed(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


def put_password(account, password):
    account["salt"] = os.urandom(16)
    account["hash"] = hashed(password, account["salt"])


def shown(user_id):
    account = accounts[user_id]
    kept = {name: account[name] for name in ("email", "email_verified", "name") if name in account}
    return {"user_id": user_id, **kept, "app_metadata": {"plan": account.get("plan", "free")}}


def answer(asked):
    name = asked.get("username") if asked["operation"] == "login" else asked.get("email")
    by_name = [key for key, account in accounts.items() if account["email"].lower() == (name or "").lower()]
    user_id = by_name[0] if by_name else None
    if asked["operation"] == "login":
        # As slow for who is not there as for who is.
        account = accounts.get(user_id, {"salt": bytes(16), "hash": b""})
        right = hmac.compare_digest(hashed(asked["password"], account["salt"]), account["hash"])
        return shown(user_id) if right else {"error": "wrong_password"}
    if asked["operation"] == "create":
        if user_id:
            return {"error": "exists"}
        user_id = uuid.uuid4().hex
        accounts[user_id] = {"email": asked["email"], "email_verified": False, "name": asked.get("name", asked["email"])}
        put_password(accounts[user_id], asked["password"])
        return shown(user_id)
    account = accounts.get(asked["user_id"])
    if account is None:
        return {"error": "no_such_user"}
    if asked["operation"] == "verify":
        account["email_verified"] = account["email"] == asked["email"]
    elif asked["operation"] == "change_password":
        put_password(account, asked["password"])
    elif asked["operation"] == "delete":
        del accounts[asked["user_id"]]
    else:
        return {"error": "refused", "message": "this operation is not known"}
    return {}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), 65536))
        good = proven(self.headers, body)
        told = json.dumps(answer(json.loads(body)) if good else {}).encode()
        self.send_response(200 if good else 403)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
