//! Bytes as the interface writes them: hexadecimal with a checksum (SIUG 3.6).

/// The sum of all bytes and the checksum is a multiple of 256.
pub(super) fn checksum(bytes: &[u8]) -> u8 {
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    (256 - sum % 256).to_le_bytes().first().copied().unwrap_or_default()
}

/// Digits as they are sent, with the checksum.
pub(super) fn with_checksum(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes.iter().chain(&[checksum(bytes)]) {
        text += &format!("{byte:02X}");
    }
    text
}

/// Bytes of digits; none where they are not pairs of digits.
pub(super) fn parse(text: &str) -> Option<Vec<u8>> {
    let is_digit = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
    if !text.len().is_multiple_of(2) || !text.chars().all(is_digit) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// Two bits a group, four groups a byte, the first group in the lowest bits (SIUG 7.3).
pub(super) fn pairs_of_bits(codes: &[u8]) -> Vec<u8> {
    let byte = |four: &[u8]| four.iter().rev().fold(0, |byte, code| byte << 2 | code & 0b11);
    codes.chunks(4).map(byte).collect()
}

/// The two bytes of a level, low half first (SIUG 7.4, the vendor's table of nibble pairs).
pub(super) fn level_bytes(level: u8) -> [u8; 2] {
    const HALVES: [u8; 16] =
        [0xAA, 0xA9, 0xA6, 0xA5, 0x9A, 0x99, 0x96, 0x95, 0x6A, 0x69, 0x66, 0x65, 0x5A, 0x59, 0x56, 0x55];
    let half = |nibble: u8| HALVES.get(usize::from(nibble)).copied().unwrap_or_default();
    [half(level & 0x0F), half(level >> 4)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_sums() {
        for text in
            ["05380079202A", "0604001A3001AB", "8604990082300328", "3242008C", "8902312E322E363620200A"]
        {
            let bytes = parse(text).unwrap();
            let (_, body) = bytes.split_last().unwrap();
            assert_eq!(with_checksum(body), text);
        }
        assert_eq!(checksum(&[]), 0);
    }

    #[test]
    fn the_vendors_statuses() {
        assert_eq!(pairs_of_bits(&[0, 2, 2, 1, 2, 2, 2, 2, 1, 0, 0, 0]), [0x68, 0xAA, 0x01]);
        assert_eq!(level_bytes(0x57), [0x95, 0x99]);
        assert_eq!(level_bytes(0x00), [0xAA, 0xAA]);
        assert_eq!(level_bytes(0xFF), [0x55, 0x55]);
    }

    #[test]
    fn odd_and_foreign_digits_are_no_bytes() {
        for text in ["0", "0G", "+1", "0a", "é1"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(""), Some(vec![]));
    }
}
