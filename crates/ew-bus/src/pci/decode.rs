//! From bytes as they come to lines and signs (SIUG 4.3.2). A confirmation has no line end and may be glued to what
//! follows it.

use super::frame::{is_sound, unhex};

/// Longer lines than any reply are noise, characters.
const LINE_MAX: usize = 128;

/// One thing that the interface said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// What became of the command with this letter.
    Confirmed(u8, Outcome),
    /// `!`: a command was not accepted.
    Rejected,
    /// `~`: the echo of a reset.
    Reset,
    /// `++`, of which the first may be lost.
    PowerUp,
    /// `==`: a parameter was changed over the bus.
    ParameterChange,
    /// A line whose checksum, which is left in place, is right.
    Line(Vec<u8>),
    /// Anything else: an echo, `null`, a damaged line.
    Noise(String),
}

/// The character after the letter of a confirmation (SIUG 4.3.3.3; `!` by IFR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// `.`
    Sent,
    /// `#`
    NotAcknowledged,
    /// `$`
    Corrupted,
    /// `%`
    NoClock,
    /// `'`
    TooLong,
    /// `!`
    BadChecksum,
}

impl Outcome {
    fn of(sign: u8) -> Option<Outcome> {
        match sign {
            b'.' => Some(Outcome::Sent),
            b'#' => Some(Outcome::NotAcknowledged),
            b'$' => Some(Outcome::Corrupted),
            b'%' => Some(Outcome::NoClock),
            b'\'' => Some(Outcome::TooLong),
            b'!' => Some(Outcome::BadChecksum),
            _ => None,
        }
    }
}

/// Holds what is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    /// A letter that is a confirmation's if its sign follows.
    letter: Option<u8>,
    /// The last `+` or `=`, whose double is the same sign.
    sign: Option<u8>,
}

impl Decoder {
    /// Takes bytes, however they are cut, and gives what became whole.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Token> {
        let mut tokens = Vec::new();
        for byte in bytes {
            self.take(*byte, &mut tokens);
        }
        tokens
    }

    fn take(&mut self, byte: u8, tokens: &mut Vec<Token>) {
        let earlier = self.sign.take();
        if let Some(letter) = self.letter.take() {
            if let Some(outcome) = Outcome::of(byte) {
                self.end_line(tokens);
                tokens.push(Token::Confirmed(letter, outcome));
                return;
            }
            self.line.push(letter);
        }
        let sign = match byte {
            b'g'..=b'z' => {
                self.letter = Some(byte);
                return;
            }
            b'\r' | b'\n' => {
                self.end_line(tokens);
                return;
            }
            b'!' => Token::Rejected,
            b'~' => Token::Reset,
            b'+' => Token::PowerUp,
            b'=' => Token::ParameterChange,
            // XON and XOFF, and what a line gives while it is switched on.
            0x00 | 0x11 | 0x13 => return,
            _ => {
                self.line.push(byte);
                if self.line.len() >= LINE_MAX {
                    self.end_line(tokens);
                }
                return;
            }
        };
        self.end_line(tokens);
        if matches!(sign, Token::PowerUp | Token::ParameterChange) {
            if earlier == Some(byte) {
                return;
            }
            self.sign = Some(byte);
        }
        tokens.push(sign);
    }

    fn end_line(&mut self, tokens: &mut Vec<Token>) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return;
        }
        tokens.push(match unhex(&line).filter(|bytes| is_sound(bytes)) {
            Some(bytes) => Token::Line(bytes),
            None => Token::Noise(line.escape_ascii().to_string()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One of each, as a bad day would send them.
    const ALL: &[u8] = b"garbage+\r\n@A342000Ag\rg.3242008C\r\n~~~\rh#i$j%k'l!!\r\nnull\r\n==\r\nm.8604990082300328\r\n\
        860593008902312E322E363620207F\r\n\x11+n.\x00D838580000000000000000000000000000000000000000000098\r\n";

    fn expect() -> Vec<Token> {
        let line = |text: &str| Token::Line(unhex(text.as_bytes()).unwrap());
        let noise = |text: &str| Token::Noise(text.into());
        vec![
            noise("garbage"),
            Token::PowerUp,
            noise("@A342000Ag"),
            Token::Confirmed(b'g', Outcome::Sent),
            line("3242008C"),
            Token::Reset,
            Token::Reset,
            Token::Reset,
            Token::Confirmed(b'h', Outcome::NotAcknowledged),
            Token::Confirmed(b'i', Outcome::Corrupted),
            Token::Confirmed(b'j', Outcome::NoClock),
            Token::Confirmed(b'k', Outcome::TooLong),
            Token::Confirmed(b'l', Outcome::BadChecksum),
            Token::Rejected,
            noise("null"),
            Token::ParameterChange,
            Token::Confirmed(b'm', Outcome::Sent),
            line("8604990082300328"),
            noise("860593008902312E322E363620207F"),
            Token::PowerUp,
            Token::Confirmed(b'n', Outcome::Sent),
            line("D838580000000000000000000000000000000000000000000098"),
        ]
    }

    #[test]
    fn every_form_is_told_apart() {
        assert_eq!(Decoder::default().feed(ALL), expect());
    }

    #[test]
    fn split_at_every_byte_boundary_it_is_the_same() {
        for at in 0..=ALL.len() {
            let mut decoder = Decoder::default();
            let mut tokens = decoder.feed(&ALL[..at]);
            tokens.extend(decoder.feed(&ALL[at..]));
            assert_eq!(tokens, expect(), "split at {at}");
        }
        let mut decoder = Decoder::default();
        let one_by_one: Vec<_> = ALL.iter().flat_map(|byte| decoder.feed(&[*byte])).collect();
        assert_eq!(one_by_one, expect());
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut decoder = Decoder::default();
        let tokens = decoder.feed(&[b'A'; 1000]);
        assert_eq!(tokens.len(), 1000 / LINE_MAX);
        assert!(decoder.line.len() < LINE_MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same(bytes: Vec<u8>, cut in 0usize..64) {
            let whole = Decoder::default().feed(&bytes);
            let mut decoder = Decoder::default();
            let pieces: Vec<_> = bytes.chunks(cut + 1).flat_map(|piece| decoder.feed(piece)).collect();
            prop_assert_eq!(whole, pieces);
        }

        #[test]
        fn one_flipped_byte_never_gives_another_line(at in 0usize..52, byte: u8) {
            let good = b"F9073800AAAA000095990000000055550000000000005555555548\r\n";
            let mut bad = *good;
            bad[at] = byte;
            let line = Token::Line(unhex(&good[..54]).unwrap());
            for token in Decoder::default().feed(&bad) {
                if let Token::Line(bytes) = &token {
                    // The tail behind a sign may be sound by chance; a line of full length only if unharmed.
                    prop_assert!(token == line || bytes.len() < 27);
                }
            }
        }
    }
}
