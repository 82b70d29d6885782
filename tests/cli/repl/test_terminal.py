"""The conversation as a person has it: in a pseudo-terminal, with real commands behind it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.model_server import model_server
from support.model_wires import OpenAiWire, Said
from support.processes import environment, python
from support.terminal import Terminal

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that make builds, tests, and can spend a long time on."""
    place = tmp_path / "project"
    place.mkdir()
    (place / "a.c").write_text('#include "a.h"\nint main(void) { return A; }\n')
    (place / "a.h").write_text("#define A 0\n")
    (place / "Makefile").write_text(
        "all: a\na: a.c a.h\n\tcc -o a a.c\ncheck: a\n\t./a\n"
        "slow:\n\ttouch begun; sleep 600\nbroken:\n\tcc -c broken.c\n"
    )
    return place


@pytest.fixture
def terminal(project: Path, tmp_path: Path) -> Iterator[Terminal]:
    """A conversation in that project."""
    made = Terminal(project, tmp_path)
    yield made
    made.close()


def decisions(home: Path) -> list[tuple[str, str]]:
    """Return what the audit log holds: kinds of acts, and what was decided."""
    entries = (home / "config/audit.jsonl").read_text("utf-8").splitlines()
    return [(entry["kind"], entry["decision"]) for entry in map(json.loads, entries)]


def test_a_conversation(terminal: Terminal, project: Path, tmp_path: Path) -> None:
    """Slash commands, plain English, a failure, Ctrl-C in a build; the conversation goes on."""
    assert "builds with make" in terminal.say("/status")
    assert "near: /history" in terminal.say("/histroy")
    assert "nothing is done" in terminal.answer("build it", r"\[y/N\] ", "n")
    assert not (project / "a").exists()
    assert "built project" in terminal.answer("build it", r"\[y/N\] ", "y")
    assert (project / "a").exists()
    printed = terminal.say("/build broken")
    assert "[status 1: build failed]" in printed
    assert "the last build" in terminal.say("why did it fail?")
    terminal.type("/build slow\r")
    terminal.wait_for("touch begun; sleep 600")
    terminal.type("\x03")
    assert "[status 130: cancelled]" in terminal.wait_for_prompt()
    assert "builds with make" in terminal.say("/st")
    assert terminal.leave() == 0
    assert decisions(tmp_path)[:2] == [("plan", "refused"), ("plan", "allowed")]


def test_without_a_terminal_lines_are_read_and_the_status_is_kept(
    project: Path, tmp_path: Path
) -> None:
    """A script has no prompt, nobody to ask, and the status of the last command that failed."""
    script = "# a comment\n/build\n/nonsense\nclean up\n/history -n \\\n1\n/exit\n/version\n"
    done = subprocess.run(
        python("cyxmake_cli.main", "repl"), input=script, capture_output=True, text=True,
        env=environment(CYXMAKE_CONFIG_DIR=str(tmp_path)), cwd=project, check=False,
    )  # fmt: skip
    assert done.returncode == 5  # of "clean up", which needs a yes
    assert "cyxmake>" not in done.stdout
    assert "there is no /nonsense" in done.stderr
    assert "build with make" in done.stdout
    assert "cyxmake 0" not in done.stdout  # what follows /exit is not read
    assert (project / "a").exists()


def test_a_sentence_on_the_command_line_shows_what_it_would_do(
    project: Path, tmp_path: Path
) -> None:
    """`cyxmake "..."` needs a yes to act, and none to answer."""

    def cyxmake(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            python("cyxmake_cli.main", *arguments), capture_output=True, text=True, input="",
            env=environment(CYXMAKE_CONFIG_DIR=str(tmp_path)), cwd=project, check=False,
        )  # fmt: skip

    done = cyxmake("build it")
    assert (done.returncode, done.stdout) == (5, "  cyxmake build\n")
    assert not (project / "a").exists()
    assert cyxmake("build it", "--yes").returncode == 0
    assert (project / "a").exists()
    assert "ok " in cyxmake("how did the last build go?").stdout
    assert cyxmake("sing me a song").returncode == 2
    done = cyxmake("biuld")
    assert done.returncode == 2
    assert "Did you mean build" in done.stderr
    assert "nothing was done: a dry run" in cyxmake("clean up", "--dry-run").stdout


