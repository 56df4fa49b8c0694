"""Serves the calls of one plugin: frames come in on a descriptor of their own and go out on another, so that nothing a
plugin prints can stand between them. Run by the interpreter that took the worker's place; arguments: the directories of
packages to add, and `--any-import` in tests of the sandbox."""

import builtins
import io
import json
import os
import sys
from importlib.machinery import FileFinder, SourceFileLoader
from struct import Struct

REQUESTS, REPLIES, PASSED = 3, 4, 7
LOAD, HOOK, COMMAND, SHUTDOWN, ANSWER, REFUSAL, ECHO = 1, 2, 3, 4, 5, 6, 7
LOADED, REPLY, FAILED, SERVICE, OUT, ERR, LOG, OVERSIZED, DESCRIPTOR, NO_MEMORY = 17, 19, 20, 21, 22, 23, 24, 25, 26, 27
HEADER = Struct("<HHIII")
BODY_MAX = 1024 * 1024
# What is read at once. A larger buffer would be mapped for each call and given back after it (mallopt(3)).
PIECE = 64 * 1024
CODE = "/dev/code/"
PLUGIN = CODE + "plugin"
OWN = PLUGIN + "/"
RUNNER = CODE + "runner.py"
THREAD_STACK = 1024 * 1024

# The modules that a plugin's own files may import. This finds mistakes; what a plugin can do, the kernel decides.
ALLOWED = frozenset("""
    json os sys time datetime re collections itertools math random string pathlib shutil hashlib base64 uuid enum
    dataclasses functools operator statistics decimal fractions array heapq bisect copy pprint csv zipfile gzip fileinput
    io codecs ast inspect site tokenize token traceback warnings weakref gc atexit logging subprocess
    __future__ typing migraine
""".split())
ALLOWED_PARTS = frozenset({"urllib.parse"})


class Channel:
    """Both pipes, and the socket that descriptors come over. Threads may log; one request is answered at a time."""

    def __init__(self):
        self.buffer = b""
        self.call = 0
        self.config = {}
        self.permissions = []
        self.lock = None

    def next(self):
        """The next frame: kind, call, extra, body and raw segment."""
        buffer = self.buffer or os.read(REQUESTS, PIECE)
        if len(buffer) >= 16:
            kind, extra, call, body, raw = HEADER.unpack_from(buffer)
            end = 16 + body + raw
            if len(buffer) == end:
                self.buffer = b""
                return kind, call, extra, buffer[16:16 + body], buffer[16 + body:]
        return self.next_of_many(buffer)

    def next_of_many(self, start):
        parts = bytearray(start)
        wanted = 16
        while True:
            if wanted == 16 and len(parts) >= 16:
                kind, extra, call, body, raw = HEADER.unpack_from(parts)
                wanted = 16 + body + raw
            if wanted > 16 and len(parts) >= wanted or wanted == 16 and len(parts) >= 16:
                self.buffer = bytes(parts[wanted:])
                return kind, call, extra, bytes(parts[16:16 + body]), bytes(parts[16 + body:wanted])
            piece = os.read(REQUESTS, max(PIECE, wanted - len(parts)))
            if not piece:
                os._exit(0)
            parts += piece

    def send(self, kind, call, body, extra=0):
        frame = HEADER.pack(kind, extra, call, len(body), 0) + body
        written = os.write(REPLIES, frame)
        while written < len(frame):
            written += os.write(REPLIES, frame[written:])

    def answer(self, call, kind, body):
        if len(body) > BODY_MAX:
            kind, body = OVERSIZED, str(len(body)).encode()
        self.send(kind, call, body)

    def log(self, level, message):
        line = json.dumps({"level": level, "message": message}).encode()
        if len(line) > BODY_MAX:
            raise host_error("the line is too long", "invalid")
        self.send(LOG, self.call, line)

    def service(self, name, body):
        return self.ask(SERVICE, name, body)

    def descriptor(self, name, body):
        import socket

        def take(_):
            with socket.socket(fileno=os.dup(PASSED)) as passed:
                _, found, _, _ = socket.recv_fds(passed, 1, 1)
            if len(found) != 1:
                raise host_error(f"the host sent {len(found)} descriptors")
            return found[0]

        return self.ask(DESCRIPTOR, name, body, take)

    def ask(self, kind, name, body, take=None):
        if not self.call:
            raise host_error("no call is running, so the host is not listening", "cancelled")
        if self.lock is None:
            from _thread import allocate_lock

            self.lock = allocate_lock()
        name = name.encode()
        if len(name) + len(body) > BODY_MAX:
            raise host_error("the request is too large", "invalid")
        with self.lock:
            self.send(kind, self.call, name + body, len(name))
            kind, _, _, body, _ = self.next()
            if kind == ANSWER:
                return take(body) if take else body
        if kind == REFUSAL:
            error = json.loads(body)
            raise host_error(error["message"], error["kind"], error.get("help"))
        raise host_error("the host sent something else than an answer")


