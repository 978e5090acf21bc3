"""A program that uses auth0-python's ManagementClient, with nothing changed but the domain.

Usage: management.py '{"domain", "client_id", "client_secret"}'

Then one JSON object per line on stdin, and one answer per line on stdout:
  {"call": "clients.create", "arguments": [..], "named": {..}}   {"result"}
A list is read to its end, page by page. A failure is {"error", "message", "status", "body"}; the process goes on.
"""

import json
import sys

from auth0.management import ManagementClient
from pydantic import BaseModel


def plain(value):
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    # A list, or a pager that asks for the next page by itself.
    return [plain(item) for item in value]


def perform(management, command):
    *steps, method = command["call"].split(".")
    resource = management
    for step in steps:
        resource = getattr(resource, step)
    answer = getattr(resource, method)(*command.get("arguments", []), **command.get("named", {}))
    return {"result": plain(answer)}


def main():
    management = ManagementClient(**json.loads(sys.argv[1]))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        try:
            answer = perform(management, json.loads(line))
        except Exception as error:
            answer = {
                "error": type(error).__name__,
                "message": str(error),
                "status": getattr(error, "status_code", None),
                "body": plain(getattr(error, "body", None)),
            }
        print(json.dumps(answer), flush=True)


main()
