"""Barge-in against the carrier's own record of its playout, over real sockets.

The bridge runs here, as ``agenx call`` runs it; the simulated carrier, voice model and callees are a process of their
own. Nothing that the bridge believes is asked: what was generated and what was taken back from the history is read
from the model's wire, what was sent from the carrier's wire, what was played, and when, from the carrier's record.

A *point* is a sound of the callee during an answer of which at least 1 s was still unplayed. It ends as a YIELD when
the bridge clears, as a RESUME when what was generated goes on. All figures are in milliseconds.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
from bisect import bisect_right
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean

import httpx2
import pytest

from agenx_cli.core.lead import E164
from agenx_cli.core.playbook import Limits, Playbook
from agenx_cli.engine.local import NewCall
from agenx_cli.ports import Assignment
from agenx_cli.settings import load_settings
from agenx_cli.store.records import Attempt
from agenx_cli.wiring import any_port, working

pytestmark = pytest.mark.realtime
WORLD = Path(__file__).with_name("interrupting.py")
LEFT_MS = 1_000
NEAR_MS = 100
DECIDED_MS = 700
"""A clear that comes so long after a sound is not its doing."""
RESUMED_MS = 500
"""By then after a short sound the speech goes on."""
SILENCE = b"\xff"
LONGEST_CALL_S = 150
BENIGN = {"response_cancel_not_active"}
"""A reply may end while our cancel is on its way."""


PLAYBOOK = Playbook(
    name="larga",
    company="",
    assistant="Clara",
    purpose="contarle qué hacemos",
    language="es",
    locale="es-ES",
    time_zone="Europe/Madrid",
    voice="marin",
    model=None,
    opening="Soy una inteligencia artificial.",
    apology="Disculpe, adiós.",
    instructions="Contesta a lo que te pregunten.",
    tools=(),
    variables=(("clave", None),),
    limits=Limits(max_call=LONGEST_CALL_S),
)


# --- the calls


@contextmanager
def interrupted_world(folder, points, within_ms):
    """People who make ``points`` sounds in a call, as a process; its environment."""
    command = [sys.executable, str(WORLD), str(folder), str(points), str(within_ms)]
    bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**bare, "PYTHONUTF8": "1"}
    ) as process:
        try:
            yield json.loads(process.stdout.readline())["env"]
            assert process.poll() is None, "the simulators died"
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def playbook(answer_s):
    """The model says whom it calls for when it is asked, which takes about ``answer_s``."""
    return replace(PLAYBOOK, company=" ".join(f"Consultora{n}" for n in range(8 * answer_s)))


async def place(worker, spoken, key):
    """One call to its end; the carrier's id of it."""
    number = f"+34600{key:06d}"
    assignment = Assignment(spoken, {"clave": f"K{key:05d}"})
    admitted = await worker.engine.submit(NewCall(E164(number), worker.settings.need_number(), assignment))
    assert isinstance(admitted, Attempt), admitted
    ended = await worker.engine.over(admitted.uid)
    return ended.carrier_call_id


async def calls_with_interruptions(folder, *, calls, points, at_once, answer_s):
    """``calls`` calls with ``points`` sounds each, ``at_once`` at a time, and all that is on record of them."""
    spoken = playbook(answer_s)
    with interrupted_world(folder / "wire", points, answer_s * 300) as env:
        settings = any_port(load_settings({"home": str(folder / "home")}, environ={}, directory=folder).overlay(env))
        keys, found = iter(range(1, calls + 1)), []
        async with working(settings, kind="call", playbook=spoken) as worker, httpx2.AsyncClient() as client:

            async def one_after_the_other():
                for key in keys:
                    sid = await place(worker, spoken, key)
                    shown = (await client.get(f"{settings.twilio_api_url}/sim/calls/{sid}")).json()
                    found.append((f"K{key:05d}", shown))

            async with asyncio.timeout(calls / at_once * LONGEST_CALL_S), asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(one_after_the_other())
    media, voice = read_media(folder / "wire"), read_voice(folder / "wire")
    return [Evidence(key, shown, media[shown["call"]["sid"]], voice[key]) for key, shown in found]


