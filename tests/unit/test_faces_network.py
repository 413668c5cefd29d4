import pytest
import torch
from standins.broken import write_esrgan
from standins.faces import Transparent, descriptor
from support.faces import face_at, texture

from cleanplate.faces.network import FaceNetwork
from cleanplate.faces.restore import Settings, restore_faces

IDS = ("GFPGAN", "RestoreFormer", "CodeFormer")
OPTIONS = {
    "GFPGAN": {"return_rgb": False, "randomize_noise": False},
    "RestoreFormer": {},
    "CodeFormer": {"weight": 0.7},
}
CROPS = texture(512, 1024).reshape(512, 2, 512, 3).movedim(1, 0)


@pytest.mark.parametrize("name", IDS)
def test_a_network_sees_the_range_and_the_channels_it_was_trained_on(name):
    network = Transparent(name)
    change = FaceNetwork(descriptor(network))(CROPS, 0.7)
    assert change.shape == CROPS.shape and not change.any()
    (seen,) = network.seen
    assert seen.shape == (2, 3, 512, 512)
    assert torch.allclose(seen, CROPS.movedim(-1, 1) * 2 - 1)
    assert network.options == [OPTIONS[name]]


@pytest.mark.parametrize("name", IDS)
def test_what_it_returns_is_red_green_and_blue_in_the_same_range(name):
    network = Transparent(name, 0.5, (0.2, 0.0, -0.4))
    change = FaceNetwork(descriptor(network))(CROPS, 0.7)
    wanted = ((CROPS * 2 - 1) * 0.5 + torch.tensor([0.2, 0.0, -0.4]) + 1) / 2
    assert (CROPS + change - wanted).abs().max() < 1e-6


def test_all_tones_of_a_negative_come_back():
    """Dark tones, too, which spandrel's descriptor clamps away."""
    change = FaceNetwork(descriptor(Transparent("GFPGAN", -1.0)))(CROPS, 0.5)
    assert (CROPS + change - (1 - CROPS)).abs().max() < 1e-6


def test_what_leaves_the_range_is_clamped():
    change = FaceNetwork(descriptor(Transparent("GFPGAN", 3.0)))(CROPS, 0.5)
    assert (CROPS + change).min() > -1e-6
    assert (CROPS + change).max() < 1 + 1e-6


def test_bfloat16_weights_change_nothing_of_their_own():
    network = Transparent("GFPGAN")
    network.half_weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.bfloat16))
    change = FaceNetwork(descriptor(network))(CROPS, 0.5)
    assert network.seen[0].dtype == torch.bfloat16
    assert change.dtype == torch.float32
    assert not change.any()


@pytest.mark.parametrize("name", IDS)
def test_identity_through_the_network_is_bit_identical(name):
    image = texture(300, 400)[None]
    network = FaceNetwork(descriptor(Transparent(name)))
    result = restore_faces(image, [[face_at(200, 150, 240, 12)]], network)
    assert result.faces[0].restored
    assert torch.equal(result.image, image)


@pytest.mark.parametrize("name", IDS)
def test_a_network_that_fails_says_its_name(name):
    network = FaceNetwork(descriptor(Transparent(name, fails=TypeError("unexpected w"))))
    with pytest.raises(RuntimeError, match=rf"{name} failed.*unexpected w") as caught:
        restore_faces(texture(300, 400)[None], [[face_at(200, 150, 240)]], network)
    assert isinstance(caught.value.__cause__, TypeError)


def test_signals_to_stop_pass_through():
    class Stop(BaseException):
        pass

    for error in (Stop(), torch.OutOfMemoryError()):
        with pytest.raises(type(error)):
            FaceNetwork(descriptor(Transparent("GFPGAN", fails=error)))(CROPS, 0.5)


def test_an_upscale_model_is_refused_with_what_it_is(tmp_path):
    from spandrel import ModelLoader

    model = ModelLoader().load_from_file(write_esrgan(tmp_path / "x4.safetensors"))
    with pytest.raises(ValueError, match="4x ESRGAN upscale model, which does not restore faces"):
        FaceNetwork(model)


def test_something_else_is_refused_with_what_it_is():
    with pytest.raises(ValueError, match="upscale_model is a dict: connect Load Upscale Model"):
        FaceNetwork({})


def test_a_network_that_returns_nan_for_one_face_keeps_it():
    class Broken(Transparent):
        def forward(self, x, **options):
            made, rest = super().forward(-x, **options)
            made[1] = torch.nan
            return made, rest

    network = FaceNetwork(descriptor(Broken("RestoreFormer")))
    image = texture(120, 300)[None]
    faces = [face_at(60, 60, 80), face_at(200, 60, 80)]
    settings = Settings(1.0, colour="none", guard=False)
    result = restore_faces(image, [faces], network, settings, together=2)
    assert [r.restored for r in result.faces] == [True, False]
    assert torch.equal(result.image[:, :, 140:], image[:, :, 140:])
