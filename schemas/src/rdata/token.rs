//! Words of presentation form.

use crate::name::unescape;

/// One word of presentation form, escapes intact, quotation marks taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// The characters between blanks or quotation marks.
    pub text: &'a [u8],
    /// Whether it stood in quotation marks.
    pub quoted: bool,
    /// Whether nothing stood between the word before and this one, as in `alpn="h2"`.
    pub glued: bool,
}

impl<'a> Token<'a> {
    /// The octets that the word stands for: escapes resolved.
    pub(super) fn octets(&self) -> Result<Vec<u8>, String> {
        let mut octets = Vec::with_capacity(self.text.len());
        let mut from = self.text.iter().copied();
        while let Some(octet) = from.next() {
            octets.push(match octet {
                b'\\' => unescape(&mut from).ok_or_else(|| format!("bad escape in `{}`", self.shown()))?,
                plain => plain,
            });
        }
        Ok(octets)
    }

    /// The word in parts of at most 255 octets, no escape cut.
    pub(crate) fn texts(&self) -> Vec<Token<'a>> {
        let (mut parts, mut start, mut at, mut octets) = (Vec::new(), 0, 0, 0);
        let part = |from: usize, to: usize| Token { text: &self.text[from..to], ..*self };
        while let Some(&octet) = self.text.get(at) {
            if octets == 255 {
                parts.push(part(start, at));
                (start, octets) = (at, 0);
            }
            let escape = match self.text.get(at + 1) {
                Some(digit) if octet == b'\\' && digit.is_ascii_digit() => 4,
                _ if octet == b'\\' => 2,
                _ => 1,
            };
            (at, octets) = ((at + escape).min(self.text.len()), octets + 1);
        }
        parts.push(part(start, at));
        parts
    }

    /// The word as plain text; what is no UTF-8 is the empty text, which no parser of words takes.
    pub(super) fn plain(&self) -> &'a str {
        std::str::from_utf8(self.text).unwrap_or("")
    }

    /// The word for an error message, cut short.
    pub(super) fn shown(&self) -> String {
        let text = String::from_utf8_lossy(self.text);
        match text.char_indices().nth(40) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text.into_owned(),
        }
    }
}

/// The words of one rdata, taken from the left.
pub(super) struct Tokens<'a>(std::slice::Iter<'a, Token<'a>>);

impl<'a> Tokens<'a> {
    pub(super) fn new(words: &'a [Token<'a>]) -> Self {
        Self(words.iter())
    }

    pub(super) fn next(&mut self) -> Option<&'a Token<'a>> {
        self.0.next()
    }

    pub(super) fn peek(&self) -> Option<&'a Token<'a>> {
        self.0.as_slice().first()
    }

    /// The next word; it is an error if there is none.
    pub(super) fn need(&mut self) -> Result<&'a Token<'a>, String> {
        self.next().ok_or_else(|| "missing".into())
    }
}

/// Splits one value, which is on one line and has neither comments nor parentheses.
pub(crate) fn split(text: &[u8]) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut glued = false;
    while let Some(&octet) = text.get(at) {
        let start = at;
        match octet {
            b' ' | b'\t' => {
                at += 1;
                glued = false;
                continue;
            }
            b'\n' | b'\r' => return Err("a value is one line; write a line feed as \\010".into()),
            b'"' => {
                at = end_of(text, start + 1, |octet| octet == b'"');
                if at >= text.len() {
                    return Err("a quotation mark is not closed".into());
                }
                tokens.push(Token { text: &text[start + 1..at], quoted: true, glued });
                at += 1;
            }
            b';' | b'(' | b')' => {
                return Err(format!("`{0}` stands outside quotation marks; write \\{0}", octet as char));
            }
            _ => {
                at = end_of(text, start, |octet| b" \t\r\n\";()".contains(&octet));
                tokens.push(Token { text: &text[start..at], quoted: false, glued });
            }
        }
        glued = true;
    }
    Ok(tokens)
}

/// Where the first octet from `at` on stands that ends a word and is not escaped; the length if none does.
fn end_of(text: &[u8], mut at: usize, ends: impl Fn(u8) -> bool) -> usize {
    while let Some(&octet) = text.get(at) {
        match octet {
            b'\\' => at += 2,
            octet if ends(octet) => return at,
            _ => at += 1,
        }
    }
    text.len()
}
