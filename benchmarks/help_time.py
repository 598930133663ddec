"""How long ``agenx --help`` takes beside a bare Typer program: alternating runs, medians, ratio (at most 2).

.venv/bin/python benchmarks/help_time.py [RUNS]
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = """
import typer
app = typer.Typer()

@app.command()
def one(name: str = "x") -> None:
    "Do one thing."

@app.command()
def two(name: str = "x") -> None:
    "Do another."

app()
"""
LIMIT = 2.0


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main(runs: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE)
        commands = {
            "bare": [sys.executable, str(bare), "--help"],
            "agenx": [sys.executable, "-m", "agenx_cli", "--help"],
        }
        for command in commands.values():
            seconds(command)
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                taken[name].append(seconds(command))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    ratio = medians["agenx"] / medians["bare"]
    print(f"bare typer --help  median {medians['bare'] * 1000:6.0f} ms of {runs}")
    print(f"agenx --help       median {medians['agenx'] * 1000:6.0f} ms of {runs}")
    print(f"ratio {ratio:.2f} (limit {LIMIT})")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