def host_error(message, kind="failed", help=None):
    import migraine

    return migraine.HostError(message, kind, help)


class Source(SourceFileLoader):
    """Loads from source alone: compiled code beside it, whatever it claims to be made of, is never looked at."""

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def find_source(path):
    if path != PLUGIN and not path.startswith(OWN):
        raise ImportError("not the plugin's", path=path)
    return FileFinder(path, (Source, [".py"]))


def set_paths(packages):
    sys.path_hooks.insert(0, find_source)
    sys.path[:0] = [PLUGIN]
    sys.path += [CODE + "python", *packages]


def guard_imports(packages):
    """Makes import statements of the plugin's own files keep to the list."""
    own = set()
    for place in [PLUGIN, *packages]:
        try:
            own.update(name.partition(".")[0] for name in os.listdir(place))
        except OSError:
            pass
    unguarded = builtins.__import__

    def is_allowed(name):
        return name.partition(".")[0] in ALLOWED or name in ALLOWED_PARTS or name.partition(".")[0] in own

    def guarded(name, globals=None, locals=None, fromlist=(), level=0):
        if level == 0 and globals is not None and str(globals.get("__file__", "")).startswith(OWN):
            wanted = [name]
            if not is_allowed(name) and fromlist:
                wanted = [f"{name}.{part}" for part in fromlist]
            refused = [part for part in wanted if not is_allowed(part)]
            if refused:
                raise ImportError(
                    f"a plugin may not import `{refused[0]}`: it is not on the list of modules for plugins", name=name)
        return unguarded(name, globals, locals, fromlist, level)

    builtins.__import__ = guarded


class CallerStream:
    """What a command prints: the output of the command line that called it."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, kind, plain):
        self.kind = kind
        self.plain = plain

    def write(self, text):
        data = text.encode(self.encoding, self.errors)
        for start in range(0, len(data), PIECE):
            channel.send(self.kind, channel.call, data[start:start + PIECE])
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        pass

    def isatty(self):
        return False

    def fileno(self):
        return self.plain.fileno()


class CallerInput(io.RawIOBase):
    """What a command reads: the standard input of the command line that called it, if the manifest asks for that."""

    def readable(self):
        return True

    def readinto(self, buffer):
        piece = channel.service("stdin", str(len(buffer)).encode())
        buffer[:len(piece)] = piece
        return len(piece)


def told(error):
    """An error of the plugin's code in words: what, then where in the author's own files."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    while frames and not frames[0].filename.startswith(OWN):
        del frames[0]
    frames = [frame for frame in frames if frame.filename != RUNNER]
    head = "".join(traceback.format_exception_only(type(error), error)).strip()
    trace = "".join(traceback.format_list(frames)).rstrip()
    return (f"{head}\n{trace}" if trace else head).replace(OWN, "")


def failure(error):
    """The body of the frame that says so."""
    said = {"kind": "failed", "message": told(error)}
    kind = getattr(error, "kind", None)
    if type(error).__name__ == "HostError" and isinstance(kind, str):
        said.update(kind=kind, message=str(error))
        if error.help:
            said["help"] = error.help
    return cut(said)


def cut(said):
    said["message"] = said["message"][:32 * 1024]
    return json.dumps(said).encode()


