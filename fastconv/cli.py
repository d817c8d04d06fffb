"""The `fastconv` command. A subcommand is a function of its options, and an entry in `_parser`."""

import argparse
import json
import sys


def main(arguments=None):
    """Run the command; -> its exit code: 0, 1 failed, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("fastconv: interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"fastconv: {error}", file=sys.stderr)
        return 1
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="fastconv", description="Train small convolutional networks fast on a CPU.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    doctor = commands.add_parser("doctor", help="what was found on this machine")
    doctor.add_argument("--warm", action="store_true", help="compile everything ahead")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=_doctor)
    return parser


def _doctor(options):
    from .doctor import examine, warm

    seconds = warm() if options.warm else None
    found = examine() | ({"compiled in": f"{seconds:.1f} s"} if options.warm else {})
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        print(f"{name:<14} {value}")


if __name__ == "__main__":
    sys.exit(main())
