//! Text from somebody else.

use std::fmt;

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};

/// Bytes of a reason.
pub const MAX_REASON_BYTES: usize = 256;

/// Why something did not go on, for people: UTF-8 of at most [`MAX_REASON_BYTES`] bytes without
/// characters that a terminal or a log could take for something else.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason(String);

/// Controls, line and paragraph separators, and what changes the direction of writing.
fn is_misleading(symbol: char) -> bool {
    symbol.is_control()
        || matches!(
            symbol,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

impl Reason {
    /// The text with misleading characters replaced by `?`, cut at the bound.
    pub fn new(text: impl fmt::Display) -> Self {
        let mut reason = String::new();
        for symbol in text.to_string().chars() {
            let symbol = if is_misleading(symbol) { '?' } else { symbol };
            if reason.len() + symbol.len_utf8() > MAX_REASON_BYTES {
                break;
            }
            reason.push(symbol);
        }
        Self(reason)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Encode for Reason {
    fn encode(&self, out: &mut Writer) {
        out.bytes(self.0.as_bytes());
    }
}

impl Decode for Reason {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = input.bytes(MAX_REASON_BYTES, "reason")?;
        let text = std::str::from_utf8(bytes).map_err(|_| input.invalid("reason", "not UTF-8"))?;
        match text.chars().any(is_misleading) {
            true => Err(input.invalid("reason", "control characters")),
            false => Ok(Self(text.to_owned())),
        }
    }
}
