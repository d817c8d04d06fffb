"""What it takes to plan convolutions and linear layers: how images are stored, and the products forward and backward."""

from abc import ABC, abstractmethod


class Products(ABC):
    """One way to fill the lanes; `scratch` holds, by name, where what `scratch_sizes` asked for begins."""

    def __init__(self, T):
        self.T = T
        self.scratch = {}

    @property
    @abstractmethod
    def samples(self):
        """How many samples a tile holds."""

    @abstractmethod
    def strides(self, C, is_input):
        """-> floats from one pixel of an image to the next, and from one channel to the next"""

    @abstractmethod
    def seen_by_linear(self, x):
        """The image that a linear layer takes its weights to lie on."""

    @abstractmethod
    def scratch_sizes(self, stages):
        """name -> floats of workspace that convolutions use one after the other; "scratch" is in all names but "ones"."""

    @abstractmethod
    def writes_dx_twice(self, conv):
        """Whether dx is a sum of two products, the first of which would overwrite the mask."""

    @abstractmethod
    def forward(self, stage):
        """The lines of y."""

    @abstractmethod
    def dw(self, stage):
        """The lines of dw and db."""

    @abstractmethod
    def dx(self, stage):
        """The lines of dx."""
