import importlib.util

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cleanplate import efficientnet
from cleanplate.efficientnet import CHANNELS, EfficientNetLite, load_efficientnet, weights_file
from cleanplate.models import read_tensors


def published(seed=0):
    """Random weights under the names of the published file."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}

    def conv(name, shape, norm):
        tensors[f"{name}.weight"] = torch.randn(shape, generator=generator) / shape[1]
        for key in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{norm}.{key}"] = torch.rand(shape[0], generator=generator) + 0.5

    conv("_conv_stem", (32, 3, 3, 3), "_bn0")
    for number, block in enumerate(EfficientNetLite().blocks):
        name = f"_blocks.{number}."
        if block.expand is not None:
            conv(f"{name}_expand_conv", tuple(block.expand.weight.shape), f"{name}_bn0")
        conv(f"{name}_depthwise_conv", tuple(block.depthwise.weight.shape), f"{name}_bn1")
        conv(f"{name}_project_conv", tuple(block.project.weight.shape), f"{name}_bn2")
    conv("_conv_head", (1280, 320, 1, 1), "_bn1")
    return tensors


@pytest.fixture
def file(tmp_path):
    def write(tensors):
        torch.save(tensors, tmp_path / "lite.pth")
        return tmp_path / "lite.pth"

    return write


@pytest.fixture(scope="module")
def installed():
    path = weights_file()
    if path is None:
        pytest.skip(f"{efficientnet.PACKAGE} is not installed")
    return path


@pytest.mark.parametrize(("height", "width"), [(224, 224), (101, 133), (32, 200), (3, 1)])
def test_features_in_steps_of_8_16_and_32_pixels(file, height, width):
    network = load_efficientnet(file(published()))
    found = network(torch.rand(2, 3, height, width))
    for level, channels, step in zip(found, CHANNELS, (8, 16, 32), strict=True):
        assert level.shape == (2, channels, -(-height // step), -(-width // step))


def test_normalisation_is_folded_into_the_convolutions(file):
    tensors = published()
    network = load_efficientnet(file(tensors))
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    # for an even size TensorFlow pads a stride of 2 after the last pixel only
    plain = F.conv2d(F.pad(x, (0, 1, 0, 1)), tensors["_conv_stem.weight"], stride=2)
    normal = [tensors[f"_bn0.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
    assert torch.allclose(network.stem(x), F.batch_norm(plain, *normal, eps=1e-3), atol=1e-5)


def test_it_is_ready_to_be_used(file):
    network = load_efficientnet(file(published()))
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("photo_name", "classes"), [("chelsea", (281, 282, 285)), ("coffee", (967,))]
)
def test_with_its_classifier_it_knows_a_cat_and_a_coffee(installed, photo, photo_name, classes):
    tensors = read_tensors(installed)
    image = photo(photo_name).movedim(-1, 1)
    side = min(image.shape[2:])
    top, left = ((n - side) // 2 for n in image.shape[2:])
    square = image[:, :, top : top + side, left : left + side]
    x = F.interpolate(square, (224, 224), mode="bilinear", antialias=True)
    deepest = load_efficientnet(installed)(x)[-1]
    wide = F.conv2d(deepest, tensors["_conv_head.weight"])
    normal = [tensors[f"_bn1.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
    pooled = F.relu6(F.batch_norm(wide, *normal, eps=1e-3)).mean((2, 3))
    logits = F.linear(pooled, tensors["_fc.weight"], tensors["_fc.bias"])
    assert int(logits.argmax()) in classes
    assert float(logits.softmax(1).max()) > 0.3


def test_the_package_is_found_without_being_imported(tmp_path, monkeypatch):
    package = tmp_path / efficientnet.PACKAGE
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    if importlib.util.find_spec(efficientnet.PACKAGE).origin != str(package / "__init__.py"):
        pytest.skip("another one comes first")
    assert weights_file() is None
    (package / "models" / "lite.pth").write_bytes(b"")
    assert weights_file() == package / "models" / "lite.pth"


def test_without_the_package_there_is_no_file(monkeypatch):
    monkeypatch.setattr(efficientnet.importlib.util, "find_spec", lambda name: None)
    assert weights_file() is None


def test_another_networks_weights_are_refused(file):
    tensors = published()
    tensors["_conv_stem.weight"] = tensors["_conv_stem.weight"][:, :1]
    with pytest.raises(ValueError, match="another network"):
        load_efficientnet(file(tensors))
    with pytest.raises(ValueError, match="another network"):
        load_efficientnet(file({"weight": torch.zeros(3)}))


def test_a_damaged_file_is_refused_by_name(tmp_path):
    path = tmp_path / "lite.pth"
    path.write_bytes(np.random.default_rng(0).bytes(2000))
    with pytest.raises(ValueError, match=r"lite\.pth"):
        load_efficientnet(path)
