"""The carrier's middle: accounts in, calls out, one call a second."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random

from agenx_cli.sim.carrier.callbacks import Callback, Callbacks
from agenx_cli.sim.carrier.clock import CarrierClock
from agenx_cli.sim.carrier.crew import Crew
from agenx_cli.sim.carrier.faults import FaultPlan
from agenx_cli.sim.carrier.life import CallLife, Terms
from agenx_cli.sim.carrier.line import Line, Phone
from agenx_cli.sim.carrier.orders import Order, Page, Report
from agenx_cli.sim.carrier.records import Account, Call, Message, Number
from agenx_cli.sim.carrier.refusals import Refusal
from agenx_cli.sim.carrier.rooms import DialResult, Pair, Rooms, SecondCall
from agenx_cli.sim.carrier.scene import CallLog, Scene
from agenx_cli.sim.carrier.webhooks import Webhooks
from agenx_cli.sim.ledger import Ledger
from agenx_cli.sim.wirelog import WireLog

NETWORK_PERSONAS = ("busy", "no_answer", "failed")
"""What a number may be pinned to beyond the callees' personas: the network's own answers."""

OWN_NUMBER = "+14155550100"
_INBOUND_LIMIT_S = 14_400
_LOGS_KEPT = 1_000
_AREAS = (212, 213, 305, 312, 404, 415, 512, 602, 617, 702, 713, 808)
_PER_AREA = 99


class Nobody:
    """Who is at a number that never answers."""

    answers = False
    ring_ms = 0
    answered_by = "human"
    machine_verdict_ms = 0
    end_of_greeting_ms = 0

    def step(self, heard: bytes, at_ms: int) -> object:  # noqa: ARG002 - the phone's shape
        """Hangs up at once."""
        return None


class Exchange:
    """One account's calls. Everything that lasts is in the ledger; everything that runs is in the crew."""

    def __init__(
        self,
        *,
        phones: Callable[[str, int, bool], Phone],
        personas: Sequence[str],
        ledger: Ledger,
        wire: WireLog,
        clock: CarrierClock,
        seed: int = 1,
        cps: float = 1.0,
    ) -> None:
        self._phones = phones
        self._seed = seed
        self._pinned: dict[str, str] = {}
        self._next_start = 0.0
        self._random = Random(seed)  # noqa: S311 - who rings in shall be the same for the same seed
        self.personas = tuple(personas)
        self.cps = cps
        self.clock = clock
        self.ledger = ledger
        self.wire = wire
        self.account = new_account(seed, clock.now())
        self.faults = FaultPlan()
        self.crew = Crew()
        self.webhooks = Webhooks(self.account.token, wire)
        self.callbacks = Callbacks(self.webhooks, self.faults, self.crew)
        self.rooms = Rooms()
        self.calls: dict[str, Call] = {}
        self.lives: dict[str, CallLife] = {}
        self.messages: dict[str, Message] = {}
        self._remember()

    def now(self) -> datetime:
        """The carrier's moment."""
        return self.clock.now()

    def keep(self, call: Call) -> None:
        """Write a call into the ledger."""
        self.ledger.put("calls", call.record())

    def new_sid(self, prefix: str) -> str:
        """A fresh id: unguessable, as Twilio's are."""
        return prefix + secrets.token_hex(16)

    async def close(self) -> None:
        """End every task and connection; the ledger keeps what it has."""
        await self.crew.dismiss()
        await self.webhooks.close()
        self.ledger.close()
        self.wire.close()

    # --- who is at a number

    def pin(self, number: str, persona: str) -> None:
        """From now on this persona answers there."""
        self._pinned[number] = persona

    def persona_at(self, number: str) -> str:
        """The pinned one, else the same one for the same seed and number."""
        pinned = self._pinned.get(number)
        return pinned or self.personas[self._digest(number) % len(self.personas)]

    def phone(self, persona: str, number: str, *, calling: bool = False) -> Phone:
        """Whoever is at a number: picks up, or (``calling``) rings in."""
        return Nobody() if persona in NETWORK_PERSONAS else self._phones(persona, self._digest(number), calling)

    def _digest(self, number: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self._seed}:{number}".encode()).digest()[:6], "big")

    # --- calls out

    def place(self, order: Order) -> Call:
        """Accept a call: it is in the ledger and in the queue when this returns. Raises Refusal (10004)."""
        cap = self.account.concurrency
        if cap is not None and sum(not call.over for call in self.calls.values()) >= cap:
            raise Refusal(10004)
        loop_now = asyncio.get_running_loop().time()
        start = max(loop_now, self._next_start)
        self._next_start = start + 1 / self.cps
        call = self._new_call(order.to, order.from_, "outbound-api", self.persona_at(order.to))
        call.queue_ms = round((start - loop_now) * 1000)
        call.attempt = order.report.url.partition("#")[0].partition("?")[0].rsplit("/", 1)[-1] if order.report else None
        call.error_codes.extend(order.warnings)
        terms = Terms(
            twiml=order.twiml,
            page=order.page,
            fallback=order.fallback,
            report=order.report,
            timeout_s=order.timeout_s,
            time_limit_s=order.time_limit_s,
            detection=order.detection,
        )
        life = self._begin(call, terms, call.to)
        self.crew.spawn(life.outbound(start - loop_now))
        return call

    async def dial(self, second: SecondCall, line: Line) -> DialResult:
        """``<Dial>``: a second call, joined with the first one's line until either ends."""
        call = self._new_call(second.number, second.caller, "outbound-dial", self.persona_at(second.number))
        call.parent_sid, call.started_at, call.status = second.parent_sid, self.now(), "ringing"
        self.keep(call)
        phone, ring_s = self.phone(call.persona, second.number), second.ring_s
        end = "canceled"
        try:
            await asyncio.sleep(min(phone.ring_ms / 1000, ring_s) if phone.answers else ring_s)
            if not phone.answers or phone.ring_ms / 1000 > ring_s:
                end = {"busy": "busy", "failed": "failed"}.get(call.persona, "no-answer")
                return DialResult(end, call.sid, 0)
            call.answered_at, call.status = self.now(), "in-progress"
            self.keep(call)
            end = "completed"
            pair = Pair(phone)
            line.source, line.sink = pair, pair.said
            try:
                async with asyncio.timeout(second.limit_s):
                    await pair.over.wait()
            except TimeoutError:
                pass
            finally:
                line.source = line.sink = None
        finally:
            call.status, call.ended_at = end, self.now()
            self.keep(call)
        return DialResult(end, call.sid, call.duration_s)

    # --- calls in

    def ring_in(self, calls: int, every_s: float, personas: Sequence[str] | None) -> None:
        """Let people ring the account's first number, one every ``every_s`` seconds, taking turns in shuffled order."""
        turns = list(personas or self.personas)
        if personas is None:
            self._random.shuffle(turns)
        self.crew.spawn(self._ring_in(calls, every_s, turns))

    async def _ring_in(self, calls: int, every_s: float, turns: list[str]) -> None:
        for n in range(calls):
            if n:
                await asyncio.sleep(every_s)
            self._incoming(turns[n % len(turns)])

    def _incoming(self, persona: str) -> None:
        number = self.account.numbers[0]
        caller = invented_number(sum(call.direction == "inbound" for call in self.calls.values()))
        call = self._new_call(number.phone_number, caller, "inbound", persona)
        url, status_url = number.get("voice_url"), number.get("status_callback")
        overridden = number.get("voice_application_sid") or number.get("trunk_sid")
        if not url or overridden:
            call.status, call.ended_at, call.sip_code = "failed", self.now(), 404
            self.keep(call)
            return
        method = number.get("status_callback_method", "POST")
        fallback = number.get("voice_fallback_url")
        terms = Terms(
            twiml="",
            page=Page(url, number.get("voice_method", "POST")),
            fallback=Page(fallback, number.get("voice_fallback_method", "POST")) if fallback else None,
            report=Report(status_url, method, frozenset({"completed"})) if status_url else None,
            timeout_s=60,
            time_limit_s=_INBOUND_LIMIT_S,
        )
        self.crew.spawn(self._begin(call, terms, caller).inbound())

    # --- messages

    def send_message(self, to: str, from_: str, body: str, report: Report | None) -> Message:
        """Accept an SMS; it is delivered a moment later."""
        message = Message(self.new_sid("SM"), to, from_, body, self.now())
        self.messages[message.sid] = message
        self._keep_message(message)
        self.crew.spawn(self._deliver(message, report))
        return message

    async def _deliver(self, message: Message, report: Report | None) -> None:
        for status in ("sent", "delivered"):
            await asyncio.sleep(0.05)
            message.status = status
            message.sent_at = message.sent_at or self.now()
            self._keep_message(message)
            if report:
                params = [
                    ("AccountSid", self.account.sid),
                    ("ApiVersion", "2010-04-01"),
                    ("From", message.from_),
                    ("MessageSid", message.sid),
                    ("MessageStatus", status),
                    ("SmsSid", message.sid),
                    ("SmsStatus", status),
                    ("To", message.to),
                ]
                self.callbacks.fire(Callback(message.sid, message.to, status, report.url, report.method, params))

    def _keep_message(self, message: Message) -> None:
        record = {"sid": message.sid, "to": message.to, "from": message.from_, "body": message.body}
        record["status"] = message.status
        record["accepted_at"] = message.created_at.isoformat()
        self.ledger.put("messages", record)

    # --- the inside

    def scene(self, call: Call, line: Line, log: CallLog) -> Scene:
        """What a call's documents work with."""
        return Scene(
            call=call,
            account=self.account,
            line=line,
            log=log,
            webhooks=self.webhooks,
            callbacks=self.callbacks,
            faults=self.faults,
            wire=self.wire,
            rooms=self.rooms,
            now=self.now,
            new_sid=self.new_sid,
            dial=self.dial,
        )

    def _new_call(self, to: str, from_: str, direction: str, persona: str) -> Call:
        call = Call(self.new_sid("CA"), to, from_, direction, self.now(), persona)
        self.calls[call.sid] = call
        return call

    def _begin(self, call: Call, terms: Terms, number: str) -> CallLife:
        phone = self.phone(call.persona, number, calling=call.direction == "inbound")
        life = CallLife(self, call, terms, phone)
        self.lives[call.sid] = life
        if len(self.lives) > _LOGS_KEPT:
            self.lives.pop(next((sid for sid, old in self.lives.items() if old.call.over), call.sid))
        self.keep(call)
        return life

    def _remember(self) -> None:
        """Take over the ledger's calls. Those that lived when the carrier stopped are over since then."""
        for record in self.ledger.of("calls"):
            call = Call.of_record(record)
            self.calls[call.sid] = call
            if not call.over:
                call.status = "completed" if call.answered_at else "failed"
                call.ended_at = call.updated_at or call.accepted_at
                self.keep(call)


def invented_number(n: int) -> str:
    """The n-th of the numbers that are reserved for fiction: nobody's telephone, and no caller twice for a while."""
    area = _AREAS[n // _PER_AREA % len(_AREAS)]
    return f"+1{area}555{101 + n % _PER_AREA:04d}"


def new_account(seed: int, now: datetime) -> Account:
    """The one account: the same ids and secrets for the same seed, so that a restart keeps its clients."""

    def digest(what: str) -> str:
        return hashlib.sha256(f"agenx simulated carrier {seed} {what}".encode()).hexdigest()[:32]

    sid = "AC" + digest("account")
    created = now - timedelta(days=365)
    number = Number("PN" + digest("number"), OWN_NUMBER, sid, created)
    return Account(
        sid,
        digest("token"),
        [number],
        created,
        api_key="SK" + digest("key"),
        api_secret=digest("secret"),
    )
