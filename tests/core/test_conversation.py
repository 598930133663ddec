import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core import signals as s
from agenx_cli.core.conversation import Conversation
from agenx_cli.core.ending import Ending
from agenx_cli.core.playbook import Limits
from tests.core.world import World

END = s.ToolCall("c1", "end_call", json.dumps({"reason": "goodbye"}))


def talking(**kwargs):
    """A world in which the callee said something and the model was asked for a reply."""
    world = World(**kwargs)
    world.ready()
    world.turn()
    assert len(world.of(s.AskReply)) == 1
    return world


def test_the_model_is_told_what_the_opening_said_and_asked_for_nothing():
    world = World(opening="Hola, soy Clara.")
    world.ready()
    assert world.of(s.TellModel)[0].text == "Hola, soy Clara."
    assert world.of(s.Line)[0].text == "Hola, soy Clara."
    assert not world.of(s.AskReply)


def test_a_turn_brings_exactly_one_reply():
    world = talking()
    world.reply(audio_ms=300)
    world.run(2000)
    assert len(world.of(s.AskReply)) == 1
    assert bytes(world.line.heard[: 300 * 8]) == World.samples(300)


def test_audio_leaves_in_60_ms_chunks_about_200_ms_ahead_with_a_mark_every_240_ms():
    world = talking()
    world.reply(audio_ms=2000)
    sent = sum(len(c.audio) for c in world.of(s.Play)) // 8
    assert 200 <= sent <= 260
    world.run(3000)
    assert {len(c.audio) for c in world.of(s.Play)[:-1]} == {480}
    assert len(world.of(s.PutMark)) == 2000 // 240 + 1


def test_the_last_chunk_is_padded_to_whole_frames_with_silence():
    world = talking()
    world.tell(s.ReplyStarted("r"))
    world.tell(s.ReplyAudio("r", "u", b"\x01" * 333))
    world.tell(s.UtteranceEnded("r", "u"))
    world.tell(s.ReplyEnded("r", "completed"))
    world.run(400)
    assert bytes(world.line.heard) == b"\x01" * 333 + b"\xff" * (480 - 333)


def test_a_short_sound_holds_and_then_the_speech_goes_on_with_nothing_missing_and_nothing_twice():
    world = talking()
    world.reply(audio_ms=3000)
    world.run(1000)
    world.voiced = True
    world.run(200)
    world.voiced = False
    world.run(6000)
    assert not world.of(s.ClearPlayout)
    assert [m.name for m in world.of(s.Measured) if m.name == "resumed"] == ["resumed"]
    assert bytes(b for b in world.line.heard if b != 0xFF) == World.samples(3000).replace(b"\xff", b"")
    assert bytes(world.line.heard) == World.samples(3000)


def test_an_aside_is_not_answered_while_the_assistant_goes_on():
    world = talking()
    world.reply(audio_ms=4000, text="Le cuento.")
    world.run(1000)
    world.turn("t2", speech_ms=200, silence_ms=520)
    world.run(500)
    assert len(world.of(s.AskReply)) == 1


def test_an_aside_to_a_question_is_its_answer():
    world = talking()
    world.reply(audio_ms=2000, text="¿Le parece bien?")
    world.run(1000)
    world.turn("t2", speech_ms=200, silence_ms=520)
    assert len(world.of(s.AskReply)) == 1
    world.run(2500)
    assert len(world.of(s.AskReply)) == 2


def test_an_aside_at_the_very_end_is_an_answer():
    world = talking()
    world.reply(audio_ms=1000, text="Estamos en Madrid.")
    world.run(850)
    world.turn("t2", speech_ms=200, silence_ms=700)
    world.run(100)
    assert len(world.of(s.AskReply)) == 2


def test_a_real_interruption_clears_truncates_at_what_was_heard_and_drops_late_audio():
    world = talking()
    world.reply(audio_ms=5000)
    world.run(1000)
    world.voiced = True
    world.run(60)
    world.tell(s.SpeechStarted("t2", world.now))
    world.run(600)
    heard_ms = len(world.line.heard) // 8
    cut = world.of(s.Truncate)[0]
    assert abs(cut.heard_ms - heard_ms) <= 20
    assert cut.heard_ms <= heard_ms
    assert len(world.of(s.ClearPlayout)) == 1
    world.tell(s.ReplyAudio("r1", "u-r1", b"\x02" * 4000))
    world.run(500)
    assert len(world.line.heard) // 8 == heard_ms
    world.voiced = False
    world.run(520)
    world.tell(s.TurnCommitted("t2"))
    assert len(world.of(s.AskReply)) == 2


