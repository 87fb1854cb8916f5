"""The corpus of the examples in this folder: the prose in the documentation of installed functions."""

import inspect
import re
from collections import Counter
from importlib import import_module

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

MODULES = [
    *("numpy", "numpy.linalg", "numpy.random", "numpy.fft", "scipy.linalg", "scipy.optimize"),
    *("scipy.signal", "scipy.stats", "scipy.sparse", "scipy.special", "scipy.spatial.distance"),
    *("scipy.ndimage", "scipy.interpolate", "sklearn.metrics", "sklearn.datasets"),
    *("sklearn.linear_model", "sklearn.ensemble", "sklearn.cluster", "sklearn.preprocessing"),
]
STOP_WORDS = [*ENGLISH_STOP_WORDS, "read", "user", "guide", "true", "false", "none"]


def prose(docstring):
    """Return the parts of a docstring that differ most, summary and notes, without code, links and LaTeX commands."""
    parts = re.split(r"\n([A-Z][\w ]+)\n-{3,}\n", docstring)
    notes = [text for name, text in zip(parts[1::2], parts[2::2]) if name == "Notes"]
    summary = re.sub(r"^\w+\(.*\)", "", parts[0])  # without the signature
    return re.sub(r">>>.*|https?\S+|:\w+:|\.\. \w+::|\\\w+", " ", "\n".join([summary, *notes]))


def paragraphs(text):
    """Return a dict from paragraphs that are no tables to their words without names in backticks."""
    parts = [part for part in re.split(r"\n\s*\n", text) if "===" not in part]
    return {part: " ".join(re.sub("`+[^`]*`+", "", part).split()) for part in parts}


def function_texts():
    """Return a dict from texts to names of public functions and classes, with each text once.

    Paragraphs of five texts or more, such as those on array libraries, are left out.
    """
    texts = {}
    for name in MODULES:
        for member, value in inspect.getmembers(import_module(name)):
            text = prose(inspect.getdoc(value) or "") if callable(value) else ""
            if not member.startswith("_"):
                texts[text] = f"{name}.{member}"
    counts = Counter(words for text in texts for words in set(paragraphs(text).values()))
    own = {
        "\n\n".join(part for part, words in paragraphs(text).items() if counts[words] < 5): name
        for text, name in texts.items()
    }
    return {text: name for text, name in own.items() if len(text) > 300}
