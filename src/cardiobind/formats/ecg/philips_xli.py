"""XLI, Philips' compression of ECG leads: LZW of ten bits over second differences, augmented leads as residuals.

Source: the description of the format by Watford (sierra-ecg-tools wiki). The four augmented and Einthoven leads were
checked on a PageWriter file: only division that truncates towards zero gives back aVL = I - II/2 and aVF = II - I/2
in every sample; division that rounds down is one count off in half of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

CODE_BITS = 10
LAST_CODE = (1 << CODE_BITS) - 2
LARGEST_COUNT = 1 << 15
LIMB_LEADS = ["I", "II", "III", "aVR", "aVL", "aVF"]
_HEADER_BYTES = 8


def decode_xli(data: bytes, leads: int, samples: int) -> list[NDArray[np.int64]]:
    """Return the counts of the first `leads` channels, (samples,) each, residuals still in place of aVR and others.

    Args:
        data: chunks of one channel each: size (4 bytes), two bytes unused, the first value (2 bytes), LZW codes.
        leads: how many channels to decode; later ones (pacing) are not looked at.
        samples: of each channel; what comes after is cut.

    Raises:
        ValueError: a chunk is missing, too short, too long, or its codes are impossible.
    """
    channels = [_decode_chunk(*chunk, samples) for chunk, _ in zip(_chunks(data), range(leads), strict=False)]
    if len(channels) < leads:
        raise ValueError("channels are missing")
    return channels


def rebuild_limb_leads(counts: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Return the channels with III, aVR, aVL and aVF (channels 3 to 6) rebuilt from I, II and their residuals."""
    one, two, three, avr, avl, avf, *chest = counts
    three = two - one - three
    avr, avl, avf = -_half(one + two) - avr, _half(one - three) - avl, _half(two + three) - avf
    return [one, two, three, avr, avl, avf, *chest]


def _half(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.fix(counts / 2).astype(np.int64)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    at = 0
    while at + _HEADER_BYTES <= len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        first = int.from_bytes(data[at + 6 : at + 8], "little", signed=True)
        at += _HEADER_BYTES
        if size > len(data) - at:
            raise ValueError("a chunk is longer than the data")
        yield data[at : at + size], first
        at += size


def _decode_chunk(codes: bytes, first: int, samples: int) -> NDArray[np.int64]:
    unpacked = np.frombuffer(_lzw(codes, most=4 * samples + _HEADER_BYTES), np.uint8)
    length = -(-len(unpacked) // 2)
    if length < max(samples, 2):
        raise ValueError("a channel ends before its samples do")
    low = np.zeros(length, np.uint8)
    low[: len(unpacked) - length] = unpacked[length:]
    words = (unpacked[:length].astype(np.uint16) << 8 | low).view(np.int16).astype(np.int64)
    return _from_second_differences(words, first)[:samples]


def _from_second_differences(words: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """Return x with x[0] = w[0], x[1] = w[1], x[i] = 2 x[i-1] - x[i-2] - (w[i-1] - 64), `first` for w[1] - 64."""
    second = np.concatenate([[first], words[2:-1] - 64])[: len(words) - 2]
    differences = np.cumsum(np.concatenate([[words[1] - words[0]], -second]))
    samples = np.concatenate([words[:1], words[0] + np.cumsum(differences)])
    if np.abs(samples).max() > LARGEST_COUNT:
        raise ValueError("a count does not fit into 16 bits")
    return samples


def _lzw(data: bytes, most: int) -> bytes:
    """Return what codes of ten bits stand for; strings up to code 1022, then the table stays as it is."""
    strings = [bytes((byte,)) for byte in range(256)]
    unpacked, previous = bytearray(), b""
    for code in _codes(data[: 2 * most + _HEADER_BYTES]):
        if code > LAST_CODE:
            break
        if code > len(strings) or (code == len(strings) and not previous):
            raise ValueError("a code that is not in the table yet")
        current = strings[code] if code < len(strings) else previous + previous[:1]
        if previous and len(strings) <= LAST_CODE:
            strings.append(previous + current[:1])
        unpacked += current
        previous = current
        if len(unpacked) > most:
            raise ValueError("more bytes than the samples need")
    return bytes(unpacked)


def _codes(data: bytes) -> list[int]:
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    whole = bits[: len(bits) // CODE_BITS * CODE_BITS].reshape(-1, CODE_BITS)
    codes: list[int] = (whole @ (1 << np.arange(CODE_BITS - 1, -1, -1))).tolist()
    return codes