def test_a_reply_that_is_still_generated_is_cancelled_and_the_next_waits_for_its_end():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(1500)))
    world.run(700)
    world.voiced = True
    world.run(700)
    assert [c.reply_id for c in world.of(s.CancelReply)] == ["r1"]
    world.voiced = False
    world.run(520)
    world.tell(s.TurnCommitted("t2"))
    assert len(world.of(s.AskReply)) == 1
    world.tell(s.ReplyEnded("r1", "cancelled"))
    assert len(world.of(s.AskReply)) == 2


def test_a_reply_of_which_nothing_was_heard_is_forgotten():
    world = talking()
    world.tell(s.SpeechStarted("t2", 0))
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(500)))
    world.voiced = True
    world.run(600)
    assert [c.item_id for c in world.of(s.Forget)] == ["u1"]
    assert not world.of(s.Play)


def test_a_reply_stopped_before_it_began_is_cancelled_when_it_begins():
    world = talking()
    world.voiced = True
    world.run(600)
    assert not world.of(s.CancelReply)
    world.tell(s.ReplyStarted("r1"))
    assert [c.reply_id for c in world.of(s.CancelReply)] == ["r1"]
    world.tell(s.ReplyAudio("r1", "u1", World.samples(500)))
    world.run(100)
    assert not world.of(s.Play)


def test_tools_are_all_answered_before_one_reply_is_asked_for():
    world = talking()
    calls = (s.ToolCall("a", "check_availability", "{}"), s.ToolCall("b", "record_answer", "{}"))
    world.reply(text="", audio_ms=0, calls=calls)
    assert [c.call.call_id for c in world.of(s.RunTool)] == ["a", "b"]
    world.tell(s.ToolAnswered("a", "1"))
    assert not world.of(s.AnswerTool)
    world.tell(s.ToolAnswered("b", "2"))
    assert [(c.call_id, c.output) for c in world.of(s.AnswerTool)] == [("a", "1"), ("b", "2")]
    assert len(world.of(s.AskReply)) == 2


def test_tool_calls_of_an_interrupted_reply_are_answered_but_not_run():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(1500)))
    world.voiced = True
    world.run(700)
    world.tell(s.ReplyEnded("r1", "completed", tool_calls=(s.ToolCall("a", "book_meeting", "{}"),)))
    assert not world.of(s.RunTool)
    assert "interrupted" in world.of(s.AnswerTool)[0].output


def test_the_goodbye_is_drained_and_listened_after_before_the_hang_up():
    world = talking()
    world.reply(text="Gracias, adiós.", audio_ms=1500, calls=[END])
    assert world.of(s.AnswerTool)[0].output == '{"status": "ending"}'
    ended = world.now
    world.run(3000)
    assert len(world.line.heard) >= 1500 * 8
    hung_up = world.moments(s.HangUp)[0]
    assert ended + 1500 + 700 <= hung_up <= ended + 1500 + 800
    assert world.conversation.ending.reason == "goodbye"
    assert world.conversation.ending.by == "assistant"


def test_a_goodbye_whose_marks_never_come_still_ends():
    world = talking()
    world.line.latency_ms = 10**6
    world.reply(text="Adiós.", audio_ms=500, calls=[END])
    world.run(4000)
    assert world.of(s.HangUp)


def test_real_speech_cancels_the_hang_up_once():
    world = talking()
    world.reply("r1", text="Adiós.", audio_ms=300, calls=[END])
    world.run(350)
    world.turn("t2", speech_ms=700)
    assert not world.of(s.HangUp)
    assert len(world.of(s.AskReply)) == 2
    world.reply("r2", text="Adiós de nuevo.", audio_ms=300, calls=[END])
    world.run(350)
    world.voiced = True
    world.run(1000)
    assert world.of(s.HangUp)


@pytest.mark.parametrize(
    ("text", "calls_before", "complaint"),
    [
        ("¿Le viene bien el martes?", (), "question"),
        ("", (), "goodbye"),
    ],
)
def test_end_call_is_refused_while_it_would_be_rude(text, calls_before, complaint):
    world = talking()
    world.reply(text=text, audio_ms=300 if text else 0, calls=[END])
    assert complaint in world.of(s.AnswerTool)[0].output
    world.run(5)
    assert not world.of(s.HangUp)
    assert len(world.of(s.AskReply)) == 2


def test_a_silent_callee_is_asked_once_and_then_told_goodbye():
    world = World(limits=Limits(idle_first=2, idle_again=1.5))
    world.ready()
    world.run(2100)
    assert "still" in world.of(s.AskReply)[0].instructions
    world.reply("r1", text="¿Sigue ahí?", audio_ms=500)
    world.run(500 + 1600)
    assert "goodbye" in world.of(s.AskReply)[1].instructions
    world.reply("r2", text="Adiós.", audio_ms=400)
    world.run(400 + 900)
    assert world.conversation.ending.reason == "silent"
    assert len(world.of(s.HangUp)) == 1


