import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenx_cli.core import signals as s
from agenx_cli.core.conversation import Conversation
from agenx_cli.core.ending import Ending
from agenx_cli.core.playbook import Limits
from agenx_cli.core.writer import ANSWER
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


def test_the_opening_is_on_record_even_if_the_call_ends_before_the_model_is_ready():
    world = World(opening="Hola, soy Clara.")
    world.tell(s.CalleeGone())
    assert [line.text for line in world.of(s.Line)] == ["Hola, soy Clara."]


def test_what_was_never_heard_is_no_line():
    world = talking()
    world.tell(s.SpeechStarted("t2", 0))
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(500)))
    world.tell(s.ReplyText("r1", "u1", "Nunca dicho."))
    world.voiced = True
    world.run(600)
    assert all(line.text != "" and "Nunca" not in line.text for line in world.of(s.Line))


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
    assert [m for m in world.of(s.Measured) if m.name == "resumed"] == [s.Measured("resumed", 1)]
    assert bytes(b for b in world.line.heard if b != 0xFF) == World.samples(3000).replace(b"\xff", b"")
    assert bytes(world.line.heard) == World.samples(3000)


def test_an_aside_is_not_answered_while_the_assistant_goes_on():
    world = talking()
    world.reply(audio_ms=4000, text="Le cuento.")
    world.run(1000)
    world.turn("t2", speech_ms=200, silence_ms=520)
    world.run(500)
    assert len(world.of(s.AskReply)) == 1


def test_the_late_end_of_an_aside_does_not_decide_about_the_next_sound():
    world = talking()
    world.reply(audio_ms=4000, text="Le cuento.")
    world.run(1000)
    world.voiced = True
    world.run(60)
    world.tell(s.SpeechStarted("t2", world.now))
    world.run(140)
    world.voiced = False
    world.run(500)
    world.voiced = True
    world.run(120)
    world.tell(s.TurnCommitted("t2"))
    world.run(80)
    world.voiced = False
    world.run(6000)
    assert not world.of(s.ClearPlayout)
    assert [m.name for m in world.of(s.Measured) if m.name == "resumed"] == ["resumed"] * 2
    assert bytes(world.line.heard) == World.samples(4000)


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


def test_what_comes_of_a_reply_after_it_was_stopped_is_taken_back_when_it_has_ended():
    world = talking()
    world.voiced = True
    world.run(600)
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyText("r1", "u1", "Le llamo"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(500)))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(500)))
    assert not world.of(s.Forget)
    world.tell(s.TurnCommitted("t2"))
    world.tell(s.ReplyEnded("r1", "cancelled"))
    assert [c.item_id for c in world.of(s.Forget)] == ["u1"]
    assert [type(command) for _, command in world.commands[-2:]] == [s.Forget, s.AskReply]
    assert not world.of(s.Play)


def test_a_text_whose_sound_came_too_late_is_taken_back_and_one_that_was_cut_is_not_deleted():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(1500)))
    world.tell(s.ReplyText("r1", "u2", "Además"))
    world.run(700)
    world.voiced = True
    world.run(700)
    world.tell(s.ReplyAudio("r1", "u1", World.samples(500)))
    world.tell(s.ReplyAudio("r1", "u2", World.samples(500)))
    world.tell(s.ReplyEnded("r1", "cancelled"))
    assert [c.utterance_id for c in world.of(s.Truncate)] == ["u1"]
    assert [c.item_id for c in world.of(s.Forget)] == ["u2"]


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


# --- who decides


def test_nothing_is_asked_before_the_session_is_ready_nor_while_the_callee_speaks():
    world = World()
    world.turn()
    assert not world.of(s.AskReply)
    world.voiced = True
    world.tell(s.SpeechStarted("t2", 0))
    world.ready()
    world.run(100)
    assert not world.of(s.AskReply)
    world.tell(s.SpeechStopped("t2", 0))
    world.run(20)
    assert len(world.of(s.AskReply)) == 1
    assert world.of(s.AskReply)[0].tools


def test_a_turn_that_nobody_announced_is_answered_once():
    world = World()
    world.ready()
    world.run(300)
    world.tell(s.TurnCommitted("t1"))
    world.tell(s.CalleeText("t1", "hola"))
    world.run(500)
    assert len(world.of(s.AskReply)) == 1
    assert world.of(s.Line)[-1] == s.Line("t1", "callee", "hola", 300)


def test_a_detector_that_hears_a_turn_in_silence_blocks_us_for_one_and_a_half_seconds():
    world = talking()
    world.reply(audio_ms=0, text="", calls=[s.ToolCall("a", "record_answer", "{}")])
    world.tell(s.SpeechStarted("t2", 0))
    spoke = world.now
    world.tell(s.ToolAnswered("a", "{}"))
    world.run(1480)
    assert len(world.of(s.AskReply)) == 1
    world.run(60)
    assert spoke + 1500 <= world.moments(s.AskReply)[1] <= spoke + 1540


def test_the_end_of_a_reply_that_is_not_ours_does_not_free_the_writer():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.TurnCommitted("t2"))
    world.tell(s.ReplyEnded("r0", "cancelled"))
    assert len(world.of(s.AskReply)) == 1
    assert world.of(s.Measured)[-1] == s.Measured("fault", 1, "empty reply (cancelled)")
    world.tell(s.ReplyAudio("r1", "u1", World.samples(100)))
    world.tell(s.ReplyEnded("r1", "completed"))
    assert len(world.of(s.AskReply)) == 2


