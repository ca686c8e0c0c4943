"""Malformed files as hypothesis strategies: bytes damaged, documents changed part by part."""

import copy
import csv
import io
import json
import math

import yaml
from hypothesis import strategies as st

_SPANS = [b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xff\xfe", b"\n", b"\r\n\r"]
_NUMBERS = [0, -1, 2**31, 2**63, 10**400, 1e308, -0.0, 0.5, math.nan, math.inf, -math.inf]
_TEXTS = [
    *("", " ", ".", "..", "../../outside", "/outside/é", "\0", "a\nb", "\u202e", "\ud800", "~"),
    *("nan", "1e999", "-1", "٣", "²", "9" * 5000, "x" * 5000, "None", "{}", "%s", "*"),
]


@st.composite
def damaged(draw, files):
    """Draws a file and cuts out, overwrites, doubles, inverts or inserts spans of it."""
    content = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.integers(0, 64)))
        span = content[start:stop]
        new = draw(st.sampled_from(_SPANS) | st.binary(max_size=16))
        content = draw(
            st.sampled_from(
                [
                    content[:start],
                    content[:start] + content[stop:],
                    content[:start] + new + content[stop:],
                    content[:start] + new + content[start:],
                    content[:stop] + span + content[stop:],
                    content[:start] + bytes(255 - byte for byte in span) + content[stop:],
                ]
            )
        )
    return content


@st.composite
def changed(draw, documents, leaves):
    """Draws a nested document and replaces, removes, renames or duplicates a few parts.

    Args:
        draw: Hypothesis' function.
        documents: Nested dicts and lists.
        leaves: Strategy of replacements.
    """
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 3))):
        document = _change(draw, document, leaves)
    return document


def values(snippets=()):
    """Extreme numbers, texts, lists and dicts, and snippets (see `with_snippets`) of a format."""
    texts = st.sampled_from(_TEXTS) | st.text(max_size=8)
    numbers = st.sampled_from(_NUMBERS) | st.integers() | st.floats()
    leaves = st.none() | st.booleans() | numbers | texts
    if snippets:
        leaves |= st.sampled_from([_token(number) for number in range(len(snippets))])
    return leaves | st.recursive(
        leaves,
        lambda parts: st.lists(parts, max_size=3) | st.dictionaries(texts, parts, max_size=3),
        max_leaves=6,
    )


def json_files(documents):
    """JSON files that are close to valid ones."""
    deep = "[" * 100_000
    snippets = (deep, f"{deep}{']' * 100_000}", '{"a":' * 50_000, "9" * 5000, "1e9999", "-", "01",
                '"\\ud800"', '{"a":1,"a":[]}', "NaN", "[1,]", "\ufeff{}")  # fmt: skip
    texts = changed(documents, values(snippets)).map(json.dumps)
    return _files(texts.map(lambda text: with_snippets(text, snippets)), json.dumps, documents)


def yaml_files(documents):
    """YAML files that are close to valid ones, with tags, anchors and merges."""
    laughs = "{a: &a [x,x,x,x,x,x,x,x,x,x]" + "".join(
        f", {name}: &{name} [{','.join(['*' + before] * 10)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    snippets = ("!!python/object/apply:os.system [touch x]", "&x [*x]", "&x {a: *x}", f"{laughs}}}",
                "2020-99-99", "!!timestamp x", "!!binary =", "!!int x", "!!float ''", "!!bool x",
                "!!set {a}", "!!omap [a: 1]", "!!pairs [[]]", "*nothing", "{<<: 1}", "{<<: [*x]}",
                "{? [1] : 2}", "{? {a: 1} : 2}", "0b", "0x", "1:99:99", "0o8", "'", "!!str", "---",
                "...", "!a b", "%YAML 9.9", "[" * 5000, "{a: " * 5000, "? " * 5000, "- " * 5000,
                "9" * 5000, ".inf", ".nan", "@", "`", "\t", "\u0085", "{1: a, '1': b}")  # fmt: skip
    texts = changed(documents, values(snippets)).map(_yaml)
    return _files(texts.map(lambda text: with_snippets(text, snippets)), _yaml, documents)


def csv_files(tables):
    """CSV files that are close to valid ones."""
    rows = changed(tables, values())
    return _files(rows.map(_csv), _csv, tables)


def with_snippets(text, snippets):
    """Replaces tokens in a text by raw pieces of a format that no serialiser writes."""
    for number, snippet in enumerate(snippets):
        for quote in ('"', "'", ""):
            text = text.replace(f"{quote}{_token(number)}{quote}", snippet)
    return text


def _files(texts, write, documents):
    encoded = st.tuples(texts, st.sampled_from(["utf-8"] * 6 + ["utf-16", "utf-8-sig"])).map(
        lambda pair: pair[0].encode(pair[1], "replace" if pair[1] == "utf-16" else "surrogatepass")
    )
    whole = [write(document).encode() for document in documents]
    return encoded | encoded | damaged(whole) | st.binary(max_size=100)


def _token(number):
    return f"@{number}@"


def _yaml(tree):
    return yaml.dump(tree, allow_unicode=True)


def _csv(rows):
    if not isinstance(rows, list):
        return str(rows)
    text = io.StringIO()
    for row in rows:
        csv.writer(text).writerow(row if isinstance(row, list) else [row])
    return text.getvalue()


def _change(draw, node, leaves):
    keys = list(node) if isinstance(node, dict) else []
    if isinstance(node, list):
        keys = range(len(node))
    if not keys or draw(st.integers(0, 5)) == 0:
        return draw(leaves)
    key = draw(st.sampled_from(keys))
    how = draw(st.sampled_from(["inside", "inside", "inside", "remove", "rename", "twice"]))
    if how == "inside":
        node[key] = _change(draw, node[key], leaves)
    elif how == "remove":
        del node[key]
    elif how == "twice":
        if isinstance(node, list):
            node.insert(key, copy.deepcopy(node[key]))
        else:
            node[f"{key} "] = copy.deepcopy(node[key])
    elif isinstance(node, dict):
        node[draw(st.sampled_from([None, 1, 0.5, True, *_TEXTS]))] = node.pop(key)
    return node
