"""Every module of the core, and every codec, is covered to its last branch by its own test module alone.

``python benchmarks/own_coverage.py [part of a module's name …]`` prints a table; the exit code is 1 below 100 %.
"""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODECS = (
    "agenx_cli/telephony/twilio/media.py",
    "agenx_cli/telephony/twilio/webhooks.py",
    "agenx_cli/telephony/twilio/twiml.py",
    "agenx_cli/voice/openai/events.py",
)


def modules() -> list[str]:
    core = [file.relative_to(ROOT).as_posix() for file in sorted((ROOT / "agenx_cli/core").glob("[!_]*.py"))]
    return [*core, *CODECS]


def own_tests(module: str) -> str:
    """``agenx_cli/voice/openai/events.py`` → ``tests/voice/test_events.py``."""
    parts = module.split("/")
    return f"tests/{parts[1]}/test_{parts[-1]}"


def covered(module: str) -> tuple[str, str, float, str]:
    """Module, its tests, per cent of lines and branches, and what is missing."""
    tests = own_tests(module)
    if not (ROOT / tests).exists():
        return module, tests, 0.0, "no such test module"
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tests,
                f"--cov={module.removesuffix('.py').replace('/', '.')}", "--cov-branch", f"--cov-report=json:{report}",
            ],
            cwd=ROOT, capture_output=True, text=True, check=False,
            env=os.environ | {"COVERAGE_FILE": str(Path(folder) / "data")},
        )  # fmt: skip
        if done.returncode or not report.exists():
            return module, tests, 0.0, done.stdout[-300:]
        file = next(iter(json.loads(report.read_text("utf-8"))["files"].values()), None)
    if file is None:
        return module, tests, 0.0, "never imported"
    summary = file["summary"]
    missing = f"lines {file['missing_lines']} branches {file['missing_branches']}"
    return module, tests, summary["percent_covered"], "" if summary["percent_covered"] == 100 else missing


def main(words: list[str]) -> int:
    chosen = [module for module in modules() if not words or any(word in module for word in words)]
    bad = 0
    with ThreadPoolExecutor(2) as pool:
        for module, tests, percent, missing in pool.map(covered, chosen):
            bad += percent < 100
            print(f"{percent:6.1f} %  {module:42} by {tests:32} {missing}", flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} modules at 100 % of lines and branches, each by its own test module")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
