"""The door to pretrained feature networks, read from local files and never fetched.

`--features DIR` names a folder with files of weights, see `training.weights` for which are taken.
All networks take RGB in [-1, 1] and prepare it as their weights want it.
"""

from training.backbones.alexnet import alexnet
from training.backbones.inception import inception
from training.backbones.squeezenet import squeezenet11
from training.backbones.vgg import vgg16, vgg19
from training.lpips import lpips

__all__ = [
    "alexnet",
    "inception",
    "lpips",
    "squeezenet11",
    "vgg16",
    "vgg19",
]