@pytest.mark.terminal
@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("/help", "/workers"), ("/?", "/workers"), ("/help build", "Build TARGETS"),
        ("/version", "cyxmake 0"), ("/history", "nothing has been built"),
        ("/init", "make"), ("/build --dry-run", "would"), ("/b -n", "would"),
        ("/clean --dry-run", "no build made"), ("/config get build.jobs", "0"),
        ("/context", "last command: none"), ("/memory", "are remembered in"),
        ("/graph deps a.c", "a.h"), ("/coordinator status", "[status"),
        ("/workers", "[status"), ("/dbuild --strategy hybrid --jobs 2 --dry-run", "cc -o a a.c"),
        ("/test --dry-run", "would"), ("/audit", ""), ("/permissions show", "install-package"),
        ("/explain failure", "nothing has been built"), ("/doctor --offline", "compile"),
        ("/tools make", "make"), ("/logs", "nothing has been built"),
        ("/cache stats", "MB"), ("/packages managers", "pip"), ("/completion bash", "_cyxmake"),
        ("help", "/workers"), ("build --dry-run", "would"), ("/build 'a", "quotes come in pairs"),
        ("/build --nonsense", "No such option"), ("/memory forget", "0 lines are remembered"),
        ("how do I test it on two cores?", "cyxmake test --jobs 2"),
        ("what does clean do?", "removes what"), ("don't build it", "nothing is done"),
    ],
)  # fmt: skip
def test_every_command_answers(terminal: Terminal, line: str, printed: str) -> None:
    """Each slash command, and each kind of answer, prints what it is for."""
    assert printed in terminal.say(line)
    assert "last command" in terminal.say("/context")


@pytest.mark.terminal
def test_every_slash_command_is_a_command(terminal: Terminal) -> None:
    """What /help lists is there, and has a help of its own."""
    listed = [row.split() for row in terminal.say("/help").splitlines() if row.startswith("  /")]
    assert len(listed) > 25
    for names, *_ in listed:
        printed = terminal.say(f"/help {names}")
        assert "Usage:" in printed or names in printed
        assert "[status" not in printed, printed


@pytest.mark.terminal
def test_lines_are_remembered_but_secrets_are_not(
    terminal: Terminal, project: Path, tmp_path: Path
) -> None:
    """The next conversation begins with the lines of this one; tokens stand in no file."""
    terminal.say("/version")
    terminal.say("/login cyx1.verysecret")
    terminal.say("/status")
    assert terminal.leave() == 0
    kept = tmp_path / "state/repl-history"
    assert "verysecret" not in kept.read_text("utf-8")
    assert kept.stat().st_mode & 0o777 == 0o600
    again = Terminal(project, tmp_path)
    try:
        again.type("\x1b[A\x1b[A\r")  # up, up, enter
        assert "cyxmake 0" in again.wait_for_prompt()
    finally:
        again.close()


@pytest.mark.terminal
@pytest.mark.parametrize(
    ("typed", "shown", "becomes"),
    [(("/vers",), (), "cyxmake 0"), (("/build --dry",), (), "would"),
     (("/config get build.jobs",), (), "0"), (("/graph de", " a", "c"), ("ps", r"\."), "a.h"),
     (("/build --dry-run --type deb",), (), "has no build type 'debug'"),
     (("/expl", " fai"), ("ain",), "nothing has been built")],
)  # fmt: skip
def test_tab_completes(
    terminal: Terminal, typed: tuple[str, ...], shown: tuple[str, ...], becomes: str
) -> None:
    """Commands, options, their values and files are completed with one key."""
    for n, part in enumerate(typed):
        terminal.type(part)
        if part != "c":
            terminal.type("\t")
        if n < len(shown):
            terminal.wait_for(shown[n])  # what is typed before a completion is there drops it
    terminal.type("\r")
    printed = terminal.wait_for_prompt()
    assert becomes in printed, printed


@pytest.mark.terminal
def test_a_plan_is_gone_through_step_by_step(terminal: Terminal, project: Path) -> None:
    """Each step is asked about; one that is refused is left out, the others are done."""
    printed = terminal.answer("build it, then test it", r"\[[\w/]+N\] ", "s", "n", "y")
    assert "1. cyxmake build" in printed
    assert "left out: cyxmake build" in printed
    assert "> cyxmake test" in printed
    assert terminal.answer("build and test", r"\[all/step/N\] ", "all").count("> cyxmake") == 2


@pytest.mark.terminal
def test_what_was_done_before_a_failure_can_be_taken_back(
    terminal: Terminal, project: Path
) -> None:
    """A setting changed by the first step is set back when the second fails, if that is wished."""
    line = "set the number of jobs to 3 and then build the target broken"
    printed = terminal.answer(line, r"\[[\w/]+N\] ", "all", "y")
    assert "cyxmake config set build.jobs ''" in printed
    assert terminal.say("/config get build.jobs").strip().endswith("0")
    terminal.answer("set the number of jobs to 3", r"\[y/N\] ", "y")
    assert terminal.say("/config get build.jobs").strip().endswith("3")
    terminal.answer("undo that", r"\[y/N\] ", "y")
    assert terminal.say("/config get build.jobs").strip().endswith("0")


@pytest.mark.terminal
def test_the_conversation_knows_what_it_is_about(terminal: Terminal, project: Path) -> None:
    """ "again", "it" and "that" refer to the last command that did something."""
    terminal.answer("build the target a with 2 jobs", r"\[y/N\] ", "y")
    assert "cyxmake build --jobs 2 a" in terminal.say("/context")
    printed = terminal.answer("again, but verbose", r"\[y/N\] ", "n")
    assert "cyxmake build --jobs 2 --verbose a" in printed
    assert "last command: none" in terminal.say("/context forget")
    printed = terminal.answer("delete it", r"or nothing\] ", "")
    assert "1. cyxmake clean" in printed
    assert "nothing is done" in printed


