"""One example of every message, and hypothesis strategies that follow the models.

Knows nothing of encodings.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Final, TypeVar, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel

from cyxmake_common.digest import Digest
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_common.protocol import bulk
from cyxmake_common.protocol import messages as m
from cyxmake_common.protocol.kinds import MESSAGES

_Model = TypeVar("_Model", bound=BaseModel)

ONE: Final = Digest.of(b"one")
TWO: Final = Digest.of(b"two")
_TOOLCHAIN: Final = m.ToolchainFacts(
    id=ONE, kind="gcc", version="13.2.0", target="x86_64-linux-gnu"
)
_PROPERTIES: Final = (("cpu", "x86_64"), ("os", "linux"))
_ENTRY: Final = m.CacheEntry(
    key=ONE,
    manifest=TWO,
    paths=b"\x00paths",
    absent=b"\xff",
    root="/home/a",
    depfile="a.o.d",
    layout="make",
    result=b"\x0a\x00",
)

EXAMPLES: Final[tuple[m.Message, ...]] = (
    m.Hello(
        oldest=1,
        newest=2,
        channel=m.Channel.CONTROL,
        role=m.Peer.WORKER,
        token_id="t-1",
        token_secret="s3cret",
        program="cyxmake-worker 0.1.0",
        session="s-7",
        worker=m.WorkerFacts(
            name="worker-1",
            slots=8,
            properties=_PROPERTIES,
            toolchains=(_TOOLCHAIN,),
            tools={"cmake": "3.28", "git": "2.43"},
            cpu_count=16,
            cpu_model="EPYC",
            memory_bytes=1 << 35,
            disk_free_bytes=1 << 40,
            machine="5e0c/3",
        ),
        running=(m.RunningLease(lease="l-1", epoch=3, action=TWO),),
        compress=False,
    ),
    m.Welcome(
        version=1,
        session="s-7",
        coordinator="hub",
        namespace="team",
        heartbeat_seconds=2.5,
        limits=m.Limits(message_bytes=65536, chunk_bytes=1024, window_bytes=4096),
        compress=False,
    ),
    m.Goodbye(reason="upgrade ☂", retry=False),
    m.Error(code="denied", message="no", next_step="ask", retryable=True, fatal=True),
    m.Heartbeat(leases=("l-1",), load=0.5, memory_free_bytes=5, disk_free_bytes=6),
    m.StatusGet(),
    m.Status(
        version="0.1.0",
        uptime_seconds=1.5,
        workers=(
            m.WorkerStatus(
                name="w1",
                slots=8,
                running=2,
                completed=3,
                draining=True,
                properties=_PROPERTIES,
                toolchains=(_TOOLCHAIN,),
                cpu_model="EPYC",
                memory_bytes=7,
                load=0.25,
                condition="draining",
                speed=1.5,
                machine="5e0c/3",
                broken=(m.ToolchainTrouble(id=TWO, detail="other bytes"),),
            ),
        ),
        clients=1,
        queued=2,
        running=3,
        completed=4,
        failed=5,
        cas_bytes=6,
        cas_limit_bytes=7,
        cas_blobs=8,
        counters=(m.Counter(name="hedged", value=9.0),),
        causes=(
            m.CauseStatus(
                fingerprint="c95e5e1756ad5db8",
                category="missing_header",
                line="missing header: a.h",
                actions=480,
                failures=500,
                held=20,
                workers=("w1",),
                seconds=1.5,
            ),
        ),
    ),
    m.Drain(on=False, worker="w1", leave=True),
    m.Done(),
    m.JobRequest(
        operation="o-1",
        build="b-1",
        action=ONE,
        priority=-5,
        skip_cache=True,
        rank_seconds=2.5,
        deadline_seconds=30.0,
        alike="0123",
    ),
    m.JobAccept(operation="o-1", merged=True),
    m.JobReject(operation="o-1", code="missing-blobs", detail="two", missing=(ONE, TWO)),
    m.JobProgress(operation="o-1", stage="executing", worker="w1"),
    m.JobOutput(operation="o-1", worker="w1", data=b"[1/2] \xff\n"),
    m.JobComplete(
        operation="o-1",
        result=bytes(range(256)),
        worker="w1",
        cached=True,
        queue_seconds=0.125,
        attempts=2,
    ),
    m.JobFailed(
        operation="o-1",
        kind=OutcomeKind.RESOURCE,
        cause=Cause.MEMORY,
        detail="killed",
        missing=(ONE,),
        result=b"\x00\x01",
        worker="w1",
    ),
    m.JobCancel(operation="o-1"),
    m.LeaseOffer(lease="l-1", epoch=1, action=ONE, attempt=2),
    m.LeaseAccept(lease="l-1", epoch=1),
    m.LeaseReject(lease="l-1", epoch=1, reason="busy", detail="8 of 8", missing=(TWO,)),
    m.LeaseProgress(lease="l-1", epoch=1, stage="executing"),
    m.LeaseOutput(lease="l-1", data=b"[1/2] \xff\n"),
    m.LeaseResult(
        lease="l-1",
        epoch=2**63 - 1,
        kind=OutcomeKind.TOOL,
        cause=Cause.SIGNAL,
        detail="exit 1",
        result=b"\x0a\x01",
        entry=_ENTRY,
        missing=(ONE,),
        memory_bytes=10,
    ),
    m.LeaseRevoke(lease="l-1", epoch=1),
    m.TreesGone(trees=(ONE, TWO)),
    m.FindMissing(digests=(ONE, TWO)),
    m.Missing(digests=(TWO,)),
    m.ActionCacheGet(keys=(ONE,), times=True),
    m.ActionCacheEntries(entries=(_ENTRY,), times=(m.EntryTimes(stored=1.5, used=2.5),)),
    m.ArtifactsGet(action=ONE),
    m.Artifacts(found=True, artifacts=(m.Artifact(path="a/b.o", digest=ONE, executable=True),)),
    bulk.BlobPut(digest=ONE),
    bulk.BlobReady(offset=4096),
    bulk.BlobChunk(offset=4096, data=b"\xfb\xff\xfe", encoding=bulk.Encoding.ZSTD),
    bulk.BlobAck(offset=8192),
    bulk.BlobStored(),
    bulk.BlobGet(digest=TWO, offset=17),
    bulk.BatchPut(blobs=(bulk.SmallBlob(digest=ONE, data=b"one"),)),
    bulk.BatchGet(digests=(ONE, TWO)),
    bulk.BatchBlobs(
        blobs=(bulk.SmallBlob(digest=ONE, data=b"(\xb5", encoding=bulk.Encoding.ZSTD),),
        missing=(TWO,),
    ),
)
"""Every message once, with no field at its default where that can be."""


digests = st.builds(
    Digest,
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    st.integers(min_value=0, max_value=2**63 - 1),
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
"""Whatever a peer may put where something else was expected."""


def message() -> st.SearchStrategy[m.Message]:
    """Return a strategy of all valid messages."""
    return st.one_of(*(record(kind) for kind in MESSAGES.values()))


def record(kind: type[_Model]) -> st.SearchStrategy[_Model]:
    """Return a strategy of the valid instances of a model."""
    fields = {
        name: _values(field.annotation, list(field.metadata))
        for name, field in kind.model_fields.items()
    }
    return st.builds(kind, **fields)


def _values(annotation: object, metadata: list[object]) -> st.SearchStrategy[object]:
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _values(inner, [*more, *metadata])
    arguments = get_args(annotation)
    if annotation is Digest:
        return digests
    if get_origin(annotation) is tuple and arguments[-1:] == (...,):
        return st.lists(_values(arguments[0], []), max_size=3).map(tuple)
    if get_origin(annotation) is tuple:
        return st.tuples(*(_values(one, []) for one in arguments))
    if get_origin(annotation) is dict:
        return st.dictionaries(_values(arguments[0], []), _values(arguments[1], []), max_size=3)
    if arguments:
        return st.one_of(*(_values(one, []) for one in arguments))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return record(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    return _scalars(annotation, metadata)


def _scalars(annotation: object, metadata: list[object]) -> st.SearchStrategy[object]:
    def bound(name: str) -> int | None:
        found = [value for one in metadata if isinstance(value := getattr(one, name, None), int)]
        return found[-1] if found else None

    patterns = (getattr(one, "pattern", None) for one in metadata)
    pattern = next((one for one in patterns if one), None)
    if annotation is str and pattern:
        return st.from_regex(str(pattern), fullmatch=True).filter(lambda text: 1 <= len(text) <= 64)
    simple: dict[object, st.SearchStrategy[object]] = {
        str: st.text(max_size=20),
        bytes: st.binary(max_size=64),
        bool: st.booleans(),
        type(None): st.none(),
        int: st.integers(bound("ge"), bound("le")),
        float: st.floats(bound("ge"), allow_nan=False, allow_infinity=False),
    }
    return simple[annotation]
