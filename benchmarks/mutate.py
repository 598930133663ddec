"""Mutants of the conversation and attempt machines: small wrongs put in one at a time, to see which tests notice.

``python benchmarks/mutate.py [--sample N] [--seed S] [--workers W] [--only PART] [--all]``

A mutant is one change: a comparator moved by one or turned, a number ± 1, ``and`` ↔ ``or``, ``not`` dropped, + ↔ -,
a boolean turned, a statement deleted, a returned value replaced by None, True or False. The sample is drawn with a
seed, each module by its size. Each mutant lives in a copy of the project; only the tests of its machine run against it
(its own module's first), with a light Hypothesis profile. A mutant that hangs is killed by the clock.
"""

import argparse
import ast
import copy
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = "agenx_cli/core"
CONVERSATION = ("conversation", "bargein", "playout", "writer", "ending", "spoken")
MACHINES = {**dict.fromkeys(CONVERSATION, ("conversation",)), "attempt": ()}
"""Module → the test modules that run after its own."""
TIMEOUT_S = 120
COMPARE = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.BitOr: ast.BitAnd,
              ast.Mod: ast.Add, ast.Div: ast.Mult}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the whole mutated source, and where and what it is."""

    module: str
    line: int
    what: str
    source: str


def _expressions(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:  # noqa: C901 - a table
    """What may stand in the place of this expression, with its name."""
    match node:
        case ast.Compare(ops=[op]):
            for other in COMPARE.get(type(op), ()):
                yield f"{type(op).__name__} → {other.__name__}", _with(node, ops=[other()])
        case ast.Constant(value=bool(value)):
            yield f"{value} → {not value}", _with(node, value=not value)
        case ast.Constant(value=int(value)):
            for other in (value + 1, value - 1):
                yield f"{value} → {other}", _with(node, value=other)
        case ast.BoolOp(op=ast.And()):
            yield "and → or", _with(node, op=ast.Or())
        case ast.BoolOp(op=ast.Or()):
            yield "or → and", _with(node, op=ast.And())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not dropped", operand
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            other = ARITHMETIC[type(op)]
            yield f"{type(op).__name__} → {other.__name__}", _with(node, op=other())
        case ast.IfExp():
            yield "if and else swapped", _with(node, body=node.orelse, orelse=node.body)
        case ast.Call(func=ast.Name(id="min")):
            yield "min → max", _with(node, func=ast.Name("max", ast.Load()))
        case ast.Call(func=ast.Name(id="max")):
            yield "max → min", _with(node, func=ast.Name("min", ast.Load()))


def _statements(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in the place of this statement."""
    match node:
        case ast.Return(value=ast.Constant(value=None)) | ast.Return(value=None):
            pass
        case ast.Return():
            for value in (None, True, False):
                yield f"returns {value}", _with(node, value=ast.Constant(value))
        case ast.Expr(value=ast.Constant()):
            pass  # a docstring
        case ast.Expr() | ast.Assign() | ast.AugAssign() | ast.Delete() | ast.Continue() | ast.Break():
            yield f"deleted: {ast.unparse(node)[:60]}", ast.copy_location(ast.Pass(), node)


def _with(node: ast.AST, **fields) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return ast.copy_location(other, node)


class _Place(ast.NodeTransformer):
    """Puts one node in the place of another, told apart by identity."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its source. Decorators are left alone."""
    source = (ROOT / CORE / f"{module}.py").read_text("utf-8")
    found = []
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    hidden = {
        id(node) for owner in ast.walk(tree) for root in getattr(owner, "decorator_list", ()) for node in ast.walk(root)
    }
    decorators = {number for number, node in enumerate(ast.walk(tree)) if id(node) in hidden}
    for number, node in enumerate(ast.walk(tree)):
        for n in range(0 if number in decorators else len(list(_changes(node)))):
            copied = ast.parse(source)
            twin = next(node for at, node in enumerate(ast.walk(copied)) if at == number)
            what, new = list(_changes(twin))[n]
            text = ast.unparse(ast.fix_missing_locations(_Place(twin, new).visit(copied)))
            if text not in seen:
                seen.add(text)
                found.append(Mutant(module, getattr(node, "lineno", 0), what, text))
    return sorted(found, key=lambda mutant: mutant.line)


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    yield from _expressions(node)
    yield from _statements(node)


