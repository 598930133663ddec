"""Carries a TwiML document out on a line, verb by verb."""

import asyncio
from collections.abc import Awaitable, Callable

from agenx_cli.sim.carrier.callbacks import Callback
from agenx_cli.sim.carrier.clock import rfc2822
from agenx_cli.sim.carrier.line import tone
from agenx_cli.sim.carrier.rooms import SecondCall
from agenx_cli.sim.carrier.scene import Scene
from agenx_cli.sim.carrier.stream import MediaStream, StreamOrder, StreamRecord
from agenx_cli.sim.carrier.twiml import SCHEMA, DocumentError, Element
from agenx_cli.sim.carrier.webhooks import Pairs
from agenx_cli.sim.sound import speak

APOLOGY = "We are sorry, an application error has occurred. Goodbye."
_PLAY_S = 1.0
_DIGIT_S = 0.1

Document = tuple[Element, ...]
Verb = Callable[[Element], Awaitable[Document | None]]


class Interpreter:
    """Runs documents until one ends. A verb answers with the document that replaces the rest, or None to go on."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._verbs: dict[str, Verb] = {
            "Say": self._say,
            "Play": self._play,
            "Pause": self._pause,
            "Gather": self._gather,
            "Connect": self._connect,
            "Dial": self._dial,
            "Redirect": self._redirect,
            "Hangup": self._end,
            "Reject": self._end,
        }

    async def run(self, document: Document) -> None:
        """Carry out a document and those it leads to. Raises DocumentError after the callee heard the apology."""
        try:
            following: Document | None = document
            while following is not None:
                following = await self._one(following)
        except DocumentError:
            await self.apologise()
            raise

    async def apologise(self) -> None:
        """What Twilio says when a document cannot be carried out."""
        self._scene.note("Say", APOLOGY)
        await self._scene.line.play(speak(APOLOGY))

    async def _one(self, document: Document) -> Document | None:
        for element in document:
            replaced = await self._verbs[element.name](element)
            if replaced is not None:
                return replaced
        return None

    async def _say(self, element: Element) -> None:
        for _ in range(max(1, element.whole("loop", 1, high=1000))):
            self._scene.note("Say", element.text)
            await self._scene.line.play(speak(element.text))

    async def _play(self, element: Element) -> None:
        sound = element.text or element.attributes.get("digits", "")
        self._scene.note("Play", sound)
        await self._scene.line.play(tone(_PLAY_S if element.text else _DIGIT_S * len(sound)))

    async def _pause(self, element: Element) -> None:
        length = element.whole("length", 1)
        self._scene.note("Pause", str(length))
        await asyncio.sleep(length)

    async def _redirect(self, element: Element) -> Document:
        self._scene.note("Redirect", element.text)
        return await self._scene.fetch(element.text, element.attributes.get("method", "POST"))

    async def _end(self, element: Element) -> Document:
        self._scene.note(element.name, element.attributes.get("reason", ""))
        return ()

    async def _connect(self, element: Element) -> Document | None:
        (noun,) = element.children
        record = await self._stream(noun)
        extra: Pairs = [("StreamSid", record.stream_sid)]
        if record.error_code:
            extra = [*extra, ("StreamError", record.error)]
        return await self._action(element, extra)

    async def _stream(self, noun: Element) -> StreamRecord:
        scene = self._scene
        parameters = {child.attributes["name"]: child.attributes["value"] for child in noun.children}
        order = StreamOrder(noun.attributes["url"], parameters, scene.account.sid, scene.call.sid)
        record = StreamRecord(scene.new_sid("MZ"))
        scene.log.streams.append(record)
        scene.note("Stream", order.url)
        stream = MediaStream(order, record, scene.account.token, scene.wire)
        cut = scene.faults.take("stream.cut", to=scene.call.party)

        def started() -> None:
            scene.stream = stream
            self._tell(noun, record, "stream-started")

        try:
            await stream.run(scene.line, started, cut.seconds if cut else None)
        finally:
            scene.stream = None
            if record.error_code:
                scene.call.error_codes.append(record.error_code)
                scene.note("error", f"{record.error_code} {record.error}")
            self._tell(noun, record, "stream-error" if record.error_code else "stream-stopped")
        return record

    def _tell(self, noun: Element, record: StreamRecord, event: str) -> None:
        url = noun.attributes.get("statusCallback")
        if not url:
            return
        scene = self._scene
        params = [
            ("AccountSid", scene.account.sid),
            ("CallSid", scene.call.sid),
            ("StreamSid", record.stream_sid),
            ("StreamName", noun.attributes.get("name", "")),
            ("StreamEvent", event),
            ("Timestamp", rfc2822(scene.now()) or ""),
        ]
        if record.error_code:
            params.append(("StreamError", record.error))
        method = noun.attributes.get("statusCallbackMethod", "POST")
        scene.callbacks.fire(Callback(scene.call.sid, scene.call.party, event, url, method, params))

    async def _gather(self, element: Element) -> Document | None:
        if element.attributes.get("input", "dtmf") != "dtmf":
            raise DocumentError(SCHEMA, "this carrier gathers digits only")
        scene = self._scene
        scene.note("Gather")
        prompts = asyncio.create_task(self._prompts(element.children))
        first = asyncio.create_task(scene.digits.get())
        try:
            await asyncio.wait({prompts, first}, return_when=asyncio.FIRST_COMPLETED)
            if not first.done():
                await asyncio.wait({first}, timeout=element.whole("timeout", 5))
            digits = await self._digits(element, first.result()) if first.done() else ""
        finally:
            prompts.cancel()
            first.cancel()
            await asyncio.wait({prompts, first})
        scene.note("digits", digits)
        if not digits and element.attributes.get("actionOnEmptyResult") != "true":
            return None
        return await self._action(element, [("Digits", digits)], always=True)

    async def _prompts(self, prompts: tuple[Element, ...]) -> None:
        for prompt in prompts:
            await self._verbs[prompt.name](prompt)

    async def _digits(self, element: Element, digits: str) -> str:
        finish = element.attributes.get("finishOnKey", "#")
        wanted = element.whole("numDigits", 1_000, low=1)
        while digits[-1:] != finish and len(digits) < wanted:
            try:
                async with asyncio.timeout(element.whole("timeout", 5)):
                    digits += await self._scene.digits.get()
            except TimeoutError:
                break
        return digits.removesuffix(finish) if finish else digits

    async def _dial(self, element: Element) -> Document | None:
        scene = self._scene
        rooms = [child for child in element.children if child.name == "Conference"]
        if rooms:
            (room,) = rooms[:1]
            scene.note("Conference", room.text)
            await scene.rooms.stay(
                room.text,
                scene.line,
                muted=room.attributes.get("muted") == "true",
                ends_it=room.attributes.get("endConferenceOnExit") == "true",
            )
            return await self._action(element, [("DialCallStatus", "completed")])
        number = element.children[0].text if element.children else element.text
        scene.note("Dial", number)
        caller = element.attributes.get("callerId") or scene.call.from_
        ring_s, limit_s = element.whole("timeout", 30, low=5, high=600), element.whole("timeLimit", 14_400, low=1)
        result = await scene.dial(SecondCall(scene.call.sid, number, caller, ring_s, limit_s), scene.line)
        scene.note("dialed", result.status)
        extra = [
            ("DialCallStatus", result.status),
            ("DialCallSid", result.sid),
            ("DialCallDuration", str(result.duration_s)),
        ]
        return await self._action(element, extra)

    async def _action(self, element: Element, extra: Pairs, *, always: bool = False) -> Document | None:
        """Where the verb goes on: its action's document, or (``always``, without one) the present document again."""
        url = element.attributes.get("action")
        if url is None and not always:
            return None
        return await self._scene.fetch(url or "", element.attributes.get("method", "POST"), extra)