def test_what_comes_of_a_reply_that_was_given_up_is_not_heard():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(100)))
    world.run(10_000)
    assert not world.of(s.CancelReply)
    world.run(700)
    assert [c.reply_id for c in world.of(s.CancelReply)] == ["r1"]
    assert s.Measured("fault", 1, "no_reply") in world.of(s.Measured)
    assert len(world.of(s.AskReply)) == 2
    world.tell(s.ReplyAudio("r1", "u1", World.samples(900)))
    world.tell(s.ReplyText("r1", "u1", "tarde"))
    world.tell(s.UtteranceEnded("r1", "u1"))
    world.tell(s.ReplyEnded("r1", "completed", tool_calls=(END,)))
    world.run(1000)
    assert bytes(world.line.heard) == World.samples(100)
    assert len(world.of(s.AskReply)) == 2
    world.reply("r2", audio_ms=60)
    world.run(200)
    assert len(world.line.heard) == 160 * 8


def test_a_cancelled_reply_whose_end_never_comes_blocks_for_ten_seconds_and_is_not_asked_for_again():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.voiced = True
    world.run(700)
    world.voiced = False
    world.run(10_500)
    assert [m for m in world.of(s.Measured) if m.name == "fault"] == []
    assert len(world.of(s.CancelReply)) == 1
    assert len(world.of(s.AskReply)) == 1


def test_a_request_that_is_refused_is_asked_again_unless_it_is_not_wanted_any_more():
    world = talking()
    world.tell(s.ModelFault("server_error", "…", world.of(s.AskReply)[0].command_id))
    assert world.of(s.Measured)[-1] == s.Measured("fault", 1, "server_error")
    world.run(380)
    assert len(world.of(s.AskReply)) == 1
    world.run(60)
    assert len(world.of(s.AskReply)) == 2
    world.voiced = True
    world.run(700)
    world.tell(s.ModelFault(None, "…", world.of(s.AskReply)[1].command_id))
    world.voiced = False
    world.run(900)
    assert len(world.of(s.AskReply)) == 2
    world.tell(s.TurnCommitted("t2"))
    assert len(world.of(s.AskReply)) == 3


@pytest.mark.parametrize(("code", "name"), [("item_truncate_invalid", "item_truncate_invalid"), (None, "unknown")])
def test_a_fault_of_another_command_is_only_counted(code, name):
    world = talking()
    world.tell(s.ModelFault(code, "…", "agenx_1"))
    world.tell(s.ModelFault(code, "…"))
    assert world.of(s.Measured)[-2:] == [s.Measured("fault", 1, name)] * 2
    world.run(2000)
    assert len(world.of(s.AskReply)) == 1


def test_a_refusal_without_a_code_is_a_failure_too():
    world = talking()
    world.tell(s.ModelFault(None, "…", world.of(s.AskReply)[0].command_id))
    assert world.of(s.Measured)[-1] == s.Measured("fault", 1, "unknown")


def test_failures_are_counted_anew_after_a_reply_and_after_a_turn():
    world = talking()
    for n in range(2):
        world.tell(s.ReplyStarted(f"f{n}"))
        world.tell(s.ReplyEnded(f"f{n}", "failed"))
        world.run(900)
    world.reply("r1", audio_ms=100)
    world.tell(s.TurnCommitted("t2"))
    for n in range(2):
        world.tell(s.ReplyStarted(f"g{n}"))
        world.tell(s.ReplyEnded(f"g{n}", "failed"))
        world.run(900)
    world.tell(s.TurnCommitted("t3"))
    world.tell(s.ReplyStarted("h"))
    world.tell(s.ReplyEnded("h", "failed"))
    world.run(900)
    assert world.conversation.ending is None


def test_a_failed_reply_says_why():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyEnded("r1", "failed", error_code="server_error", usage={"total_tokens": 9}))
    assert world.of(s.Measured)[-1] == s.Measured("fault", 1, "server_error")
    assert world.of(s.Used) == [s.Used("reply", {"total_tokens": 9})]


# --- what the model delivers


@pytest.mark.parametrize("piece", [1, 159, 160, 4801, 10**9])
def test_deltas_of_any_length_are_heard_whole(piece):
    world = talking()
    ms = 40_000 if piece == 10**9 else 700
    world.reply(audio_ms=ms, piece=piece)
    world.run(ms + 100)
    assert bytes(world.line.heard).rstrip(b"\xff") == World.samples(ms)
    assert world.of(s.Line)[-1] == s.Line("u-r1", "assistant", "De acuerdo.", world.moments(s.Play)[0], ms)


def test_an_empty_delta_is_nothing():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyAudio("r1", "u1", b""))
    world.tell(s.UtteranceEnded("r1", "u1"))
    world.tell(s.ReplyEnded("r1", "completed"))
    assert world.of(s.Measured)[-1] == s.Measured("fault", 1, "empty reply (completed)")
    assert not world.of(s.PutMark)
    world.run(900)
    assert len(world.of(s.AskReply)) == 2


