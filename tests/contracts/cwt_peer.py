"""The other side of the exchange with the COSE implementation `cwt`: runs in the environment that has it, and knows nothing of ours.

It reads a JSON array of requests from standard input and writes an array of answers to standard output. Bytes are in hexadecimal,
keys are {kid, x, d}.

- ``{"call": "sign1" | "sign", "payload", "aad", "signers": [{"key", "protected": [[label, value], ...]}]}`` gives ``{"cose"}``.
- ``{"call": "verify", "cose", "aad", "keys": [key]}`` gives ``{"payload"}``, or ``{"refused": name of the exception}``.

A protected value that is an object ``{"hex": ...}`` is a byte string.

Example::

    python cwt_peer.py < request.json
"""

import json
import sys
from typing import Any

from cwt import COSE, COSEKey, Signer
from cwt.exceptions import CWTError

_KEY_TYPE, _KID, _ALGORITHM, _CURVE, _X, _D = 1, 2, 3, -1, -2, -4
_OKP, _ED25519_CURVE = 1, 6
_ALG = 1


def make_key(key: dict[str, str], algorithm: int) -> Any:
    """A key of Ed25519; without `d` for verifying only."""
    params: dict[int, Any] = {_KEY_TYPE: _OKP, _KID: bytes.fromhex(key["kid"]), _ALGORITHM: algorithm, _CURVE: _ED25519_CURVE}
    params[_X] = bytes.fromhex(key["x"])
    if "d" in key:
        params[_D] = bytes.fromhex(key["d"])
    return COSEKey.new(params)


def header(pairs: list[list[Any]]) -> dict[int, Any]:
    """A header in the order of its pairs."""
    return {label: bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for label, value in pairs}


def sign1(request: dict[str, Any]) -> dict[str, str]:
    """A COSE_Sign1 by the only signer."""
    (signer,) = request["signers"]
    protected = header(signer["protected"])
    key = make_key(signer["key"], protected[_ALG])
    payload, aad = bytes.fromhex(request["payload"]), bytes.fromhex(request["aad"])
    return {"cose": COSE.new().encode_and_sign(payload, key, protected=protected, external_aad=aad).hex()}


def sign(request: dict[str, Any]) -> dict[str, str]:
    """A COSE_Sign by all signers, its body without headers."""
    signers = []
    for signer in request["signers"]:
        protected = header(signer["protected"])
        signers.append(Signer.new(make_key(signer["key"], protected[_ALG]), protected=protected))
    payload, aad = bytes.fromhex(request["payload"]), bytes.fromhex(request["aad"])
    return {"cose": COSE.new().encode_and_sign(payload, signers=signers, external_aad=aad).hex()}


def verify(request: dict[str, Any]) -> dict[str, str]:
    """What a COSE_Sign1, or a COSE_Sign under one of its signers' keys, says."""
    keys = [make_key(key, key["alg"]) for key in request["keys"]]
    data, aad = bytes.fromhex(request["cose"]), bytes.fromhex(request["aad"])
    try:
        return {"payload": COSE.new(verify_kid=False).decode(data, keys, external_aad=aad).hex()}
    except (CWTError, ValueError) as error:
        return {"refused": type(error).__name__}


if __name__ == "__main__":
    calls = {"sign1": sign1, "sign": sign, "verify": verify}
    answers = [calls[request["call"]](request) for request in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)
