"""One call's life: queue, ringing, answer, documents, end; and the reports about each step.

Whatever ends a call (the callee, REST, the time limit, the document's end) calls ``end`` once; the rest is ignored.
Every change is in the ledger before anybody is told of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from agenx_cli.sim.carrier.amd import Detection, Verdict, verdict
from agenx_cli.sim.carrier.callbacks import Callback
from agenx_cli.sim.carrier.clock import rfc2822
from agenx_cli.sim.carrier.interpreter import Document, Interpreter
from agenx_cli.sim.carrier.line import Line, Phone
from agenx_cli.sim.carrier.orders import Page, Report
from agenx_cli.sim.carrier.records import Call
from agenx_cli.sim.carrier.scene import CallLog, Scene, call_params
from agenx_cli.sim.carrier.twiml import DocumentError

if TYPE_CHECKING:
    from agenx_cli.sim.carrier.exchange import Exchange

BUSY, DECLINED, NOT_ANSWERED, OK = 486, 603, 487, 200
_SET_UP_S = 0.05  # between leaving the queue and the first ringing
_BUSY_S = 0.3


@dataclass(frozen=True, slots=True)
class Terms:
    """What a call is placed or taken with. Exactly one of ``twiml`` and ``page`` is there. Seconds."""

    twiml: str
    page: Page | None
    fallback: Page | None
    report: Report | None
    timeout_s: float
    time_limit_s: float
    detection: Detection | None = None


class CallLife:
    """A call while it lives, and its log afterwards."""

    def __init__(self, exchange: "Exchange", call: Call, terms: Terms, phone: Phone) -> None:
        self._exchange = exchange
        self._terms = terms
        self._phone = phone
        self._over = asyncio.Event()
        self._reported = 0
        self._answered_s = 0.0  # by the loop's clock, which no rehearsal moves
        self._work: asyncio.Task[None] | None = None
        self._next: Callable[[], Awaitable[Document]] | None = None
        self._scene: Scene | None = None
        self._time_limit: asyncio.TimerHandle | None = None
        self.call = call
        self.log = CallLog()

    def heard(self) -> list[tuple[int, str, str]]:
        """What the callee heard and said, as it understood it: (ms, heard or said, text)."""
        return list(getattr(self._phone, "log", ()))

    # --- what others may do to it

    def end(self, status: str, sip_code: int) -> None:
        """End the call, once, with Twilio's status and the SIP code."""
        call = self.call
        if call.over:
            return
        call.status, call.sip_code, call.ended_at = status, sip_code, self._exchange.now()
        self._keep()
        self._over.set()
        if self._work:
            self._work.cancel()
        self._report("completed")

    def hang_up(self) -> None:
        """As REST does: a call that was answered completes, another one is canceled."""
        if self.call.answered_at:
            self.end("completed", OK)
        else:
            self.end("canceled", NOT_ANSWERED)

    def replace(self, twiml: str, page: Page | None) -> None:
        """Run another document instead of the present one, at once."""
        scene = self._scene
        if scene is None or self._work is None:
            return
        self._next = lambda: self._document(scene, twiml, page)
        self._work.cancel()

    def limit(self, seconds: float) -> None:
        """End the call so long after its answer."""
        if self._time_limit:
            self._time_limit.cancel()
        loop = asyncio.get_running_loop()
        self._time_limit = loop.call_at(self._answered_s + seconds, self.end, "completed", OK)

    def press(self, digit: str) -> None:
        """The callee presses a key."""
        scene = self._scene
        if scene is None:
            return
        if scene.stream:
            scene.stream.digit(digit)
        else:
            scene.digits.put_nowait(digit)

    # --- its course

    async def outbound(self, wait_s: float) -> None:
        """From the queue to the end."""
        if await self._pause(wait_s):
            return
        self.call.started_at = self._exchange.now()
        self._keep()
        self._report("initiated")
        if await self._pause(_SET_UP_S):
            return
        failed = self._exchange.faults.take("call.failed", to=self.call.party)
        if failed or self.call.persona == "failed":
            self.end("failed", (failed.code if failed else None) or 404)
            return
        if await self._ring():
            await self.talk()

    async def inbound(self) -> None:
        """Somebody rings in: the customer's document decides before anything is answered."""
        self.call.started_at = self._exchange.now()
        self.call.status = "ringing"
        self._keep()
        scene = self._set_scene()
        try:
            document = await self._document(scene, self._terms.twiml, self._terms.page)
        except DocumentError as exc:
            self._document_failed(exc)
            self.end("failed", 503)
            return
        if document and document[0].name == "Reject":
            scene.note("Reject", document[0].attributes.get("reason", "rejected"))
            self.end("busy", BUSY if document[0].attributes.get("reason") == "busy" else DECLINED)
        elif not self.call.over:
            await self.talk(document)

    async def talk(self, document: Document | None = None) -> None:
        """From the answer to the end."""
        self.call.answered_at, self.call.status = self._exchange.now(), "in-progress"
        self._keep()
        self._report("answered")
        scene = self._set_scene()
        self._answered_s = asyncio.get_running_loop().time()
        self.limit(self._terms.time_limit_s)
        line = asyncio.create_task(scene.line.run())
        ears = asyncio.create_task(self._detect())
        cut = self._exchange.faults.take("call.hang_up", to=self.call.party)
        if cut:
            asyncio.get_running_loop().call_later(cut.seconds, self.end, "completed", OK)
        try:
            if self._terms.detection and not self._terms.detection.background:
                over = asyncio.create_task(self._over.wait())
                await asyncio.wait({ears, over}, return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
            if document is None:
                self._next = lambda: self._document(scene, self._terms.twiml, self._terms.page)
            else:
                self._next = lambda: _known(document)
            await self._documents(scene)
            self.end("completed", OK)
        finally:
            if self._time_limit:
                self._time_limit.cancel()
            for task in (line, ears):
                task.cancel()
            await asyncio.wait({line, ears})
        for task in (line, ears):
            if not task.cancelled():
                task.result()

    async def _ring(self) -> bool:
        """True when somebody answered."""
        take = self._exchange.faults.take
        self.call.status = "ringing"
        self._keep()
        self._report("ringing")
        if take("call.busy", to=self.call.party) or self.call.persona == "busy":
            if not await self._pause(_BUSY_S):
                self.end("busy", BUSY)
            return False
        never = take("call.no_answer", to=self.call.party) is not None or not self._phone.answers
        held = take("call.ring", to=self.call.party)
        ring_s = held.seconds if held else self._phone.ring_ms / 1000
        if never or ring_s > self._terms.timeout_s:
            if not await self._pause(self._terms.timeout_s):
                self.end("no-answer", NOT_ANSWERED)
            return False
        return not await self._pause(ring_s)

    async def _documents(self, scene: Scene) -> None:
        while (following := self._next) is not None and not self.call.over:
            self._next = None
            self._work = asyncio.create_task(self._carry_out(scene, following))
            try:
                await asyncio.wait({self._work})
            finally:
                self._work.cancel()
            if not self._work.cancelled():
                self._work.result()

    async def _carry_out(self, scene: Scene, following: Callable[[], Awaitable[Document]]) -> None:
        interpreter = Interpreter(scene)
        try:
            try:
                document = await following()
            except DocumentError:
                await interpreter.apologise()
                raise
            await interpreter.run(document)
        except DocumentError as exc:
            self._document_failed(exc)

    async def _document(self, scene: Scene, twiml: str, page: Page | None) -> Document:
        if page is None:
            return scene.read(twiml)
        try:
            return await scene.fetch(page.url, page.method)
        except DocumentError as exc:
            fallback = self._terms.fallback
            if fallback is None:
                raise
            self._document_failed(exc)
            extra = [("ErrorCode", str(exc.code)), ("ErrorUrl", page.url)]
            return await scene.fetch(fallback.url, fallback.method, extra)

    def _document_failed(self, failure: DocumentError) -> None:
        self.call.error_codes.append(failure.code)
        self.log.entries.append((self._scene.line.at_ms if self._scene else 0, "error", f"{failure.code} {failure}"))
        self._keep()

    async def _detect(self) -> None:
        detection = self._terms.detection
        if detection is None or self._exchange.faults.take("amd.none", to=self.call.party):
            return
        late = self._exchange.faults.take("amd.late", to=self.call.party)
        found = verdict(detection, self._phone)
        await asyncio.sleep(found.at_ms / 1000 + (late.seconds if late else 0.0))
        self.call.answered_by = found.recorded
        self._keep()
        if detection.background and detection.url:
            self._tell_verdict(detection, found)

    def _tell_verdict(self, detection: Detection, found: Verdict) -> None:
        params = [
            ("AccountSid", self._exchange.account.sid),
            ("AnsweredBy", found.answered_by),
            ("CallSid", self.call.sid),
            ("MachineDetectionDuration", str(found.at_ms)),
        ]
        self._tell("amd", detection.url or "", detection.method, params)

    # --- small things

    def _set_scene(self) -> Scene:
        if self._scene is None:
            line = Line(self._phone, lambda: self.end("completed", OK))
            self._scene = self._exchange.scene(self.call, line, self.log)
        return self._scene

    def _keep(self) -> None:
        self.call.updated_at = self._exchange.now()
        self._exchange.keep(self.call)

    async def _pause(self, seconds: float) -> bool:
        """Wait; True when the call was ended meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return self.call.over
        return True

    def _report(self, event: str) -> None:
        report = self._terms.report
        if report is None or event not in report.events:
            return
        params = status_params(self.call, event, self._reported, self._exchange.now())
        self._reported += 1
        params = [*call_params(self.call, self._exchange.account), *params]
        if event == "initiated":
            params = [(name, "initiated" if name == "CallStatus" else value) for name, value in params]
        self._tell(event, report.url, report.method, params)

    def _tell(self, event: str, url: str, method: str, params: list[tuple[str, str]]) -> None:
        self._exchange.callbacks.fire(Callback(self.call.sid, self.call.party, event, url, method, params))


async def _known(document: Document) -> Document:
    return document


def status_params(call: Call, event: str, sequence: int, now: datetime) -> list[tuple[str, str]]:
    """What a status callback has beyond the parameters of every request about a call."""
    params = [
        ("CallbackSource", "call-progress-events"),
        ("SequenceNumber", str(sequence)),
        ("Timestamp", rfc2822(now) or ""),
    ]
    if event == "completed":
        params += [
            ("CallDuration", str(call.duration_s)),
            ("Duration", str(call.billed_minutes)),
            ("SipResponseCode", str(call.sip_code)),
        ]
    return params