def test_a_reply_of_text_alone_is_forgotten_and_asked_for_again():
    world = talking()
    world.reply("r1", text="Nadie oye esto.", audio_ms=0)
    assert [c.item_id for c in world.of(s.Forget)] == ["u-r1"]
    world.run(500)
    assert len(world.of(s.AskReply)) == 2
    world.reply("r2", text="Esto sí.", audio_ms=300)
    world.run(500)
    world.tell(s.CalleeGone())
    assert [line.text for line in world.of(s.Line) if line.speaker == "assistant"][1:] == ["Esto sí."]


def test_a_goodbye_of_text_alone_is_no_goodbye():
    world = talking()
    world.reply("r1", text="Adiós.", audio_ms=0, calls=[END])
    assert "goodbye" in world.of(s.AnswerTool)[0].output
    assert not world.of(s.HangUp)


def test_text_that_comes_after_the_audio_was_heard_is_in_the_transcript():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(200)))
    world.tell(s.ReplyText("r1", "u1", "Muy"))
    world.tell(s.UtteranceEnded("r1", "u1"))
    world.run(300)
    assert world.of(s.Line)[-1].text == "Muy"
    world.tell(s.ReplyText("r1", "u1", " buenas."))
    assert world.of(s.Line)[-1].text == "Muy buenas."
    assert world.of(s.Line)[-1].key == "u1"
    world.tell(s.ReplyEnded("r1", "completed"))
    world.run(20)
    assert len(world.of(s.AskReply)) == 1


def test_two_utterances_of_a_reply_are_two_lines_each_from_when_it_is_heard():
    world = talking()
    began = world.now
    world.tell(s.ReplyStarted("r1"))
    for key in ("u1", "u2"):
        world.tell(s.ReplyAudio("r1", key, World.samples(400)))
        world.tell(s.ReplyText("r1", key, f"Soy {key}."))
        world.tell(s.UtteranceEnded("r1", key))
    world.tell(s.ReplyEnded("r1", "completed"))
    world.run(1000)
    lines = [line for line in world.of(s.Line) if line.key.startswith("u")]
    assert [(line.text, line.at_ms, line.heard_ms) for line in lines] == [
        ("Soy u1.", began, 400),
        ("Soy u2.", began + 400, 400),
    ]


# --- barge-in


def test_what_only_the_model_hears_holds_and_resumes_and_is_an_aside():
    world = talking()
    world.reply(audio_ms=3000)
    world.run(1000)
    world.tell(s.SpeechStarted("t2", 0))
    sent = len(world.of(s.Play))
    world.run(160)
    assert len(world.of(s.Play)) == sent
    world.run(340)
    world.tell(s.TurnCommitted("t2"))
    world.run(3000)
    assert bytes(world.line.heard) == World.samples(3000)
    assert len(world.of(s.AskReply)) == 1


def test_what_the_model_hears_late_does_not_hold_again_and_is_the_same_aside():
    world = talking()
    world.reply(audio_ms=4000)
    world.run(1000)
    world.voiced = True
    world.run(120)
    world.voiced = False
    world.run(220)
    assert [m.name for m in world.of(s.Measured)].count("resumed") == 1
    sent = len(world.of(s.Play))
    world.tell(s.SpeechStarted("t2", 0))
    world.run(200)
    assert len(world.of(s.Play)) > sent
    world.tell(s.SpeechStopped("t2", 0))
    world.tell(s.TurnCommitted("t2"))
    world.run(4000)
    assert [m.name for m in world.of(s.Measured)].count("resumed") == 1
    assert bytes(world.line.heard) == World.samples(4000)
    assert len(world.of(s.AskReply)) == 1


def test_one_interruption_is_one_however_often_it_is_reported():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(3000)))
    world.run(1000)
    world.voiced = True
    world.run(520)
    assert world.conversation.barge_ins == 1
    world.tell(s.SpeechStarted("t2", 0))
    world.run(900)
    assert world.conversation.barge_ins == 1
    assert len(world.of(s.CancelReply)) == len(world.of(s.ClearPlayout)) == 1
    assert world.of(s.Measured)[-1].name == "barge_in"
    assert world.of(s.Measured)[-1].value == 1740


def test_a_turn_that_ends_while_we_still_hold_is_an_interruption():
    world = talking()
    world.reply(audio_ms=3000)
    world.run(1000)
    world.voiced = True
    world.run(100)
    world.tell(s.TurnCommitted("t2"))
    assert len(world.of(s.ClearPlayout)) == 1
    assert len(world.of(s.AskReply)) == 2


def test_a_hold_without_frames_ends_by_the_clock():
    world = talking()
    world.reply(audio_ms=3000)
    world.tell(s.SpeechStarted("t2", 0))
    for _ in range(46):
        world.now += 20
        world.tell(s.Tick())
    assert len(world.of(s.ClearPlayout)) == 1


def test_a_sound_that_goes_on_after_a_resume_is_a_turn_and_no_aside():
    world = talking()
    world.reply(audio_ms=5000)
    world.run(1000)
    world.voiced = True
    world.run(60)
    world.tell(s.SpeechStarted("t2", 0))
    world.run(60)
    world.voiced = False
    world.run(240)
    assert [m.name for m in world.of(s.Measured)].count("resumed") == 1
    world.voiced = True
    world.run(600)
    world.voiced = False
    world.run(500)
    world.tell(s.TurnCommitted("t2"))
    assert len(world.of(s.AskReply)) == 2


