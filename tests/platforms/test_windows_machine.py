"""What only Windows does: ending process trees as a job, files that cannot be removed or renamed.

Run with `pytest -m platforms`. Each test is a script that its Python runs with our modules.
"""

from __future__ import annotations

import textwrap

import pytest

from support.platforms import Windows

pytestmark = [pytest.mark.platforms, pytest.mark.timeout(600)]


def run(windows: Windows, script: str) -> list[str]:
    """Run a script there and return its lines."""
    return windows.run("-c", textwrap.dedent(script)).splitlines()


def test_a_time_limit_ends_what_a_process_started(windows: Windows) -> None:
    """The child of the child holds a lock file open; it is free as soon as the result is there."""
    told = run(
        windows,
        r"""
        import asyncio, os, sys, time
        from pathlib import Path
        from cyxmake_common.execution.process import ProcessRequest, run_process
        from cyxmake_common.file_lock import FileLock
        lock = Path(os.environ["TEMP"], "cyxmake-held.lock")
        lock.unlink(missing_ok=True)
        holds = (
            "import sys, time; from pathlib import Path;"
            "from cyxmake_common.file_lock import FileLock;"
            "lock = FileLock(Path(sys.argv[1])); lock.try_acquire() or sys.exit(5);"
            "print('held', flush=True); time.sleep(600)"
        )
        starts = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
        heard = []
        async def main():
            request = ProcessRequest(
                (sys.executable, "-c", starts, holds, str(lock)), timeout=40,
                heard=lambda stream, data: heard.append(data),
            )
            task = asyncio.create_task(run_process(request))
            while not heard and not task.done():
                await asyncio.sleep(0.05)
            print("held", not FileLock(lock).try_acquire())
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                print("cancelled")
            await asyncio.sleep(0.2)
            print("free", FileLock(lock).try_acquire())
        asyncio.run(main())
        """,
    )
    assert told == ["held True", "cancelled", "free True"], told


def test_output_and_status_of_a_process(windows: Windows) -> None:
    """Both streams come back whole, and so does the exit code."""
    told = run(
        windows,
        r"""
        import asyncio, sys
        from cyxmake_common.execution.process import ProcessRequest, run_process
        script = "import sys; sys.stdout.write('o' * 100000); sys.stderr.write('e'); sys.exit(7)"
        done = asyncio.run(run_process(ProcessRequest((sys.executable, "-c", script))))
        print(done.exit_code, len(done.stdout), done.stderr.decode(), done.timed_out)
        """,
    )
    assert told == ["7 100000 e False"], told


def test_protected_files_are_removed_and_open_ones_waited_for(windows: Windows) -> None:
    """A read-only blob, a read-only tree; and a file that somebody holds for a moment."""
    told = run(
        windows,
        r"""
        import os, threading
        from pathlib import Path
        from cyxmake_common.cas.disk_files import unlink
        from cyxmake_worker.sandbox.removal import remove_tree
        top = Path(os.environ["TEMP"], "cyxmake-removal")
        remove_tree(top)
        (top / "a/b").mkdir(parents=True)
        blob = top / "blob"
        for path in (blob, top / "a/b/c"):
            path.write_bytes(b"x")
            path.chmod(0o444)
        unlink(blob)
        print(blob.exists())
        held = (top / "held").open("wb")
        threading.Timer(0.05, held.close).start()
        unlink(top / "held")
        print((top / "held").exists())
        remove_tree(top)
        print(top.exists())
        """,
    )
    assert told == ["False", "False", "False"], told


def test_a_tree_with_names_that_windows_changes_is_handed_back(windows: Windows) -> None:
    """wine would make these files; the worker's own check does not let it come to that."""
    told = run(
        windows,
        r"""
        import asyncio, os, shutil
        from pathlib import Path
        from cyxmake_common.cas.disk import DiskStore
        from cyxmake_common.cas.store import write_all
        from cyxmake_common.cas.tree import InputTree
        from cyxmake_common.digest import EMPTY
        from cyxmake_worker.inputs import InputRoots, UnfitTree
        top = Path(os.environ["TEMP"], "cyxmake-roots")
        shutil.rmtree(top, ignore_errors=True)
        async def fetch(digests):
            raise AssertionError(digests)
        async def main():
            async with DiskStore(top / "cas", 1 << 20) as store:
                roots = InputRoots(store, top / "roots", fetch)
                await roots.open()
                for names in (("/p/aux.h",), ("/p/a.h", "/p/A.h"), ("/p/end.",), ("/p/fine.h",)):
                    tree = InputTree()
                    for name in names:
                        tree.add_file(name, EMPTY)
                    root, directories = tree.build()
                    for digest, data in directories.items():
                        await write_all(store, data, digest)
                    try:
                        layer = await roots.acquire(root)
                    except UnfitTree as error:
                        print(str(error))
                    else:
                        print(sorted(p.name for p in (layer.path / "p").iterdir()))
                        roots.release(layer)
                await roots.close()
        asyncio.run(main())
        """,
    )
    assert told == [
        "/p/aux.h cannot be on Windows: its name is a device",
        "/p/a.h is another file's name on Windows",
        "/p/end. cannot be on Windows: its name ends with a dot or a space",
        "['fine.h']",
    ], told


def test_the_task_that_starts_the_worker_is_installed_and_removed(windows: Windows) -> None:
    """Task Scheduler takes its definition; wine has one that keeps tasks, but starts none."""
    drive = windows.prefix / "drive_c"
    task = drive / "windows/system32/tasks/CyxMake/worker"
    (drive / "worker.token").write_text("a token\n")
    worker = ("-m", "cyxmake_worker.main", "service")
    said = windows.run(
        *worker, "install", "--token-file", "C:\\worker.token", "--data-dir", "C:\\worker-data"
    )
    assert said == "the task \\CyxMake\\worker runs, and starts with Windows\n"
    assert (drive / "worker-data").is_dir()
    assert "CyxMake worker" in task.read_text("utf-8-sig")
    said = windows.run(*worker, "remove")
    assert said.startswith("the task \\CyxMake\\worker is removed")
    assert not task.exists()
    assert (drive / "worker.token").exists()
