"""The key sealed by a TPM 2.0, and a counter in it as anchor (extra `tpm2`).

Rules this file keeps:

- The key is sealed under a storage primary of the owner hierarchy, which the TPM derives from its own seed and a fixed template: only
  this TPM opens the blob, and only until its owner clears it. The blob is a file outside the store's root.
- What travels between TPM and processor is encrypted by a session salted with that primary, so that a listener on the bus learns
  nothing. Whoever can put himself between the two is not kept out.
- No state of the machine (PCR) is asked for: the TPM binds the store to the machine, not to what it booted.
- A blob that this TPM did not make is `KeyLost`: the TPM was cleared, or the disk is in another machine. A TPM that does not answer is
  `KeyUnavailable`, and so is a file that is not there or is no blob: the path may be mistyped.
- The device is named. The search of the TSS library would end at any program that listens on a port.
- Private keys of identities are sealed in the store, and not made in the TPM.

The blob::

    offset  size  name
         0     8  magic            "RAPTPM01"
         8     2  version          1
        10     2  public_bytes     little-endian, as all of it
        12     2  private_bytes
        14     2  reserved         0
        16     p  TPM2B_PUBLIC     marshalled
        16+p   q  TPM2B_PRIVATE    marshalled
        16+p+q 32 digest           SHA-256 of everything before

Sources: TPM 2.0 Library, parts 1 (storage hierarchy, sessions, NV counters) and 3 (commands); TCG TSS 2.0 ESAPI; tpm2-pytss.

Example::

    store = NodeStore.open(root, keys=Tpm2Provider("/var/lib/rap/node.tpm"), create=True)
"""

import hashlib
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from types import ModuleType
from typing import Any

from rap_journal.errors import KeyLost, KeyUnavailable, MisuseError, StateStoreError, UnsafeFile
from rap_journal.markers import ProviderKind
from rap_journal.os_surroundings import read_private_file, write_private_file
from rap_projections.arguments import require
from rap_projections.key_providers.anchors import STEPS_MAX
from rap_projections.key_providers.door import KEY_BYTES, checked_key
from rap_projections.key_providers.extras import load_extra

DEVICE = "device:/dev/tpmrm0"
"""The kernel's resource manager: several processes may use the TPM beside each other."""

NV_INDEX = 0x0180_0A51
"""Where the counter is, unless another place is named; the range is the owner's."""

_MAGIC = b"RAPTPM01"
_HEAD = struct.Struct("<8sHHHH")
_BLOB_BYTES_MAX = 4096
_COUNTER_BYTES = 8
_TEMPLATE = "ecc256:aes128cfb"
_NV_INDEX_MIN, _NV_INDEX_MAX = 0x0180_0000, 0x01BF_FFFF

# Numbers of answers, from part 2 of the library, table "TPM_RC". Errors of format 1 carry handle or parameter in other bits.
_RC_OF_TPM = 0xFFFF_0000
_FORMAT_1 = 0x80
_NOT_OURS = {0x9F: "integrity", 0xA5: "binding"}
_NO_AUTHORITY = (0x8E, 0xA2)
_NO_HANDLE = 0x8B
_NOT_COUNTED_YET = 0x14A


class Tpm2Provider:
    """A key that this machine's TPM alone unseals; status says ``protection=tpm2``.

    Args:
        path: the file that holds the sealed key; its folder must exist.
        tcti: how the TPM is reached, as the TSS library writes it.

    Raises `MisuseError` for what is no path or no text.
    """

    kind = ProviderKind.TPM2
    holds_private_keys = False

    def __init__(self, path: str | PurePath, *, tcti: str = DEVICE) -> None:
        require("path", path, str, PurePath)
        require("tcti", tcti, str)
        self._path = str(path)
        self._tcti = tcti

    def __repr__(self) -> str:
        return f"Tpm2Provider({self._path!r}, tcti={self._tcti!r})"

    @property
    def path(self) -> str:
        """Where the sealed key is."""
        return self._path

    def provision(self, randomness: Callable[[int], bytes]) -> None:
        """Seal a random key into the file if that is not there. Raises `KeyUnavailable`."""
        try:
            self._read()
        except KeyUnavailable as error:
            if error.reason != "no_tpm_blob":
                raise
            with _tpm(self._tcti) as (library, context):
                blob = _encode(*_seal(library, context, randomness))
            try:
                write_private_file(self._path, blob)
            except OSError as error:
                raise self._unavailable("made", error) from error

    def key_encryption_key(self) -> bytes:
        """The 32 bytes. Raises `KeyUnavailable` without the file, for one that is not as it was written, and without an answer of the TPM;
        `KeyLost` where this TPM did not make it, or was cleared since; `UnsafeFile`."""
        public, private = _decode(self._read(), self._path)
        with _tpm(self._tcti) as (library, context):
            return checked_key(_unseal(library, context, public, private), f"the key in {self._path}")

    def _read(self) -> bytes:
        try:
            return read_private_file(self._path, _BLOB_BYTES_MAX)
        except FileNotFoundError as error:
            raise KeyUnavailable(
                f"there is no sealed key {self._path}; nothing was opened. Check the path. If the file is gone, put its copy back, or open the "
                "store by another key slot.",
                reason="no_tpm_blob",
            ) from error
        except UnsafeFile:
            raise
        except OSError as error:
            raise self._unavailable("read", error) from error

    def _unavailable(self, what: str, error: OSError) -> KeyUnavailable:
        return KeyUnavailable(
            f"the sealed key {self._path} cannot be {what} ({error.strerror}); nothing was made. Try again.", reason="tpm_blob"
        )