def test_after_a_noise_that_the_model_does_not_hear_the_assistant_goes_on():
    world = talking()
    world.reply(audio_ms=5000)
    world.run(1000)
    world.voiced = True
    world.run(700)
    assert len(world.of(s.ClearPlayout)) == 1
    world.voiced = False
    quiet = world.now
    world.run(1480)
    assert len(world.of(s.AskReply)) == 1
    world.run(100)
    assert quiet + 1480 <= world.moments(s.AskReply)[1] <= quiet + 1520
    assert world.of(s.AskReply)[1].instructions is None
    world.reply("r2", text="Como decía.", audio_ms=300)
    world.run(3000)
    assert len(world.of(s.AskReply)) == 2


def test_a_turn_that_nobody_announced_after_a_noise_is_answered_once():
    world = talking()
    world.reply(audio_ms=5000)
    world.run(1000)
    world.voiced = True
    world.run(700)
    world.voiced = False
    world.run(500)
    world.tell(s.TurnCommitted("t2"))
    assert len(world.of(s.AskReply)) == 2
    world.reply("r2", text="Entiendo.", audio_ms=300)
    world.run(3000)
    assert len(world.of(s.AskReply)) == 2


@pytest.mark.parametrize("early", [True, False])
def test_whoever_was_heard_by_the_model_is_waited_for(early):
    world = talking()
    world.reply(audio_ms=5000)
    world.run(1000)
    world.voiced = True
    world.run(100)
    if early:
        world.tell(s.SpeechStarted("t2", 0))
    world.run(600)
    if not early:
        world.tell(s.SpeechStarted("t2", 0))
    world.voiced = False
    world.run(3000)
    assert len(world.of(s.AskReply)) == 1
    world.tell(s.TurnCommitted("t2"))
    world.run(3000)
    assert len(world.of(s.AskReply)) == 2


def test_an_aside_before_the_question_is_not_its_answer():
    world = talking()
    world.reply(audio_ms=6000, text="Le cuento primero una cosa bastante larga. ¿Le parece bien?")
    world.run(1000)
    world.turn("t2", speech_ms=200, silence_ms=520)
    world.run(7000)
    assert len(world.of(s.AskReply)) == 1


def test_an_aside_during_the_question_is_its_answer():
    world = talking()
    world.reply(audio_ms=6000, text="Le cuento primero una cosa bastante larga. ¿Le parece bien?")
    world.run(4600)
    world.turn("t2", speech_ms=200, silence_ms=520)
    assert len(world.of(s.AskReply)) == 1
    world.run(1500)
    assert len(world.of(s.AskReply)) == 2


def test_an_aside_of_before_does_not_answer_the_question_whether_they_are_still_there():
    world = talking(limits=Limits(idle_first=2, idle_again=2))
    world.reply(audio_ms=3000, text="Le cuento.")
    world.run(1000)
    world.turn("t2", speech_ms=200, silence_ms=520)
    world.run(4700)
    assert "still" in world.of(s.AskReply)[1].instructions
    world.reply("r2", text="¿Sigue ahí?", audio_ms=400)
    world.run(1500)
    assert len(world.of(s.AskReply)) == 2
    world.run(1000)
    assert "goodbye" in world.of(s.AskReply)[2].instructions


def test_a_noise_before_anybody_had_a_turn_holds_and_resumes():
    world = World(limits=Limits(idle_first=1))
    world.ready()
    world.run(1100)
    world.reply(text="¿Sigue ahí?", audio_ms=1500)
    world.run(300)
    world.voiced = True
    world.run(200)
    world.voiced = False
    world.run(2000)
    assert bytes(world.line.heard) == World.samples(1500)
    assert len(world.of(s.AskReply)) == 1


def test_what_was_heard_whole_is_not_truncated_though_nobody_said_that_it_was_over():
    world = talking()
    world.tell(s.ReplyAudio("stray", "u0", World.samples(120)))
    world.run(300)
    world.voiced = True
    world.run(600)
    assert len(world.of(s.ClearPlayout)) == 1
    assert not world.of(s.Truncate)
    assert not world.of(s.Forget)
    assert world.of(s.Line)[-1].heard_ms == 120


def test_what_comes_of_a_stopped_reply_is_taken_back_at_its_end():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(900)))
    world.tell(s.ReplyText("r1", "u2", "aún sin sonido"))
    world.run(500)
    world.voiced = True
    world.run(600)
    assert [c.utterance_id for c in world.of(s.Truncate)] == ["u1"]
    world.tell(s.ReplyAudio("r1", "u1", World.samples(100)))
    world.tell(s.ReplyAudio("r1", "u2", World.samples(100)))
    world.tell(s.ReplyText("r1", "u3", "tarde"))
    world.tell(s.ReplyAudio("r1", "u4", World.samples(100)))
    assert not world.of(s.Forget)
    world.tell(s.ReplyEnded("r1", "cancelled"))
    assert sorted(c.item_id for c in world.of(s.Forget)) == ["u2", "u3", "u4"]
    world.tell(s.ReplyEnded("r1", "cancelled"))
    assert len(world.of(s.Forget)) == 3


def test_an_utterance_that_had_only_text_when_it_was_stopped_is_taken_back():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyText("r1", "u1", "aún sin sonido"))
    world.voiced = True
    world.run(700)
    world.tell(s.ReplyEnded("r1", "cancelled"))
    assert [c.item_id for c in world.of(s.Forget)] == ["u1"]


