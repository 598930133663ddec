"""The runs happen once, however many tests and test processes look at them, and both at the same time."""

import json
import os
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance import runs
from tests.acceptance.world import Finished

PATIENCE_S = 170


class Run:
    """What a run left behind: ``run["serve"]`` is a command of it, ``run.folder`` where its files lie."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        self._results = {name: Finished(*result) for name, result in kept.items()}

    def __getitem__(self, name: str) -> Finished:
        return self._results[name]


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
            results = json.dumps(run(folder))
            fresh = folder / "results.new"
            fresh.write_text(results, encoding="utf-8")
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
