"""How a program begins, in its user's locale, and ends: every error becomes a sentence, a next step
and an exit status.

Knows nothing of what the programs do. No traceback reaches a user; a bug leaves it in a file.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from cyxmake_common.errors import CyxError, ExitStatus
from cyxmake_common.user_locale import restore_locale


def run_program(command: click.Command, name: str) -> NoReturn:
    """Run a command line and exit with the status that docs/OPERATIONS.md lists."""
    restore_locale()
    try:
        status = command.main(prog_name=name, standalone_mode=False)
    except CyxError as error:
        click.echo(f"error: {error.message}", err=True)
        if error.next_step:
            click.echo(f"  next: {error.next_step}", err=True)
        sys.exit(error.exit_status)
    except (KeyboardInterrupt, click.exceptions.Abort):
        sys.exit(ExitStatus.CANCELLED)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitStatus.USAGE)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone; nobody is left to tell
        sys.exit(ExitStatus.OK)
    except Exception as error:
        click.echo(f"error: a bug in {name}: {type(error).__name__}: {error}", err=True)
        click.echo(f"  next: please report it with {_keep_traceback()}", err=True)
        sys.exit(ExitStatus.INTERNAL)
    sys.exit(status if isinstance(status, int) else ExitStatus.OK)


def _keep_traceback() -> str:
    """Write the current traceback to a file; returns its name for a person."""
    import tempfile  # not before there is something to keep: every command starts here
    import traceback

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="cyxmake-", suffix=".traceback", delete=False, encoding="utf-8"
        ) as file:
            traceback.print_exc(file=file)
            return file.name
    except OSError:
        return "what it was asked to do"