class Tpm2Anchor:
    """A counter in the TPM (`Anchor`). It survives clearing of the root, and of the disk.

    Args:
        index: its place in the TPM's memory, 0x01800000 to 0x01BFFFFF.
        tcti: how the TPM is reached.

    Whoever may use the TPM can raise it too: that is an alarm too many, and never one too few. Raises `MisuseError` for another index.
    """

    def __init__(self, index: int = NV_INDEX, *, tcti: str = DEVICE) -> None:
        require("index", index, int)
        require("tcti", tcti, str)
        if not _NV_INDEX_MIN <= index <= _NV_INDEX_MAX:
            raise MisuseError(f"{index:#x} is no index of the owner's; nothing was done.", reason="nv_index")
        self._index = index
        self._tcti = tcti

    def __repr__(self) -> str:
        return f"Tpm2Anchor({self._index:#x}, tcti={self._tcti!r})"

    def provision(self) -> None:
        """Make the counter if it is not there. A new one starts above every counter that this TPM ever had. Raises `KeyUnavailable`."""
        with _tpm(self._tcti) as (library, context):
            try:
                counter = _counter(context, self._index)
            except library.TSS2_Exception as error:
                if _code(error) != _NO_HANDLE:
                    raise
                counter = _define_counter(library, context, self._index)
            if _count(library, context, counter) is None:
                context.nv_increment(counter)

    def read(self) -> int:
        """As `Anchor.read`."""
        with self._asking() as (library, context, counter):
            return _count(library, context, counter) or 0

    def raise_to(self, number: int) -> None:
        """As `Anchor.raise_to`."""
        with self._asking() as (library, context, counter):
            steps = number - (_count(library, context, counter) or 0)
            if steps > STEPS_MAX:
                raise MisuseError(
                    f"the anchor would rise by {steps}, and at most {STEPS_MAX} at once; nothing was changed.",
                    reason="anchor_steps",
                )
            for _step in range(steps):
                context.nv_increment(counter)

    @contextmanager
    def _asking(self) -> Iterator[tuple[ModuleType, Any, Any]]:
        with _tpm(self._tcti) as (library, context):
            try:
                counter = _counter(context, self._index)
            except library.TSS2_Exception as error:
                if _code(error) == _NO_HANDLE:
                    raise KeyLost(
                        f"the TPM has no counter {self._index:#x}: it was never made, or the TPM was cleared. Make it anew, and have the "
                        "control plane validate this node.",
                        reason="no_counter",
                    ) from error
                raise
            yield library, context, counter


@contextmanager
def _tpm(tcti: str) -> Iterator[tuple[ModuleType, Any]]:
    """A connection to the TPM; what goes wrong on it is told as this store tells it."""
    library = load_extra("tpm2_pytss")
    try:
        with library.ESAPI(tcti) as context:
            yield library, context
    except library.TSS2_Exception as error:
        raise _told(error) from error


def _told(error: Any) -> StateStoreError:
    code = _code(error)
    if code in _NOT_OURS:
        return KeyLost(
            "the TPM did not make this sealed key, or was cleared since; nothing was opened. Put the disk back into its machine, open by "
            "another key slot, or enroll anew.",
            reason=f"tpm_{_NOT_OURS[code]}",
        )
    if code in _NO_AUTHORITY:
        return KeyUnavailable(
            "the TPM's owner hierarchy has a password, which this store does not use; nothing was opened. Use another key provider, or "
            "take the password away: tpm2_changeauth -c owner -p PASSWORD",
            reason="tpm_owner_password",
        )
    return KeyUnavailable(
        f"the TPM does not answer as asked (TSS {error.rc:#x}: {error}); nothing was opened. See that it is on and this user may use it "
        "(group tss), then try again.",
        reason="tpm",
    )


def _code(error: Any) -> int | None:
    """Which answer of the TPM itself it is, without the bits that name a parameter, handle or session; None for one of the software."""
    number = int(error.rc)
    if number & _RC_OF_TPM:
        return None
    return number & 0xBF if number & _FORMAT_1 else number


