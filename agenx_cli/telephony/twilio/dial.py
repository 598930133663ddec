"""What a dial says on the wire, apart from the sending of it: ``--dry-run`` shows the same fields."""

from typing import Any

from agenx_cli.ports import DialRequest

CALLBACK_RETRIES = "#rc=3&rp=4xx,5xx,ct,rt"
"""Connection override on callback URLs: three retries, also after a 5xx of ours. Twilio's default is one, and only
when it cannot connect (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides)."""


def dial_parameters(request: DialRequest) -> dict[str, Any]:
    """The dial in the SDK's names. Answering-machine detection runs beside the call, only when asked for."""
    parameters: dict[str, Any] = {
        "to": request.to,
        "from_": request.from_,
        "twiml": request.twiml,
        "timeout": request.ring_s,
        "time_limit": request.time_limit_s,
        "status_callback": request.status_url + CALLBACK_RETRIES,
        "status_callback_method": "POST",
        "status_callback_event": ["initiated", "ringing", "answered", "completed"],
    }
    if request.amd_url is not None:
        parameters |= {
            "machine_detection": "DetectMessageEnd",
            "async_amd": "true",
            "async_amd_status_callback": request.amd_url + CALLBACK_RETRIES,
            "async_amd_status_callback_method": "POST",
        }
    return parameters


def dial_form(request: DialRequest) -> list[tuple[str, str]]:
    """The dial as it crosses the wire: the fields of the POST, repeated ones repeated. For ``--dry-run``."""
    fields: list[tuple[str, str]] = []
    for name, value in dial_parameters(request).items():
        wire = "".join(part.capitalize() for part in name.split("_"))
        fields += [(wire, str(one)) for one in (value if isinstance(value, list) else [value])]
    return fields
