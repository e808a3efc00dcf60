"""The error tree: whose fault it is, and what a client is told.

    LonglineError
    ├── ConfigError               the operator's: a setting is wrong; says which and what is allowed
    ├── LocalProtocolError        ours: we asked a state machine for what it cannot do
    ├── RemoteProtocolError       the peer's: carries the status it should get
    └── RequestError              the API client's, or the moment's: status, code, type
        ├── BadRequest            400  bad_request
        │   ├── InvalidTarget     400  invalid_target
        │   ├── InvalidCursor     400  invalid_cursor
        │   ├── FromNumberNotProvisioned  400  from_number_not_provisioned: not a number of an active app of his
        │   ├── UnknownAcl        400  ip_acl_not_found: named in a request, and not there
        │   └── UnknownSecret     400  secret_not_found: named in a request, and not there
        ├── InvalidField          422  one field, in the light of what is there already
        ├── InvalidApiKey         403
        ├── MissingScope          403  missing_scope: the key may not do that
        ├── NotProvisioner        403  not_provisioner: only the server's own account adds and removes numbers
        ├── InvalidLink           403  invalid_link: a signed URL was altered, or has expired
        ├── DestinationDenied     403  destination_denied: the settings do not let this number be called
        ├── NotFound              404  not_found
        │   ├── CallNotFound      404  call_not_found
        │   ├── StreamNotFound    404  stream_not_found
        │   ├── EventNotFound     404  event_not_found
        │   ├── RecordingNotFound 404  recording_not_found
        │   ├── TrunkNotFound     404  sip_trunk_not_found
        │   ├── AppNotFound       404  voice_app_not_found
        │   ├── NumberNotFound    404  virtual_number_not_found
        │   ├── SecretNotFound    404  secret_not_found
        │   └── AclNotFound       404  ip_acl_not_found
        ├── InvalidState          409  invalid_state
        │   ├── CallNotLive       409  call_not_live
        │   ├── CallNotControllable  409  call_not_controllable
        │   ├── LegNotFound       409  leg_not_found (the call is there, the leg is not one of its live legs)
        │   ├── TransferInProgress   409  transfer_in_progress
        │   ├── FeatureNotEnabled    409  feature_not_enabled: the API has it, this server has not
        │   ├── NotRedeliverable  409  event_not_redeliverable
        │   ├── NameTaken         409  name_taken
        │   ├── UsernameTaken     409  username_taken
        │   ├── AddressTaken      409  address_taken: a trunk of another account calls from there
        │   ├── TrunkIsConfigured 409  sip_trunk_is_configured: the configuration file owns it
        │   ├── AclInUse          409  ip_acl_in_use
        │   ├── AppIsConfigured   409  voice_app_is_configured: the configuration file owns it
        │   ├── NumberIsConfigured   409  virtual_number_is_configured: the configuration file owns it
        │   ├── NumberTaken       409  virtual_number_taken: a number is there once
        │   ├── SecretInUse       409  secret_in_use
        │   └── IdempotencyKeyReused  409  idempotency_key_reused
        ├── Gone                  410  gone
        │   └── RedeliveryExpired 410  redelivery_expired
        ├── BodyTooLarge          413  body_too_large
        ├── TooManyRequests       429  rate_limited
        └── Unavailable           503  unavailable: nothing was begun, a retry may succeed
            ├── LimitReached      503  limit_reached
            └── MediaUnavailable  503  media_unavailable

`api/problems.py` writes a RequestError as the error envelope. `code` is the stable part; `message` is for people.
Leaves out: the errors of one codec or parser, which live beside it and derive from the two protocol errors.
"""

from typing import ClassVar


class LonglineError(Exception):
    """The root of every error we raise on purpose."""


