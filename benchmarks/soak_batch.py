"""Does a batch survive kill -9 at any instant? Prints JSON; exits 1 where it does not.

python benchmarks/soak_batch.py [--photos 300] [--kills 30] [--seed 0]

Small photos made by code. One undisturbed run, then a run in another folder that is killed at
random instants and resumed each time. After every kill: every file under an output's name is
complete and equal to the undisturbed run's; no output with a journal entry is touched again.
In the end: all outputs are there, each filled once, and nothing else is.
"""

import argparse
import io
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from inpaintcli.batch.journal import NAME

SIDE = 64


def make_photos(folder: Path, count: int) -> None:
    """Photos of noise, every third a JPEG, in three folders; one mask beside each."""
    rng = np.random.default_rng(0)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[20:40, 16:44] = 255
    for number in range(count):
        suffix = ".jpg" if number % 3 == 0 else ".png"
        path = folder / f"part {number % 3}" / f"{number:04d}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)).save(path)
        Image.fromarray(mask).save(path.with_name(f"{path.stem}.mask.png"))


def program(photos: Path, out: Path) -> list[str]:
    """The command; the network alone, in fp32: the same bytes come out of any order of work."""
    options = ["-o", str(out), "-q", "--detail", "network", "--precision", "fp32"]
    return [sys.executable, "-m", "inpaintcli", "fill", str(photos), *options]


def outputs(out: Path) -> dict[str, Path]:
    """What lies under names that are not hidden."""
    paths = (path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(out).as_posix(): path for path in paths}


def entries(out: Path) -> list[dict[str, object]]:
    """The complete lines of the journal."""
    path = out / NAME
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


@dataclass
class Soak:
    """Watches the output folder from kill to kill."""

    out: Path
    wanted: dict[str, bytes]
    faults: list[str] = field(default_factory=list)
    settled: dict[str, tuple[int, int]] = field(default_factory=dict)
    temporaries: int = 0

    def look(self) -> None:
        """Check what must hold at any time."""
        found = outputs(self.out)
        self.temporaries += len(list(self.out.rglob(".*inpaintcli-part")))
        for name, path in found.items():
            data = path.read_bytes()
            if data != self.wanted.get(name):
                self.faults.append(f"{name} is not as in the undisturbed run")
            else:
                Image.open(io.BytesIO(data)).load()
        for name, (inode, modified) in self.settled.items():
            status = found[name].stat() if name in found else None
            if status is None or (status.st_ino, status.st_mtime_ns) != (inode, modified):
                self.faults.append(f"{name} was touched after its entry in the journal")
        for entry in entries(self.out):
            name = str(entry["output"])
            if entry["status"] == "filled" and name in found:
                status = found[name].stat()
                self.settled.setdefault(name, (status.st_ino, status.st_mtime_ns))

    def finish(self) -> None:
        """Check what must hold in the end."""
        self.look()
        if outputs(self.out).keys() != self.wanted.keys():
            self.faults.append("outputs are missing, or too many")
        filled = Counter(e["output"] for e in entries(self.out) if e["status"] == "filled")
        self.faults += [f"{name} was done {n} times" for name, n in filled.items() if n != 1]
        left = [path.name for path in self.out.rglob(".*") if path.is_file() and path.name != NAME]
        self.faults += [f"{name} was left over" for name in left]


def settled_count(out: Path) -> int:
    """How many outputs the journal holds for filled."""
    path = out / NAME
    return path.read_bytes().count(b'"status": "filled"') if path.exists() else 0


def killed(command: list[str], out: Path, more: int, then_s: float) -> bool:
    """Start; kill -9 a while after so many more photos are settled. False where it ended before."""
    goal = settled_count(out) + more
    process = subprocess.Popen(command)
    while process.poll() is None and settled_count(out) < goal:
        time.sleep(0.002)
    time.sleep(then_s)
    process.kill()
    return process.wait() < 0


def soak(folder: Path, photos: int, kills: int, seed: int) -> dict[str, object]:
    """Run the soak test."""
    make_photos(folder / "photos", photos)
    subprocess.run(program(folder / "photos", folder / "calm"), check=True)
    wanted = {name: path.read_bytes() for name, path in outputs(folder / "calm").items()}
    trial, rng = Soak(folder / "out", wanted), random.Random(seed)
    command, settled = program(folder / "photos", trial.out), []
    for kills_left in range(kills, 0, -1):
        step = 2 * (photos - settled_count(trial.out)) // kills_left
        more = rng.randint(0, step)
        # Where no progress is waited for, somewhere in the start of the program.
        if not killed(command, trial.out, more, rng.uniform(0, 0.05 if more else 2)):
            break
        trial.look()
        settled.append(settled_count(trial.out))
    subprocess.run(command, check=True)
    trial.finish()
    return {
        "photos": photos,
        "kills": len(settled),
        "settled_at_each_kill": settled,
        "temporary_files_seen_after_kills": trial.temporaries,
        "faults": trial.faults,
    }


def main() -> None:
    """Run the trial in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = soak(Path(folder), options.photos, options.kills, options.seed)
    print(json.dumps(result))
    sys.exit(1 if result["faults"] else 0)


if __name__ == "__main__":
    main()
