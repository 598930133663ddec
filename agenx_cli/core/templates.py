"""Templates that a playbook's author writes, and the values that strangers put into them.

A small part of jinja2: text, names, ``if`` with comparisons, and a few filters. Everything else (loops, macros,
calls, attributes, arithmetic, includes) is refused by node type, so that the output is never longer than the
template plus its values and nothing but text can come out of it. The environment is the immutable sandbox with
strict names on top of that; a value is never rendered again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

ALLOWED_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Filter,
)
ALLOWED_FILTERS = frozenset({"capitalize", "default", "lower", "title", "trim", "upper"})
MAX_VALUE_CHARACTERS = 300
MAX_TEMPLATE_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """Why a template is refused. ``line`` counts from 1; ``name`` is the unknown name when that is the reason."""

    line: int
    message: str
    name: str | None = None


class Ours(str):
    """A value that the playbook's author wrote; only such values are put into text without being marked."""

    __slots__ = ()


def clean(value: str, limit: int = MAX_VALUE_CHARACTERS) -> str:
    """A stranger's text as one line without control or formatting characters, cut to ``limit`` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def faults(source: str, names: frozenset[str]) -> tuple[TemplateFault, ...]:
    """Everything that is wrong with a template whose values are called ``names``; empty when it will render."""
    if len(source) > MAX_TEMPLATE_CHARACTERS:
        return (TemplateFault(1, f"longer than {MAX_TEMPLATE_CHARACTERS:,} characters"),)
    try:
        tree = _environment(None).parse(source)
    except TemplateSyntaxError as exc:
        return (TemplateFault(exc.lineno, f"not a template: {exc.message}"),)
    except RecursionError:
        return (TemplateFault(1, "nested too deeply"),)
    return tuple(_faults_of(tree, names))


def render(source: str, values: Mapping[str, str], mark: Callable[[str], str] | None = None) -> str:
    """The template with its values; ``mark`` is applied to every value that is not ``Ours``.

    The template must be without ``faults`` for these names: otherwise jinja2's own errors surface.
    """
    return _compiled(source, mark).render(values)


def _faults_of(tree: nodes.Template, names: frozenset[str]) -> Iterator[TemplateFault]:
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, ALLOWED_NODES):
            what = type(node).__name__.lower()
            yield TemplateFault(node.lineno, f"only names, if and simple filters may be used, not '{what}'")
        elif isinstance(node, nodes.Filter) and node.name not in ALLOWED_FILTERS:
            known = ", ".join(sorted(ALLOWED_FILTERS))
            yield TemplateFault(node.lineno, f"unknown filter '{node.name}' (known: {known})")
        elif isinstance(node, nodes.Filter) and not _filter_fits(node):
            yield TemplateFault(node.lineno, f"the filter '{node.name}' is not given what it takes")
        elif isinstance(node, nodes.Compare) and not _text_with_text(node):
            yield TemplateFault(node.lineno, "values are text: compare them with text, by ==, !=, in or not in")
        elif isinstance(node, nodes.Name) and node.name not in names:
            yield TemplateFault(node.lineno, f"unknown variable '{node.name}'", node.name)


def _filter_fits(node: nodes.Filter) -> bool:
    """Whether the filter will not fail in the middle of a call: only ``default`` takes something, and that is text."""
    given = [*node.args, *node.kwargs, node.dyn_args, node.dyn_kwargs]
    if node.name != "default":
        return not any(given)
    text, *flag = [getattr(each, "value", None) for each in node.args] or [None]
    return isinstance(text, str) and flag in ([], [True], [False]) and len(node.args) == len([*filter(None, given)])


def _text_with_text(node: nodes.Compare) -> bool:
    """Whether a comparison cannot fail: an order or an ``in`` with anything but text would."""
    sides = [node.expr, *(operand.expr for operand in node.ops)]
    texts = all(
        isinstance(side.value, str) if isinstance(side, nodes.Const) else isinstance(side, nodes.Name | nodes.Filter)
        for side in sides
    )
    return texts and all(operand.op in {"eq", "ne", "in", "notin"} for operand in node.ops)


@lru_cache(maxsize=256)
def _compiled(source: str, mark: Callable[[str], str] | None) -> Template:
    return _environment(mark).from_string(source)


@lru_cache(maxsize=8)
def _environment(mark: Callable[[str], str] | None) -> ImmutableSandboxedEnvironment:
    def finalize(value: object) -> object:
        if mark is None or isinstance(value, Ours):
            return value
        return mark(str(value))

    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, finalize=finalize, keep_trailing_newline=True
    )