def test_a_goodbye_that_was_spoken_over_by_a_turn_without_end_is_still_the_end():
    world = talking(limits=Limits(max_call=30, idle_first=3))
    world.reply(audio_ms=300)
    world.run(1500)
    world.tell(s.EndRequested("drain", polite=True))
    asked = world.now
    world.tell(s.ReplyStarted("r2"))
    world.tell(s.ReplyAudio("r2", "u2", World.samples(900)))
    world.run(200)
    world.tell(s.SpeechStarted("t2", 0))
    world.voiced = True
    world.run(600)
    world.voiced = False
    world.tell(s.ReplyEnded("r2", "cancelled"))
    world.run(9000)
    assert world.conversation.ending is None
    assert len(world.of(s.AskReply)) == 2
    world.run(400)
    assert asked + 10_000 <= world.moments(s.HangUp)[0] <= asked + 10_040
    assert world.conversation.ending == Ending("drain", "assistant")


# --- tools


@pytest.mark.parametrize("yields", [True, False])
def test_a_tool_that_answers_during_a_sound_brings_one_reply(yields):
    world = talking()
    world.reply(text="Un momento.", audio_ms=2000, calls=[s.ToolCall("a", "check_availability", "{}")])
    world.run(500)
    world.voiced = True
    world.run(120)
    world.tell(s.ToolAnswered("a", "[]"))
    assert [c.output for c in world.of(s.AnswerTool)] == ["[]"]
    assert len(world.of(s.AskReply)) == 1
    if yields:
        world.run(500)
        world.tell(s.SpeechStarted("t2", 0))
        world.voiced = False
        world.run(500)
        world.tell(s.TurnCommitted("t2"))
    else:
        world.voiced = False
        world.run(300)
    world.run(1000)
    assert len(world.of(s.AskReply)) == 2


def test_a_turn_during_a_tool_waits_for_it_and_brings_one_reply():
    world = talking()
    world.reply(text="", audio_ms=0, calls=[s.ToolCall("a", "check_availability", "{}")])
    world.turn("t2")
    assert len(world.of(s.AskReply)) == 1
    world.tell(s.ToolAnswered("a", "[]"))
    world.run(1000)
    assert len(world.of(s.AskReply)) == 2


def test_an_answer_that_nobody_waits_for_is_not_passed_on_but_its_facts_count():
    world = talking()
    world.tell(s.ToolAnswered("zombie", "{}", frozenset({"opted_out"})))
    assert not world.of(s.AnswerTool)
    opted = s.ToolCall("c9", "end_call", '{"reason": "opted_out"}')
    world.reply(text="", audio_ms=0, calls=[opted])
    world.run(900)
    assert world.conversation.ending == Ending("opted_out", "assistant")


def test_facts_of_several_tools_add_up():
    world = talking()
    calls = (s.ToolCall("a", "opt_out", "{}"), s.ToolCall("b", "record_answer", "{}"))
    world.reply(text="", audio_ms=0, calls=calls)
    world.tell(s.ToolAnswered("a", "{}", frozenset({"opted_out"})))
    world.tell(s.ToolAnswered("b", "{}", frozenset({"answer"})))
    world.reply("r2", text="", audio_ms=0, calls=[s.ToolCall("c", "end_call", '{"reason": "opted_out"}')])
    assert world.of(s.AnswerTool)[-1] == s.AnswerTool(
        world.of(s.AnswerTool)[-1].command_id, "c", '{"status": "ending"}'
    )


def test_a_refused_end_is_answered_together_with_the_other_tools():
    world = talking()
    world.reply(text="", audio_ms=0, calls=[END, s.ToolCall("b", "record_answer", "{}")])
    assert not world.of(s.AnswerTool)
    world.tell(s.ToolAnswered("b", "{}"))
    assert [c.call_id for c in world.of(s.AnswerTool)] == ["c1", "b"]
    assert len(world.of(s.AskReply)) == 2


def test_a_tool_that_answers_after_the_last_word_brings_no_reply():
    world = talking()
    world.reply(text="Adiós.", audio_ms=300, calls=[END, s.ToolCall("b", "record_answer", "{}")])
    world.tell(s.ToolAnswered("b", "{}"))
    assert [c.call_id for c in world.of(s.AnswerTool)] == ["c1", "b"]
    world.run(1200)
    assert len(world.of(s.AskReply)) == 1
    assert world.of(s.HangUp)


def test_somebody_who_hangs_up_during_a_tool_has_hung_up():
    world = talking()
    world.reply(text="", audio_ms=0, calls=[s.ToolCall("a", "book_meeting", "{}")])
    world.tell(s.CalleeGone())
    assert world.conversation.ending == Ending("hung_up", "callee")
    world.tell(s.ToolAnswered("a", "{}"))
    world.tell(s.Tick())
    assert not world.of(s.AnswerTool)
    assert not world.of(s.HangUp)


# --- ending


def test_somebody_who_hangs_up_after_the_goodbye_ended_the_call_with_its_reason():
    world = talking()
    world.reply(text="Adiós.", audio_ms=300, calls=[END])
    world.tell(s.CalleeGone())
    assert world.conversation.ending == Ending("goodbye", "callee")


