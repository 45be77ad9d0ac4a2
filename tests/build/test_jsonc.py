import json

import pytest

from gcpt.build import jsonc

TEXT = """// mine
{
  "a": 1, // one
  "list": [
    "x", /* the first */
    { "k": "v // no comment", }
  ],
  /* "b": 2, */
  "last": -1.5e3 // no comma
}
"""


def test_comments_and_trailing_commas_are_read():
    assert jsonc.parse(TEXT).value == {"a": 1, "list": ["x", {"k": "v // no comment"}], "last": -1500.0}


def test_nodes_know_their_text():
    node = jsonc.parse(TEXT)
    items = node.member("list")
    assert items is not None and TEXT[items.start] == "[" and TEXT[items.end - 1] == "]"
    assert next(TEXT[inner.start : inner.end] for _, inner in items.inside) == '"x"'
    assert jsonc.parse('{"a": 1, "a": 2}').member("a").value == 2


def test_a_value_is_replaced_and_nothing_else():
    changed = jsonc.replace(TEXT, jsonc.parse(TEXT).member("a"), {"b": []})
    assert changed.startswith('// mine\n{\n  "a": {\n      "b": []\n  }, // one\n')
    assert changed[changed.index(", // one") :] == TEXT[TEXT.index(", // one") :]


def test_added_members_come_last_and_comments_keep_their_lines():
    changed = jsonc.add(TEXT, jsonc.parse(TEXT), [1], "new")
    assert changed.endswith('  "last": -1.5e3, // no comma\n  "new": [\n      1\n  ]\n}\n')
    inner = jsonc.add(changed, jsonc.parse(changed).member("list"), "y")
    assert '    { "k": "v // no comment", },\n    "y"\n  ],\n' in inner
    for comment in ("// mine", '"a": 1, // one', '"x", /* the first */', '/* "b": 2, */', "// no comma\n"):
        assert comment in inner


@pytest.mark.parametrize(
    "text",
    ["{}", "{\n}", '{"a": 1}', '{"a": 1,}', '{"a": [\n]\n}', "{ // only\n}", '{"a": 1 /* , */ }', '\ufeff{"a": {}}'],
)
def test_members_are_added_to_any_shape(text):
    before = jsonc.parse(text).value
    changed = jsonc.add(text, jsonc.parse(text), {"x": [True, None]}, "new")
    assert jsonc.parse(changed).value == before | {"new": {"x": [True, None]}}
    assert jsonc.parse(jsonc.add(changed, jsonc.parse(changed), 1, "two")).value["two"] == 1


def test_what_json_reads_is_read_the_same():
    value = {'é\n"\\': [1, 2.5, -3, 1e9, True, False, None, "", {}, []], "deep": {"er": [[[{}]]]}}
    for indent in (None, 1, "\t"):
        assert jsonc.parse(json.dumps(value, indent=indent)).value == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: want a value"),
        ('{\n"a" 1}', "line 2: want a :"),
        ('{\n\n"a": 1 "b": 2}', "line 3: want a comma or }"),
        ("[1 2]", "line 1: want a comma or ]"),
        ('{"a": tru}', "line 1: want a value"),
        ("{a: 1}", 'line 1: want a key within ""'),
        ('{"a": "b\n"}', 'want a string, ended by a " in the same line'),
        ("{} {}", "want the end of the file"),
        ('{"a": 1', "want a comma or }"),
        ("[1,, 2]", "want a value"),
        ("/* {}", "want a value"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, message):
    with pytest.raises(jsonc.JsoncError) as caught:
        jsonc.parse(text)
    assert message in str(caught.value)
