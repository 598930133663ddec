"""Strangers at the door, in numbers: nobody without a right signature and a right ticket is talked with."""

import asyncio
import json

import pytest

from tests.bridge.door import CALLER, OUR_NUMBER, a_house, bitten, many, opening_frames, sign

N = 1_000


@pytest.fixture
async def house(tmp_path):
    async with a_house(tmp_path) as standing:
        yield standing


def spoken_of(audio, n, what, house, *, models=0):
    """Nothing was spoken and no model was asked; print it with its denominator."""
    assert [bytes_ for bytes_ in audio if bytes_] == []
    assert house.voice.connects == models
    print(f"\n{what}: {n:,} tries, {house.voice.connects - models} model connections, 0 bytes spoken")


async def begin(house, uid, ticket, call_id):
    """A stream with a right ticket, admitted: the open socket."""
    house.voice.asked.clear()
    socket = await house.upgrade()
    for frame in opening_frames(uid, ticket, call_id):
        await socket.send(json.dumps(frame))
    async with asyncio.timeout(10):
        await house.voice.asked.wait()
    return socket


async def test_a_right_signature_and_a_right_ticket_are_let_in(house):
    socket = await begin(house, *house.outbound(), "CA1")
    assert house.voice.connects == 1
    await socket.close()


async def test_a_ticket_replayed_is_worth_nothing(house):
    uid, ticket = house.outbound()
    live = await begin(house, uid, ticket, "CA1")
    during = await many(N // 2, lambda _: house.stream(uid, ticket, "CA1"))
    await live.close()
    await house.desk.left(uid)
    after = await many(N - N // 2, lambda _: house.stream(uid, ticket, "CA1"))
    spoken_of(during + after, N, "a ticket replayed", house, models=1)


async def test_a_ticket_for_another_call_is_worth_nothing_and_stays_good_for_its_own(house):
    rung_in, theirs = house.inbound("CAmine")
    dialed, ours = house.outbound(call_id="CAours")
    other, _ = house.outbound()
    tries = [
        (rung_in, theirs, "CAother"),
        (dialed, ours, "CAother"),
        (other, ours, "CAours"),
        (rung_in, ours, "CAmine"),
    ]
    audio = await many(N, lambda k: house.stream(*tries[k % len(tries)]))
    spoken_of(audio, N, "a ticket for another call", house)
    for uid, ticket, call_id in ((rung_in, theirs, "CAmine"), (dialed, ours, "CAours")):
        await (await begin(house, uid, ticket, call_id)).close()


async def test_without_a_ticket_nobody_is_talked_with(house):
    uid, ticket = house.outbound()
    tries = [(uid, None), (uid, ""), (None, None), (None, ticket), ("", ticket)]
    audio = await many(N, lambda k: house.stream(*tries[k % len(tries)], "CA1"))
    spoken_of(audio, N, "a ticket absent", house)


async def test_an_invented_ticket_is_worth_nothing_and_spoils_nothing(house):
    uid, ticket = house.outbound()
    wrong = [ticket[:-1], ticket + "x", ticket.swapcase(), "x" * 400, "\ud800", "None", "0" * 64]
    tries = [(uid, text) for text in wrong] + [("nobody", ticket), ("\ud800", ticket), ("u" * 10_000, ticket)]
    audio = await many(100, lambda k: house.stream(*tries[k % len(tries)], "CA1"))
    spoken_of(audio, 100, "a ticket invented", house)
    await (await begin(house, uid, ticket, "CA1")).close()


async def test_an_upgrade_whose_signature_is_a_byte_off_is_refused_before_it_is_accepted(house):
    house.outbound()
    right = sign("wss://calls.example.com/media-stream", {})
    answers = await many(N, lambda k: house.upgrade(signature=bitten(right, k)))
    assert set(answers) == {403}
    spoken_of([], N, "an upgrade with a signature off by one byte", house)


async def test_a_webhook_whose_signature_is_a_byte_off_is_refused_and_changes_nothing(house):
    uid, _ = house.outbound(call_id="CA1")
    form = {"CallSid": "CA1", "CallStatus": "completed", "To": OUR_NUMBER, "From": CALLER, "AccountSid": "AC1"}
    paths = [
        "/incoming-call",
        "/twilio/sms",
        *(f"/twilio/{what}/{uid}" for what in ("status", "amd", "stream", "after")),
    ]
    before = house.store.attempts.list()

    async def one(k):
        path = paths[k % len(paths)]
        right = sign(f"https://calls.example.com{path}", form)
        return (await house.post(path, form, signature=bitten(right, k // len(paths)))).status_code

    assert set(await many(N, one)) == {403}
    assert house.store.attempts.list() == before
    assert house.carrier.hung_up == {}
    spoken_of([], N, "a webhook with a signature off by one byte", house)


async def test_an_inbound_ticket_is_good_for_a_minute(house):
    uid, ticket = house.inbound("CAmine")
    house.later(60)
    assert await house.stream(uid, ticket, "CAmine") == b""
    assert house.voice.connects == 0


async def test_a_hundred_sockets_with_one_ticket_are_one_call(house):
    uid, ticket = house.outbound()
    sockets = await many(100, lambda _: house.upgrade())
    for frame in opening_frames(uid, ticket, "CA1"):
        await asyncio.gather(*(socket.send(json.dumps(frame)) for socket in sockets))

    waits = {asyncio.create_task(socket.wait_closed()) for socket in sockets}
    async with asyncio.timeout(10):
        while len(waits) > 1:
            _, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        await house.voice.asked.wait()
    assert house.voice.connects == 1
    await asyncio.gather(*(socket.close() for socket in sockets), *waits)


NONSENSE = [
    b"\x00\x01",
    "",
    "{",
    "null",
    "[]",
    '{"event": "media", "media": {"payload": "////"}}',
    '{"event": "stop"}',
    '{"event": "start"}',
    '{"event": "start", "start": {"customParameters": []}}',
    '{"event": "start", "start": {"callSid": {}, "customParameters": {"attempt": [], "ticket": 1}}}',
    "[" * 50_000,
    "x" * 70_000,
]


async def test_a_socket_that_begins_with_nonsense_is_closed_and_one_that_says_nothing_is_after_five_seconds(house):
    async def one(k):
        socket = await house.upgrade()
        if k < len(NONSENSE):
            await socket.send(NONSENSE[k])
        async with asyncio.timeout(4 if k < len(NONSENSE) else 8):
            await socket.wait_closed()

    await many(len(NONSENSE) + 1, one)
    assert house.voice.connects == 0