def test_a_sound_at_the_end_of_the_listening_is_heard_out():
    world = talking()
    world.reply("r1", text="Adiós.", audio_ms=300, calls=[END])
    world.run(900)
    world.voiced = True
    world.run(460)
    assert not world.of(s.HangUp)
    world.voiced = False
    world.run(500)
    world.tell(s.TurnCommitted("t2"))
    assert len(world.of(s.AskReply)) == 2
    assert world.conversation.ending is None


def test_a_turn_that_is_committed_after_the_last_word_brings_no_reply():
    world = talking()
    world.reply("r1", text="Adiós.", audio_ms=300, calls=[END])
    world.run(350)
    world.tell(s.TurnCommitted("t2"))
    world.run(700)
    assert len(world.of(s.AskReply)) == 1
    assert world.of(s.HangUp)


def test_a_short_turn_that_ends_in_the_goodbye_stops_the_end():
    world = talking()
    world.reply("r1", text="Adiós.", audio_ms=1500, calls=[END])
    world.run(300)
    world.voiced = True
    world.run(160)
    world.voiced = False
    world.tell(s.TurnCommitted("t2"))
    assert len(world.of(s.AskReply)) == 2
    world.run(2500)
    assert world.conversation.ending is None


def test_a_wish_that_waits_is_dropped_with_the_last_word():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.TurnCommitted("t2"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(200)))
    world.tell(s.ReplyText("r1", "u1", "Adiós."))
    world.tell(s.ReplyEnded("r1", "completed", tool_calls=(END,)))
    world.run(1100)
    assert len(world.of(s.AskReply)) == 1
    assert world.conversation.ending == Ending("goodbye", "assistant")


def test_end_call_is_refused_while_the_callee_speaks():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyAudio("r1", "u1", World.samples(60)))
    world.run(100)
    world.tell(s.SpeechStarted("t2", 0))
    world.tell(s.ReplyEnded("r1", "completed", tool_calls=(END,)))
    assert "listen" in world.of(s.AnswerTool)[0].output


def test_end_call_is_refused_before_anybody_spoke():
    world = World(limits=Limits(idle_first=1))
    world.ready()
    world.run(1100)
    world.reply(text="Adiós.", audio_ms=100, calls=[END])
    assert "not spoken" in world.of(s.AnswerTool)[0].output


def test_an_operator_who_asks_twice_gets_one_goodbye_and_its_first_deadline():
    world = World()
    world.ready()
    world.tell(s.EndRequested("drain", polite=True))
    asked = world.now
    world.run(8000)
    world.tell(s.EndRequested("other", polite=True))
    world.run(2100)
    assert len(world.of(s.AskReply)) == 1
    assert asked + 10_000 < world.moments(s.HangUp)[0] <= asked + 10_040
    assert world.conversation.ending == Ending("drain", "assistant")


def test_an_operators_goodbye_comes_once_though_it_is_asked_for_while_it_is_spoken():
    world = World()
    world.ready()
    world.tell(s.EndRequested("drain", polite=True))
    world.reply(text="Adiós.", audio_ms=500)
    world.tell(s.EndRequested("drain", polite=True))
    world.run(600)
    world.voiced = True
    world.run(640)
    assert len(world.of(s.AskReply)) == 1
    assert world.conversation.ending == Ending("drain", "assistant")


def test_an_operators_goodbye_takes_the_place_of_one_for_silence():
    world = World(limits=Limits(idle_first=1, idle_again=1))
    world.ready()
    world.run(1100)
    world.reply(text="¿Sigue ahí?", audio_ms=100)
    world.run(1200)
    assert "does not answer" in world.of(s.AskReply)[1].instructions
    world.tell(s.EndRequested("drain", polite=True))
    world.reply("r2", text="Adiós.", audio_ms=100)
    world.run(900)
    assert world.conversation.ending == Ending("silent", "assistant")


def test_a_goodbye_asked_for_before_the_model_is_there_waits_for_it_but_not_for_long():
    world = World()
    world.tell(s.EndRequested("drain", polite=True))
    world.run(600)
    assert world.conversation.ending is None
    world.ready()
    assert "goodbye" in world.of(s.AskReply)[0].instructions
    world = World()
    world.tell(s.EndRequested("drain", polite=True))
    world.run(10_100)
    assert world.conversation.ending == Ending("drain", "assistant")


def test_a_goodbye_at_the_time_limit_that_was_interrupted_is_said_again():
    world = talking(limits=Limits(max_call=30, idle_first=100))
    world.reply(audio_ms=300)
    world.run(15_100 - world.now)
    assert "time" in world.of(s.AskReply)[1].instructions
    assert not world.of(s.AskReply)[1].tools
    world.tell(s.ReplyStarted("r2"))
    world.tell(s.ReplyAudio("r2", "u2", World.samples(2000)))
    world.run(500)
    world.turn("t2")
    world.tell(s.ReplyEnded("r2", "cancelled"))
    assert "time" in world.of(s.AskReply)[2].instructions
    world.reply("r3", text="Adiós.", audio_ms=300)
    world.run(1100)
    assert world.conversation.ending == Ending("time_limit", "assistant")


