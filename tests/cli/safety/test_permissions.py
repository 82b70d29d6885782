"""How severe acts are: by kind, by what they touch, by what they start."""

from __future__ import annotations

import pytest

from cyxmake_cli.safety.permissions import RISKS, Act, ActKind, Bounds, Risk, judge

_BOUNDS = Bounds(("/home/ann/app", "/tmp/out"), "/home/ann")


def test_every_kind_has_a_risk() -> None:
    """No kind of act is without a rule."""
    assert set(RISKS) == set(ActKind)


@pytest.mark.parametrize(
    ("path", "risk"),
    [
        ("/home/ann/app/src/a.c", Risk.ASK),
        ("/tmp/out/a.o", Risk.ASK),
        ("/home/ann/app/.git/config", Risk.BLOCKED),
        ("/home/ann/app/sub/.git/hooks/x", Risk.BLOCKED),
        ("/home/ann/app/../.ssh/id", Risk.BLOCKED),
        ("/home/ann/.ssh/authorized_keys", Risk.BLOCKED),
        ("/home/ann/.config/cyxmake/permissions.json", Risk.BLOCKED),
        ("/home/ann/application/a.c", Risk.DANGEROUS),
        ("/home/ann/other/a.c", Risk.DANGEROUS),
        ("/etc/passwd", Risk.BLOCKED),
        ("/usr/include/a.h", Risk.BLOCKED),
        ("relative", Risk.BLOCKED),
    ],
)
def test_what_is_written_decides(path: str, risk: Risk) -> None:
    """Inside of the project as its kind says, outside dangerous, the system and secrets never."""
    assert judge(Act(ActKind.WRITE, "write", writes=(path,)), _BOUNDS).risk is risk


def test_settings_are_written_by_what_is_for_that() -> None:
    """`cyxmake config` and `login` write where nothing else may, and nowhere else."""
    bounds = Bounds(("/home/ann/.config/cyxmake", "/home/ann/.ssh"), "/home/ann")
    for path, risk in (
        ("/home/ann/.config/cyxmake/config.toml", Risk.SAFE),
        ("/home/ann/.ssh/config", Risk.BLOCKED),
    ):
        act = Act(ActKind.WRITE_SETTINGS, "set", writes=(path,))
        assert judge(act, bounds).risk is risk


@pytest.mark.parametrize("path", ["/", "/home/ann", "/home/ann/app", "/tmp/out"])
def test_nothing_is_removed_as_a_whole(path: str) -> None:
    """The project, its build directory, the home and the root are never removed."""
    assert judge(Act(ActKind.CLEAN, "clean", removes=(path,)), _BOUNDS).risk is Risk.BLOCKED


def test_a_home_that_is_the_project_keeps_its_secrets() -> None:
    """Who builds in their home directory does not give their keys away."""
    bounds = Bounds(("/home/ann",), "/home/ann")
    act = Act(ActKind.WRITE, "write", writes=("/home/ann/.ssh/config",))
    assert judge(act, bounds).risk is Risk.BLOCKED
    everything = Bounds(("/",), "/home/ann")
    assert judge(Act(ActKind.WRITE, "write", writes=("/etc/x",)), everything).risk is Risk.BLOCKED


@pytest.mark.parametrize(
    ("argv", "risk"),
    [
        (("cmake", "--build", "build"), Risk.SAFE),
        (("sudo", "apt-get", "install", "x"), Risk.DANGEROUS),
        (("env", "A=1", "sudo", "-n", "true"), Risk.DANGEROUS),
        (("sudo", "mkfs.ext4", "/dev/sda"), Risk.BLOCKED),
        (("/bin/rm", "-rf", "x"), Risk.DANGEROUS),
        (("git", "clean", "-fdx"), Risk.DANGEROUS),
        (("git", "status"), Risk.SAFE),
        (("find", ".", "-name", "x"), Risk.SAFE),
        (("find", ".", "-delete"), Risk.DANGEROUS),
        (("bash", "-ec", "make"), Risk.DANGEROUS),
        (("dd", "if=/dev/zero"), Risk.BLOCKED),
    ],
)
def test_what_is_started_decides(argv: tuple[str, ...], risk: Risk) -> None:
    """A build command is safe; one that removes, becomes root or destroys is not."""
    assert judge(Act(ActKind.BUILD, "build", argv=argv), _BOUNDS).risk is risk
