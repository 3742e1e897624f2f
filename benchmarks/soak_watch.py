"""Does the watch lose, double or misjudge anything? Drops pairs on the real program; prints JSON.

python benchmarks/soak_watch.py [--pairs N] [--rate N] [--idle SECONDS] [--seed N] [--keep FOLDER]

Pairs come in random order, sizes, formats and ways of writing: at once, slowly, in pieces with the
file closed between them, under a temporary name, from another folder, as a link, with the time set
afterwards; photo or mask first; into subfolders made just then. Mixed in: damaged files, masks
that do not fit, photos and masks that stay alone, files of other kinds. The output folder lies
inside the watched one.

Exit code 1 where a good pair was not filled exactly once, a bad one not reported exactly once, or
anything else was touched. Latency is from the moment the later file is complete to the start of the
fill, and the same without the wait for a free worker ("to_notice"). Idle: share of one core over
the seconds at the end.
"""

import argparse
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

MASK_TIMEOUT_S = 8.0
BAD = ("garbage", "cut off", "no mask", "no photo", "misfit", "damaged mask")
FOREIGN = ("notes.txt", "film.mp4", "left.png.part", ".hidden.png", "~lock.jpg", "table.csv")


@dataclass
class Pair:
    """One pair that is dropped: `kind` is "good" or one of BAD."""

    name: str
    kind: str
    suffix: str
    seed: int
    whole_at: float = 0.0
    contents: dict[Path, bytes] = field(default_factory=dict)


def encoded(image: Image.Image, suffix: str) -> bytes:
    """The image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper()))
    return buffer.getvalue()


def made(pair: Pair) -> tuple[bytes, bytes]:
    """Photo and mask as files, spoilt where the pair is a bad one."""
    numbers = np.random.default_rng(pair.seed)
    height, width = (int(side) for side in numbers.integers(48, 200, 2))
    small = numbers.integers(0, 256, (8, 8, 3), np.uint8)
    photo = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    hole = np.zeros((height, width), np.uint8)
    top, left = (int(at) for at in numbers.integers(4, 24, 2))
    hole[top : top + 16, left : left + 16] = 255
    if pair.kind == "misfit":
        hole = hole[:-1]
    photo_file = encoded(photo, pair.suffix)
    mask_file = encoded(Image.fromarray(hole), ".png")
    if pair.kind == "garbage":
        photo_file = numbers.bytes(500)
    if pair.kind == "cut off":
        photo_file = photo_file[: len(photo_file) // 2]
    if pair.kind == "damaged mask":
        mask_file = mask_file[:20]
    return photo_file, mask_file


# Ways to write a file


def at_once(path: Path, data: bytes, _chance: random.Random) -> None:
    """As most programs do."""
    path.write_bytes(data)


def slowly(path: Path, data: bytes, chance: random.Random) -> None:
    """In pieces, with the file open."""
    with path.open("wb") as file:
        for piece in pieces(data, 5):
            file.write(piece)
            file.flush()
            time.sleep(chance.uniform(0.0, 0.5))


def in_pieces(path: Path, data: bytes, chance: random.Random) -> None:
    """Each piece appended by a program of its own."""
    for number, piece in enumerate(pieces(data, 4)):
        time.sleep(chance.uniform(0.0, 0.4) if number else 0)
        with path.open("ab") as file:
            file.write(piece)


def renamed(path: Path, data: bytes, _chance: random.Random) -> None:
    """Written under a temporary name."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.rename(path)


def hidden(path: Path, data: bytes, chance: random.Random) -> None:
    """As rsync does: slowly under a hidden name, the time set, then renamed."""
    temporary = path.with_name(f".{path.name}.Xq3z")
    slowly(temporary, data, chance)
    os.utime(temporary, (1e9, 1e9))
    temporary.rename(path)


def from_elsewhere(path: Path, data: bytes, chance: random.Random) -> None:
    """Moved in from a folder that is not watched."""
    elsewhere = outside(path, chance)
    elsewhere.write_bytes(data)
    elsewhere.rename(path)


def copied(path: Path, data: bytes, chance: random.Random) -> None:
    """Copied, with the time of change set after the file was closed."""
    elsewhere = outside(path, chance)
    elsewhere.write_bytes(data)
    os.utime(elsewhere, (1e9, 1e9))
    shutil.copy2(elsewhere, path)
    elsewhere.unlink()


def linked(path: Path, data: bytes, chance: random.Random) -> None:
    """A second name of a file elsewhere."""
    elsewhere = outside(path, chance)
    elsewhere.write_bytes(data)
    path.hardlink_to(elsewhere)


