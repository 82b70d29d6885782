"""Proposes small edits of build files: each is one anchored line, verified by the next attempt.

Looks at the project through `View` only, and changes nothing. An edit is proposed only where the
place is certain; what it means is certain only once the build works.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final

from cyxmake_cli.recovery.fixes import (
    AddOptions,
    Edit,
    EditFile,
    Fix,
    How,
    SetVariables,
    Variable,
)
from cyxmake_cli.recovery.view import View
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.diagnosis.model import Category, Diagnosis

_BUILD_FILES: Final = re.compile(
    r"(?:^|/)(?:CMakeLists\.txt|[\w.-]+\.cmake|(?:GNU)?[Mm]akefile(?:\.\w+)?|[\w.-]+\.mk|"
    r"meson\.build|configure\.(?:ac|in)|SCons(?:truct|cript)|setup\.(?:py|cfg)|pyproject\.toml|"
    r"binding\.gyp|build\.ninja|Cargo\.toml|build\.rs)\Z"
)
_MAKE_KEYWORDS: Final = re.compile(
    r"\s*(?:ifn?eq|ifn?def|else|endif|define|endef|-?include|export|unexport|override|vpath)\b"
)


def build_files(view: View) -> list[str]:
    """Return the files that say how the project is built, the outermost first."""
    found = [f for f in view.files if _BUILD_FILES.search(f)]
    return sorted(found, key=lambda f: (f.count("/"), f))


def line_endings(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A script with line ends of another system gets those of this one."""
    facts = cause.facts
    if facts.kind != "line endings" and not re.search(r"\\r|\^M", cause.evidence):
        # A shell that cannot find the interpreter says that it cannot find the script.
        script = view.place_of(facts.command) or view.place_of(facts.path)
        if script:
            yield from _unix_lines(script, view)
        return
    named = [facts.file, facts.path, *re.findall(r"[\w./-]+", cause.evidence)]
    scripts = {place for name in named if name and (place := view.place_of(name))}
    likely = re.compile(r"(?:^|/)[^./]+$|\.(?:sh|py|pl|awk)$")
    for place in sorted(scripts | {f for f in view.files if likely.search(f)}):
        yield from _unix_lines(place, view)


def _unix_lines(place: str, view: View) -> Iterator[Fix]:
    lines = view.lines(place)
    if lines and lines[0].startswith("#!") and lines[0].endswith("\r"):
        edits = (Edit(n, text, text[:-1]) for n, text in enumerate(lines, 1) if text[-1:] == "\r")
        yield EditFile(place, tuple(edits))


