"""Correctness traps 27 to 52 of distributed compiles: toolchains, surroundings, integrity."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_cli.cluster.inputs import InputRoot, InputRoots, UnitInputs
from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.digest import EMPTY
from cyxmake_common.includes.closure import IncludeClosure
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.local import LocalOnly
from support.builds import nothing_to_do
from support.processes import REPOSITORY, Cluster
from support.trap_build import Case, TrapProject, Trial
from support.trap_trials import Trials, check_local, check_remote, needs_tools

pytestmark = needs_tools


# ── toolchain identity ──────────────────────────────────────────────────────────────────────────


def test_trap_27_wrapped_compilers(trials: Trials) -> None:
    """A script that only adds words is seen through, as ccache is; one that looks is not."""
    check_local(trials, "27-looks", "is a script around a compiler")
    for trial in (trials.first, trials.again, trials.elsewhere, trials.changed):
        trial.check_remote("27")
        trial.check_remote("27-ccache")


def test_trap_28_names_of_one_binary(trials: Trials) -> None:
    """gcc and g++, clang and clang++ of one source share no result."""
    check_remote(trials, "28-gcc", "28-g++", "28-clang", "28-clang++", moves=False)
    files = trials.again.cluster.files
    names = ("28-gcc", "28-g++", "28-clang", "28-clang++")
    assert len({files[f"o/{name}/a.o"].data for name in names}) == len(names)


def test_trap_29_native(trials: Trials) -> None:
    """It is sent as what it means here, where the driver shows that this is the same."""
    check_remote(trials, "29", "29-tune", "29-clang", "29-switches")
    check_remote(trials, "29-assembler", changes=True)
    check_remote(trials, "29-debug", moves=False)
    check_local(trials, "29-recorded", "expands to this machine's processor")
    check_local(trials, "29-mixed", "expands to this machine's processor")


def test_trap_30_files_named_by_flags(trials: Trials) -> None:
    """A file that a flag names is an input, or the flag keeps the compile here."""
    check_remote(trials, "30-ignore", changes=True)
    check_local(trials, "30-plugin", "loads a plugin")
    check_local(trials, "30-specs", "reads its own configuration")


def test_trap_31_flags_for_the_linker(trials: Trials) -> None:
    """They do no harm; where the compiler warns about them it still does."""
    check_remote(trials, "31", "31-clang")
    assert "unused" in trials.again.cluster.output


def test_trap_33_surroundings(trials: Trials, fixed_time: Trial) -> None:
    """Colours, character set and umask are the client's."""
    check_remote(trials, "33", "33-clang")
    fixed_time.check_remote("33")
    assert fixed_time.cluster.files["o/33/a.o"].mode & 0o777 == 0o640


def test_trap_34_variables(fixed_time: Trial, trap_cluster: Cluster, tmp_path: Path) -> None:
    """Include directories of the environment count; a variable that makes files keeps it here."""
    fixed_time.check_remote("34")
    assert b"second" in fixed_time.cluster.files["o/34/a.d"].data
    project = TrapProject(
        tmp_path, {"src/a.c": "int a;\n"}, [Case("34", "gcc -c ../src/a.c -o {o}/a.o")]
    )
    trial = project.trial(trap_cluster, DEPENDENCIES_OUTPUT="o/34/list")
    trial.check_local("34", "DEPENDENCIES_OUTPUT is set")


# ── precompiled headers, modules, link-time optimisation ────────────────────────────────────────


def test_trap_35_precompiled_headers(trials: Trials) -> None:
    """A precompiled header is made here, and sent along where it can be used elsewhere."""
    for trial in (trials.first, trials.again, trials.elsewhere, trials.changed):
        for name in ("35-beside", "35-used", "35-clang", "35-clang-implied", "35-clang-inner"):
            trial.check_remote(name)
    assert trials.again.place("35-clang") == "cache"
    assert b"pre.h" not in trials.first.cluster.files["o/35-used/a.d"].data, "it was not used"
    check_local(trials, "35-times", "its precompiled header holds the times of files")
    check_local(trials, "35-make", "-x c-header is not compiled remotely")
    check_local(trials, "35", "uses a precompiled header that can't be sent")