class ConfigError(LonglineError):
    """A setting is unknown or has a value that is not allowed. `path` is its dotted name, or None for the file."""

    def __init__(self, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class LocalProtocolError(LonglineError):
    """Our own bug: the state machine does not allow what was asked of it."""


class RemoteProtocolError(LonglineError):
    """The peer broke the protocol; `status` is the answer it should get."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class RequestError(LonglineError):
    """A request cannot be carried out; the client is told status, code, type and message."""

    status: ClassVar[int] = 400
    code: ClassVar[str | None] = None
    type: ClassVar[str | None] = None
    default_message: ClassVar[str] = "The request cannot be carried out."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.default_message)
        self.message = message or self.default_message


class BadRequest(RequestError):
    status, code, type = 400, "bad_request", "invalid_request"
    default_message = "The request is not valid."


class InvalidTarget(BadRequest):
    """The number or URI cannot be called from here: no trunk leads there, or it is not a target at all."""

    code = "invalid_target"
    default_message = "The target cannot be called."


class InvalidCursor(BadRequest):
    code = "invalid_cursor"
    default_message = "The cursor is not valid."


class UnknownAcl(BadRequest):
    code = "ip_acl_not_found"
    default_message = "There is no IP access list with this ip_acl_id."


class UnknownSecret(BadRequest):
    code = "secret_not_found"
    default_message = "There is no secret with this secret_id."


class FromNumberNotProvisioned(BadRequest):
    code = "from_number_not_provisioned"
    default_message = "from_number must be a virtual number that is assigned to an active voice app."


class InvalidField(RequestError):
    """A field of the body that is wrong only in the light of what is there already; told like every wrong field."""

    status, code, type = 422, "invalid_field", "invalid_request"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.why = message


class InvalidApiKey(RequestError):
    status = 403
    default_message = "Invalid API Key."


class MissingScope(RequestError):
    status, code, type = 403, "missing_scope", "forbidden"
    default_message = "This API key may not do that."


class MetricsForbidden(RequestError):
    status, code, type = 403, "metrics_forbidden", "forbidden"
    default_message = "Metrics are for this machine, or for whoever has the metrics_token."


class NotProvisioner(RequestError):
    """Whoever could add any number would get calls that are somebody else's."""

    status, code, type = 403, "not_provisioner", "forbidden"
    default_message = "Virtual numbers are added and removed by the account that this server is of."


class InvalidLink(RequestError):
    status, code, type = 403, "invalid_link", "forbidden"
    default_message = "The link is not valid, or has expired."


class DestinationDenied(RequestError):
    """The settings deny this destination; a retry will not succeed."""

    status, code, type = 403, "destination_denied", "forbidden"
    default_message = "The settings of this server do not let this destination be called."


class NotFound(RequestError):
    status, code, type = 404, "not_found", "not_found"
    default_message = "Not found."


class CallNotFound(NotFound):
    code = "call_not_found"
    default_message = "Call not found."


class StreamNotFound(NotFound):
    code = "stream_not_found"
    default_message = "Stream not found."


class EventNotFound(NotFound):
    code = "event_not_found"
    default_message = "Event not found."


class RecordingNotFound(NotFound):
    code = "recording_not_found"
    default_message = "Recording not found."


class TrunkNotFound(NotFound):
    code = "sip_trunk_not_found"
    default_message = "SIP trunk not found."


class AclNotFound(NotFound):
    code = "ip_acl_not_found"
    default_message = "IP access list not found."


class AppNotFound(NotFound):
    code = "voice_app_not_found"
    default_message = "Voice app not found."


class NumberNotFound(NotFound):
    code = "virtual_number_not_found"
    default_message = "Virtual number not found."


class SecretNotFound(NotFound):
    code = "secret_not_found"
    default_message = "Secret not found."


class RecordingUnreadable(RequestError):
    """A fault of ours or of the file: it is sealed, and cannot be opened with the key we have."""

    status, code, type = 500, "recording_unreadable", "internal"
    default_message = "The recording cannot be decrypted."


class InvalidState(RequestError):
    status, code, type = 409, "invalid_state", "invalid_state"
    default_message = "The resource is not in a state that allows this."


class CallNotLive(InvalidState):
    code = "call_not_live"
    default_message = "The call is not live."


class CallNotControllable(InvalidState):
    code = "call_not_controllable"
    default_message = "The call cannot be controlled so now."


class LegNotFound(InvalidState):
    code = "leg_not_found"
    default_message = "The call has no such live leg."


class TransferInProgress(InvalidState):
    code = "transfer_in_progress"
    default_message = "Another transfer of this call is in progress."


class FeatureNotEnabled(InvalidState):
    code = "feature_not_enabled"
    default_message = "This server cannot do that."


class NotRedeliverable(InvalidState):
    code = "event_not_redeliverable"
    default_message = "The event has no webhook target."


class Gone(RequestError):
    status = 410
    code = "gone"
    default_message = "It is not to be had any more."


class RedeliveryExpired(Gone):
    code = "redelivery_expired"
    default_message = "The event is too old to be delivered again."


class NameTaken(InvalidState):
    code = "name_taken"
    default_message = "The name is taken."


class UsernameTaken(InvalidState):
    code = "username_taken"
    default_message = "Another SIP trunk has this username."


class AddressTaken(InvalidState):
    code = "address_taken"
    default_message = (
        "One of these addresses is a trunk's of another account; SIP has only the address to tell them by."
    )


class TrunkIsConfigured(InvalidState):
    """The configuration file owns it: what the API changed would be undone by the next start."""

    code = "sip_trunk_is_configured"
    default_message = "The SIP trunk stands in the configuration file, and is changed there."


class AclInUse(InvalidState):
    code = "ip_acl_in_use"
    default_message = "SIP trunks authorise against this IP access list."


class AppIsConfigured(InvalidState):
    """The configuration file owns it: what the API changed would be undone by the next start."""

    code = "voice_app_is_configured"
    default_message = "The voice app stands in the configuration file, and is changed there."


class NumberIsConfigured(InvalidState):
    code = "virtual_number_is_configured"
    default_message = "The configuration file says whose the virtual number is, and is changed for that."


class NumberTaken(InvalidState):
    code = "virtual_number_taken"
    default_message = "The number is a virtual number of this server already."


class SecretInUse(InvalidState):
    """Deleting it would silently leave webhooks unsigned."""

    code = "secret_in_use"
    default_message = "Webhooks of voice apps or SIP trunks are signed with this secret."


class IdempotencyKeyReused(InvalidState):
    code = "idempotency_key_reused"
    default_message = "The Idempotency-Key was used before with another request."


class BodyTooLarge(RequestError):
    status, code, type = 413, "body_too_large", "invalid_request"
    default_message = "The request body is too large."


class TooManyRequests(RequestError):
    """Nothing was done; the answer says when to try again."""

    status, code, type = 429, "rate_limited", "rate_limited"
    default_message = "Too many requests. Retry-After says in how many seconds to try again."


class Unavailable(RequestError):
    """Nothing was begun; the same request may succeed later."""

    status, code, type = 503, "unavailable", "unavailable"
    default_message = "The server cannot do this now."


class LimitReached(Unavailable):
    code = "limit_reached"
    default_message = "A limit of this server is reached."


class MediaUnavailable(Unavailable):
    code = "media_unavailable"
    default_message = "The media server is not available."