def test_somebody_who_speaks_after_the_question_is_not_silent():
    world = World(limits=Limits(idle_first=2, idle_again=2))
    world.ready()
    world.run(2100)
    world.reply("r1", text="¿Sigue ahí?", audio_ms=300)
    world.run(700)
    world.turn("t1")
    world.reply("r2", text="Le cuento.", audio_ms=300)
    world.run(2000)
    assert world.conversation.ending is None
    assert len([a for a in world.of(s.AskReply) if a.instructions and "goodbye" in a.instructions]) == 0


def test_the_time_limit_brings_a_goodbye_and_then_the_end():
    world = World(limits=Limits(max_call=20, idle_first=100))
    world.ready()
    world.run(5100)
    assert "time" in world.of(s.AskReply)[0].instructions
    world.reply("r1", text="Tenemos que despedirnos. Adiós.", audio_ms=600)
    world.run(1500)
    assert world.conversation.ending.reason == "time_limit"


def test_a_model_that_says_nothing_at_the_time_limit_does_not_keep_the_line_open():
    world = World(limits=Limits(max_call=20, idle_first=100))
    world.ready()
    world.run(20_100)
    assert world.of(s.HangUp)


def test_a_failed_reply_is_asked_for_again_twice_and_then_the_stream_is_left():
    world = talking()
    for n in range(3):
        world.tell(s.ReplyStarted(f"r{n}"))
        world.tell(s.ReplyEnded(f"r{n}", "failed", error_code="server_error"))
        world.run(1500)
    assert len(world.of(s.AskReply)) == 3
    assert [c.reason for c in world.of(s.LeaveStream)] == ["model_failed"]


def test_a_reply_that_never_comes_is_given_up_after_ten_seconds():
    world = talking()
    world.run(10_600)
    assert len(world.of(s.AskReply)) == 2


def test_a_reply_is_asked_again_after_the_one_that_was_active_unknown_to_us():
    world = talking()
    fault = s.ModelFault("conversation_already_has_active_response", "…", world.of(s.AskReply)[0].command_id)
    world.tell(fault)
    world.run(100)
    assert len(world.of(s.AskReply)) == 1
    world.tell(s.ReplyEnded("other", "completed", tool_calls=()))
    world.run(900)
    assert len(world.of(s.AskReply)) == 2


def test_a_lost_model_leaves_the_stream_to_the_apology():
    world = talking()
    world.tell(s.ModelLost("1006"))
    assert [c.reason for c in world.of(s.LeaveStream)] == ["model_failed"]
    assert world.conversation.ending == Ending("model_failed", "trouble")
    assert world.of(s.Measured)[-1] == s.Measured("fault", 1, "lost: 1006")


def test_a_goodbye_is_heard_to_its_end_though_the_model_is_lost_and_nobody_can_stop_it_any_more():
    world = talking()
    world.reply(text="Adiós.", audio_ms=1500, calls=[END])
    world.tell(s.ModelLost("1006"))
    world.run(1600)
    world.voiced = True
    assert not world.of(s.HangUp)
    world.run(640)
    assert bytes(world.line.heard) == World.samples(1500)
    assert world.conversation.ending == Ending("goodbye", "assistant")
    assert not world.of(s.LeaveStream)


def test_a_machine_is_hung_up_on_but_not_somebody_who_talks():
    world = World()
    world.ready()
    world.tell(s.AnsweredBy("machine"))
    assert world.conversation.ending.reason == "voicemail"
    world = talking()
    world.reply()
    world.run(1500)
    world.turn("t2")
    world.tell(s.AnsweredBy("machine"))
    assert world.conversation.ending is None
    world.tell(s.AnsweredBy("human"))
    assert world.conversation.ending is None


def test_what_was_not_heard_when_the_callee_hangs_up_is_not_in_the_transcript():
    world = talking()
    world.reply(text="uno dos tres cuatro cinco seis siete ocho nueve diez", audio_ms=4000)
    world.run(2000)
    world.tell(s.CalleeGone())
    line = world.of(s.Line)[-1]
    assert line.text.startswith("uno dos")
    assert "diez" not in line.text
    assert 1900 <= line.heard_ms <= 2000
    assert world.conversation.ending.by == "callee"


def test_text_and_usage_that_come_after_the_end_are_still_kept():
    world = talking()
    world.tell(s.CalleeGone())
    world.tell(s.CalleeText("t1", "adiós", {"type": "duration", "seconds": 1}))
    world.tell(s.ReplyEnded("r1", "cancelled", usage={"total_tokens": 3}))
    assert [u.kind for u in world.of(s.Used)] == ["transcription", "reply"]
    assert world.of(s.Line)[-1].text == "adiós"


