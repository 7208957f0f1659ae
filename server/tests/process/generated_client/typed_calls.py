"""Calls a running server through a client that openapi-python-client generated from the server's own document.

Usage: typed_calls.py URL CA_FILE REGISTRATION_FILE

The registration is the JSON body of a new account. It goes through the generated models, so that a field that the document
does not describe, or describes wrongly, is lost or refused here.
"""

import json
import ssl
import sys

from sealpost_client import AuthenticatedClient, Client
from sealpost_client.api.accounts import look_up_account, register
from sealpost_client.api.devices import read_device_lists
from sealpost_client.api.server import read_server_info
from sealpost_client.api.sessions import list_sessions, log_out
from sealpost_client.models import (
    AccountInfo,
    DeviceLists,
    Problem,
    RegisterRequest,
    RegistrationPolicy,
    ServerInfo,
    SessionGrant,
    SessionList,
    SessionsEnded,
)


def expect(kind, answer):
    """Returns the answer if it has the generated type, and ends the program otherwise."""
    if not isinstance(answer, kind):
        sys.exit(f"expected {kind.__name__}, got {answer!r}")
    return answer


def main(url, ca_file, registration_file):
    trust = ssl.create_default_context(cafile=ca_file)
    anyone = Client(base_url=url, verify_ssl=trust)

    info = expect(ServerInfo, read_server_info.sync(client=anyone))
    assert info.registration is RegistrationPolicy.OPEN, info
    assert len(info.server_id) == 22 and info.now > 0, info
    print("server info:", info.version, info.registration.value)

    with open(registration_file, encoding="utf-8") as file:
        sent = json.load(file)
    request = RegisterRequest.from_dict(sent)
    assert request.to_dict() == sent, "the generated models changed the registration"
    grant = expect(SessionGrant, register.sync(client=anyone, body=request))
    assert grant.session_id == request.session.session_id, grant
    print("registration:", request.username, "expires in", grant.expires_in)

    device = AuthenticatedClient(base_url=url, verify_ssl=trust, token=grant.access_token)
    account = expect(AccountInfo, look_up_account.sync(request.username, client=device))
    assert account.account_id == grant.account_id, account
    assert account.device_list == request.device_list, account
    lists = expect(DeviceLists, read_device_lists.sync(grant.account_id, client=device, after=0))
    assert (lists.current_version, lists.device_lists) == (1, [request.device_list]), lists
    sessions = expect(SessionList, list_sessions.sync(client=device)).sessions
    assert [session.current for session in sessions] == [True], sessions

    problem = expect(Problem, look_up_account.sync("nobody.has.this", client=device))
    assert (problem.code, problem.status) == ("not_found", 404), problem
    assert problem.type_ == "urn:sealpost:problem:not_found", problem
    print("problem:", problem.code)
    problem = expect(Problem, read_device_lists.sync("not an id", client=device))
    assert (problem.code, problem.status, problem.field) == ("malformed_request", 400, "account_id"), problem
    print("problem:", problem.code, "field", problem.field)
    request.device.signed_prekey.id = "seven"
    problem = expect(Problem, register.sync(client=anyone, body=request))
    assert (problem.code, problem.field) == ("malformed_body", "/device/signed_prekey/id"), problem
    print("problem:", problem.code, "field", problem.field)

    ended = expect(SessionsEnded, log_out.sync(client=device))
    assert ended.ended == 1, ended
    problem = expect(Problem, list_sessions.sync(client=device))
    assert problem.code == "unauthenticated", problem
    print("done")


main(*sys.argv[1:])
