"""Networks in files: numbers and their description in and out. What is read comes back as layers, shape, dtype and numbers."""

from .safetensors import LONGEST_HEADER, ModelFileError, Stored, build_layers, describe_layers, load_model, save_model

__all__ = ["LONGEST_HEADER", "ModelFileError", "Stored", "build_layers", "describe_layers", "load_model", "save_model"]