def _seal(library: ModuleType, context: Any, randomness: Callable[[int], bytes]) -> tuple[bytes, bytes]:
    """A random key, sealed: its two parts. The key has no name here, so that no error's frames show it."""
    attributes = library.TPMA_OBJECT
    public = library.TPM2B_PUBLIC.parse(
        "keyedhash", objectAttributes=attributes.FIXEDTPM | attributes.FIXEDPARENT | attributes.USERWITHAUTH | attributes.NODA
    )
    sensitive = library.TPM2B_SENSITIVE_CREATE(
        library.TPMS_SENSITIVE_CREATE(data=library.TPM2B_SENSITIVE_DATA(randomness(KEY_BYTES)))
    )
    with _storage(library, context) as (parent, session):
        private, public, *_creation = context.create(parent, sensitive, public, session1=session)
    return bytes(public.marshal()), bytes(private.marshal())


def _unseal(library: ModuleType, context: Any, public: bytes, private: bytes) -> bytes:
    with _storage(library, context) as (parent, session):
        sealed = context.load(
            parent, library.TPM2B_PRIVATE.unmarshal(private)[0], library.TPM2B_PUBLIC.unmarshal(public)[0], session1=session
        )
        try:
            return bytes(context.unseal(sealed, session1=session))
        finally:
            context.flush_context(sealed)


@contextmanager
def _storage(library: ModuleType, context: Any) -> Iterator[tuple[Any, Any]]:
    """The storage primary, and a session that encrypts what it carries."""
    attributes, session_attributes = library.TPMA_OBJECT, library.TPMA_SESSION
    template = library.TPM2B_PUBLIC.parse(
        _TEMPLATE,
        objectAttributes=attributes.FIXEDTPM
        | attributes.FIXEDPARENT
        | attributes.SENSITIVEDATAORIGIN
        | attributes.USERWITHAUTH
        | attributes.NODA
        | attributes.RESTRICTED
        | attributes.DECRYPT,
    )
    primary, *_creation = context.create_primary(library.TPM2B_SENSITIVE_CREATE(), template, library.ESYS_TR.OWNER)
    try:
        session = context.start_auth_session(
            tpm_key=primary, bind=library.ESYS_TR.NONE, session_type=library.TPM2_SE.HMAC, symmetric="aes128cfb",
            auth_hash=library.TPM2_ALG.SHA256,
        )  # fmt: skip
        try:
            context.trsess_set_attributes(
                session, session_attributes.CONTINUESESSION | session_attributes.DECRYPT | session_attributes.ENCRYPT
            )
            yield primary, session
        finally:
            context.flush_context(session)
    finally:
        context.flush_context(primary)


def _counter(context: Any, index: int) -> Any:
    return context.tr_from_tpmpublic(index)


def _define_counter(library: ModuleType, context: Any, index: int) -> Any:
    attributes = library.TPMA_NV
    kind = library.TPM2_NT.COUNTER << attributes.TPM2_NT_SHIFT
    public = library.TPM2B_NV_PUBLIC(
        library.TPMS_NV_PUBLIC(
            nvIndex=index, nameAlg=library.TPM2_ALG.SHA256, dataSize=_COUNTER_BYTES,
            attributes=attributes.AUTHREAD | attributes.AUTHWRITE | attributes.NO_DA | kind,
        )
    )  # fmt: skip
    return context.nv_define_space(b"", public)


def _count(library: ModuleType, context: Any, counter: Any) -> int | None:
    """The counter's number; None where it was made and never raised."""
    try:
        return int.from_bytes(bytes(context.nv_read(counter, _COUNTER_BYTES)), "big")
    except library.TSS2_Exception as error:
        if _code(error) == _NOT_COUNTED_YET:
            return None
        raise


def _encode(public: bytes, private: bytes) -> bytes:
    content = _HEAD.pack(_MAGIC, 1, len(public), len(private), 0) + public + private
    return content + hashlib.sha256(content).digest()


def _decode(blob: bytes, path: str) -> tuple[bytes, bytes]:
    if len(blob) >= _HEAD.size + 32 and hashlib.sha256(blob[:-32]).digest() == blob[-32:]:
        magic, version, public_bytes, private_bytes, reserved = _HEAD.unpack_from(blob)
        middle = _HEAD.size + public_bytes
        if (magic, version, reserved) == (_MAGIC, 1, 0) and len(blob) == middle + private_bytes + 32:
            return blob[_HEAD.size : middle], blob[middle:-32]
    raise KeyUnavailable(
        f"{path} is not a sealed key as it was written; nothing was opened. Check the path, or put the right file back.",
        reason="tpm_blob",
    )
