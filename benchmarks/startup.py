"""How long does `inpaintcli --help` take, and what does importing the package cost? Prints JSON.

python benchmarks/startup.py [--rounds 20]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python_alone": ["-c", "pass"],
    "import_inpaintcli": ["-c", "import inpaintcli"],
    "help": ["-m", "inpaintcli", "--help"],
    "fill_help": ["-m", "inpaintcli", "fill", "--help"],
}


def seconds(arguments: list[str]) -> float:
    """Wall time of one Python process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Interleave the commands and print the least and the median of each, in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments) * 1000)
    result = {
        name: {"least_ms": round(min(t), 1), "median_ms": round(statistics.median(t), 1)}
        for name, t in times.items()
    }
    print(json.dumps({"rounds": rounds, **result}))


if __name__ == "__main__":
    main()
