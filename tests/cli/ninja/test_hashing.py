"""The hashes must be the ones that ninja writes: golden values from its own C code."""

from __future__ import annotations

import pytest

from cyxmake_cli.ninja.hashing import murmur64a, rapidhash

# Length of the input, MurmurHash64A, rapidhash. Byte i of the input is (37 i + 11) mod 256.
GOLDEN = [
    (0, 0x87C2BC0BEAF1D91D, 0x5A6EF77074EBC84B),
    (1, 0x7CD2747FE5B15096, 0xE26C60FB0D6336EF),
    (3, 0x1136453A79E40569, 0x1498EDF9F1C2F956),
    (4, 0x5D0E67CDFFF6EE04, 0xAC0365CD048BEB24),
    (7, 0x3C6F46B37A5CD8D0, 0x4805D1635569E520),
    (8, 0xB00B40066C264525, 0x2CD540C96C008F1B),
    (9, 0x5C532EC773D96E1F, 0xD28B7F98E3832BFC),
    (16, 0xB9475FFC387DC005, 0xD2EFF36BDAB492BB),
    (17, 0xBB8CEB8D016B30E0, 0x2F6D95F7920A277F),
    (32, 0x437403A554E78D23, 0x02A84E6ADCF04C4B),
    (33, 0xC8EB9B5751C00970, 0x19EE1079C34158B3),
    (48, 0x29DB865F45DCC53C, 0x42CDC4723245F096),
    (49, 0x2769B862828FEA31, 0x65EFCF36A24084A7),
    (95, 0x1AF37C38E603A240, 0x209EBB68FA7C3325),
    (96, 0x7CF28DA99D51DE0E, 0x9ACBAB101A6655D3),
    (97, 0xF507341AFD94E9DD, 0x156C01292C20D169),
    (144, 0xB90BFF0E673DBC8D, 0x93D0F94949BD15D1),
    (145, 0x824537CB8A6D7ABF, 0x4B2C9E5858E6FDA4),
    (500, 0x10CD32BE127BA6C0, 0xDA3C9328011B8DC9),
]


def text(size: int) -> bytes:
    return bytes((i * 37 + 11) % 256 for i in range(size))


@pytest.mark.parametrize(("size", "murmur", "rapid"), GOLDEN)
def test_hashes_equal_those_of_the_c_code(size: int, murmur: int, rapid: int) -> None:
    """Every branch of both hashes, by length of the input."""
    assert murmur64a(text(size)) == murmur
    assert rapidhash(text(size)) == rapid
