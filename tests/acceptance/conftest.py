"""The runs happen once, however many tests and test processes look at them, and both at the same time.

The simulators live in real time, 20 ms after 20 ms for every call. A machine that lets its processes wait for most of
that time shows nothing about us, so a run during which it did is made once more; what comes of that counts.
"""

import json
import os
import statistics
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

import pytest

from tests.acceptance import runs
from tests.acceptance.world import Finished

PATIENCE_S = 290
STARVED = 2.5
"""So many times longer than its work a process took, in the median: it waited for the processor more than it ran."""
BURN_S, PAUSE_S = 0.01, 0.5


class Run:
    """What a run left behind: ``run["serve"]`` is a command of it, ``run.folder`` where its files lie."""

    def __init__(self, folder: Path) -> None:
        kept = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        self.folder = Path(kept["folder"])
        self._results = {name: Finished(*result) for name, result in kept["results"].items()}

    def __getitem__(self, name: str) -> Finished:
        return self._results[name]


class Crowd:
    """How much longer than its own time a little work takes while the block runs, because others have the processor."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._factors: list[float] = []
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def factor(self) -> float:
        return statistics.median(self._factors)

    def _measure(self) -> None:
        while not self._factors or not self._over.wait(PAUSE_S):
            began, worked = time.perf_counter(), time.thread_time()
            while time.thread_time() - worked < BURN_S:
                pass
            self._factors.append((time.perf_counter() - began) / BURN_S)


class Runs:
    """Each run is made by whichever process asks first; the others wait for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(2)
        self._making: dict[str, Future[None]] = {}

    def get(self, name: str) -> Run:
        for each in ("twenty", "captured"):
            if each not in self._making:
                self._making[each] = self._pool.submit(self._make, each, getattr(runs, each))
        self._making[name].result()
        return Run(self._folder / name)

    def _make(self, name: str, run: Callable[[Path], runs.Results]) -> None:
        folder = self._folder / name
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            self._wait(folder)
            return
        try:
            with Crowd() as crowd:
                results = run(folder / "1")
            print(f"{name}: work took {crowd.factor:.1f} times its time")
            kept = folder / "1"
            if crowd.factor > STARVED:
                kept = folder / "2"
                results = run(kept)
            fresh = folder / "results.new"
            fresh.write_text(json.dumps({"folder": str(kept), "results": results}), encoding="utf-8")
            fresh.replace(folder / "results.json")
        except BaseException:
            (folder / "failed").write_text(traceback.format_exc(), encoding="utf-8")
            raise

    @staticmethod
    def _wait(folder: Path) -> None:
        patience = time.monotonic() + PATIENCE_S
        while not (folder / "results.json").exists():
            assert not (folder / "failed").exists(), (folder / "failed").read_text(encoding="utf-8")
            assert time.monotonic() < patience, f"{folder} was never finished"
            time.sleep(0.1)


@pytest.fixture(scope="session")
def both_runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    base = tmp_path_factory.getbasetemp()
    return Runs((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "acceptance")


@pytest.fixture(scope="session")
def twenty(both_runs: Runs) -> Run:
    """The 20 calls that ring in, and one call out with its sound."""
    return both_runs.get("twenty")


@pytest.fixture(scope="session")
def captured(both_runs: Runs) -> Run:
    """The world whose wires were recorded."""
    return both_runs.get("captured")
