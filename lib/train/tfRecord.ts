/** CRC-32C (Castagnoli), reflected polynomial 0x82f63b78, one byte at a time. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C of the bytes, as an unsigned number (RFC 3720, appendix B.4). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0);
  return ~crc >>> 0;
}

/** TFRecord's masking: rotated right by 15 bits plus a constant, so that a crc stored among the data it covers is no trap. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A TFRecord: u64 length, masked crc of the length, the payload, masked crc of the payload; all little-endian. */
export function tfRecord(payload: Uint8Array): Buffer {
  const record = Buffer.alloc(8 + 4 + payload.byteLength + 4);
  record.writeBigUInt64LE(BigInt(payload.byteLength));
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, 8)), 8);
  record.set(payload, 12);
  record.writeUInt32LE(maskedCrc32c(payload), 12 + payload.byteLength);
  return record;
}
