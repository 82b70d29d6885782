"""How many threads a model in this process may take: few while the machine compiles.

Pure. Threads of inference wait for each other by spinning; where a build holds the cores, two of
them are many times slower than one, and the build pays as well.
"""

from __future__ import annotations


def threads_for(wanted: int, cores: int, load: float) -> int:
    """Return the number of threads; `wanted` of 0 is as many as are free.

    `load` is the number of processes that want to run, as the system averages it.
    """
    if load >= cores:
        return 1
    free = max(1, cores - int(load))
    return max(1, min(wanted or free, free, cores))
