"""Correctness traps 1 to 26 of distributed compiles: outputs, paths, macros; one test each.

Every case equals plain ninja (files, modes, depfiles, text), whether it was compiled on the
cluster, came from the cache, or ran here for a reason that is shown.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.processes import Cluster
from support.trap_build import Case, TrapProject, Trial
from support.trap_trials import Trials, check_local, check_remote, check_whole, needs_tools

pytestmark = needs_tools


# ── depfiles and outputs ────────────────────────────────────────────────────────────────────────


def test_trap_01_md_without_mf(trials: Trials) -> None:
    """Without -MF the depfile's name follows the output's."""
    check_remote(trials, "01", "01-named-by-o")
    assert "o/01-named-by-o/a.b.d" in trials.first.cluster.files


def test_trap_02_depfile_contents(trials: Trials) -> None:
    """Depfiles hold the client's spelling, relative or absolute, also from the cache."""
    check_remote(trials, "02", "02-absolute", "02-user")
    elsewhere = trials.elsewhere.cluster.files["o/02-user/a.d"].data
    assert str(trials.first.root).encode() not in elsewhere


def test_trap_02_depfiles_without_system_headers(trials: Trials) -> None:
    """Results with -MMD come from the cache until a header that it does not list changes."""
    check_remote(trials, "02-library", "02-library-clang", "02-recorded")
    check_remote(trials, "02-system", "02-shadow", changes=True)
    assert b"quiet.h" not in trials.again.cluster.files["o/02-system/a.d"].data


def test_trap_03_dependencies_asked_of_the_preprocessor(trials: Trials) -> None:
    """-Wp,-MD is understood; what is handed on unread stays here."""
    check_remote(trials, "03")
    check_local(trials, "03-xpreprocessor", "passes options on unread")
    check_local(trials, "03-file", "is not known to be harmless")


def test_trap_04_no_compile(trials: Trials) -> None:
    """Commands that only preprocess, list or check run here."""
    check_local(trials, "04-E", "stops after preprocessing")
    check_local(trials, "04-E-c", "stops after preprocessing")
    check_local(trials, "04-M", "only lists dependencies")
    check_local(trials, "04-MM", "only lists dependencies")
    check_local(trials, "04-syntax", "only checks the syntax")
    check_local(trials, "04-dM", "writes dumps")


def test_trap_05_side_outputs(trials: Trials) -> None:
    """Second outputs that are understood come back; others keep the compile here."""
    check_remote(trials, "05-su", "05-ci", "05-dia", "05-opt-info")
    check_local(trials, "05-save-temps", "keeps intermediate files")
    check_local(trials, "05-dump", "writes dumps")
    check_local(trials, "05-time-trace", "depend on the run", same_bytes=False)
    check_local(trials, "05-listing", "is not known to be harmless", same_bytes=False)
    check_whole(trials.first)
    check_whole(trials.again)


def test_trap_06_split_dwarf(trials: Trials) -> None:
    """The .dwo is a second output, and the object names it as a local compile's does."""
    check_remote(trials, "06", "06-clang", moves=False)
    check_remote(trials, "06-compile-dir")


def test_trap_07_coverage(trials: Trials) -> None:
    """Notes of coverage hold the client's directory, so they are for one checkout only."""
    check_remote(trials, "07", "07-clang", moves=False)


def test_trap_08_profiles(trials: Trials) -> None:
    """A profile that one name tells is an input; where a compiler looks for it, it stays here."""
    check_local(trials, "08", "reads a profile")
    check_remote(trials, "08-clang", changes=True)
    check_local(trials, "08-clang-folder", "o/08-profile")
    check_remote(trials, "08-generate", moves=False)


def test_trap_09_several_inputs_or_no_output(trials: Trials) -> None:
    """Several sources in one command, or an output that is no file, stay here."""
    check_local(trials, "09-inputs", "has 2 inputs, not one")
    check_local(trials, "09-stdout", "its output '-' is no file")
    assert "other.o" in trials.first.cluster.files


def test_trap_10_old_output_after_a_failure(
    trials: Trials, trap_cluster: Cluster, tmp_path: Path
) -> None:
    """A failure makes no object; an older one is treated as the compiler itself treats it."""
    check_local(trials, "10", "a failure is confirmed here")
    assert "o/10/a.o" not in trials.first.cluster.files
    cases = [
        Case("10", "gcc -c ../src/a.c -o {o}/a.o"),
        Case("10-clang", "clang -c ../src/a.c -o {o}/a.o"),
    ]
    project = TrapProject(tmp_path, {"src/a.c": "int a = ;\n"}, cases)
    left = []
    for build in ("ninja", "cluster"):
        project.fresh()
        for case in cases:
            (project.build / f"o/{case.name}").mkdir(parents=True)
            (project.build / f"o/{case.name}/a.o").write_text("old")
        if build == "ninja":
            subprocess.run(["ninja", "-C", project.build, "-k0"], check=False, capture_output=True)
        else:
            failed = trap_cluster.build(tmp_path, "-k", "0")
            assert failed.status == 1 and "FAILED: o/10/a.o" in failed.output
        left.append({p.parent.name: p.read_text() for p in project.build.rglob("*.o")})
    assert left[0] == left[1]


# ── paths and debug information ─────────────────────────────────────────────────────────────────


def test_trap_11_debug_paths(trials: Trials) -> None:
    """Debug information names the client's directories, and no other checkout's."""
    check_remote(trials, "11", "11-absolute", "11-clang", moves=False)
    check_remote(trials, "11-mapped")


