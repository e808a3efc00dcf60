"""What is checked of an application."""

from __future__ import annotations

from typing import Final

from longline.streamkit.conformance.report import rules

APPLICATION_RULES: Final = rules(
    [
        ("takes_the_subprotocol", 1, "of `longline.v1`, offered, it selects that or none"),
        ("hello_within_5_s", 1, "`hello` comes within 5 s of `start`"),
        ("hello_first", 1, "`hello` is its first message"),
        ("hello_is_valid", 1, "`hello` is as the schema says, and asks for what was offered"),
        ("speaks_every_offer", 1, "whatever `start` offers, it says a `hello` that can be met"),
        ("messages_are_valid", 2, "every text message is as the schema says, and has at most 64 KiB"),
        ("audio_has_a_header", 2, "audio in mode `binary` is binary, with a header of version 1 and kind 0"),
        ("audio_is_as_agreed", 2, "audio is in the mode that was agreed on, and of whole samples"),
        ("unknown_flags_are_zero", 2, "bits of `flags` that have no meaning are zero"),
        ("numbers_have_no_holes", 3, "numbered messages count from 0, one by one"),
        ("clear_raises_the_generation", 3, "audio after a `clear` of its own is of the next generation"),
        ("cleared_raises_the_generation", 3, "audio after `cleared` is of the generation that this tells"),
        ("ignores_what_it_does_not_know", 0, "types and fields that it does not know change nothing"),
        ("bears_every_message", 3, "every message that Longline may send is borne"),
        ("answers_ping", 8, "`ping` is answered by `pong` with the same `id`"),
        ("takes_a_stream_up_again", 6, "dialled again after a drop, it says `hello` and goes on"),
        ("resumes", 6, "`hello` after a drop resumes"),
        ("resume_has_the_last_token", 6, "with the token of the last `start` before this one"),
        ("resume_has_true_numbers", 6, "with the last sequence that it had, of each track"),
        ("resume_fixes_nothing_anew", 6, "without `audio` and `tracks`: those are of the first `hello`"),
        ("says_again_what_was_lost", 6, "what comes after `received` is said again, the same and in order"),
        ("flags_what_it_says_again", 6, "audio that is said again has the flag `replay`, and no other has"),
        ("numbers_go_on", 6, "after a resume its numbers go on"),
        ("a_lost_start_does_no_harm", 6, "a socket that was lost before `ready` is followed by one that resumes"),
        ("bears_a_gap", 6, "`gap`, and audio with the flag `gap`, is borne"),
        ("the_newer_socket_counts", 6, "a second socket takes the place of the first, which ends with 4409"),
        ("works_without_resume", 6, "`resume` of null is borne"),
        ("dials_in_with_the_token", 6, "who dials in shows the token in `Authorization`, and not in the URL"),
        ("stop_is_the_end", 7, "after `stop` it says nothing more, and does not dial in"),
        ("refuses_no_signature", 9, "with a secret, an upgrade that is not signed is refused"),
        ("refuses_a_wrong_signature", 9, "one that is signed with another secret is refused"),
        ("refuses_an_old_signature", 9, "one that was signed 301 s ago is refused"),
        ("takes_a_true_signature", 9, "one that is signed is taken"),
    ]
)
