"""A reader of journals that was written from journal/FORMAT.md alone: it uses nothing of this project, and shows that the page is enough.

It describes a journal's folder, given as file names and bytes, as plain values that JSON can hold; byte strings become text such
as h'00ff'. Whatever it finds that is not as the page says is an `AssertionError`. Numbers in comments are sections of the page.

Example::

    description = IndependentReader(files, key_encryption_key).describe()
"""

import hashlib
import hmac
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ZEROS_12 = bytes(12)


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def unpack(layout: str, data: bytes, offset: int = 0) -> tuple[Any, ...]:
    return struct.unpack_from("<" + layout, data, offset)


def text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode()


def plain(value: Any) -> Any:
    """What JSON can hold."""
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


class IndependentReader:
    """One journal's folder."""

    def __init__(self, files: Mapping[str, bytes], key_encryption_key: bytes) -> None:
        self.files = files
        self.marker = self.read_marker()
        self.journal_id = bytes.fromhex(self.marker["journal_id"][2:-1])
        self.data_keys = self.open_key_files(key_encryption_key)
        self.check_authenticator()
        self.heads: dict[int, tuple[int, bytes, int]] = {}

    def describe(self) -> dict[str, Any]:
        witness = self.read_witness()
        segments = self.read_segments()
        assert [[number, *plain(head)] for number, head in sorted(self.heads.items())] == witness["heads"]
        return {
            "marker": self.marker,
            "data_keys": {str(generation): plain(key) for generation, key in sorted(self.data_keys.items())},
            "witness": witness,
            "segments": segments,
            "files": [self.read_sealed(name) for name in sorted(self.files) if name.count("/") and self.is_sealed(name)],
            "quarantine": [self.read_piece(name) for name in sorted(self.files) if name.startswith("quarantine/")],
        }

    def is_sealed(self, name: str) -> bool:
        return name.split("/")[1].startswith(("checkpoint-", "document-", "ledger-"))

    def read_marker(self) -> dict[str, Any]:  # 5
        data = self.files["MARKER"]
        assert len(data) == 1024 and data[:512] == data[512:]
        fields = unpack("8sHBBI16s16sHHIII 64s16s304s32s32s", data)
        (
            magic,
            version,
            kind,
            provider,
            generation,
            journal_id,
            store_id,
            level,
            _,
            serial,
            _,
            _,
            cluster,
            key_check,
            zeros,
            _,
            digest,
        ) = fields
        assert (magic, version, digest) == (b"RAPMARK1", 1, sha(data[:480])) and not any(zeros)
        return {
            "kind": kind, "provider": provider, "key_generation": generation, "journal_id": plain(journal_id), "store_id": plain(store_id),
            "format_level": level, "serial": serial, "cluster": text(cluster), "key_check": plain(key_check),
        }  # fmt: skip

    def check_authenticator(self) -> None:  # 4 and 5
        data = self.files["MARKER"]
        assert hmac.digest(self.purpose_key(b"marker", self.marker["key_generation"]), data[:448], "sha256") == data[448:480]

    def open_key_files(self, key_encryption_key: bytes) -> dict[int, bytes]:  # 6
        names = {name.split("/")[1] for name in self.files if "/keys-" in name}
        return dict(self.open_key_file(key_encryption_key, name) for name in names)

    def open_key_file(self, key_encryption_key: bytes, name: str) -> tuple[int, bytes]:  # 4 and 6
        copies = [data for path, data in self.files.items() if path.endswith("/" + name)]
        data = copies[0]
        assert len(copies) == 2 and copies[1] == data and data[-32:] == sha(data[:-32])
        magic, version, slots, generation, journal_id, key_check = unpack("8sHHI16s16s", data)
        assert (magic, version, slots, len(data)) == (b"RAPKEYS1", 1, 1, 256)
        provider, kdf, _, _, _, salt, wrapped = unpack("HHIII32s48s", data, 64)
        assert (kdf, journal_id, name) == (0, self.journal_id, f"keys-{generation:08}")
        assert generation != self.marker["key_generation"] or plain(key_check) == self.marker["key_check"]
        place = b"rap/v1 key slot" + journal_id + struct.pack("<IH", generation, provider)
        data_key = AESGCM(hkdf(key_encryption_key, salt, b"rap/v1 wrap")).decrypt(ZEROS_12, wrapped, place)
        assert key_check == hkdf(data_key, journal_id, b"rap/v1 key check")[:16]
        assert hmac.digest(hkdf(data_key, journal_id, b"rap/v1 slots"), data[:-64], "sha256") == data[-64:-32]
        return generation, data_key

    def purpose_key(self, purpose: bytes, generation: int) -> bytes:  # 4
        return hkdf(self.data_keys[generation], self.journal_id, b"rap/v1 " + purpose)

    def unseal(self, purpose: bytes, generation: int, salt: bytes, associated: bytes, sealed: bytes) -> bytes:  # 4
        return AESGCM(hkdf(self.purpose_key(purpose, generation), salt, b"")).decrypt(ZEROS_12, sealed, associated)

    def read_witness(self) -> dict[str, Any]:  # 10
        data = self.files["WITNESS"]
        assert len(data) == 8192
        slots = [data[at : at + 4096] for at in (0, 4096)]
        valid = [slot for slot in slots if sha(slot[:4080])[:16] == slot[4080:] and slot[:8] == b"RAPWIT01"]
        slot = max(valid, key=lambda each: unpack("Q", each, 48))
        fields = unpack("8sHHI16s16sQQ16sQQIIQQ32s", slot)
        (
            _,
            version,
            _,
            sealed_bytes,
            journal_id,
            incarnation,
            sequence,
            lsn,
            digest,
            segment,
            offset,
            epoch,
            generation,
            last_strict,
            _,
            salt,
        ) = fields
        assert (version, journal_id, slots[sequence % 2]) == (1, self.journal_id, slot)
        assert not any(slot[152 + sealed_bytes : 4080])
        heads, floors = cbor2.loads(self.unseal(b"witness", generation, salt, slot[:152], slot[152 : 152 + sealed_bytes]))
        return {
            "sequence": sequence, "incarnation": plain(incarnation), "lsn": lsn, "digest": plain(digest), "segment": segment, "offset": offset,
            "epoch": epoch, "last_strict_lsn": last_strict, "heads": plain(heads), "floors": plain(floors),
        }  # fmt: skip

    def read_segments(self) -> list[dict[str, Any]]:  # 7 and 13
        names = sorted(name for name in self.files if name.startswith("journal/0"))
        headers = [self.read_segment_header(name) for name in names]
        segments = []
        before = {"number": 0, "epoch": 0, "incarnation": plain(bytes(16)), "last_lsn": 0, "bytes": 0, "digest": plain(bytes(16))}
        for index, (name, header) in enumerate(zip(names, headers, strict=True)):
            assert header["predecessor"] == before, name
            end = headers[index + 1]["predecessor"]["bytes"] if index + 1 < len(headers) else len(self.files[name])
            frames, last_lsn, digest, offset = self.read_frames(name, header, end)
            rest = self.files[name][offset:end].rstrip(b"\0")
            segments.append({"name": name, **header, "frames": frames, "valid_bytes": offset, "remnant_bytes": len(rest)})
            before = {
                "number": header["number"], "epoch": header["epoch"], "incarnation": header["incarnation"], "last_lsn": last_lsn,
                "bytes": offset, "digest": plain(digest),
            }  # fmt: skip
        return segments

    def read_segment_header(self, name: str) -> dict[str, Any]:  # 7
        data = self.files[name]
        (
            magic, version, level, header_bytes, journal_id, cluster, number, epoch, generation, incarnation, before_incarnation, first_lsn,
            salt, before_lsn, before_bytes, before_digest, cut_bytes, cut_label, cut_mask, before_epoch, cut_sha256, last_strict,
            before_number, zeros, digest,
        ) = unpack("8sHHI16s64sQII16s16sQ32sQQ16sQHHI32sQQ200s32s", data)  # fmt: skip
        assert (magic, version, header_bytes, journal_id) == (b"RAPSEG01", 1, 512, self.journal_id) and not any(zeros)
        assert digest == sha(data[:480]) and name == f"journal/{number:08}-{epoch:08}"
        return {
            "number": number, "epoch": epoch, "format_level": level, "cluster": text(cluster), "key_generation": generation,
            "incarnation": plain(incarnation), "first_lsn": first_lsn, "salt": plain(salt), "last_strict_lsn": last_strict,
            "predecessor": {
                "number": before_number, "epoch": before_epoch, "incarnation": plain(before_incarnation), "last_lsn": before_lsn,
                "bytes": before_bytes, "digest": plain(before_digest),
            },
            "cut": {"bytes": cut_bytes, "label": cut_label, "class_mask": cut_mask, "sha256": plain(cut_sha256)},
        }  # fmt: skip

    def read_frames(self, name: str, header: dict[str, Any], end: int) -> tuple[list[dict[str, Any]], int, bytes, int]:  # 8
        data, salt = self.files[name][:end], bytes.fromhex(header["salt"][2:-1])
        cipher = AESGCM(hkdf(self.purpose_key(b"segment", header["key_generation"]), salt, sha(data[:512])))
        last_lsn, digest, last_strict, offset, frames = (
            header["first_lsn"] - 1,
            sha(data[:512])[:16],
            header["last_strict_lsn"],
            512,
            [],
        )
        while offset + 80 <= len(data):
            head = data[offset : offset + 80]
            (
                magic, version, flags, mask, stored_bytes, payload_bytes, first_lsn, count, epoch, nonce, zero, its_last_strict, predecessor,
                check,
            ) = unpack("4sBBHIIQII12sIQ16s8s", head)  # fmt: skip
            stored = data[offset + 80 : offset + 80 + stored_bytes]
            padding = -stored_bytes % 8
            trailer = offset + 80 + stored_bytes + padding
            if magic != b"\xf5RAP" or check != hashlib.blake2b(head[:72], key=salt, digest_size=8).digest():
                break
            if data[trailer : trailer + 16] != sha(head + stored)[:16]:
                break
            assert not any(data[offset + 80 + stored_bytes : trailer])
            assert (version, zero, epoch, first_lsn, predecessor) == (1, 0, header["epoch"], last_lsn + 1, digest)
            assert its_last_strict == last_strict and not flags & ~3
            payload = cipher.decrypt(nonce, stored, head)
            payload = zlib.decompress(payload) if flags & 1 else payload
            assert len(payload) == payload_bytes
            records = read_payload(payload, first_lsn)
            self.follow_strict_chains(payload, first_lsn)
            assert sum(record["rows"] for record in records) == count
            assert all((record["strict_link"] is not None) == bool(flags & 2) for record in records)
            last_lsn, digest = first_lsn + count - 1, data[trailer : trailer + 16]
            last_strict = last_lsn if flags & 2 else last_strict
            frames.append({
                "offset": offset, "flags": flags, "class_mask": mask, "first_lsn": first_lsn, "record_count": count,
                "last_strict_lsn": its_last_strict, "digest": plain(digest), "records": records,
            })  # fmt: skip
            offset = trailer + 16
        return frames, last_lsn, digest, offset

    def follow_strict_chains(self, payload: bytes, lsn: int) -> None:  # 13
        for record in cbor2.loads(payload)[5]:
            state_class, rows, meta = record[3], record[4], record[6]
            if meta is not None and meta[3] is not None:
                previous_lsn, previous_digest, ordinal = meta[3]
                assert (previous_lsn, previous_digest, ordinal - 1) == self.heads.get(state_class, (0, bytes(16), 0))
                record[5], meta[2] = 0, None
                digest = sha(previous_digest + struct.pack("<Q", lsn) + cbor2.dumps(record))[:16]
                self.heads[state_class] = (lsn, digest, ordinal)
            lsn += rows

    def read_sealed(self, path: str) -> dict[str, Any]:  # 11
        data, name = self.files[path], path.split("/")[1]
        (
            magic, version, purpose, state_class, generation, journal_id, lsn, epoch, flags, chain_digest, fold_set, _, stored_bytes,
            content_bytes, salt, _,
        ) = unpack("8sHBBI16sQII16sIIQQ32s8s", data)  # fmt: skip
        assert (magic, version, journal_id, stored_bytes) == (b"RAPSEAL1", 1, self.journal_id, len(data) - 160)
        assert data[-32:] == sha(data[:-32])
        if purpose == 4:
            assert name.endswith(f"-{lsn:016}") and state_class == 0
        else:
            assert name == (f"checkpoint-{lsn:016}" if purpose == 1 else f"document-{salt[:16].hex()}")
        word = (b"", b"checkpoint", b"document", b"identity", b"ledger")[purpose]
        content = self.unseal(word, generation, salt, data[:128] + name.encode(), data[128:-32])
        content = zlib.decompress(content) if flags & 1 else content
        assert len(content) == content_bytes
        if purpose == 4:
            shown: Any = self.read_ledger(content, name)
        else:
            shown = plain(cbor2.loads(content) if purpose == 1 else content)
        return {
            "path": path, "purpose": purpose, "class": state_class, "key_generation": generation, "lsn": lsn, "epoch": epoch, "flags": flags,
            "chain_digest": plain(chain_digest), "fold_set": fold_set, "content": shown,
        }  # fmt: skip

    def read_ledger(self, content: bytes, name: str) -> dict[str, Any]:  # 11 and 18
        first_lsn, last_lsn, node_us, runs = cbor2.loads(content)
        assert name == f"ledger-{first_lsn:016}-{last_lsn:016}"
        records = [record for lsn, payload in runs for record in read_payload(payload, lsn)]
        assert all(first_lsn <= record["lsn"] <= last_lsn and 1 <= record["category"] <= 4 for record in records)
        return {"node_us": node_us, "records": records}

    def read_piece(self, path: str) -> dict[str, Any]:  # 12
        data = self.files[path]
        magic, version, label, _, journal_id, segment, epoch, left_out, offset, size, after_lsn, sha256, check = unpack(
            "8sHHI16sQIIQQQ32s24s", data
        )
        assert (magic, version, journal_id, check) == (b"RAPQUAR1", 1, self.journal_id, sha(data[:104])[:24])
        if left_out:
            assert len(data) == 128 + size - left_out + 32 and sha(data[:-32]) == data[-32:]
        else:
            assert len(data) == 128 + size and sha(data[128:]) == sha256
        assert path == f"quarantine/{segment:08}-{offset:08}-{sha256[:8].hex()}"
        return {
            "path": path, "label": label, "segment": segment, "epoch": epoch, "offset": offset, "bytes": size, "after_lsn": after_lsn,
            "sha256": plain(sha256),
        }  # fmt: skip


def read_payload(payload: bytes, first_lsn: int) -> list[dict[str, Any]]:  # 9
    boot_id, actor, wall_us, boot_us, node_us, rows = cbor2.loads(payload)
    records, lsn = [], first_lsn
    for kind, version, category, state_class, row_count, delta_us, meta, body in rows:
        causes, trace_id, its_actor, link = meta or ([], None, None, None)
        records.append({
            "lsn": lsn, "kind": kind, "version": version, "category": category, "class": state_class, "rows": row_count,
            "wall_us": wall_us + delta_us, "boot_us": boot_us + delta_us, "node_us": node_us + delta_us, "boot_id": plain(boot_id),
            "causes": causes, "trace_id": trace_id, "actor": actor if its_actor is None else its_actor, "strict_link": plain(link),
            "body": plain(body),
        })  # fmt: skip
        lsn += row_count
    return records