def test_somebody_thought_silent_who_speaks_gets_no_goodbye():
    world = World(limits=Limits(idle_first=1, idle_again=1))
    world.ready()
    world.run(1100)
    world.reply(text="¿Sigue ahí?", audio_ms=100)
    world.run(1200)
    world.tell(s.ReplyStarted("r2"))
    world.tell(s.ReplyAudio("r2", "u2", World.samples(900)))
    world.run(100)
    world.turn("t1")
    world.tell(s.ReplyEnded("r2", "cancelled"))
    assert world.of(s.AskReply)[2].instructions is None
    world.run(11_000)
    assert world.conversation.ending is None


def test_a_goodbye_for_silence_that_waits_is_dropped_when_somebody_speaks():
    world = World(limits=Limits(idle_first=1, idle_again=1))
    world.ready()
    world.run(1100)
    world.reply(text="¿Sigue ahí?", audio_ms=100)
    world.run(1200)
    world.tell(s.ReplyStarted("r2"))
    world.tell(s.ReplyEnded("r2", "failed"))
    world.tell(s.TurnCommitted("t1"))
    assert world.of(s.AskReply)[-1].instructions is None


def test_the_ladder_has_its_seconds_from_the_last_sound_of_either_side():
    world = talking(limits=Limits(idle_first=3, idle_again=2))
    world.reply(text="Le cuento.", audio_ms=1000)
    said = world.now
    world.run(1000 + 3100)
    assert said + 4000 <= world.moments(s.AskReply)[1] <= said + 4060
    assert not world.of(s.AskReply)[1].tools
    world.reply("r2", text="¿Sigue ahí?", audio_ms=500)
    said = world.now
    world.run(500 + 1000)
    world.voiced = True
    world.run(60)
    world.voiced = False
    world.run(2100)
    assert said + 1560 + 2000 - 20 <= world.moments(s.AskReply)[2] <= said + 1560 + 2060
    assert not world.of(s.AskReply)[2].tools


@pytest.mark.parametrize("kind", ["machine", "fax"])
def test_a_machine_that_is_recognised_before_the_model_is_ready_is_hung_up_on(kind):
    world = World()
    world.tell(s.AnsweredBy(kind))
    assert world.of(s.HangUp) == [s.HangUp("voicemail")]
    assert world.conversation.ending == Ending("voicemail", "assistant")
    world.ready()
    assert not world.of(s.TellModel)


def test_one_turn_does_not_make_a_person_and_two_do():
    world = talking()
    world.tell(s.AnsweredBy("machine"))
    assert world.conversation.ending is not None
    world = talking()
    world.tell(s.TurnCommitted("t2"))
    world.tell(s.AnsweredBy("fax"))
    assert world.conversation.ending is None
    assert world.of(s.Measured)[-1] == s.Measured("verdict_ignored", 1, "fax")
    assert world.conversation.turns == 2


def test_the_time_limit_ends_a_call_with_the_reason_it_was_ending_for():
    world = talking(limits=Limits(max_call=20, idle_first=100))
    world.run(4000)
    world.line.latency_ms = 10**6
    world.reply(text="Adiós.", audio_ms=30_000, calls=[END])
    world.run(20_001 - world.now)
    assert world.conversation.ending is None
    world.run(20)
    assert world.conversation.ending == Ending("goodbye", "assistant")
    world = World(limits=Limits(max_call=20, idle_first=100))
    world.line.latency_ms = 10**6
    world.run(15_021)
    assert world.conversation.ending is None
    world.run(40)
    assert world.conversation.ending == Ending("time_limit", "assistant")


def test_a_failing_model_is_left_at_the_third_failure_and_says_nothing_more():
    world = talking()
    for n in range(3):
        world.tell(s.ReplyStarted(f"r{n}"))
        world.now += 10_001
        world.tell(s.Tick())
        world.now += 801
        world.tell(s.Tick())
    assert world.conversation.ending == Ending("model_failed", "trouble")
    assert len(world.of(s.AskReply)) == 3
    assert not world.of(s.HangUp)


def test_a_stream_that_broke_is_no_hang_up_unless_the_last_word_was_said():
    world = talking()
    world.tell(s.CalleeGone(clean=False))
    assert world.conversation.ending == Ending("stream_lost", "trouble")
    world = talking()
    world.reply(text="Adiós.", audio_ms=300, calls=[END])
    world.tell(s.CalleeGone(clean=False))
    assert world.conversation.ending == Ending("goodbye", "callee")


def test_after_the_end_the_model_owes_the_text_of_the_turn_and_the_usage_of_the_reply():
    world = talking()
    assert not world.conversation.unfinished
    world.tell(s.TurnCommitted("t2"))
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.CalleeGone())
    assert [c.reply_id for c in world.of(s.CancelReply)] == ["r1"]
    assert world.conversation.unfinished
    world.tell(s.CalleeText("t2", "adiós"))
    assert world.conversation.unfinished
    world.tell(s.ReplyEnded("r1", "cancelled"))
    assert not world.conversation.unfinished


def test_a_model_that_is_lost_owes_nothing():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.TurnCommitted("t2"))
    world.tell(s.ModelLost("1006"))
    assert not world.conversation.unfinished
    assert not world.of(s.CancelReply)


def test_a_reply_that_was_cancelled_already_is_not_cancelled_again_at_the_end():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.voiced = True
    world.run(700)
    world.tell(s.CalleeGone())
    assert len(world.of(s.CancelReply)) == 1
    assert world.conversation.unfinished


