#!/usr/bin/env python3
"""A client of the bank. A payment that breaks on the way is tried again under its name, and paid once.

    client.py 127.0.0.1:9001 balance A/alice         plain lines: on loopback, or into a tunnel
    client.py 127.0.0.1:9001 pay A/alice B/bob 5
    client.py 127.0.0.2:8001 pay A/alice B/bob 5 KEYFILE SHA256:…
                                                     sealed lines (sealed.py): your key, the server's
"""
import json
import socket
import sys
import time


class Bank:
    def __init__(self, address, key_file=None, server_key=None, session=None, number=0, name=None):
        self.address, self.keys = address, key_file and (key_file, server_key)
        # The last number that may have been sent: whoever keeps it, and either a session or a name, goes on after a crash.
        self.session, self.number, self.name = session, number, name
        self.lines, self.others, self.asked = None, {}, 0

    def connect(self):
        host, port = self.address.rsplit(":", 1)
        stream = socket.create_connection((host.strip("[]"), int(port)), timeout=10).makefile("rwb")
        if self.keys:
            from sealed import Sealed
            stream = Sealed(stream, *self.keys)
        return stream

    def ask(self, request):
        """Asks until there is an answer. So the request must be one that may come twice."""
        for pause in (0, 0.1, 0.5, 1, 2, 4):
            time.sleep(pause)
            try:
                self.lines, self.asked = self.lines or self.connect(), self.asked + 1
                self.lines.write(json.dumps({"id": self.asked, **request}).encode() + b"\n")
                self.lines.flush()
                answer = json.loads(self.lines.readline())
                while answer.pop("id", None) != self.asked:  # a word that answers nothing, such as taken_over
                    answer = json.loads(self.lines.readline())
                if answer.get("error") not in ("unavailable", "store", "full"):
                    return answer
            except (OSError, ValueError) as error:
                # The next try goes over a new connection: what is on its way on the old one is dropped.
                self.lines, answer = None, {"error": "unavailable", "message": str(error)}
        return answer

    def balance(self, account):
        return self.ask({"balance": {"account": account}})

    def pay(self, payer, payee, amount, number=None):
        if self.session is None:
            opened = self.ask({"session": {"name": self.name, "last": self.number} if self.name else {}})
            if "error" in opened:
                return opened
            self.session = opened["session"]
        before, number = self.number, number or self.number + 1
        self.number = max(before, number)  # (session, number) is the payment's name. The server does it once.
        answer = self.ask({"transfer": {"from": payer, "to": payee, "amount": int(amount),
                                        "session": self.session, "number": number}})
        if answer.get("outcome") != "wrong_server" or self.keys:  # another server has another key
            return answer
        address = answer["address"]  # nothing has happened here: the payer's home has sessions of its own
        there = self.others.setdefault(address, Bank(address, name=self.name, number=before))
        return there.pay(payer, payee, amount, number if self.name else None)


def main(address, command, *words):
    count = {"balance": 1, "pay": 3}[command]
    answer = getattr(Bank(address, *words[count:]), command)(*words[:count])
    print(json.dumps(answer))
    return "error" in answer or answer.get("outcome", "accepted") != "accepted"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 3 else __doc__)