WAYS: tuple[Callable[[Path, bytes, random.Random], None], ...] = (
    at_once, slowly, in_pieces, renamed, hidden, from_elsewhere, copied, linked,
)  # fmt: skip


def outside(path: Path, chance: random.Random) -> Path:
    """A name in a folder beside the watched one."""
    root = next(folder for folder in path.parents if folder.name == "in").parent
    return root / "elsewhere" / f"{chance.getrandbits(64):x}"


def pieces(data: bytes, count: int) -> list[bytes]:
    """The data in about so many parts."""
    step = len(data) // count + 1
    return [data[at : at + step] for at in range(0, len(data), step)]


class Soak:
    """One run: the folder, the program, and what was dropped."""

    def __init__(self, root: Path, arguments: argparse.Namespace) -> None:
        self.root, self.arguments = root, arguments
        self.chance = random.Random(arguments.seed)
        self.log, self.status = root / "log.jsonl", root / "status.json"
        for name in ("in", "elsewhere"):
            (root / name).mkdir()
        self.pairs = [self.pair(number) for number in range(arguments.pairs)]
        self.foreign: dict[Path, bytes] = {}
        command = [
            *(sys.executable, "-P", "-m", "inpaintcli", "watch", "in", "-o", "in/out"),
            *("--detail", "network", "--quiet", "--mask-timeout", str(MASK_TIMEOUT_S)),
            *("--log", str(self.log), "--status", str(self.status)),
        ]
        self.process = subprocess.Popen(command, cwd=root)
        self.until(self.status.exists, 120)

    def pair(self, number: int) -> Pair:
        """Nine good ones, one bad."""
        kind = "good" if self.chance.random() < 0.9 else self.chance.choice(BAD)
        folder = self.chance.choice(["", "sub/", "sub/deeper still/", f"new {number}/"])
        name = f"{folder}{number} {self.chance.choice(['photo', 'фото', 'ü' * 60, 'a b'])}"
        suffix = self.chance.choice([".png", ".jpg", ".webp", ".tif"])
        return Pair(name, kind, suffix, self.chance.getrandbits(32))

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for something to become true."""
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            if self.process.poll() is not None:
                raise SystemExit(f"The program has ended: {self.process.returncode}.")
            time.sleep(0.1)
        return condition()

    def drop_all(self) -> None:
        """All pairs, at random moments, several at a time."""
        with ThreadPoolExecutor(32) as pool:
            futures = []
            for number, pair in enumerate(self.pairs):
                futures.append(pool.submit(self.drop, pair))
                if number % 25 == 0:
                    self.drop_foreign(number)
                time.sleep(self.chance.expovariate(self.arguments.rate))
            for future in futures:
                future.result()

    def drop(self, pair: Pair) -> None:
        """Photo and mask, one after the other or both at once."""
        chance = random.Random(pair.seed)
        path = self.root / "in" / f"{pair.name}{pair.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo, mask = made(pair)
        files = [(path, photo), (path.with_name(f"{path.stem}.mask.png"), mask)]
        pair.contents = dict(files)
        if pair.kind in ("no mask", "no photo"):
            files = files[:1] if pair.kind == "no mask" else files[1:]
            pair.contents = dict(files)
        chance.shuffle(files)
        threads = [
            threading.Thread(
                target=chance.choice(WAYS), args=(*file, random.Random(chance.random()))
            )
            for file in files
        ]
        together = chance.random() < 0.3
        for thread in threads:
            thread.start()
            if not together:
                thread.join()
                time.sleep(chance.choice([0, 0, 0.2, 2.0]) if thread is not threads[-1] else 0)
        for thread in threads:
            thread.join()
        pair.whole_at = time.time()

    def drop_foreign(self, number: int) -> None:
        """A file that is no concern of the watch."""
        name = self.chance.choice(FOREIGN)
        path = (
            self.root
            / "in"
            / (f".{number}{name}" if name[0] == "." else f"{name[0]}{number}{name}")
        )
        path.write_bytes(self.chance.randbytes(300))
        self.foreign[path] = path.read_bytes()

    def records(self) -> list[dict]:
        """The log so far."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def outcomes(self) -> dict[str, list[dict]]:
        """Outcomes by the name of their input, without suffixes."""
        found: dict[str, list[dict]] = {}
        for record in self.records():
            if record["event"] == "outcome":
                relative = Path(record["input"]).relative_to(self.root.resolve() / "in")
                name = str(relative.with_suffix("")).removesuffix(".mask")
                found.setdefault(name, []).append(record)
        return found

    def idle(self) -> float:
        """The share of one core that the program takes when nothing happens, in percent."""
        before = self.cpu_s()
        time.sleep(self.arguments.idle)
        return 100 * (self.cpu_s() - before) / self.arguments.idle

    def cpu_s(self) -> float:
        """Seconds of processor time, so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def faults(self) -> list[str]:
        """What was not as promised."""
        outcomes = self.outcomes()
        faults = [fault for pair in self.pairs for fault in self.faults_of(pair, outcomes)]
        for path, content in self.foreign.items():
            if not path.exists() or path.read_bytes() != content:
                faults.append(f"{path.name}: a foreign file was touched")
        unknown = set(outcomes) - {pair.name for pair in self.pairs}
        return faults + [f"{name}: an outcome of no pair" for name in unknown]

    def faults_of(self, pair: Pair, outcomes: dict[str, list[dict]]) -> list[str]:
        """What was not as promised of one pair."""
        found = [outcome["status"] for outcome in outcomes.get(pair.name, [])]
        alone = pair.kind in ("no mask", "no photo")
        wanted = "filled" if pair.kind == "good" else "skipped" if alone else "failed"
        faults = []
        if found != [wanted]:
            faults.append(f"{pair.name} ({pair.kind}): {found}, not one {wanted}")
        output = self.root / "in/out" / f"{pair.name}{pair.suffix}"
        if output.exists() != (pair.kind == "good"):
            faults.append(f"{pair.name} ({pair.kind}): output {output.exists()}")
        elif pair.kind == "good" and not shows_the_photo(
            output, next(iter(pair.contents.items()))[0]
        ):
            faults.append(f"{pair.name}: the output is not the photo")
        for path, content in pair.contents.items():
            if not path.exists() or path.read_bytes() != content:
                faults.append(f"{path.name}: an input was touched")
        return faults

    def latencies(self) -> dict[str, dict[str, float]]:
        """Seconds from complete to the start of work, with and without the wait for a worker."""
        outcomes = self.outcomes()
        starts, notices = [], []
        for pair in self.pairs:
            first = outcomes.get(pair.name, [{}])[0]
            if pair.kind == "good" and "started" in first:
                started = datetime.fromisoformat(first["started"]).timestamp()
                starts.append(started - pair.whole_at)
                notices.append(started - pair.whole_at - first["queued_s"])
        return {"to_start": summary(starts), "to_notice": summary(notices)}


def summary(seconds: list[float]) -> dict[str, float]:
    """What many measurements come to."""
    quantiles = np.quantile(seconds, [0.5, 0.95, 0.99, 1.0])
    names = ("median", "p95", "p99", "worst")
    figures = dict(zip(names, (round(float(value), 3) for value in quantiles), strict=True))
    return {**figures, "within_0.5": round(float(np.mean(np.array(seconds) <= 0.5)), 4)}


def shows_the_photo(output: Path, photo: Path) -> bool:
    """Whether the output decodes, and has the photo's size and corner."""
    with Image.open(output) as after, Image.open(photo) as before:
        if after.size != before.size:
            return False
        corners = [np.asarray(image.convert("RGB"), np.int16)[:4, :4] for image in (after, before)]
    return bool(np.abs(corners[0] - corners[1]).mean() < 8)


