"""The pack in other languages: nothing missing, nothing left over, nothing lost in translation.

English is the schemas' own text. After a change of one, write it down again with
``CLEANPLATE_WRITE_LOCALES=1 pytest tests/comfy/test_locales.py`` and translate what changed.
"""

import os
import re

import pytest
from support.locales import (
    LOCALES,
    SCRIPTS,
    complaints,
    flat,
    key_of,
    node_texts,
    options_complaints,
    read_locale,
    write_locale,
)

FILES = ["nodeDefs", "main", "settings", "commands"]
SENTENCES = ("/description", "/tooltip")
NAMES = {"CleanPlate", "Flux", "SDXL", "SD 1.5"}
"""The same in every language."""


@pytest.fixture(scope="module")
def schemas(comfy):
    import nodes

    ours = [
        node.GET_SCHEMA()
        for node in nodes.NODE_CLASS_MAPPINGS.values()
        if str(getattr(node, "CATEGORY", "")).startswith("CleanPlate")
    ]
    # Those that only other nodes place are never seen.
    return [schema for schema in ours if not schema.is_dev_only]


@pytest.fixture(scope="module")
def english(schemas):
    """What the English files have to hold."""
    segments = dict.fromkeys(part for schema in schemas for part in schema.category.split("/"))
    texts = {
        "nodeDefs": {schema.node_id: node_texts(schema) for schema in schemas},
        # What the JavaScript says is compared in a browser.
        "main": {
            **read_locale("en", "main"),
            "nodeCategories": {segment: segment for segment in segments},
        },
        "settings": read_locale("en", "settings"),
        "commands": read_locale("en", "commands"),
    }
    if os.environ.get("CLEANPLATE_WRITE_LOCALES") == "1":
        for name in ("nodeDefs", "main"):
            write_locale("en", name, texts[name])
    return texts


@pytest.fixture(params=SCRIPTS)
def language(request):
    return request.param


@pytest.mark.parametrize("name", ["nodeDefs", "main"])
def test_english_is_what_the_schemas_say(english, name):
    assert flat(read_locale("en", name)) == flat(english[name])


def test_every_language_is_one_of_the_frontends():
    assert {path.name for path in LOCALES.iterdir()} == {"en", *SCRIPTS}


@pytest.mark.parametrize("name", FILES)
def test_a_language_has_every_text_and_no_other(english, language, name):
    expected, texts = flat(english[name]), flat(read_locale(language, name))
    assert sorted(expected.keys() - texts.keys()) == []
    assert sorted(texts.keys() - expected.keys()) == []
    assert list(texts) == list(expected)
    assert [key for key, text in texts.items() if not text or text != text.strip()] == []
    if name != "nodeDefs":
        script = SCRIPTS[language]
        same = [key for key, text in texts.items() if not re.search(script, text)]
        assert [key for key in same if texts[key] not in NAMES] == []


def test_sentences_are_translated_and_keep_their_facts(english, language):
    translated = read_locale(language, "nodeDefs")
    texts = flat(translated)
    names = {}
    for node_id, node in english["nodeDefs"].items():
        theirs = translated.get(node_id, {}).get("display_name", node_id)
        names |= {node_id: (node_id, theirs), node["display_name"]: (node_id, theirs)}
    wrong = {
        key: problems
        for key, text in flat(english["nodeDefs"]).items()
        if key.endswith(SENTENCES)
        and (problems := complaints(text, texts.get(key, ""), SCRIPTS[language], names))
    }
    assert wrong == {}


def test_names_are_translated(english, language):
    """All but those that are the same in every language, such as vae and LaMa."""
    script = SCRIPTS[language]
    for node in read_locale(language, "nodeDefs").values():
        assert re.search(script, node["display_name"])
    expected = flat(english["nodeDefs"])
    texts = flat(read_locale(language, "nodeDefs"))
    names = [key for key in texts if key.endswith("/name")]
    same = {texts[key] for key in names if texts[key] == expected[key]}
    assert same <= {"vae", "clip", "cfg", "seed"}


def test_tooltips_name_options_as_the_widget_shows_them(english, language):
    translated = read_locale(language, "nodeDefs")
    wrong = {
        f"{node_id}/{key}": problems
        for node_id, node in english["nodeDefs"].items()
        for key, texts in node["inputs"].items()
        if (theirs := translated.get(node_id, {}).get("inputs", {}).get(key))
        and (problems := options_complaints(texts, theirs))
    }
    assert wrong == {}


NODES = {
    "StitchBack": ("StitchBack", "크롭 되붙이기"),
    "Stitch Back": ("StitchBack", "크롭 되붙이기"),
}
GOOD = "크롭 되붙이기 노드가 models/lama의 16384픽셀 PNG를 '채움(fill)'으로 둡니다."


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD, None),
        (GOOD.replace("16384", "1638"), "number 16384"),
        (GOOD.replace("16384", "163840"), "number 16384"),
        (GOOD.replace("models/lama", "모델 폴더"), "models/lama"),
        (GOOD.replace("PNG", "이미지"), "PNG"),
        (GOOD.replace("fill", "채움"), "fill"),
        (GOOD.replace("크롭 되붙이기", "앞의"), "node StitchBack"),
        (GOOD.rstrip("."), "full stop"),
        (GOOD.replace("(", "{").replace(")", "}"), "syntax"),
        (GOOD.replace("노드가", "keeps a picture of that"), "only in part"),
        ("StitchBack keeps a PNG of 16384 in models/lama as the 'fill'.", "not translated"),
    ],
)
def test_what_a_translation_must_keep(text, problem):
    english = "StitchBack keeps a picture of 16384 pixels as PNG in models/lama: 'fill'."
    found = complaints(english, text, SCRIPTS["ko"], NODES)
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


def test_a_dot_in_a_name_becomes_an_underscore(english):
    assert key_of("target.factor") == "target_factor"
    assert "target_factor" in english["nodeDefs"]["TiledUpscale"]["inputs"]