class Plugin:
    def __init__(self, load):
        self.handlers = load["handlers"]
        self.functions = {}

    def function(self, number):
        found = self.functions.get(number)
        if found is None:
            module, name = self.handlers[number]
            __import__(module)
            found = sys.modules[module]
            for part in name.split("."):
                found = getattr(found, part)
            self.functions[number] = found
        return found

    def hook(self, number, body, raw):
        context = json.loads(body.decode())
        if "output_size" in context:
            context["output"] = raw.decode("utf-8", "replace")
        context["plugin_config"] = config = channel.config.copy()
        return json.dumps(self.function(number)(config, context)).encode()

    def command(self, number, body):
        invocation = json.loads(body)
        invocation["plugin_config"] = channel.config.copy()
        plain = sys.stdout, sys.stderr, sys.stdin
        sys.stdout, sys.stderr = CallerStream(OUT, plain[0]), CallerStream(ERR, plain[1])
        if invocation["stdin"]:
            sys.stdin = io.TextIOWrapper(io.BufferedReader(CallerInput(), PIECE), "utf-8", "surrogateescape")
        try:
            try:
                answer = self.function(number)(invocation["args"], invocation)
            except SystemExit as end:
                answer = end.code
                if isinstance(answer, str):
                    sys.stderr.write(answer + "\n")
                    answer = 1
            code = 0
            if isinstance(answer, dict):
                code, answer = answer.get("exit_code", 0), answer.get("output")
            if isinstance(answer, int):
                code, answer = int(answer), None
            if answer is not None:
                text = str(answer)
                sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
            return code
        finally:
            sys.stdout, sys.stderr, sys.stdin = plain


def load(body):
    told = json.loads(body)
    for variable in told["environment"]:
        value = variable["value"]
        os.environb[variable["name"].encode()] = bytes(value["Unix"])
    if told["directory"]:
        os.chdir(told["directory"])
    channel.config, channel.permissions = told["config"], told["permissions"]
    return Plugin(told)


def serve():
    plugin = None
    while True:
        kind, call, extra, body, raw = channel.next()
        if kind == SHUTDOWN:
            # Exit handlers of the plugin run with the interpreter's own end.
            channel.call = call
            channel.send(REPLY, call, b"")
            return
        channel.call = call
        try:
            if kind == HOOK:
                answer = REPLY, plugin.hook(extra, body, raw)
            elif kind == COMMAND:
                code = plugin.command(extra, body)
                answer = (REPLY, b"") if not code else (FAILED, ended(code))
            elif kind == LOAD:
                plugin = load(body)
                answer = LOADED, b'{"api_version":"1.0"}'
            elif kind == ECHO:
                answer = REPLY, body
            else:
                answer = FAILED, cut({"kind": "unsupported", "message": "the runner does not know this request"})
        except MemoryError:
            answer = NO_MEMORY, b""
        except BaseException as error:
            answer = failed(kind, error)
        channel.call = 0
        channel.answer(call, *answer)


def failed(kind, error):
    try:
        own = error.__traceback__
        while own is not None and not own.tb_frame.f_code.co_filename.startswith(OWN):
            own = own.tb_next
        if kind == HOOK and own is None and isinstance(error, (TypeError, ValueError, RecursionError)):
            trace = error.__traceback__
            while trace.tb_next is not None:
                trace = trace.tb_next
            if "json" in trace.tb_frame.f_code.co_filename:
                # No JSON, so that the host says that it is none.
                return REPLY, f"the handler's answer is no JSON: {error}".encode()
        return FAILED, failure(error)
    except MemoryError:
        return NO_MEMORY, b""


def ended(code):
    # 1 is what a command line that was wrong ends with everywhere.
    kind = "usage" if code == 1 else "failed"
    return cut({"kind": kind, "message": f"it ended with exit code {code}"})


channel = Channel()


def main():
    import _thread

    _thread.stack_size(THREAD_STACK)
    for number in (REQUESTS, REPLIES):
        os.set_inheritable(number, False)
    try:
        os.set_inheritable(PASSED, False)
    except OSError:
        pass
    packages = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    any_import = "--any-import" in sys.argv
    set_paths(packages)
    sys.argv = [PLUGIN]
    import migraine

    migraine._host = channel
    if not any_import:
        guard_imports(packages)
    # Nobody types; what is printed is shown line by line.
    sys.stdin = io.TextIOWrapper(io.BytesIO())
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    serve()


main()
