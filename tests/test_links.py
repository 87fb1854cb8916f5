"""Links within the repository: labels, pages, names and files. Those to the web: see ``linkcheck`` in CONTRIBUTING."""

import pydoc
import re
from pathlib import Path

import pytest

import skae

ROOT = Path(__file__).parents[1]
DOC, EXAMPLES = ROOT / "doc", ROOT / "examples"
NOT_PAGES = {"generated", "gallery", "_build", "_templates", "sg_execution_times.rst"}
PAGES = {
    path.relative_to(DOC).with_suffix("").as_posix(): path
    for path in DOC.rglob("*.rst")
    if not NOT_PAGES & set(path.relative_to(DOC).parts)
}
GALLERY = {
    f"gallery/{path.relative_to(EXAMPLES).with_suffix('')}" for path in EXAMPLES.rglob("*.py")
}
TEXTS = [
    *PAGES.values(),
    *sorted(EXAMPLES.rglob("*.rst")),
    *sorted(EXAMPLES.rglob("*.py")),
    *sorted((ROOT / "skae").rglob("*.py")),
]
MARKDOWN = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / ".github").rglob("*.md"))]
LABELS = {
    label
    for path in TEXTS
    for label in re.findall(r"^\.\. _([\w-]+):$", path.read_text(encoding="utf-8"), re.MULTILINE)
}
API = (DOC / "api.rst").read_text(encoding="utf-8")
PUBLIC = set(re.findall(r"^(?:   |\.\. py:module:: )(skae[.\w]+)$", API, re.MULTILINE))


def roles(path):
    """Return kinds and targets of the references in a file."""
    found = re.findall(r":(class|func|meth|attr|mod|ref|doc):`([^`]+)`", path.read_text("utf-8"))
    for kind, text in found:
        target = re.search(r"<([^<>]+)>$", " ".join(text.split()))
        yield kind, (target[1] if target else text).lstrip("~!")


def is_page(path, target):
    """Return whether a page, in a link of ``path``, is one of the site."""
    folder = path.parent.relative_to(DOC) if path.is_relative_to(DOC) else Path()
    name = target[1:] if target.startswith("/") else (folder / target).as_posix()
    parts = []
    for part in name.split("/"):
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts) in PAGES.keys() | GALLERY | {"gallery/index"}


def is_name(path, kind, target):
    """Return whether a name of skae exists and, on a page, has one or is on that of its class."""
    if not target.startswith(
        "skae."
    ):  # of another library, or looked up in the class and module beside it
        return not path.is_relative_to(DOC) or target.partition(".")[0] not in vars(skae)
    has_page = target in PUBLIC or (kind != "mod" and target.rpartition(".")[0] in PUBLIC)
    return pydoc.locate(target) is not None and (has_page or not path.is_relative_to(DOC))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_references(path):
    for kind, target in roles(path):
        if kind == "ref":
            assert target in LABELS, target
        elif kind == "doc":
            assert is_page(path, target), target
        else:
            assert is_name(path, kind, target), target


@pytest.mark.parametrize("path", PAGES.values(), ids=lambda path: path.stem)
def test_files_and_cards_of_pages(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(
        r"^ *\.\. (?:literalinclude|image|figure):: (\S+)", text, re.MULTILINE
    ):
        assert (path.parent / target).is_file(), target
    for block in re.findall(r"^\.\. minigallery::\n((?:\n|   .*\n)+)", text, re.MULTILINE):
        for target in re.findall(r"\S+\.py", block):
            assert (DOC / target).is_file() or (path.parent / target).is_file(), target
    for target in re.findall(r"^ *:link: (\S+)\n *:link-type: doc", text, re.MULTILINE):
        assert is_page(path, target), target
    for target in re.findall(r'href="(?!https?:)([^"#]+)', text):
        page = target.removesuffix(".html")
        assert page.removeprefix("generated/") in PUBLIC or is_page(path, page), target


def slugs(path):
    """Return the anchors that a forge makes of the titles of a text."""
    text = path.read_text(encoding="utf-8")
    titles = re.findall(r"^(\S.*)\n(?:-{3,}|={3,}|~{3,})$", text, re.MULTILINE)
    titles += re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.stem)
def test_files_of_markdown(path):
    for target in re.findall(
        r"\]\((?!https?:|mailto:)([^)\s]+)\)", path.read_text(encoding="utf-8")
    ):
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        assert not anchor or anchor in slugs(file), target
