"""What the carrier is given for one call: the document that runs when it is answered, and where to report."""

from agenx_cli.core.playbook import render_apology, render_opening
from agenx_cli.ports import Assignment, CallPlan
from agenx_cli.telephony.twilio import twiml


def document(origin: str, attempt_uid: str, ticket: str, assignment: Assignment, *, inbound: bool = False) -> str:
    """Say the opening, connect the stream, and behind it the apology. ``origin`` is the public one."""
    playbook = assignment.playbook
    scheme = "ws" if origin.startswith("http:") else "wss"
    return twiml.connect_document(
        opening=render_opening(playbook, assignment.variables, inbound=inbound),
        locale=playbook.locale,
        stream_url=f"{scheme}://{origin.partition('://')[2]}/media-stream",
        attempt=attempt_uid,
        ticket=ticket,
        apology=render_apology(playbook, assignment.variables),
        stream_status_url=f"{origin}/twilio/stream/{attempt_uid}",
    )


def plan(origin: str, attempt_uid: str, ticket: str, assignment: Assignment) -> CallPlan:
    """An outbound call: its document travels with the request, so nothing is fetched at answer."""
    return CallPlan(
        twiml=document(origin, attempt_uid, ticket, assignment),
        status_url=f"{origin}/twilio/status/{attempt_uid}",
        amd_url=f"{origin}/twilio/amd/{attempt_uid}",
    )
