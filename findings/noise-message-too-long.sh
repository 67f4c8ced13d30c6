#!/usr/bin/env bash
#
# noiseprotocol encrypts up to 65,535 bytes into one message, which is longer than a message of Noise can be.
#
# A message of Noise has at most 65,535 bytes, the 16 of its seal among them (revision 34, section 3). encrypt() bounds
# the text instead. So 65,520 to 65,535 bytes of text become a message that nobody may take, nor does decrypt() of the
# same package. The nonce is used up by then: what is sent next can't be decrypted either, and the connection is lost.
# Seen with noiseprotocol 0.3.1.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

package noiseprotocol==0.3.1 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12
# sealed LENGTH: a text of this length from one end to the other, and a short one after it.
sealed() {
    PYTHONPATH=$FOLDER/packages python3 - "$1" <<'END'
import sys
from noise.connection import NoiseConnection
one, other = (NoiseConnection.from_name(b"Noise_NN_25519_ChaChaPoly_SHA256") for _ in range(2))
one.set_as_initiator(), other.set_as_responder()
one.start_handshake(), other.start_handshake()
other.read_message(one.write_message()), one.read_message(other.write_message())
message = one.encrypt(bytes(int(sys.argv[1])))
said = [len(message)]
for sealed in (message, one.encrypt(b"short")):
    try:
        said.append(len(other.decrypt(sealed)))
    except Exception as error:
        said.append(type(error).__name__)
print(*said)
END
}

seen "65519 bytes, the most that fit" "65535 65519 5" "$(sealed 65519)"
seen "65520 bytes" "65536 NoiseInvalidMessage NoiseInvalidMessage" "$(sealed 65520)"
seen "65535 bytes" "65551 NoiseInvalidMessage NoiseInvalidMessage" "$(sealed 65535)"