def test_an_operator_ends_politely_or_at_once():
    world = talking()
    world.tell(s.EndRequested("drain", polite=False))
    assert world.conversation.ending.by == "operator"
    world = World()
    world.ready()
    world.tell(s.EndRequested("drain", polite=True))
    world.run(40)
    assert "goodbye" in world.of(s.AskReply)[0].instructions
    world.run(10_200)
    assert world.of(s.HangUp)


@given(st.integers(0, 4000), st.integers(0, 120), st.booleans())
def test_at_any_moment_a_yield_truncates_at_what_the_ear_had_and_a_resume_loses_nothing(at_ms, latency, yields):
    world = talking(latency_ms=latency)
    world.reply(audio_ms=6000)
    world.run(at_ms + 1)
    world.voiced = True
    world.run(700 if yields else 160)
    heard = len(world.line.heard) // 8
    world.voiced = False
    if yields:
        assert len(world.of(s.ClearPlayout)) == 1
        world.run(2 * latency + 300)
        assert len(world.line.heard) // 8 == heard
        sent = sum(len(c.audio) for c in world.of(s.Play)) // 8
        for cut in world.of(s.Truncate):
            assert 0 < cut.heard_ms <= sent
            assert abs(cut.heard_ms - heard) <= 100
        if not world.of(s.Truncate):
            assert heard <= 100
    else:
        world.run(9000)
        assert not world.of(s.ClearPlayout)
        assert bytes(world.line.heard) == World.samples(6000)


EVENTS = st.one_of(
    st.builds(s.CalleeFrame, st.sampled_from([-127.0, -70.0, -20.0])),
    st.builds(s.MarkReturned, st.sampled_from(["0:480:1", "x", "1:960:2"])),
    st.builds(s.DigitPressed, st.just("1")),
    st.builds(s.AnsweredBy, st.sampled_from(["human", "unknown"])),
    st.just(s.ModelReady()),
    st.builds(s.SpeechStarted, st.sampled_from(["t1", "t2"]), st.just(0)),
    st.builds(s.SpeechStopped, st.sampled_from(["t1", "t2"]), st.just(0)),
    st.builds(s.TurnCommitted, st.sampled_from(["t1", "t2"])),
    st.builds(s.CalleeText, st.sampled_from(["t1", "t2"]), st.text(max_size=5)),
    st.builds(s.ReplyStarted, st.sampled_from(["r1", "r2"])),
    st.builds(s.ReplyAudio, st.sampled_from(["r1", "r2"]), st.sampled_from(["u1", "u2"]), st.binary(max_size=3000)),
    st.builds(s.ReplyText, st.sampled_from(["r1", "r2"]), st.sampled_from(["u1", "u2"]), st.text(max_size=9)),
    st.builds(s.UtteranceEnded, st.sampled_from(["r1", "r2"]), st.sampled_from(["u1", "u2", "u3"])),
    st.builds(
        s.ReplyEnded,
        st.sampled_from(["r1", "r2", "r3"]),
        st.sampled_from(["completed", "cancelled", "incomplete", "failed"]),
        tool_calls=st.lists(st.sampled_from([END, s.ToolCall("c2", "opt_out", "{}")]), max_size=2).map(tuple),
    ),
    st.builds(s.UtteranceTruncated, st.just("u1"), st.just(3)),
    st.builds(
        s.ModelFault,
        st.sampled_from([None, "x", "conversation_already_has_active_response"]),
        st.just("m"),
        st.sampled_from([None, "agenx_2", "agenx_3"]),
    ),
    st.builds(s.ToolAnswered, st.sampled_from(["c2", "c9"]), st.just("{}"), st.just(frozenset({"opted_out"}))),
    st.just(s.Tick()),
)


@given(st.lists(st.tuples(EVENTS, st.integers(0, 3000)), max_size=60))
def test_no_order_of_events_breaks_the_machine_and_one_writer_writes(steps):
    conversation = Conversation(opening="Hola.", limits=Limits(max_call=600))
    now, asked, played = 0, 0, 0
    for event, wait in steps:
        now += wait
        for command in conversation.handle(event, now):
            assert conversation.ending is None or not isinstance(command, s.AskReply | s.Play)
            if isinstance(command, s.AskReply):
                asked += 1
            if isinstance(command, s.Truncate):
                assert command.heard_ms > 0
            if isinstance(command, s.Play):
                played += len(command.audio)
                assert len(command.audio) % 160 == 0
        if isinstance(event, s.ReplyStarted | s.ReplyEnded | s.ModelFault | s.Tick):
            asked = 0
        assert asked <= 1
