"""A log shrinks to its errors, and loses what nobody else may see."""

from __future__ import annotations

import pytest

from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import LogInput
from cyxmake_common.diagnosis.reduce import redact, reduce_log
from cyxmake_common.diagnosis.rules import rules_with_examples


def test_a_large_log_keeps_its_errors_in_four_kilobytes() -> None:
    """200 kB of noise around two errors leave both, with their surroundings."""
    noise = "".join(
        f"[{n}/9000] Building C object CMakeFiles/a.dir/x{n}.c.o\n" for n in range(1200)
    )
    text = (
        noise
        + "a.c:1:10: fatal error: zlib.h: No such file or directory\n    1 | #include <zlib.h>\n"
        + noise
        + "/usr/bin/ld: cannot find -lpcap\ncollect2: error: ld returned 1 exit status\n"
        + noise
    )
    reduced = reduce_log(text)
    assert len(reduced) <= 4000
    assert "zlib.h: No such file" in reduced
    assert "cannot find -lpcap" in reduced
    assert [d.fingerprint for d in diagnose(LogInput(reduced, 1))] == [
        d.fingerprint for d in diagnose(LogInput(text, 1))
    ]


def test_what_the_rules_read_survives_the_reduction() -> None:
    """With the evidence of a diagnosis kept, a reduced log gives the same diagnosis."""
    noise = "checking for something... yes\n" * 40
    for rule, examples in rules_with_examples():
        for text in examples.positive[:1]:
            before = diagnose(LogInput(noise + text + "\n" + noise, 1))[0]
            reduced = reduce_log(noise + text + "\n" + noise, before.lines)
            after = diagnose(LogInput(reduced, 1))
            assert before.fingerprint in {d.fingerprint for d in after}, (rule.id, reduced)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("fatal: https://ann:hunter2pass@git.example.org/a.git denied", "hunter2pass"),
        ("export GITHUB_TOKEN=ghp_0123456789abcdefABCDEF", "ghp_0123456789abcdefABCDEF"),
        ("Authorization: Bearer abc.def.ghi123", "abc.def.ghi123"),
        ("DB_PASSWORD='s3cr3tword' error", "s3cr3tword"),
        ("curl --token tok_12345 failed", "tok_12345"),
        ("joining with cyx1.aGVsbG8gd29ybGQ failed", "aGVsbG8gd29ybGQ"),
        ("aws_secret_access_key = wJalrXUtnFEMI", "wJalrXUtnFEMI"),
        ("error in /home/annette/project/a.c", "annette"),
        ("error in C:\\Users\\annette\\a.c", "annette"),
        ("error: mail ann@example.org", "ann@example.org"),
        (
            "error\n-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\n",
            "MIIabc",
        ),
    ],
)
def test_secrets_never_come_out(text: str, secret: str) -> None:
    """Tokens, passwords, keys, addresses and names of people are gone, reduced or not."""
    assert secret not in redact(text)
    assert secret not in reduce_log(text)
    assert text.count("\n") == redact(text).count("\n")
