"""Commands on files. Which files there are is decided by the directories that were granted."""

import hashlib
import os
import shutil
import sys


def main(args: list, invocation: dict) -> int:
    """Run the command that was typed; 1 is what a wrong command line ends with."""
    command = COMMANDS[invocation["command"]]
    try:
        return command(args)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}; is its directory granted?", file=sys.stderr)
        return 2


def list_directory(args: list) -> int:
    """One line for each name, with its size."""
    if len(args) != 1:
        return usage("list DIRECTORY")
    for entry in sorted(os.scandir(args[0]), key=lambda entry: entry.name):
        size = "-" if entry.is_dir(follow_symlinks=False) else entry.stat(follow_symlinks=False).st_size
        print(f"{size:>10}  {entry.name}")
    return 0


def copy_file(args: list) -> int:
    """Copy one file to a new name."""
    if len(args) != 2:
        return usage("copy FROM TO")
    with open(args[0], "rb") as source, open(args[1], "xb") as target:
        shutil.copyfileobj(source, target)
    print(f"copied {args[0]} to {args[1]}")
    return 0


def checksum(args: list) -> int:
    """One digest for each file."""
    if not args:
        return usage("checksum FILE...")
    for path in args:
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while piece := file.read(1 << 16):
                digest.update(piece)
        print(f"{digest.hexdigest()}  {path}")
    return 0


def usage(line: str) -> int:
    """Say how a command is typed."""
    print(f"usage: migraine plugin run file-operations {line}", file=sys.stderr)
    return 1


COMMANDS = {"list": list_directory, "copy": copy_file, "checksum": checksum}
