"""Sealed lines, for client.py: Noise_XX_25519_ChaChaPoly_SHA256 (WIRE.md). Needs `pip install noiseprotocol`."""
import base64
import hashlib
import struct

from noise.connection import Keypair, NoiseConnection


class Sealed:
    """A stream's lines, after a handshake in which both ends proved their keys."""

    def __init__(self, stream, key_file, server_key):
        with open(key_file) as file:
            secret = base64.b64decode(file.read().splitlines()[2] + "=")
        self.stream, self.text = stream, b""
        self.noise = NoiseConnection.from_name(b"Noise_XX_25519_ChaChaPoly_SHA256")
        self.noise.set_as_initiator()
        self.noise.set_keypair_from_private_bytes(Keypair.STATIC, secret)
        preamble = b'NOISE {"format":7}\n'
        self.noise.set_prologue(preamble)
        self.noise.start_handshake()
        stream.write(preamble)
        self.send(self.noise.write_message())
        self.noise.read_message(self.receive())
        theirs = hashlib.sha256(self.noise.noise_protocol.handshake_state.rs.public_bytes).digest()
        proved = "SHA256:" + base64.b64encode(theirs).decode().rstrip("=")
        if proved != server_key:
            raise SystemExit(f"the server has the key {proved}, not {server_key}")
        self.send(self.noise.write_message())

    def send(self, frame):
        self.stream.write(struct.pack(">H", len(frame)) + frame)
        self.stream.flush()

    def receive(self):
        header = self.stream.read(2)
        if header[:1] == b"{":
            raise SystemExit("the server refuses: " + (header + self.stream.readline()).decode())
        length = struct.unpack(">H", header)[0] if len(header) == 2 else 0
        frame = self.stream.read(length)
        if length == 0 or len(frame) < length:
            raise ConnectionError("the server hung up")
        return frame

    def write(self, line):
        for start in range(0, len(line), 65519):
            self.send(self.noise.encrypt(line[start:start + 65519]))

    def flush(self):
        self.stream.flush()

    def readline(self):
        while b"\n" not in self.text:
            self.text += self.noise.decrypt(self.receive())
        line, _, self.text = self.text.partition(b"\n")
        return line