# --- figures


def test_the_first_word_and_each_answer_are_timed():
    world = talking()
    spoke_until = world.now - 500
    world.run(300)
    world.reply(audio_ms=100)
    figures = [m for m in world.of(s.Measured) if m.name in ("first_word_ms", "turn_ms")]
    assert figures[0] == s.Measured("first_word_ms", world.now)
    assert figures[1].name == "turn_ms"
    assert abs(figures[1].value - (world.now - spoke_until)) <= 20
    world.run(500)
    world.turn("t2")
    world.reply("r2", audio_ms=100)
    assert [m.name for m in world.of(s.Measured)] == ["first_word_ms", "turn_ms", "turn_ms"]


def test_underruns_are_told_at_the_end_if_there_were_any():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    for _ in range(3):
        world.tell(s.ReplyAudio("r1", "u1", World.samples(60)))
        world.run(200)
    world.tell(s.CalleeGone())
    assert world.of(s.Measured)[-1] == s.Measured("underrun", 2)
    world = talking()
    world.tell(s.CalleeGone())
    assert "underrun" not in {m.name for m in world.of(s.Measured)}


def test_the_transcript_has_both_sides_from_when_they_were_heard():
    world = World(opening="Hola.")
    world.ready()
    world.run(100)
    world.turn("t1", text=" Buenas. ")
    world.tell(s.CalleeText("t2", "  "))
    lines = world.of(s.Line)
    assert lines == [s.Line("opening", "assistant", "Hola.", 0), s.Line("t1", "callee", "Buenas.", 160)]
    assert world.of(s.TellModel) == [s.TellModel("agenx_1", "assistant", "Hola.")]


def test_a_key_or_a_truncation_changes_nothing():
    world = talking()
    before = len(world.commands)
    world.tell(s.DigitPressed("1"))
    world.tell(s.UtteranceTruncated("u1", 100))
    world.tell(s.AnsweredBy("human"))
    assert len(world.commands) == before


def test_what_was_written_but_never_heard_is_not_in_the_transcript_of_an_ended_call():
    world = talking()
    world.tell(s.ReplyStarted("r1"))
    world.tell(s.ReplyText("r1", "u1", "Nunca oído."))
    world.tell(s.CalleeGone())
    assert "Nunca" not in "".join(line.text for line in world.of(s.Line))


# --- moments, to the millisecond


def at(world, moment, event=None):
    """Tell it (a tick) at exactly this moment, and what came of it."""
    world.now = moment
    before = len(world.commands)
    world.tell(event or s.Tick())
    return [command for _, command in world.commands[before:]]


def test_the_goodbye_at_the_time_limit_comes_15_s_before_it_and_has_10_s():
    world = World(limits=Limits(max_call=100, idle_first=1000))
    world.ready()
    assert at(world, 85_000) == []
    (asked,) = at(world, 85_001)
    assert isinstance(asked, s.AskReply)
    world.conversation._writer.alive_at = 90_000
    assert at(world, 95_001) == []
    assert at(world, 95_002) == [s.HangUp("time_limit")]


def test_the_time_limit_itself_is_exact():
    world = World(limits=Limits(max_call=100, idle_first=1000))
    world.ready()
    at(world, 91_000)
    world.conversation._writer.alive_at = 95_000
    assert at(world, 100_000) == []
    assert at(world, 100_001) == [s.HangUp("time_limit")]


def test_the_goodbyes_ten_seconds_begin_when_what_is_being_said_is_over():
    world = talking()
    world.reply(audio_ms=2000)
    began = world.now
    world.tell(s.EndRequested("drain", polite=True))
    world.conversation._writer.alive_at = began + 9000
    assert s.HangUp("drain") not in at(world, began + 12_000)
    assert s.HangUp("drain") in at(world, began + 12_001)


def test_a_turn_that_makes_no_sound_is_not_being_spoken_after_exactly_one_and_a_half_seconds():
    for wait, asked in ((1499, 0), (1500, 1)):
        world = World()
        at(world, 100, s.SpeechStarted("t1", 0))
        world.conversation._writer.want(ANSWER)
        at(world, 100, s.ModelReady())
        at(world, 100 + wait)
        assert len(world.of(s.AskReply)) == asked


def test_the_ladder_is_exact():
    world = World(limits=Limits(idle_first=5, idle_again=4))
    at(world, 50, s.ModelReady())
    assert at(world, 5049) == []
    assert len(at(world, 5050)) == 1
    at(world, 5060, s.ReplyStarted("r1"))
    at(world, 5060, s.ReplyAudio("r1", "u1", World.samples(60)))
    at(world, 5060, s.ReplyEnded("r1", "completed"))
    marks = [c.name for c in world.of(s.PutMark)]
    at(world, 5200, s.MarkReturned(marks[-1]))
    at(world, 5201)
    assert at(world, 9199) == []
    assert len(at(world, 9200)) == 1


def test_after_a_noise_the_quiet_is_exact():
    world = talking()
    world.reply(audio_ms=5000)
    world.run(1000)
    world.voiced = True
    world.run(500)
    last = world.conversation._voiced_at
    at(world, last + 1)
    assert at(world, last + 1499) == []
    assert len(at(world, last + 1500)) == 1


# --- any moment, any order


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