def makefile_tabs(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """Lines of a recipe that begin with spaces begin with a tab."""
    if "missing separator" not in cause.evidence:
        return
    place = view.place_of(cause.facts.file)
    lines = view.lines(place) if place else []
    at = cause.facts.line or 0
    if place is None or not 0 < at <= len(lines):
        return
    edits = []
    in_rule = False
    for number, line in enumerate(lines, 1):
        if re.match(r"[^\s#:=][^:=#]*::?(?!=)", line):
            in_rule = True
        elif line.strip() and not line[0].isspace() and not line.startswith("#"):
            in_rule = False
        if in_rule and re.match(r" +\S", line) and not _MAKE_KEYWORDS.match(line):
            before = lines[number - 2] if number > 1 else ""
            if not before.rstrip().endswith("\\"):
                edits.append(Edit(number, line, "\t" + line.lstrip(" ")))
    if any(edit.line == at for edit in edits):
        yield EditFile(place, tuple(edits))


def misspelt_command(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A command or function of the build language that is nearly a known one becomes that."""
    place, at = view.place_of(cause.facts.file), cause.facts.line or 0
    lines = view.lines(place) if place else []
    if place is None or not 0 < at <= len(lines):
        return
    match = re.search(
        r"Unknown CMake command [\"']([\w]+)|Unknown function [\"']([\w]+)", cause.evidence
    )
    word = next((w for w in match.groups() if w), "") if match else cause.facts.command or ""
    known = _MESON_FUNCTIONS if view.system is SystemName.MESON else _CMAKE_COMMANDS
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.8)
    line = lines[at - 1]
    if near and len(re.findall(rf"\b{re.escape(word)}\b", line)) == 1:
        yield EditFile(place, (Edit(at, line, re.sub(rf"\b{word}\b", near[0], line)),))


def manifest(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A manifest that is nearly right becomes so: a comma too many, an edition nobody knows."""
    place = view.place_of(cause.facts.file)
    if place is None and "package.json" in cause.evidence:
        place = view.place_of("package.json")
    if place is None:
        return
    if place.endswith(".json"):
        yield from _json_commas(place, view)
    if place.endswith("Cargo.toml"):
        for number, line in enumerate(view.lines(place), 1):
            match = re.match(r'(\s*edition\s*=\s*)"(\d+)"', line)
            if match and match[2] not in ("2015", "2018", "2021", "2024"):
                yield EditFile(place, (Edit(number, line, f'{match[1]}"2021"'),))


def _json_commas(place: str, view: View) -> Iterator[Fix]:
    """Drop commas before a closing bracket, or add one between two members, if that is all."""
    lines = view.lines(place)
    dropped = []
    for number, line in enumerate(lines, 1):
        after = next((later.strip() for later in lines[number:] if later.strip()), "")
        if line.rstrip().endswith(",") and after[:1] in ("}", "]"):
            dropped.append(Edit(number, line, line.rstrip()[:-1]))
    if dropped and _parses(lines, dropped):
        yield EditFile(place, tuple(dropped))
        return
    added = []
    for number, line in enumerate(lines, 1):
        after = next((later.strip() for later in lines[number:] if later.strip()), "")
        if re.search(r'["\d\]}el]\s*$', line) and after[:1] in ('"', "{", "["):
            added.append(Edit(number, line, line.rstrip() + ","))
    if added and _parses(lines, added):
        yield EditFile(place, tuple(added))


def _parses(lines: list[str], edits: Iterable[Edit]) -> bool:
    changed = list(lines)
    for edit in edits:
        changed[edit.line - 1] = edit.new
    try:
        json.loads("\n".join(changed))
    except ValueError:
        return False
    return True


_STANDARDS: Final = {
    "c": ("c89", "c99", "c11", "c17", "c2x"),
    "c++": ("c++98", "c++11", "c++14", "c++17", "c++20", "c++23"),
}
_OLDER_SPELLING: Final = {
    "c++14": "c++1y", "c++17": "c++1z", "c++20": "c++2a", "c++23": "c++2b", "c++26": "c++2c",
    "c23": "c2x", "c17": "c11", "gnu23": "gnu2x", "gnu++20": "gnu++2a", "gnu++23": "gnu++2b",
}  # fmt: skip


_NEWER: Final = re.compile(
    r"is only available from (C\+\+\d\d) onwards|support for the ISO (C\+\+ 20\d\d) standard|"
    r"is a (C\+\+\d\w) (?:extension|feature)|only available with [‘'\"]?-std=(c\+\+\d\w)|"
    r"requires (C\+\+\d\d) or (?:later|newer)"
)


def wanted_standard(cause: Diagnosis, view: View) -> tuple[str, str] | None:
    """Return language and year of the standard that code asks for, if only in a compiler's note."""
    text = cause.facts.wanted or ""
    if cause.category is Category.CODE_ERROR:
        asked = [name for groups in _NEWER.findall(view.log) for name in groups if name]
        text = max(asked, default="", key=lambda name: re.sub(r".*(\d\w)$", r"\1", name))
    match = re.search(r"(?i)(?:gnu|c)(\+\+|xx)?[ -]*(?:iso )?(?:20|19)?([0-9][0-9a-z])\b", text)
    if match is None:
        return None
    return ("c++" if match[1] else "c", match[2].lower())


def language_standard(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """The standard that the code asks for is chosen where the project names another."""
    wanted = wanted_standard(cause, view)
    if cause.facts.subject != "language standard" and wanted is None:
        return
    if cause.rule in ("c-unknown-standard", "nvcc-standard"):
        spelled = cause.facts.wanted or ""
        newest = "c++20" if "++" in spelled else "c2x"
        for older in (_OLDER_SPELLING.get(spelled), newest):
            if older is None:
                continue
            yield from _replaced(rf"(-std=){re.escape(spelled)}(?![\w+])", older, view)
        return
    if wanted is None:
        return
    language, year = wanted
    cmake = "CMAKE_CXX_STANDARD" if language == "c++" else "CMAKE_C_STANDARD"
    name = "CXX" if language == "c++" else "C"
    plain = "c++" if language == "c++" else "c"
    yield from _replaced(rf"(\b{cmake}\s+)\d+", year, view)
    yield from _replaced(rf"(\b{name}_STANDARD\s+)\d+", year, view)
    yield from _replaced(rf"(\b{name.lower()}_std_)\d\w\b", year, view)
    escaped = re.escape(plain)
    yield from _replaced(r"(-std=(?:gnu|c)\+\+)\d\w\b" if plain == "c++" else
                         r"(-std=(?:gnu|c|iso9899:))\d+\w?\b(?!\+)", year, view)  # fmt: skip
    yield from _replaced(rf"([\"']?(?:c|cpp)_std=(?:gnu|{escaped}|c)(?:\+\+)?)\d\w\b", year, view)
    match view.system:
        case SystemName.CMAKE:
            yield AddOptions((f"-D{cmake}={year}",))
        case SystemName.MESON:
            key = "cpp_std" if language == "c++" else "c_std"
            yield AddOptions((f"-D{key}={plain}{year}",))
        case SystemName.AUTOTOOLS | SystemName.MAKE:
            variable = "CXX" if language == "c++" else "CC"
            program = view.variable(variable) or ("g++" if language == "c++" else "gcc")
            yield AddOptions((f"{variable}={program} -std=gnu{plain.removeprefix('c')}{year}",))
        case _:
            variable = "CXXFLAGS" if language == "c++" else "CFLAGS"
            yield SetVariables((Variable(variable, f"-std={plain}{year}", How.AFTER),))


def _replaced(pattern: str, new: str, view: View) -> Iterator[Fix]:
    """Edit every build file in which a pattern stands on few lines; its first group stays."""
    for place in build_files(view):
        edits = []
        for number, line in enumerate(view.lines(place), 1):
            changed = re.sub(pattern, lambda m: m[1] + new, line)
            if changed != line and not line.lstrip().startswith("#"):
                edits.append(Edit(number, line, changed))
        if 0 < len(edits) <= 5:
            yield EditFile(place, tuple(edits))


def tool_version(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A build tool of the version that is asked for by mistake: the one that is here is named.

    Only the demand of a build file for its own tool is lowered; what is really needed shows next.
    """
    facts = cause.facts
    if not facts.found or facts.subject not in ("cmake", "meson", "ninja", "autotools"):
        return
    found = re.sub(r"[^\d.].*", "", facts.found)
    place = view.place_of(facts.file)
    if facts.subject == "cmake":
        pattern = r"(?i)(cmake_minimum_required\s*\(\s*VERSION\s+)[\d.]+(?:\.\.\.[\d.]+)?"
        yield from _in_one(place, pattern, found, view)
    if facts.subject == "meson":
        yield from _in_one(place or "meson.build", r"(meson_version\s*:\s*'\s*>=?\s*)[\d.]+",
                           found, view)  # fmt: skip


def _in_one(place: str | None, pattern: str, new: str, view: View) -> Iterator[Fix]:
    """Edit the one file that is meant, or the outermost that holds the pattern."""
    for candidate in _replaced(pattern, new, view):
        if isinstance(candidate, EditFile) and place in (None, candidate.path):
            yield candidate
            return


def compiler_variable(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A variable that names a compiler which is not here names it no longer."""
    names = _names_of_compiler(cause)
    for variable in ("CC", "CXX", "FC", "CPP", "AR", "LD"):
        value = view.variable(variable)
        program = value.split()[0] if value and value.split() else ""
        if program and view.which(program) is None and (not names or program in names
                                                        or cause.facts.variable):  # fmt: skip
            yield SetVariables((Variable(variable, "", How.UNSET),))


def named_compiler(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A build file, or an option, that names a compiler which is not here names the usual one."""
    for name in _names_of_compiler(cause):
        plain = re.sub(r"-?[\d.]+$", "", PurePosixPath(name).name)
        usual = next((p for p in (plain, *_USUAL.get(plain, ())) if view.which(p)), None)
        if usual is None or plain == name or view.which(name):
            continue
        yield from _replaced(rf"((?:^|[\s=\"'(:/]|\?=)){re.escape(name)}(?![\w.+-])", usual, view)
        if view.system is SystemName.CMAKE:
            language = "CXX" if "+" in plain else "C"
            yield AddOptions((f"-DCMAKE_{language}_COMPILER={usual}",))


def _names_of_compiler(cause: Diagnosis) -> list[str]:
    words = (cause.facts.command or "", *re.findall(r"[\w./+-]+", cause.evidence))
    return [word for word in dict.fromkeys(words) if _COMPILER.fullmatch(word)]


_COMPILER: Final = re.compile(r"(?:.*/)?(?:gcc|g\+\+|clang|clang\+\+|cc|c\+\+|gfortran)-?[\d.]*")


_USUAL: Final = {
    "gcc": ("cc",), "g++": ("c++",), "clang": ("cc",), "clang++": ("c++",), "cc": ("gcc",),
    "c++": ("g++",),
}  # fmt: skip


_FLAG_VARIABLES: Final = ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "FFLAGS", "LDFLAGS")


def drop_option(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """An option that the compiler here does not know is taken out of the build file."""
    option = cause.facts.option
    if not option or not option.startswith("-") or cause.category is Category.CODE_ERROR:
        return
    option = f"{re.escape(option)}\\S+" if option.endswith("=") else re.escape(option)
    for variable in _FLAG_VARIABLES:
        words = (view.variable(variable) or "").split()
        rest = [word for word in words if not re.fullmatch(option, word)]
        if rest != words:
            yield SetVariables((Variable(variable, " ".join(rest)),))
    handed_on = r"(?:-W[alp],|-X(?:linker|assembler|preprocessor)\s+)?"
    yield from _replaced(rf"((?:^|[\s\"'(=,;])){handed_on}{option}(?=$|[\s\"'),;])", "", view)


def drop_werror(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A build file that makes an error of every warning no longer does."""
    yield from _replaced(r"((?:^|[\s\"'(=,;]))-Werror(?=$|[\s\"'),;])", "", view)
    yield from _replaced(r"(\bwerror\s*=\s*)true", "false", view)


_MESON_FUNCTIONS: Final = (
    "project", "executable", "library", "static_library", "shared_library", "both_libraries",
    "dependency", "declare_dependency", "files", "include_directories", "install_headers",
    "install_data", "install_man", "configure_file", "configuration_data", "custom_target",
    "find_program", "get_option", "import", "message", "error", "warning", "subdir", "subproject",
    "test", "benchmark", "run_command", "run_target", "add_project_arguments", "vcs_tag",
    "add_global_arguments", "add_project_link_arguments", "add_languages", "environment",
    "generator", "install_subdir", "join_paths", "shared_module", "summary", "assert",
    "set_variable",
    "get_variable", "is_variable", "range", "structured_sources", "build_target", "jar", "disabler",
)  # fmt: skip
_CMAKE_COMMANDS: Final = (
    "add_compile_definitions", "add_compile_options", "add_custom_command", "add_custom_target",
    "add_definitions", "add_dependencies", "add_executable", "add_library", "add_link_options",
    "add_subdirectory", "add_test", "cmake_minimum_required", "cmake_parse_arguments",
    "cmake_policy", "configure_file", "else", "elseif", "enable_language", "enable_testing",
    "endforeach", "endfunction", "endif", "endmacro", "endwhile", "execute_process", "export",
    "file", "find_file", "find_library", "find_package", "find_path", "find_program", "foreach",
    "function", "get_cmake_property", "get_directory_property", "get_filename_component",
    "get_property", "get_target_property", "if", "include", "include_directories",
    "include_guard", "install", "link_directories", "link_libraries", "list", "macro",
    "mark_as_advanced", "math", "message", "option", "project", "return", "separate_arguments",
    "set", "set_property", "set_source_files_properties", "set_target_properties",
    "set_tests_properties", "source_group", "string", "target_compile_definitions",
    "target_compile_features", "target_compile_options", "target_include_directories",
    "target_link_directories", "target_link_libraries", "target_link_options",
    "target_precompile_headers", "target_sources", "try_compile", "try_run", "unset", "while",
    "check_include_file", "check_function_exists", "check_symbol_exists", "check_c_compiler_flag",
    "check_cxx_compiler_flag", "check_include_files", "check_library_exists",
    "fetchcontent_declare", "fetchcontent_makeavailable", "pkg_check_modules", "pkg_search_module",
    "configure_package_config_file", "write_basic_package_version_file", "generate_export_header",
    "externalproject_add", "find_package_handle_standard_args", "gtest_discover_tests",
)  # fmt: skip