def sample(everything: dict[str, list[Mutant]], size: int, seed: int) -> list[Mutant]:
    """A seeded sample, each module with its share."""
    chance = random.Random(seed)
    total = sum(len(found) for found in everything.values())
    chosen = []
    for module in sorted(everything):
        found = everything[module]
        share = min(len(found), max(1, -(-size * len(found) // total)))
        chosen += sorted(chance.sample(found, share), key=lambda mutant: mutant.line)
    return chosen


class Worker(threading.Thread):
    """Owns a copy of the project; tries mutants from the queue until it is empty."""

    def __init__(self, folder: Path, jobs: "queue.Queue[Mutant]", results: list[tuple[Mutant, str]]) -> None:
        super().__init__()
        self.folder, self.jobs, self.results = folder, jobs, results
        for name in ("agenx_cli", "tests", "campaigns"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)

    def run(self) -> None:
        while True:
            try:
                mutant = self.jobs.get_nowait()
            except queue.Empty:
                return
            result = self.fate(mutant)
            self.results.append((mutant, result))
            if result == "survived":
                print(f"survived  {CORE}/{mutant.module}.py:{mutant.line}  {mutant.what}", flush=True)

    def fate(self, mutant: Mutant) -> str:
        place = self.folder / CORE / f"{mutant.module}.py"
        good = place.read_text("utf-8")
        place.write_text(mutant.source, "utf-8")
        try:
            return self.tested(mutant.module)
        finally:
            place.write_text(good, "utf-8")

    def tested(self, module: str) -> str:
        names = list(dict.fromkeys((module, *MACHINES[module])))
        tests = [f"tests/core/test_{name}.py" for name in names]
        command = [sys.executable, "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider", "--tb=no", *tests]
        try:
            done = subprocess.run(
                command, cwd=self.folder, capture_output=True, timeout=TIMEOUT_S, check=False,
                env=os.environ | {"HYPOTHESIS_PROFILE": "light", "PYTHONDONTWRITEBYTECODE": "1"},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "timeout"
        return "survived" if done.returncode == 0 else "killed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=240)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="only modules whose name contains this")
    parser.add_argument("--all", action="store_true", help="every mutant instead of a sample")
    asked = parser.parse_args()
    began = time.monotonic()
    everything = {module: mutants(module) for module in MACHINES if asked.only in module}
    total = sum(len(found) for found in everything.values())
    chosen = sample(everything, total if asked.all else asked.sample, asked.seed)
    jobs: queue.Queue[Mutant] = queue.Queue()
    for mutant in chosen:
        jobs.put(mutant)
    results: list[tuple[Mutant, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        workers = [Worker(Path(folder) / str(n), jobs, results) for n in range(asked.workers)]
        for module in everything:
            if workers[0].tested(module) != "killed":
                continue
            print(f"error: the tests of {module} fail without any mutant", file=sys.stderr)
            return 2
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    fates = Counter((mutant.module, fate) for mutant, fate in results)
    for module, found in everything.items():
        figures = {fate: fates[module, fate] for fate in ("killed", "timeout", "survived")}
        print(f"{module:14}", *(f"{fate} {n:4}" for fate, n in figures.items()), f"of {len(found)} mutants")
    survived = sum(n for (_, fate), n in fates.items() if fate == "survived")
    print(f"{len(results)} of {total} mutants tried (seed {asked.seed}): {len(results) - survived} killed, "
          f"{survived} survived, in {time.monotonic() - began:.0f} s")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