def read_media(folder):
    """Call → what the bridge sent to the carrier, in order: audio, or None for a clear."""
    sent = {}
    for line in (folder / "media.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        frame = json.loads(record["message"]) if record["from"] == "bridge" else {"event": ""}
        if frame["event"] == "media":
            sent.setdefault(record["call"], []).append(base64.b64decode(frame["media"]["payload"]))
        elif frame["event"] == "clear":
            sent.setdefault(record["call"], []).append(None)
    return sent


def read_voice(folder):
    """Key of the call → the events of its session with the model, in order: (dir, event)."""
    sessions, keys = {}, {}
    for line in (folder / "voice.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        event = record["event"]
        sessions.setdefault(record["session"], []).append((record["dir"], event))
        if event["type"] == "session.update":
            keys[record["session"]] = event["session"]["instructions"].partition('"clave": "')[2].partition('"')[0]
    return {key: sessions[session] for session, key in keys.items()}


# --- the evidence of one call


@dataclass
class Utterance:
    """What the model generated and what of it is left in its history: None all, a number of ms, 0 deleted."""

    reply: str
    audio: bytes = b""
    kept_ms: int | None = None
    cancelled: bool = False


@dataclass
class Place:
    """Where an utterance lies in the bytes that the bridge sent, and how many of it were sent and played (bytes).

    ``clear`` is the number of the clear that followed it, if one did.
    """

    begin: int
    end: int
    utterance: Utterance
    clear: int | None
    played: int
    sent: int

    @property
    def error(self):
        """Truncated at, minus what the carrier had played; None for what was not taken back."""
        return None if self.utterance.kept_ms is None else self.utterance.kept_ms - self.played / 8


@dataclass
class Point:
    """One sound of the callee. ``error`` (YIELD only): truncated at, minus what the carrier had played."""

    call: str
    kind: str
    verdict: str
    left_ms: int
    sound_ms: int
    silent_ms: int | None = None
    error: int | None = None
    clear_ms: int | None = None


@dataclass
class Evidence:
    """One call, as the outside has it. ``judge`` fills points, complaints and counts."""

    key: str
    shown: dict
    sent: list
    events: list
    points: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    places: list = field(default_factory=list)
    unsent: list = field(default_factory=list)
    gaps: list = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)

    def judge(self):
        """Compare the three records."""
        self.utterances = self._generated()
        self.last = next(reversed(self.utterances.values()), None)  # the callee may hang up before it is taken back
        stream = self.shown["streams"][0]
        whole = b"".join(audio for audio in self.sent if audio is not None)
        self._claim(len(whole) == stream["written"], "the carrier wrote down what it was sent")
        self._claim(not stream["error"], f"the stream broke: {stream['error']}")
        self.clears = stream["cleared"]
        self._claim(sum(audio is None for audio in self.sent) == len(self.clears), "a clear got lost")
        self.played = [(span["offset"], span["length"], span["at_ms"]) for span in stream["played"]]
        self._follow(whole)
        self._compare()
        self._find_points()
        self._find_gaps()
        self.counts["clears that threw audio out"] = sum(clear["dropped"] > 0 for clear in self.clears)
        return self

    def _claim(self, true, what):
        if not true:
            self.wrong.append(f"{self.key}: {what}")

    def _generated(self):
        found, active = {}, False
        for side, event in self.events:
            match side, event["type"]:
                case "server", "response.created":
                    active = True
                case "server", "response.done":
                    active = False
                    for one in found.values():
                        stopped = event["response"]["status"] == "cancelled"
                        one.cancelled |= stopped and one.reply == event["response"]["id"]
                    self.counts[f"reply {event['response']['status']}"] += 1
                case "server", "response.output_audio.delta":
                    one = found.setdefault(event["item_id"], Utterance(event["response_id"]))
                    one.audio += base64.b64decode(event["delta"])
                case "server", "error":
                    code = event["error"]["code"]
                    self.counts[f"model error {code}"] += 1
                    self._claim(code in BENIGN, f"the model refused: {event['error']['message']}")
                case "client", "conversation.item.truncate":
                    one = found[event["item_id"]]
                    one.kept_ms = event["audio_end_ms"]
                    self._claim(8 * event["audio_end_ms"] <= len(one.audio), "truncated beyond what was generated")
                case "client", "conversation.item.delete":
                    if event["item_id"] in found:
                        found[event["item_id"]].kept_ms = 0
                case "client", "response.cancel":
                    self.counts["cancels of a reply in generation"] += active
        return found

    def _follow(self, whole):
        """Walk through what was sent, from clear to clear, and find the utterances in it, in their order."""
        ends = [clear["offset"] + clear["dropped"] for clear in self.clears] + [len(whole)]
        heard_to = [clear["offset"] for clear in self.clears] + [self._played_to()]
        waiting, at = list(self.utterances.values()), 0
        for number, (end, heard) in enumerate(zip(ends, heard_to, strict=True)):
            cleared = number < len(self.clears)
            while waiting and whole[at:end].strip(SILENCE):
                one = waiting.pop(0)
                at = end - len(whole[at:end].lstrip(SILENCE))
                length, upto = self._match(whole, at, end, one.audio)
                played = self._sounding(whole, at, min(upto, heard))
                rest = len(whole[at:end].strip(SILENCE))
                silent = one.kept_ms == 0 and (length < min(rest, len(one.audio)) or played > 8 * NEAR_MS)
                if silent or (one.kept_ms is None and one.cancelled and one is not self.last):
                    self.unsent.append(one)  # nothing of it was ever sent: this is the next one, which begins alike
                    continue
                self.places.append(Place(at, upto, one, number if cleared else None, played, length))
                at = upto
                if length < len(one.audio):
                    break
            rest = len(whole[at:end].strip(SILENCE))
            self._claim(not rest, f"{rest} bytes before clear {number} belong to nothing that was generated, or twice")
            at = end
        self.unsent += waiting

    def _match(self, whole, at, end, audio):
        """How much of an utterance is at this place, silence not counted, and where it ends."""
        length = 0
        while at < end and length < len(audio):
            if whole[at] == audio[length]:
                length += 1
            elif whole[at] != 0xFF:
                break
            at += 1
        return length, at

    def _sounding(self, whole, begin, end):
        return len(whole[begin:end].replace(SILENCE, b"")) if end > begin else 0

    def _played_to(self):
        offset, length, _ = self.played[-1] if self.played else (0, 0, 0)
        return offset + length

    def _compare(self):
        """What the model was told of each utterance against what the carrier sent and played of it."""
        for place in self.places:
            one, sent_ms, played_ms = place.utterance, place.sent / 8, place.played / 8
            if one.kept_ms is None:
                whole = one is self.last or place.clear is None or len(one.audio) - place.played <= 8 * NEAR_MS
                self._claim(whole, f"remembered whole, but {played_ms} of {len(one.audio) / 8} ms were played")
                continue
            self.counts["truncated" if one.kept_ms else "deleted"] += 1
            self._claim(one.kept_ms <= sent_ms, f"truncated at {one.kept_ms} ms, but only {sent_ms} ms were sent")
            near = abs(place.error) <= NEAR_MS
            self._claim(near, f"truncated at {one.kept_ms} ms, but the carrier played {played_ms} ms")
        for one in self.unsent:
            self.counts["generated, never sent"] += 1
            self._claim(one.kept_ms == 0 or one is self.last, "the model remembers what was never sent")

    # --- points

    def _find_points(self):
        began = [clear["at_ms"] for clear in self.clears]
        for at_ms, kind, ms in ((at, kind, int(ms)) for at, kind, ms in self.shown["heard"] if kind != "asked"):
            offset = self._offset_at(at_ms)
            place = next((place for place in self.places if place.begin <= offset < place.end), None)
            left = (len(place.utterance.audio) - (offset - place.begin)) // 8 if place else 0
            if left < LEFT_MS:
                self.counts["sounds with less than 1 s unplayed"] += 1
                continue
            clear = bisect_right(began, at_ms)
            yields = clear == place.clear and began[clear] <= at_ms + ms + DECIDED_MS
            point = Point(self.key, kind, "YIELD" if yields else "RESUME", left, ms, self._silent_after(at_ms))
            if yields:
                point.error, point.clear_ms = place.error, began[clear] - at_ms
            self._claim(yields or kind != "long", f"a sound of {ms} ms at {at_ms} was talked over")
            self._claim(not yields or kind != "short", f"a sound of {ms} ms at {at_ms} ended the speech")
            self.points.append(point)

    def _find_gaps(self):
        """Silences inside an utterance that no sound of the callee accounts for: our own fault, audible."""
        sounds = [(at, at + int(ms)) for at, _, ms in self.shown["heard"]]
        for (offset, length, began), (_, _, again) in pairwise(self.played):
            end = began + length / 8
            inside = any(place.begin < offset + length < place.end for place in self.places)
            excused = any(at <= end + 20 and again <= upto + RESUMED_MS for at, upto in sounds)
            if inside and again > end and not excused:
                self.counts["gaps of our own in an utterance"] += 1
                self.gaps.append(again - end)

    def _offset_at(self, at_ms):
        """How much the carrier had played at a moment of its line."""
        upto = 0
        for offset, length, began in self.played:
            if began >= at_ms:
                break
            upto = offset + min(length, int((at_ms - began) * 8))
        return upto

    def _silent_after(self, at_ms):
        """How long after the beginning of a sound the callee's ear fell silent."""
        end = None
        for _, length, began in self.played:
            if began + length / 8 <= at_ms:
                continue
            if end is not None and began > end + 60:
                break
            end = began + length / 8
        return None if end is None or end - at_ms > DECIDED_MS else int(end - at_ms)


def figures(name, values):
    found = sorted(values)
    if not found:
        return f"{name}: none"
    p95 = found[min(len(found) - 1, int(len(found) * 0.95))]
    middle = found[len(found) // 2]
    return f"{name}: mean {mean(found):.1f}, p50 {middle:.0f}, p95 {p95:.0f}, max {found[-1]:.0f} (n={len(found)})"


def report(calls):
    """The figures, printed; the points."""
    points = [point for call in calls for point in call.points]
    counts = Counter()
    for call in calls:
        counts.update(call.counts)
    verdicts = Counter((point.verdict, point.kind) for point in points)
    errors = [point.error for point in points if point.error is not None]
    print(f"\n{len(points)} points in {len(calls)} calls:", dict(Counter(point.verdict for point in points)))
    print("verdict by sound:", {f"{verdict} {kind}": n for (verdict, kind), n in sorted(verdicts.items())})
    print(figures("|truncated at - played by the carrier| ms", map(abs, errors)))
    print(f"signed: {min(errors):+.0f} to {max(errors):+.0f} ms, mean {mean(errors):+.1f}" if errors else "no YIELD")
    unheld = [p.sound_ms for p in points if p.silent_ms is None]
    print(f"points at which the carrier never fell silent: {len(unheld)}, sounds of {sorted(unheld)} ms")
    print(figures("sound begins -> carrier silent, ms", [p.silent_ms for p in points if p.silent_ms is not None]))
    print(figures("sound begins -> clear at the carrier, ms", [p.clear_ms for p in points if p.clear_ms is not None]))
    print(figures("gaps of our own in an utterance, ms", [gap for call in calls for gap in call.gaps]))
    print("counts:", dict(sorted(counts.items())))
    return points


def check(calls, least):
    points = report(calls)
    wrong = [complaint for call in calls for complaint in call.wrong]
    assert not wrong, "\n".join(wrong[:20])
    assert len(points) >= least
    assert {point.verdict for point in points} == {"YIELD", "RESUME"}
    return points


async def test_what_the_model_remembers_is_what_the_carrier_played(tmp_path):
    """The short form."""
    calls = await calls_with_interruptions(tmp_path, calls=8, points=2, at_once=8, answer_s=4)
    check([call.judge() for call in calls], least=12)


@pytest.mark.long
@pytest.mark.timeout(420)
async def test_three_hundred_times_what_the_model_remembers_is_what_the_carrier_played(tmp_path):
    calls = await calls_with_interruptions(tmp_path, calls=30, points=13, at_once=10, answer_s=16)
    check([call.judge() for call in calls], least=300)
