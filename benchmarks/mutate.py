"""Mutants of the conversation and attempt machines: small wrongs put in one at a time, to see which tests notice.

``python benchmarks/mutate.py [--sample N] [--seed S] [--workers W] [--only PART] [--all]``

A mutant is one change: a comparator moved by one or turned, a number ± 1, ``and`` ↔ ``or``, ``not`` dropped, + ↔ -,
a boolean turned, a statement deleted, a returned value replaced by None, True or False. The sample is drawn with a
seed, each module by its size. Each mutant lives in a child process of its own (fork: Linux, macOS); only the tests of
its machine run against it, its own module's first, with a light Hypothesis profile. One that hangs is killed in time.
"""

import argparse
import ast
import copy
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.util import spec_from_loader
from pathlib import Path

import hypothesis.strategies  # noqa: F401 - imported once, for all children
import pytest

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
    """Every mutant of a module, in the order of its source. Decorators and annotations are left alone."""
    source = (Path(CORE) / f"{module}.py").read_text("utf-8")
    found = []
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    roots = [root for owner in ast.walk(tree) for root in getattr(owner, "decorator_list", ())]
    roots += [owner.annotation for owner in ast.walk(tree) if getattr(owner, "annotation", None)]
    roots += [owner.returns for owner in ast.walk(tree) if getattr(owner, "returns", None)]
    hidden = {id(node) for root in roots for node in ast.walk(root)}
    skipped = {number for number, node in enumerate(ast.walk(tree)) if id(node) in hidden}
    for number, node in enumerate(ast.walk(tree)):
        for n in range(0 if number in skipped else len(list(_changes(node)))):
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


class Swap(MetaPathFinder):
    """Imports the mutated source in the place of one module."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source = name, source

    def find_spec(self, fullname, path=None, target=None):  # noqa: ARG002 - the protocol's signature
        return spec_from_loader(fullname, self) if fullname == self.name else None

    def create_module(self, spec):  # noqa: ARG002
        return None

    def exec_module(self, module):
        exec(compile(self.source, f"<mutant of {self.name}>", "exec"), module.__dict__)


def run_tests(module: str, source: str) -> int:
    """In a child: the machine's tests against this source. Answers pytest's exit code."""
    sys.meta_path.insert(0, Swap(f"agenx_cli.core.{module}", source))
    names = dict.fromkeys((module, *MACHINES[module]))
    tests = [f"tests/core/test_{name}.py" for name in names]
    return int(pytest.main(["-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=no", "-W", "ignore", *tests]))


def start(mutant: Mutant) -> int:
    """Fork a child that tries one mutant: everything that does not change is imported already."""
    child = os.fork()
    if child:
        return child
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    code = 1
    try:
        code = run_tests(mutant.module, mutant.source)
    finally:
        os._exit(code)


def attempted(chosen: list[Mutant], workers: int) -> Iterator[tuple[Mutant, str]]:
    """Every mutant with its fate: killed, timeout or survived."""
    waiting = list(reversed(chosen))
    running: dict[int, tuple[Mutant, float]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            mutant = waiting.pop()
            running[start(mutant)] = mutant, time.monotonic()
        for child, (mutant, since) in list(running.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                del running[child]
                yield mutant, "killed" if status else "survived"
            elif time.monotonic() - since > TIMEOUT_S:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                del running[child]
                yield mutant, "timeout"
        time.sleep(0.02)


def snapshot(folder: str) -> None:
    """Work on a copy: nobody's edits change what is measured, and nothing is measured twice."""
    for name in ("agenx_cli", "tests", "campaigns"):
        shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    os.chdir(folder)
    sys.path.insert(0, folder)
    os.environ["HYPOTHESIS_PROFILE"] = "light"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=240)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="only modules whose name contains this")
    parser.add_argument("--all", action="store_true", help="every mutant instead of a sample")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        snapshot(folder)
        everything = {module: mutants(module) for module in MACHINES if asked.only in module}
        total = sum(len(found) for found in everything.values())
        good = [Mutant(module, 0, "none", (Path(CORE) / f"{module}.py").read_text("utf-8")) for module in everything]
        if any(fate != "survived" for _, fate in attempted(good, asked.workers)):
            print("error: the tests fail without any mutant", file=sys.stderr)
            return 2
        results = []
        chosen = sample(everything, total if asked.all else asked.sample, asked.seed)
        for mutant, fate in attempted(chosen, asked.workers):
            results.append((mutant, fate))
            if fate == "survived":
                print(f"survived  {CORE}/{mutant.module}.py:{mutant.line}  {mutant.what}", flush=True)
        os.chdir(ROOT)
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