def test_trap_35_precompiled_header_that_appears_later(trials: Trials) -> None:
    """Next to a header that was read, it would be used unseen: no hit from then on."""
    check_remote(trials, "35-late", changes=True)
    assert trials.again.place("35-late-forced") == "cache"
    trials.changed.check_local("35-late-forced", "a failure is confirmed here")


def test_trap_36_modules(trials: Trials) -> None:
    """C++ modules stay here."""
    check_local(trials, "36", "uses modules")


def test_trap_36_offloading(trials: Trials) -> None:
    """clang's names for the code of `omp target` hold an inode; without OpenMP there are none."""
    check_local(trials, "36-offload", "names code for other devices")
    check_remote(trials, "36-offload-off")


def test_trap_37_implicit_modules(trials: Trials) -> None:
    """clang's implicit modules stay here."""
    check_local(trials, "37", "uses modules")


def test_trap_38_link_time_optimisation(trials: Trials) -> None:
    """Objects for link-time optimisation are the same; a later -fno-lto is heard."""
    for trial in (trials.first, trials.again, trials.elsewhere, trials.changed):
        for name in ("38", "38-thin", "38-off"):
            trial.check_remote(name)
    assert trials.first.cluster.files["o/38-thin/a.o"].data[:2] == b"BC"
    assert b".gnu.lto" not in trials.first.cluster.files["o/38-off/a.o"].data


def test_trap_39_archives(trials: Trials) -> None:
    """Archives, thin ones too, are made here of objects that equal ninja's."""
    check_local(trials, "39", "links here")
    check_local(trials, "39-thin", "links here")


@pytest.mark.parametrize(
    "command", ["cl /c /Zi a.c", "clang-cl /c a.c", "cl.exe /showIncludes a.c"]
)
def test_trap_40_msvc(command: str) -> None:
    """Command lines of another dialect are not guessed at."""
    assert isinstance(parse_compile(command.split()), LocalOnly)


# ── time, races, integrity ──────────────────────────────────────────────────────────────────────


def test_trap_41_source_edited_during_the_compile(tmp_path: Path) -> None:
    """What changed after it was sent is noticed, so that its result is not used."""
    source, digests = tmp_path / "a.c", FileDigests()
    source.write_text("int a;\n")
    roots = InputRoots(IncludeClosure(), digests, Toolchains(tmp_path / "cache"))
    sent = UnitInputs(InputRoot(EMPTY, {}), ((str(source), digests.digest(str(source))),))
    assert roots.unchanged(sent)
    source.write_text("int b;\n")
    assert not roots.unchanged(sent)
    source.unlink()
    assert not roots.unchanged(sent)


def test_trap_42_times_of_outputs(trap_cluster: Cluster, tmp_path: Path) -> None:
    """Outputs are younger than their inputs by this machine's clock: nothing is built twice."""
    case = Case("42", "gcc -MD -MF {o}/a.d -c ../src/a.c -o {o}/a.o", depfile="{o}/a.d")
    project = TrapProject(tmp_path, {"src/a.c": "int a;\n"}, [case])
    for place in ("w", "cache"):
        outcome = project.with_cluster(trap_cluster)
        assert next(iter(outcome.places.values())).startswith(place)
        assert nothing_to_do(project.build)


def test_trap_43_restored_outputs(trials: Trials) -> None:
    """What comes from the cache is a file of its own: new, writable, with the usual mode."""
    fetched = [name for name in trials.again.cases if trials.again.place(name) == "cache"]
    for path, file in trials.again.cluster.files.items():
        if path.split("/")[1:2] and path.split("/")[1] in fetched:
            assert file.links == 1 and file.mode == trials.again.ninja.files[path].mode
            assert file.modified >= trials.first.cluster.files[path].modified