@pytest.mark.terminal
def test_permissions_are_asked_for_in_the_conversation(
    terminal: Terminal, project: Path, tmp_path: Path
) -> None:
    """A command's own question is answered on the same terminal, and written down."""
    terminal.say("/build")
    assert (project / "a").exists()
    printed = terminal.answer("/clean", r"view\] ", "v", "n")
    assert "  a" in printed
    assert (project / "a").exists()
    terminal.answer("/clean", r"view\] ", "y")
    assert not (project / "a").exists()
    assert decisions(tmp_path)[-2:] == [("clean", "refused"), ("clean", "allowed")]


@pytest.mark.terminal
def test_a_question_answered_with_ctrl_c_is_no(terminal: Terminal, project: Path) -> None:
    """Ctrl-C at a question does nothing, and at the prompt only drops the line."""
    terminal.type("build it\r")
    terminal.wait_for(r"\[y/N\] ")
    terminal.type("\x03")
    terminal.wait_for_prompt()
    assert not (project / "a").exists()
    terminal.type("half a li\x03")
    terminal.wait_for_prompt()
    assert "cyxmake 0" in terminal.say("/version")


@pytest.mark.terminal
def test_lines_of_several_lines(terminal: Terminal) -> None:
    """A backslash joins lines; Alt-Enter puts commands below each other."""
    terminal.type("/config get \\\r")
    terminal.wait_for(r"\.\.\.>")
    terminal.type("build.keep_going\r")
    assert "1" in terminal.wait_for_prompt()
    terminal.type("/version\x1b\r/config get build.strategy\r")
    printed = terminal.wait_for_prompt()
    assert "cyxmake 0" in printed
    assert "compile-units" in printed


@pytest.mark.terminal
def test_the_window_may_change_its_size(terminal: Terminal) -> None:
    """The line that is being written is drawn anew, and is what is run."""
    terminal.type("/version")
    terminal.resize(20, 40)
    terminal.wait_for("cyxmake> ")
    terminal.type("\r")
    assert "cyxmake 0" in terminal.wait_for_prompt()
    assert "builds with make" in terminal.say("/status")


@pytest.mark.terminal
def test_a_dumb_terminal(project: Path, tmp_path: Path) -> None:
    """A terminal that cannot move its cursor gets no escapes, and the same answers."""
    dumb = Terminal(project, tmp_path, term="dumb")
    try:
        assert "builds with make" in dumb.say("/status")
        assert "nothing is done" in dumb.answer("build it", r"\[y/N\] ", "n")
        dumb.type("/version \\\r")
        dumb.wait_for(r"\.\.\.>")
        assert "cyxmake 0" in dumb.say("")
        dumb.type("\x03")
        dumb.wait_for_prompt()
        dumb.process.send("/nonsense\r")
        dumb.process.expect("cyxmake> ")
        assert "\x1b" not in dumb.process.before.replace("\x1b[31m", "").replace("\x1b[0m", "")
        assert dumb.leave() == 0
    finally:
        dumb.close()


@pytest.mark.terminal
def test_a_command_that_ignores_ctrl_c_is_ended(terminal: Terminal, project: Path) -> None:
    """The third Ctrl-C ends a command that does not listen."""
    (project / "Makefile").write_text(
        'all:\n\t@python3 -c "import signal,time;signal.signal(2,1);signal.signal(15,1);'
        "print('deaf', flush=True);time.sleep(600)\"\n"
    )
    terminal.type("/build\r")
    terminal.wait_for("deaf")
    for _ in range(3):
        terminal.type("\x03")
    assert "[status 1" in terminal.wait_for_prompt()


@pytest.mark.terminal
def test_a_model_is_asked_what_the_rules_do_not_know(project: Path, tmp_path: Path) -> None:
    """Its answer is asked about, then shown as a plan; with --no-ai nobody is asked."""
    answer = {"do": "build", "show": "none", "type": "", "place": "", "jobs": 2, "target": "a",
              "clean_first": False}  # fmt: skip
    with model_server(OpenAiWire()) as server:
        server.think = lambda body: Said(json.dumps(answer))
        env = {"CYXMAKE_AI_PROVIDERS": server.provider, **server.environ()}
        made = Terminal(project, tmp_path, **env)
        try:
            line = "whip up a, employing 2 hands"
            printed = made.answer(line, r"or nothing\] |\[y/N\] ", "1", "y")
            assert "is this what is meant" in printed
            assert "  cyxmake build --jobs 2 a" in printed
            assert (project / "a").exists()
            assert "no answer is known" in made.say("does he whip up a, employing 2 hands?")
        finally:
            made.close()
        asked = len(server.asked)
        assert asked == 2
        silent = Terminal(project, tmp_path, "repl", "--no-ai", **env)
        try:
            assert "it is not clear" in silent.say(line)
        finally:
            silent.close()
        assert len(server.asked) == asked
