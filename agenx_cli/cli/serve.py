"""``agenx serve``: answer inbound calls, and be the worker of this machine."""

from typing import Annotated

import typer

from agenx_cli.cli.frame import frame


def serve(
    ctx: typer.Context,
    *,
    playbook: Annotated[str | None, typer.Option(metavar="DIR", help="What the assistant is and says.")] = None,
    set_webhook: Annotated[
        bool, typer.Option("--set-webhook/--no-set-webhook", help="Send our number's calls here while it runs.")
    ] = True,
    record: Annotated[bool, typer.Option("--record", help="Keep stereo recordings.")] = False,
    calls: Annotated[int | None, typer.Option(min=1, metavar="N", help="End after N calls.")] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Rehearse: simulated people ring in.")] = False,
    at: Annotated[str | None, typer.Option(metavar="ISO", help="The rehearsal's moment.")] = None,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Where our own server listens.")] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", min=0, max=65535, help="0: any free port.")] = None,
    public_url: Annotated[str | None, typer.Option(metavar="URL", help="An address that leads here.")] = None,
    tunnel: Annotated[str, typer.Option(metavar="NAME", help="How to get an address without --public-url.")] = "ngrok",
) -> int:
    """Answer inbound calls with the playbook's assistant, until Ctrl-C.

    The first Ctrl-C takes no new calls and lets live ones finish; the second hangs up.
    """
    from agenx_cli.cli.call import check_notice, check_tunnel
    from agenx_cli.cli.running import run
    from agenx_cli.cli.serving import Serving
    from agenx_cli.ports import Assignment
    from agenx_cli.wiring import playbook_named

    check_tunnel(tunnel)
    shown = frame(ctx)
    settings = shown.settings(simulate=simulate, host=host, port=port, public_url=public_url)
    loaded = playbook_named(settings, playbook)
    assignment = Assignment(loaded, {}, record)
    if record and not settings.simulate:
        check_notice(assignment)
    if not settings.simulate:
        settings.need("openai_api_key", "twilio_account_sid", "twilio_auth_token")
        if set_webhook:
            settings.need("twilio_phone_number")
    moment = None
    if at is not None:
        from agenx_cli.clock import moment as read_moment

        moment = read_moment(at, "--at")
    session = Serving(shown.out, loaded, assignment, calls, webhook=set_webhook)
    return run(lambda interrupts: session.main(settings, moment, interrupts))
