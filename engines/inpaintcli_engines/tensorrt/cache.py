"""Compiled plans on disk, found by a key of everything that could make them stale, and built once.

A plan is the file `DIGEST.plan` with a sidecar `DIGEST.json`, which holds the key in words, the
plan's sha256 and its comparison with the CPU. The sidecar is written last: a plan without one does
not count. A plan that was rejected leaves `DIGEST.rejected`, so that it is not built each time. The
folder is platformdirs' user cache (on Linux `$XDG_CACHE_HOME/inpaintcli/engines`);
`INPAINTCLI_CACHE` names another, `INPAINTCLI_CACHE_MIB` its size limit.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inpaintcli_engines.base import EngineFailedError, Precision, Profile

REJECTED = ".rejected"
LIMIT_MIB = 4096  # for all plans together; a plan of the shipped model takes some tens


class CacheUnusableError(EngineFailedError):
    """Plans cannot be kept: there is no folder for them, or it cannot be written to."""


class PlanRejectedError(EngineFailedError):
    """The model cannot be compiled, or its plan disagrees with the CPU: that would come again.

    `digest` is that of the key under which it is remembered; empty until then.
    """

    digest = ""


@dataclass(frozen=True, kw_only=True)
class CacheKey:
    """Everything that a plan depends on; a change of any of it makes another plan."""

    onnx_sha256: str
    precision: Precision
    profile: Profile
    tensorrt: str
    cuda: str
    driver: str
    gpu: str
    compute_capability: str
    system: str  # operating system and processor
    workspace_mib: int
    effort: int  # TensorRT's builder optimisation level
    method: int  # `build.METHOD`: counts the changes of how plans are built (types, flags)

    @property
    def digest(self) -> str:
        """The key as a file name."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def machine(self) -> str:
        """What the timings of kernels depend on, as a file name."""
        parts = (self.tensorrt, self.cuda, self.driver, self.gpu, self.compute_capability)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class BuiltPlan:
    """A new plan, with what its sidecar will say."""

    plan: bytes
    parity: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class CachedPlan:
    """An installed plan."""

    digest: str
    plan: Path
    sidecar: dict[str, Any]
    used: float  # seconds since the epoch

    @property
    def size(self) -> int:
        """Bytes of the plan."""
        return int(self.sidecar["size"])


def default_folder() -> Path:
    """The folder of the plans, see the module's docstring.

    Raises:
        CacheUnusableError: the user has no home folder, in which it would be.
    """
    named = os.environ.get("INPAINTCLI_CACHE")
    if named:
        return Path(named) / "engines"
    import platformdirs

    try:
        folder = Path(platformdirs.user_cache_dir("inpaintcli", appauthor=False))
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():  # some versions of platformdirs leave a `~` in it
        raise CacheUnusableError(
            "There is no folder for compiled engines, as this user has no home folder.",
            hint="Name one in INPAINTCLI_CACHE.",
        )
    return folder / "engines"


def default_limit() -> int:
    """The limit of all plans together, in bytes.

    Raises:
        EngineFailedError: the environment variable is no number.
    """
    named = os.environ.get("INPAINTCLI_CACHE_MIB", str(LIMIT_MIB))
    if not named.isdigit():
        raise EngineFailedError(f"INPAINTCLI_CACHE_MIB is '{named}', not a number of MiB.")
    return int(named) << 20