def soak(root: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Drop, wait, count, measure."""
    run = Soak(root, arguments)
    try:
        began = time.monotonic()
        run.drop_all()
        dropped_s = time.monotonic() - began
        run.until(lambda: len(run.outcomes()) >= len(run.pairs), 60 + 2 * MASK_TIMEOUT_S)
        time.sleep(1.0 + MASK_TIMEOUT_S)  # for what might be done twice
        faults, latencies = run.faults(), run.latencies()
        idle = run.idle()
    finally:
        run.process.send_signal(signal.SIGTERM)
        code = run.process.wait(60)
    statuses = Counter(o["status"] for many in run.outcomes().values() for o in many)
    return {
        "pairs": Counter(pair.kind for pair in run.pairs),
        "outcomes": statuses,
        "faults": faults,
        "exit_code": code,
        "dropping_s": round(dropped_s, 1),
        "latency_s": latencies,
        "load": [round(load, 1) for load in os.getloadavg()],
        "idle_percent": round(idle, 2),
    }


def main() -> None:
    """Parse, soak, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=4.0, help="pairs a second")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds to measure idle")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="a new folder to work in and to leave behind")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True)
        result = soak(arguments.keep, arguments)
    else:
        with tempfile.TemporaryDirectory() as folder:
            result = soak(Path(folder), arguments)
    print(json.dumps(result, indent=2, ensure_ascii=False))
    sys.exit(1 if result["faults"] or result["exit_code"] else 0)


if __name__ == "__main__":
    main()
