"""One POST of JSON over a stream that is connected already."""

import json
import re

HEAD_MAX = 16 * 1024


def post(connection, host: str, path: str, message: dict) -> int:
    """Send a message and return the status of the answer."""
    if not re.fullmatch(r"/[!-~]*", path):
        raise ValueError(f"`{path}` is no path of a webhook")
    body = json.dumps(message).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    answer = b""
    while b"\r\n" not in answer and len(answer) < HEAD_MAX:
        piece = connection.recv(4096)
        if not piece:
            break
        answer += piece
    found = re.match(rb"HTTP/1\.[01] ([0-9]{3})[ \r]", answer)
    if found is None:
        raise RuntimeError("the webhook gave no HTTP answer")
    return int(found[1])
