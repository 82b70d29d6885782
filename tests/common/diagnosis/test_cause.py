"""The first cause of a failure, as whoever groups failures needs it."""

from __future__ import annotations

from cyxmake_common.diagnosis.cause import UNKNOWN, first_cause


def test_equal_causes_have_one_name_wherever_they_are_seen() -> None:
    """The header counts, not the file, the line or the directory that asked for it."""
    texts = (
        b"/home/ann/p/a.c:3:10: fatal error: openssl/ssl.h: No such file or directory\n",
        b"In file included from b.c:1:\n../x.h:71:10: fatal error: openssl/ssl.h: No such file or"
        b" directory\ncompilation terminated.\n",
    )
    first, second = (first_cause(text, 1) for text in texts)
    assert first is not None
    assert first == second
    assert (first.line, first.doubtful) == ("missing header: openssl/ssl.h", False)


def test_what_may_be_the_machine_s_fault_is_doubtful() -> None:
    """A crash of the compiler, for one."""
    text = b"gcc: internal compiler error: Segmentation fault signal terminated program cc1\n"
    cause = first_cause(text, 4)
    assert cause is not None
    assert cause.doubtful


def test_without_a_rule_the_message_names_the_cause() -> None:
    """Without paths and numbers, and without what is nobody's business."""
    texts = [
        b"starting\nstrangetool: error: the frobnicator of /home/ann/x/%d.q is bent\n" % n
        for n in (17, 4)
    ]
    first, second = (first_cause(text, 3) for text in texts)
    assert first is not None
    assert second is not None
    assert first.fingerprint == second.fingerprint
    assert first.category == UNKNOWN
    assert "ann" not in first.line
    assert first_cause(b" \n", 3) is None
