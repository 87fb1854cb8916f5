"""Sections that the landing page links to can be copied alone: each imports and defines the names that it uses."""

import ast
import builtins
import doctest
import re
from pathlib import Path

import pytest

DOC = Path(__file__).parents[1] / "doc"
LABELS = re.findall(r":ref:`[^`<]*<(\w+)>`", (DOC / "index.rst").read_text(encoding="utf-8"))
TITLE = re.compile(r"^\S.*\n(-{3,}|={3,})$", re.MULTILINE)


def _section(label):
    """Return the text below a label, with its title, up to the next one."""
    (text,) = [
        text
        for text in (path.read_text(encoding="utf-8") for path in DOC.rglob("*.rst"))
        if f".. _{label}:\n" in text
    ]
    text = text.split(f".. _{label}:\n")[1]
    titles = list(TITLE.finditer(text))
    return text[: titles[1].start()] if len(titles) > 1 else text


def _code(text):
    """Return the lines that a reader copies: doctests and blocks of Python."""
    blocks = re.findall(r"^\.\. code-block:: python\n\n((?: {3}.*\n|\n)+)", text, re.MULTILINE)
    examples = [each.source for each in doctest.DocTestParser().get_examples(text)]
    return "".join(examples + [re.sub("^ {3}", "", each, flags=re.MULTILINE) for each in blocks])


def _unknown(code):
    """Return the names that are read and never set."""
    names = list(ast.walk(ast.parse(code)))
    known = {
        each.id for each in names if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    known |= {each.arg for each in names if isinstance(each, ast.arg)}
    known |= {each.name for each in names if isinstance(each, (ast.FunctionDef, ast.ClassDef))}
    for each in names:
        if isinstance(each, (ast.Import, ast.ImportFrom)):
            known |= {(alias.asname or alias.name).partition(".")[0] for alias in each.names}
    read = {each.id for each in names if isinstance(each, ast.Name)}
    return read - known - set(dir(builtins))


@pytest.mark.parametrize("label", LABELS)
def test_sections_of_tasks_define_what_they_use(label):
    code = _code(_section(label))
    assert code, "a task without code"
    assert not _unknown(code)
