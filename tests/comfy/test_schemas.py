"""What the pack promises of every node: found, explained, usable with its links alone."""

import pytest
from support.locate import PACK

NODES = [
    "LoadRemovalModel",
    "LamaRemove",
    "ContentAwareFill",
    "PrepareMask",
    "CropAroundMask",
    "StitchBack",
    "UpscaleToModelRes",
    "TiledUpscale",
    "SaveTiledUpscale",
    "TiledRefine",
    "FluxFillRefine",
    "RemovalCheck",
    "FaceRestore",
    "DefectDetect",
    "SelectDefect",
    "DefectPrompt",
    "RefineDefects",
    "QualityScore",
    "PickBest",
    "CompareImages",
]
INTERNAL = ["CleanPlateRefineRound", "CleanPlateLookAgain", "CleanPlateRefineJoin"]
"""What RefineDefects expands into: nobody places them, so they are not searched for."""

WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}


@pytest.mark.parametrize("node_id", NODES)
def test_a_node_explains_itself(comfy, node_id):
    schema = comfy.node(node_id).GET_SCHEMA()
    assert schema.display_name
    assert schema.category.startswith("CleanPlate/")
    assert len(schema.description) > 60
    assert len(schema.search_aliases) >= 3
    for item in (*schema.inputs, *schema.outputs):
        assert item.tooltip, item.id
        assert item.tooltip.endswith("."), item.id
    assert all(output.display_name for output in schema.outputs)
    assert (PACK / "js" / "docs" / f"{node_id}.md").is_file()


@pytest.mark.parametrize("node_id", INTERNAL)
def test_a_node_that_nobody_places_is_hidden_and_says_what_it_is_for(comfy, node_id):
    schema = comfy.node(node_id).GET_SCHEMA()
    assert schema.is_dev_only
    assert "alone" in schema.description
    for item in (*schema.inputs, *schema.outputs):
        assert item.tooltip.endswith("."), item.id


@pytest.mark.parametrize("node_id", NODES)
def test_every_widget_has_a_default(comfy, node_id):
    for item in comfy.node(node_id).GET_SCHEMA().inputs:
        if item.get_io_type() in WIDGETS and item.id != "model_name":
            assert item.default is not None, item.id


@pytest.mark.parametrize("node_id", NODES)
def test_a_help_page_names_every_input_and_output(comfy, node_id):
    page = (PACK / "js" / "docs" / f"{node_id}.md").read_text(encoding="utf-8")
    schema = comfy.node(node_id).GET_SCHEMA()
    for item in schema.inputs:
        assert f"`{item.id}`" in page
    for output in schema.outputs:
        assert f"`{output.display_name}`" in page or node_id == "LoadRemovalModel"


def test_nothing_else_is_registered(comfy):
    import nodes

    ours = [
        name
        for name, node in nodes.NODE_CLASS_MAPPINGS.items()
        if str(getattr(node, "CATEGORY", "")).startswith("CleanPlate")
    ]
    assert sorted(ours) == sorted([*NODES, *INTERNAL])


def test_folders_of_other_packs_stay_registered(comfy):
    import folder_paths

    for folder in ("inpaint", "lama"):
        paths, _ = folder_paths.folder_names_and_paths[folder]
        assert any(path.endswith(folder) for path in paths)
