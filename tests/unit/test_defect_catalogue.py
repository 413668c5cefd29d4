import re
import tomllib
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from cleanplate.defects.catalogue import GROUPS, SeverityRule, catalogue, kind, parse
from cleanplate.geometry import Box

# Issue 5 lists these; the names are what other packs, prompts and reports build on.
WANTED = [
    "extra_fingers",
    "extra_toes",
    "wrong_limbs",
    "asymmetric_eyes",
    "asymmetric_face",
    "twisted_joints",
    "missing_teeth",
    "blur",
    "low_resolution",
    "compression",
    "noise",
    "too_dark",
    "too_bright",
    "specular_highlight",
    "inconsistent_light",
    "cropped_subject",
    "cluttered_background",
    "wrong_aspect",
    "waxy_skin",
    "wrong_colour",
    "style_mismatch",
    "wrong_era",
    "watermark",
    "signature",
    "garbled_text",
    "logo",
    "missing_object",
    "hand",
    "spot",
]
FIXES = {
    "watermark": "LamaRemove",
    "logo": "LamaRemove",
    "spot": "LamaRemove",
    "bad_face": "FaceRestore",
    "extra_fingers": "FluxFillRefine",
    "low_resolution": "TiledUpscale",
}
GOOD = """
[blur]
title = "Blur"
group = "quality"
description = "Not sharp."
positive = "sharp"
negative = { "blurry" = 1.4, "soft" = 1 }
denoise = 0.4
grow = 0.1
context = 1.5
fix = "TiledRefine"
advice = "Refine it."
detectors = ["blur"]
severity = { measure = "ratio", mild = 1.3, severe = 1.1, least = 0.2, most = 0.8 }
"""


def test_every_kind_of_the_issue_is_there():
    assert set(WANTED) <= catalogue().keys()
    assert {entry.group for entry in catalogue().values()} == set(GROUPS)


@pytest.mark.parametrize(("name", "node"), FIXES.items())
def test_the_node_that_repairs_it(name, node):
    assert kind(name).fix == node


def test_fixing_nodes_exist_in_the_pack():
    nodes = Path(__file__).parents[2] / "nodes"
    ids = set(re.findall(r'node_id="(\w+)"', "".join(p.read_text() for p in nodes.glob("*.py"))))
    assert {entry.fix for entry in catalogue().values()} - {""} <= ids


@pytest.mark.parametrize("name", WANTED)
def test_sentences_are_sentences(name):
    entry = kind(name)
    assert entry.description.endswith(".")
    assert entry.advice.endswith(".")
    assert not entry.title.endswith(".")


def test_manual_kinds_say_so():
    assert kind("wrong_limbs").found_by == "manual"
    assert kind("blur").found_by == "blur, blur_map"


def test_fields_are_read():
    (blur,) = parse(GOOD).values()
    assert blur.name == "blur"
    assert blur.negative == (("blurry", 1.4), ("soft", 1.0))
    assert blur.detectors == ("blur",)
    assert blur.severity == SeverityRule("ratio", 1.3, 1.1, 0.2, 0.8)


@pytest.mark.parametrize(
    ("value", "severity"),
    [(2.0, 0.2), (1.3, 0.2), (1.2, 0.5), (1.1, 0.8), (0.0, 0.8)],
)
def test_severity_runs_from_mild_to_severe(value, severity):
    assert parse(GOOD)["blur"].severity(value) == pytest.approx(severity)


def test_severity_where_more_is_worse():
    rule = SeverityRule("share", 0.0, 0.5, 0.1, 0.9)
    assert [rule(v) for v in (-1, 0, 0.25, 0.5, 9)] == pytest.approx([0.1, 0.1, 0.5, 0.9, 0.9])


@pytest.mark.parametrize("name", sorted(tomllib.loads(GOOD)["blur"]))
def test_a_missing_field_is_named(name):
    text = re.sub(rf"(?m)^{name} = .*\n", "", GOOD)
    with pytest.raises(ValueError, match=f"defect kind 'blur' has no field '{name}'"):
        parse(text)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("fix =", "colour = 1\nfix =", "unknown field 'colour'"),
        ('group = "quality"', 'group = "odd"', "'group' of defect kind 'blur' is none of anatomy"),
        ("denoise = 0.4", "denoise = 1.4", "'denoise' .* is not within"),
        ("denoise = 0.4", 'denoise = "0.4"', "'denoise' .* wrong type"),
        ("denoise = 0.4", "denoise = true", "'denoise' .* wrong type"),
        ("grow = 0.1", "grow = -1", "'grow' .* is not within"),
        ("context = 1.5", "context = 0.5", "'context' .* below 1"),
        ('"soft" = 1 ', '"soft" = "1" ', "'negative' .* weight"),
        ('"soft" = 1 ', '"soft" = 0 ', "'negative' .* weight"),
        ('["blur"]', "[1]", "'detectors' .* names"),
        ('title = "Blur"', 'title = ""', "'title' .* empty"),
        ("severe = 1.1", "severe = 1.3", "mild and severe to differ"),
        ("most = 0.8", "most = 1.8", "least <= most"),
        ("most = 0.8", "more = 0.8", "severity of defect kind 'blur' has no field 'most'"),
        ("most = 0.8", "most = 0.8, worst = 1", "severity of .* unknown field 'worst'"),
        ("[blur]", "[blur", "no valid TOML"),
    ],
)
def test_what_it_refuses(old, new, words):
    assert old in GOOD
    with pytest.raises(ValueError, match=words):
        parse(GOOD.replace(old, new))


def test_an_entry_that_is_no_table():
    with pytest.raises(ValueError, match="'blur' is no table"):
        parse("blur = 1")


def test_unknown_kind_names_those_there_are():
    with pytest.raises(ValueError, match=r"no defect kind 'blurr': choose one of .*blur.*"):
        kind("blurr")


def test_nobody_can_change_it():
    with pytest.raises(TypeError):
        catalogue()["blur"] = None
    with pytest.raises(FrozenInstanceError):
        kind("blur").denoise = 1.0


@pytest.mark.parametrize(
    ("name", "box", "pixels"),
    [
        ("watermark", Box(0, 0, 100, 20), 15),
        ("watermark", Box(0, 0, 10, 10), 4),
        ("low_resolution", Box(0, 0, 100, 20), 0),
    ],
)
def test_growth_follows_the_longer_side(name, box, pixels):
    assert kind(name).growth(box) == pixels