class PlanCache:
    """A folder of plans; several processes may use it at once."""

    def __init__(self, folder: Path | None = None, limit: int | None = None) -> None:
        self.folder = folder or default_folder()
        self.limit = default_limit() if limit is None else limit

    def obtain(self, key: CacheKey, build: Callable[[], BuiltPlan]) -> CachedPlan:
        """The plan of that key: the installed one if it is undamaged, else a new one.

        One process builds at a time; the others wait and then find the plan that it installed.

        Raises:
            CacheUnusableError: the folder cannot be written to.
            PlanRejectedError: raised by `build`, now or by an earlier run.
            EngineError: raised by `build`; nothing is installed then.
        """
        found = self._installed(key)
        if found is not None:
            return found
        with self._lock():
            found = self._installed(key)
            if found is not None:
                return found
            try:
                built = build()
            except PlanRejectedError as error:
                error.digest = key.digest
                self._remember(key, error)
                raise
            return self._install(key, built)

    def check_writable(self) -> None:
        """Check that a plan could be installed.

        Raises:
            CacheUnusableError: the folder cannot be written to.
        """
        with self._lock():
            pass

    def forget_rejections(self) -> None:
        """Have everything built again that was rejected."""
        for path in self.folder.glob(f"*{REJECTED}"):
            with contextlib.suppress(OSError):
                path.unlink()

    def _installed(self, key: CacheKey) -> CachedPlan | None:
        """As `find`.

        Raises:
            PlanRejectedError: the plan was rejected by an earlier run.
        """
        found = self.find(key)
        if found is None:
            self._raise_if_rejected(key)
        return found

    def _raise_if_rejected(self, key: CacheKey) -> None:
        try:
            found = json.loads(self._rejection_path(key).read_text(encoding="utf-8"))
            if found["key"] != _as_json(key):
                return
            error = PlanRejectedError(str(found["message"]), hint=str(found["hint"]))
        except (OSError, ValueError, KeyError, TypeError):
            return  # none, or damaged: it is built again
        error.digest = key.digest
        raise error

    def _remember(self, key: CacheKey, error: PlanRejectedError) -> None:
        fields = {"schema": 1, "key": _as_json(key), "message": error.message, "hint": error.hint}
        with contextlib.suppress(OSError):
            self._write(self._rejection_path(key), json.dumps(fields, indent=1).encode())

    def find(self, key: CacheKey) -> CachedPlan | None:
        """The installed plan of that key, marked as used; a damaged one is removed."""
        entry = self._entry(key.digest)
        if entry is None:
            return None
        try:
            with entry.plan.open("rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest() == entry.sidecar["sha256"]
        except OSError:
            whole = False
        if not whole or entry.sidecar["key"] != _as_json(key):
            self.remove(entry.digest)
            return None
        with contextlib.suppress(OSError):  # the cache may be read-only
            os.utime(self._sidecar_path(entry.digest))
        return entry

    def entries(self) -> list[CachedPlan]:
        """All installed plans, the last used first."""
        found = (self._entry(path.stem) for path in self.folder.glob("*.json"))
        return sorted((e for e in found if e is not None), key=lambda e: e.used, reverse=True)

    def remove(self, digest: str) -> None:
        """Remove a plan; nothing happens if there is none."""
        for path in (
            self._sidecar_path(digest),
            self._plan_path(digest),
        ):  # the sidecar first: without it the plan does not count
            with contextlib.suppress(OSError):
                path.unlink()

    def clear(self) -> tuple[int, int]:
        """Remove everything; the number of plans, and of their bytes, that were removed."""
        with self._lock():
            gone = self.entries()
            for path in self.folder.iterdir():
                if path.suffix in {".plan", ".json", ".timing", ".part", REJECTED}:
                    path.unlink(missing_ok=True)
        return len(gone), sum(entry.size for entry in gone)

    def load_timing_cache(self, key: CacheKey) -> bytes:
        """TensorRT's timing cache of this machine; empty the first time."""
        try:
            return self._timing_cache_path(key).read_bytes()
        except OSError:
            return b""

    def save_timing_cache(self, key: CacheKey, content: bytes) -> None:
        """Save it for the next build; if the folder cannot be written, nothing happens."""
        with contextlib.suppress(OSError):
            self._write(self._timing_cache_path(key), content)

    def _install(self, key: CacheKey, built: BuiltPlan) -> CachedPlan:
        sidecar = {
            "schema": 1,
            "key": _as_json(key),
            "sha256": hashlib.sha256(built.plan).hexdigest(),
            "size": len(built.plan),
            "parity": built.parity,
            "build_seconds": round(built.seconds, 1),
            "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        try:
            self._write(self._plan_path(key.digest), built.plan)
            self._write(self._sidecar_path(key.digest), json.dumps(sidecar, indent=1).encode())
        except OSError as error:
            raise CacheUnusableError(
                f"The plan cannot be written to {self.folder}: {error.strerror}.",
                hint="Free some space, or name another folder in INPAINTCLI_CACHE.",
            ) from error
        self._trim(keep=key.digest)
        return CachedPlan(key.digest, self._plan_path(key.digest), sidecar, time.time())

    def _trim(self, keep: str) -> None:
        """Remove the least recently used plans until the rest fits; `keep` always stays."""
        room = self.limit
        for entry in self.entries():
            room -= entry.size
            if room < 0 and entry.digest != keep:
                self.remove(entry.digest)

    def _entry(self, digest: str) -> CachedPlan | None:
        path = self._sidecar_path(digest)
        try:
            sidecar = json.loads(path.read_text(encoding="utf-8"))
            used = path.stat().st_mtime
        except (OSError, ValueError):
            return None
        if not _is_sidecar(sidecar):
            return None
        return CachedPlan(digest, self._plan_path(digest), sidecar, used)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        import filelock

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.folder / "building.lock")
            lock.acquire()
        except NotImplementedError:  # a file system without locks: two may build one plan
            yield
            return
        except OSError as error:
            raise CacheUnusableError(
                f"The cache {self.folder} cannot be written to: {error.strerror}.",
                hint="Name another folder in INPAINTCLI_CACHE.",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _write(self, path: Path, content: bytes) -> None:
        """Write a temporary file, then rename it."""
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _plan_path(self, digest: str) -> Path:
        return self.folder / f"{digest}.plan"

    def _sidecar_path(self, digest: str) -> Path:
        return self.folder / f"{digest}.json"

    def _rejection_path(self, key: CacheKey) -> Path:
        return self.folder / f"{key.digest}{REJECTED}"

    def _timing_cache_path(self, key: CacheKey) -> Path:
        return self.folder / f"{key.machine}.timing"


def _is_sidecar(found: Any) -> bool:
    """Whether what a sidecar holds is what is written there, and not damaged."""
    kinds = {"key": dict, "sha256": str, "size": int, "parity": dict}
    return isinstance(found, dict) and all(
        isinstance(found.get(name), kind) for name, kind in kinds.items()
    )


def _as_json(key: CacheKey) -> dict[str, Any]:
    """The key as it comes back from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(key)))
    return plain
