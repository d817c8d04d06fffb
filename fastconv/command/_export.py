"""`fastconv export`: a saved model as ONNX."""

from .models import load, require_writable
from .output import print_found

ABOUT = "write a saved model as ONNX"


def add_options(command):
    """To argparse's `command`."""
    command.add_argument("model", metavar="MODEL", help="a .safetensors file")
    command.add_argument("output", metavar="FILE.onnx")


def run(options):
    """Write the file."""
    require_writable(options.output, options.model)
    load(options.model).to_onnx(options.output)
    print_found({"model": options.model, "onnx": options.output}, options.json)
