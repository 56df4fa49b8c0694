"""Tries what a script must not be able to do, and prints a line for each act: its name, a tab, and `worked`, what was read,
or the name of the error. Arguments: the number of a descriptor that may not be, the limits of a file and of memory in bytes,
and what must not be seen of the machine."""

import os

# As the runner's own code would: it is not on the list of a plugin's modules.
errno = __import__("errno")


def say(name, outcome):
    print(f"{name}\t{outcome}")


def attempt(name, act, *arguments):
    try:
        act(*arguments)
    except MemoryError:
        say(name, "ENOMEM")
    except OSError as error:
        say(name, errno.errorcode.get(error.errno, str(error)))
    else:
        say(name, "worked")


def has(name):
    """Another module that is not on the list; none where this interpreter has none."""
    try:
        return __import__(name)
    except ImportError:
        return None


def enlarge(size):
    with open("probe", "wb") as file:
        os.truncate(file.fileno(), size)
    os.remove("probe")


def fork():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def acts(args, context):
    descriptor, file, memory, *paths = args
    say("user", f"={os.getuid()} {os.geteuid()}")
    say("first", f"={os.getpid()}")
    for path in paths:
        attempt(f"look {path}", os.lstat, path)
    attempt("write", open, "/probe", "wb")
    attempt("list", os.listdir, "/")
    attempt("descriptor", os.dup2, 1, int(descriptor))
    attempt("file", enlarge, int(file) + 1)
    attempt("memory", bytearray, int(memory) + 1)
    if socket := has("_socket"):
        attempt("socket", socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
    if mmap := has("mmap"):
        everything = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        attempt("code", lambda: mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, everything))
    attempt("anonymous", os.memfd_create, "probe")
    attempt("process", fork)
    # Nothing of that name is there: whoever could look would say so.
    attempt("start", os.execv, "/dev/code/none", ["none"])


def leave(args, context):
    attempt("leave", os.chroot, "/")
