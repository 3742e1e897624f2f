"""The list of pretrained feature networks, read from local files and never downloaded.

`--features DIR` names a folder with files of weights; `inpaintcli_training.perceptual.weights` says
which are accepted. All networks take RGB in [-1, 1] and convert it to the input of their weights.
"""

from inpaintcli_training.perceptual.backbones.alexnet import alexnet
from inpaintcli_training.perceptual.backbones.inception import inception
from inpaintcli_training.perceptual.backbones.squeezenet import squeezenet11
from inpaintcli_training.perceptual.backbones.vgg import vgg16, vgg19
from inpaintcli_training.perceptual.lpips import lpips

__all__ = [
    "alexnet",
    "inception",
    "lpips",
    "squeezenet11",
    "vgg16",
    "vgg19",
]
