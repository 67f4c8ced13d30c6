#!/usr/bin/env bash
#
# After a handshake with static keys, noiseprotocol no longer knows whose key the other end proved.
#
# That key is what a program has to look at, or else it keeps secrets with nobody knows whom. It is there only before the
# handshake's last message, at a place that the package's description doesn't name. Afterwards that place is gone; the
# one that looks right, keypairs['rs'], has never held it. Seen with noiseprotocol 0.3.1.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

package noiseprotocol==0.3.1 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12
said=$(PYTHONPATH=$FOLDER/packages python3 - <<'END'
from noise.connection import Keypair, NoiseConnection
one, other = (NoiseConnection.from_name(b"Noise_XX_25519_ChaChaPoly_SHA256") for _ in range(2))
one.set_as_initiator(), other.set_as_responder()
for end, secret in ((one, b"\1" * 32), (other, b"\2" * 32)):
    end.set_keypair_from_private_bytes(Keypair.STATIC, secret)
    end.start_handshake()
theirs = other.noise_protocol.keypairs["s"].public_bytes
other.read_message(one.write_message()), one.read_message(other.write_message())
state = one.noise_protocol.handshake_state
print("known" if state.rs.public_bytes == theirs else "unknown")
other.read_message(one.write_message())
print(one.handshake_finished, hasattr(one.noise_protocol, "handshake_state"), one.noise_protocol.keypairs["rs"])
END
)
seen "before the last message the other's key is" known "$(sed -n 1p <<<"$said")"
seen "after it: finished, the handshake's state, keypairs['rs']" "True False None" "$(sed -n 2p <<<"$said")"
