"""What a worker says where the system refuses its sandbox."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from cyxmake_worker.sandbox.advice import Facts, advise, proc_advice, read_facts

_ROOT = "478 165 0:54 / / ro,relatime - overlay overlay rw\n"
_DATA = "479 478 8:1 /v /var/lib/cyxmake rw - nfs server:/v rw\n"
_MASK = "480 478 0:5 /null /proc/kcore rw - tmpfs tmpfs rw\n"


def _machine(top: Path, **files: str) -> Path:
    for name, text in files.items():
        path = top / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return top


def test_facts_are_read_from_the_system(tmp_path: Path) -> None:
    """Seccomp, AppArmor, switches at zero, masks and the file system are all told apart."""
    root = _machine(
        tmp_path,
        proc__self__status="Name:\tx\nSeccomp:\t2\n",
        proc__self__attr__current="docker-default (enforce)\n",
        proc__self__mountinfo=_ROOT + _DATA + _MASK,
        proc__sys__user__max_user_namespaces="0\n",
        proc__sys__user__max_net_namespaces="100\n",
        proc__sys__kernel__unprivileged_userns_clone="0\n",
        proc__sys__kernel__apparmor_restrict_unprivileged_userns="1\n",
    )
    assert read_facts(Path("/var/lib/cyxmake/cas"), root) == Facts(
        container=True,
        seccomp=True,
        apparmor="docker-default (enforce)",
        limits_at_zero=("user",),
        users_may_not=True,
        apparmor_restricts=True,
        masked_proc=True,
        file_system="nfs",
    )
    assert read_facts(Path("/x"), tmp_path / "nothing") == Facts()


@pytest.mark.parametrize(
    ("step", "facts", "said"),
    [
        ("unshare", Facts(limits_at_zero=("user",)), "user.max_user_namespaces"),
        ("unshare", Facts(users_may_not=True), "unprivileged_userns_clone=1"),
        ("uid_map", Facts(apparmor_restricts=True), "apparmor_restrict_unprivileged_userns=0"),
        ("hostname", Facts(seccomp=True, container=True), "deploy/seccomp-worker.json"),
        ("hostname", Facts(seccomp=True), "SystemCallFilter="),
        ("dev", Facts(apparmor="docker-default", container=True), "apparmor=unconfined"),
        ("overlay", Facts(container=True, file_system="overlay"), "on a volume"),
        ("overlay", Facts(file_system="nfs"), "on nfs"),
    ],
)
def test_each_refusal_has_its_remedy(step: str, facts: Facts, said: str) -> None:
    """The sentence names the switch to turn, and only what fits the machine."""
    told = advise(step, errno.EPERM, facts)
    assert len(told) == 1
    assert said in told[0]


def test_without_a_known_cause_nothing_is_made_up() -> None:
    """A step that fails for another reason, or on a machine without such switches, gets none."""
    assert advise("unshare", errno.ENOMEM, Facts(users_may_not=True)) == ()
    assert advise("unshare", errno.EPERM, Facts()) == ()
    assert advise("start", 0, Facts(seccomp=True)) == ()
    assert proc_advice(Facts()) == ""
    assert "systempaths=unconfined" in proc_advice(Facts(masked_proc=True))
