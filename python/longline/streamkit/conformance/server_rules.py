"""What is checked of a server: of whoever speaks longline.v1 to applications."""

from __future__ import annotations

from typing import Final

from longline.streamkit.conformance.report import rules

SERVER_RULES: Final = rules(
    [
        ("offers_the_subprotocol", 1, "the upgrade offers `longline.v1`"),
        ("start_first", 1, "`start` is the first message of every connection"),
        ("messages_are_valid", 1, "every text message is as the schema says, and has at most 64 KiB"),
        ("the_first_epoch_is_1", 1, "`epoch` of the first connection is 1"),
        ("audio_after_ready", 1, "no audio comes before `ready`"),
        ("ready_is_as_asked", 1, "`ready` tells what `hello` asked for, and −1, generation 0, not resumed"),
        ("speaks_what_it_offers", 1, "encodings, rates, lengths and modes that `start` offers are spoken"),
        ("refuses_what_it_cannot", 1, "a `hello` that cannot be met is closed with 4400"),
        ("waits_5_s_for_hello", 1, "without a `hello` within 5 s the socket is closed with 4408"),
        ("hello_comes_first", 1, "audio before `hello` does not begin the stream"),
        ("audio_has_a_header", 2, "audio is binary in mode `binary`, with a header of version 1 and kind 0"),
        ("audio_is_whole_frames", 2, "each message is one frame of the agreed length"),
        (
            "sequences_have_no_holes",
            2,
            "each track counts from 0, one a message, without holes but where `gap` says so",
        ),
        ("timestamps_are_positions", 2, "`timestamp` is the position in the track, in samples"),
        ("unknown_flags_are_zero", 2, "bits of `flags` that have no meaning are zero"),
        ("audio_is_in_real_time", 2, "a second of audio comes in a second, silence included"),
        ("tells_playback", 3, "`playback.started` and `playback.finished` tell each utterance, once"),
        ("played_ms_is_true", 3, "`played_ms` is what was played"),
        ("tells_progress", 3, "`playback.progress` comes at the interval that was asked for"),
        ("marks_are_answered_once", 3, "each `mark` is answered by `played` or `cleared`, once"),
        ("acknowledges", 3, "`ack` tells the last sequence that came"),
        ("clear_sums_up", 3, "`cleared` tells what was played and dropped, of each utterance, and the marks"),
        ("clear_raises_the_generation", 3, "every `cleared` raises the generation by one"),
        ("old_generations_are_dropped", 3, "audio of an older generation is not played"),
        ("plays_each_number_once", 3, "a number that came before is ignored"),
        ("interrupt_drops_one", 3, "`interrupt` drops one utterance, tells it, and raises no generation"),
        ("pause_and_resume", 5, "`pause` keeps the queue, `resume` goes on with it; both are answered"),
        ("subscribes", 4, "`subscribe` and `unsubscribe` are answered by `tracks`"),
        ("unknown_tracks_are_errors", 4, "a track of nobody is answered by `error`"),
        ("ignores_what_it_does_not_know", 0, "types and fields that it does not know change nothing"),
        ("a_wrong_message_costs_nothing_else", 8, "a wrong message is answered by `error`, and the stream goes on"),
        ("answers_ping", 8, "`ping` is answered by `pong` with `id` and `at`, and its own time"),
        ("tells_the_queue", 8, "`queue` tells `drained` when all was played"),
        ("dials_again", 6, "after a drop it dials again, at once"),
        ("epochs_and_tokens_are_new", 6, "`epoch` is one higher each time, and the token is new"),
        ("resumes", 6, "`ready` is `resumed`, with the number of the last message that came"),
        ("replays_what_was_missed", 6, "audio after the application's numbers is replayed, flagged, without holes"),
        ("no_frame_comes_twice", 6, "no frame comes twice"),
        ("playing_goes_on_in_an_outage", 6, "speech that was queued goes on playing while there is no socket"),
        ("events_outlive_a_socket", 6, "events carry numbers, and those of the outage are told after it"),
        ("plays_what_is_said_again_once", 6, "numbered messages that are said again are played once"),
        ("begins_anew_without_resume", 6, "`hello` without `resume`: not resumed, and `gap` tells what was missed"),
        ("refuses_wrong_tokens", 6, "a `hello` with a wrong token is closed with 4401"),
        ("can_be_dialled", 6, "`resume.url` takes a connection with the token in `Authorization`"),
        ("a_token_is_used_once", 6, "and with a used or wrong one answers 401"),
        ("fences", 6, "a newer connection takes the stream; the older is closed with 4409"),
        ("stop_ends_in_order", 7, "`stop` is answered by `stop`, and close code 1000"),
        ("does_not_dial_after_the_end", 6, "after `stop`, or a close with 1000, it does not dial again"),
        ("keeps_turns", 7, "a `turn` is taken without a word; one that has no `number` is answered by `error`"),
        ("refuses_unknown_requests_truly", 7, "a transfer to nowhere is answered by `result` that is not `ok`"),
    ]
)