def test_trap_44_programs_that_the_build_runs(trials: Trials) -> None:
    """A program of fetched objects is linked, runs at once, and makes a header for the next."""
    check_local(trials, "44-link", "links here")
    check_local(trials, "44-run", "not a compile")
    check_remote(trials, "44-compile", "44")


def test_trap_45_empty_outputs(trials: Trials) -> None:
    """An empty source makes the object that it makes here; nothing arrives empty."""
    check_remote(trials, "45", "45-assembly")
    for path, file in trials.again.cluster.files.items():
        assert bool(file.data) == bool(trials.again.ninja.files[path].data), path


def test_trap_46_texts_are_the_tools_own(trials: Trials) -> None:
    """Nothing of ours is mixed into what tools say, in any case of any build."""
    for trial in (trials.first, trials.again, trials.elsewhere, trials.changed):
        assert trial.cluster.texts == trial.ninja.texts


def test_trap_47_exit_status(trials: Trials) -> None:
    """A command that a signal ends fails; a program that is no compiler is not tried out."""
    check_local(trials, "47", "sh is no known compiler")
    check_local(trials, "47-strange", "is a script around a compiler")
    calls = (trials.first.root / "tools/calls").read_text().splitlines()
    assert set(calls) == {"-c o/47-strange/seen"}


def test_trap_48_places_in_diagnostics(trials: Trials) -> None:
    """Messages name the client's files, with their carets."""
    for trial in (trials.first, trials.again):
        text = next(t for command, t in trial.cluster.texts.items() if "broken.c" in command)
        assert "../src/broken.c:2:12: error:" in text and "^~~~~~~" in text


def test_trap_48_lines_of_files_that_line_directives_name(trials: Trials) -> None:
    """gcc shows what stands there, so a change of such a file makes a new result."""
    check_remote(trials, "48-line", changes=True)
    for trial in (trials.first, trials.again, trials.changed):
        case = next(t for command, t in trial.cluster.texts.items() if "written.c" in command)
        assert ("first line" in case) is (trial is not trials.changed)


def test_trap_49_failures_are_not_cached(trials: Trials) -> None:
    """The second build tries what failed again."""
    assert trials.again.place("10").startswith("local: a failure is confirmed here")


def test_trap_51_headers_rewritten_in_the_middle(trials: Trials) -> None:
    """A header that a command rewrites unasked is read again by the next compile."""
    check_remote(trials, "51-first", "51")
    files = trials.first.cluster.files
    assert files["o/51/a.o"].data != files["o/51-first/a.o"].data


def test_trap_51_headers_that_go_in_the_middle(trials: Trials) -> None:
    """What was there for one compile, and a symlink's old end, is not there for the next."""
    for trial in (trials.first, trials.again, trials.elsewhere, trials.changed):
        for name in ("51-passing-first", "51-passing", "51-turned-first", "51-turned"):
            trial.check_remote(name)


def test_trap_52_system_headers(trials: Trials) -> None:
    """System headers are sent along, also where -I names their directory."""
    check_remote(trials, "52", "52-clang")


@pytest.mark.parametrize(
    ("trap", "file", "test"),
    [
        ("32: a C library of another system", "common/toolchain/test_empty_root.py", "test_"),
        ("44: programs written and started", "worker/sandbox/test_linux.py", "test_exit_codes"),
        ("45: torn blobs", "common/cas/test_disk.py", "test_a_file_of_the_wrong_size_is_a_miss"),
        ("47: signals", "worker/executors/test_sandboxed.py", "test_a_signal_is_ambiguous"),
        ("49: failures", "worker/test_entries.py", "test_failures_and_uncached_actions_make"),
        ("50: the size is part of a digest", "common/cas/test_stores.py", "test_"),
    ],
)
def test_traps_that_others_cover(trap: str, file: str, test: str) -> None:
    """What this folder cannot show has a test of its own elsewhere."""
    assert f"def {test}" in (REPOSITORY / "tests" / file).read_text("utf-8"), trap
