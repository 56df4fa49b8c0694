"""Run with `python3 -B -m unittest tests.test_webhook_handler` in the plugin's directory."""

import unittest

import webhook_handler


class Connection:
    def __init__(self, answer: bytes) -> None:
        self.answer, self.sent = answer, b""

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, size: int) -> bytes:
        piece, self.answer = self.answer[:size], self.answer[size:]
        return piece


class Post(unittest.TestCase):
    def test_the_status_is_returned(self) -> None:
        connection = Connection(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assertEqual(webhook_handler.post(connection, "a:1", "/hook", {"event": "x"}), 204)
        self.assertTrue(connection.sent.endswith(b'\r\n\r\n{"event": "x"}'))

    def test_what_is_no_answer_is_an_error(self) -> None:
        with self.assertRaises(RuntimeError):
            webhook_handler.post(Connection(b""), "a:1", "/", {})

    def test_a_path_cannot_add_lines(self) -> None:
        with self.assertRaises(ValueError):
            webhook_handler.post(Connection(b""), "a:1", "/x HTTP/1.1\r\nA: b", {})