def test_trap_12_file_macro(trials: Trials) -> None:
    """`__FILE__`, assert, #line and source_location say what they say here."""
    check_remote(trials, "12", "12-mapped")
    check_remote(trials, "12-absolute", "12-location", moves=False)


def test_trap_12_headers_of_the_same_bytes(trials: Trials) -> None:
    """Each keeps its own name in debug information, though a store has them once."""
    check_remote(trials, "12-same", "12-same-clang", moves=False)


def test_trap_13_relative_paths(trials: Trials) -> None:
    """Odd spellings of relative paths reach the debug information unchanged."""
    check_remote(trials, "13", moves=False)


def test_trap_14_symlinks(trials: Trials) -> None:
    """`..` after a symlink leads where the kernel goes, and depfiles keep the spelling."""
    for trial in (trials.first, trials.again, trials.elsewhere, trials.changed):
        trial.check_remote("14")
        trial.check_remote("14-dots")
        trial.check_remote("14-twice")
    assert trials.changed.place("14").startswith("w")
    assert b"../src/link/../plain.h" in trials.first.cluster.files["o/14/a.d"].data
    # Of two names of one directory clang takes the first, though it searches the other.
    assert b"../src/link/beside.h" in trials.first.cluster.files["o/14-twice/a.d"].data


def test_trap_15_missing_include_directories(trials: Trials) -> None:
    """An empty include directory is there for the compiler, a missing one is missed."""
    check_remote(trials, "15", "15-missing")
    assert "no such file" in trials.first.cluster.output.lower()


@pytest.mark.skip(reason="case-insensitive clients are not supported; file systems here tell cases")
def test_trap_16_case_insensitive_clients() -> None:
    """Needs a client on Windows or macOS."""


def test_trap_17_long_and_odd_paths(trials: Trials) -> None:
    """Deep directories, blanks and letters beyond ASCII do no harm."""
    check_remote(trials, "17", "17-name", moves=False)


def test_trap_18_response_files(trials: Trials) -> None:
    """What stands in a response file is not overlooked."""
    check_remote(trials, "18")
    check_remote(trials, "18-changing", changes=True)
    for trial in (trials.first, trials.again, trials.elsewhere, trials.changed):
        trial.check_remote("18-ninja-flags")
    check_local(trials, "18-ninja", "is not known in a link")
    check_local(trials, "18-gone", "can't be read")


# ── macros and time ─────────────────────────────────────────────────────────────────────────────


def test_trap_19_clock(trials: Trials, fixed_time: Trial) -> None:
    """The clock is read here; with SOURCE_DATE_EPOCH there is no clock to read."""
    check_local(trials, "19", "may read the clock", same_bytes=False)
    fixed_time.check_remote("19")


def test_trap_20_counter_and_random_seeds(trials: Trials) -> None:
    """`__COUNTER__`, seeds and names of hidden things are those of a compile from the source."""
    check_remote(trials, "20", "20-clang", moves=False)


def test_trap_21_headers_that_appear_later(trials: Trials) -> None:
    """A header that was probed for, or that shadows another, makes a new result."""
    check_remote(trials, "21", changes=True)


def test_trap_22_computed_includes(trials: Trials) -> None:
    """An include by macro is followed; one whose name is put together stays here."""
    check_remote(trials, "22")
    check_local(trials, "22-pasted", "whose name is computed")


def test_trap_23_generated_headers(trials: Trials) -> None:
    """A header that does not exist yet is no reason to fail, and is seen once it is made."""
    check_remote(trials, "23")
    check_remote(trials, "23-made", changes=True)


def test_trap_24_files_read_by_the_assembler(trials: Trials) -> None:
    """.incbin and .include are followed, and their bytes are part of the key."""
    check_remote(trials, "24", "24-asm", changes=True)
    check_local(trials, "24-macro", "whose name is computed")


def test_trap_24_files_that_no_scan_can_see(trials: Trials) -> None:
    """Such a compile is sent again with the file, is not cached, and counts; if there is one."""
    for trial in (trials.first, trials.again, trials.elsewhere, trials.changed):
        for name in ("24-unseen", "24-unseen-clang"):
            trial.check_remote(name)
            assert trial.place(name) == "w0: sent again with ../src/joined.bin"
        trial.check_local("24-gone", "a failure is confirmed here")
        assert trial.cluster.summary["healed"] == 2
        assert "a file that the include scan missed: 2" in trial.cluster.output


def test_trap_25_warnings_of_the_source(trials: Trials) -> None:
    """Warnings and carets are those of a compile from the source, not from preprocessed text."""
    check_remote(trials, "25", "25-clang")
    check_local(trials, "25-directives", "works on preprocessed text")
    check_local(trials, "25-rewrite", "works on preprocessed text")
    assert "-Wunused-macros" in trials.again.cluster.output


def test_trap_25_preprocessed_text(trials: Trials) -> None:
    """It is compiled as it is; of the files that it names gcc shows lines, so they are inputs."""
    check_remote(trials, "25-text", "25-text-named", "25-text-blob", changes=True)
    check_remote(trials, "25-text-cxx", moves=False)
    for trial in (trials.first, trials.again, trials.elsewhere, trials.changed):
        trial.check_remote("25-text-clang")
    check_local(trials, "25-text-includes", "whose name is computed")
    check_local(trials, "25-text-pch", "whose name is computed")
    check_local(trials, "25-text-depfile", "works on preprocessed text, with options")
    check_local(trials, "25-preprocessed", "works on preprocessed text")
    assert "the second line, as gcc shows it" in trials.again.cluster.output


def test_trap_26_warnings_of_system_headers(trials: Trials) -> None:
    """A header warns or does not, by how it was found."""
    check_remote(trials, "26", "26-user", "26-clang")
