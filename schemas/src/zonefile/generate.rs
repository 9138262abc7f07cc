//! `$GENERATE range owner [TTL] [class] type rdata`: a record per number, as BIND and Knot know it.

use std::fmt::Write as _;

use super::lexer::Place;
use crate::{
    RecordType,
    rdata::{Token, is_one_text, split},
    revision::digits,
};

/// A word: its text, whether it was quoted, whether it was glued to the one before.
type OwnedWord = (Vec<u8>, bool, bool);

/// A `$GENERATE` in progress.
#[derive(Debug)]
pub(super) struct Generate {
    pub(super) place: Place,
    next: u32,
    stop: u32,
    step: u32,
    words: Vec<OwnedWord>,
}

impl Generate {
    pub(super) fn new(tokens: &[Token<'_>], place: Place) -> Result<Self, (usize, String)> {
        let range = tokens.get(1).ok_or((1, "the range is missing".to_owned()))?;
        let range = std::str::from_utf8(range.text).unwrap_or("");
        let (next, stop, step) = read_range(range)
            .ok_or_else(|| (1, format!("`{range}` is no range such as 1-100 or 0-254/2, up to 2147483647")))?;
        let words: Vec<_> = tokens[2..].iter().map(|word| (word.text.to_vec(), word.quoted, word.glued)).collect();
        if words.len() < 3 {
            return Err((tokens.len(), "owner, type and rdata are needed".into()));
        }
        let words = with_right_side_opened(words).map_err(|detail| (tokens.len() - 1, detail))?;
        Ok(Self { place, next, stop, step, words })
    }

    /// How many records are still to come.
    pub(super) fn count(&self) -> u32 {
        if self.next > self.stop { 0 } else { (self.stop - self.next) / self.step + 1 }
    }

    /// The words of the next record.
    pub(super) fn next_words(&mut self) -> Option<Result<Vec<OwnedWord>, String>> {
        if self.next > self.stop {
            return None;
        }
        let number = self.next;
        self.next = self.next.saturating_add(self.step);
        let fill = |(text, quoted, glued): &OwnedWord| Ok((substitute(text, number)?, *quoted, *glued));
        Some(self.words.iter().map(fill).collect())
    }
}

/// Reads a right side that is one quoted word, `MX "0 mail$"`, as the words in it: BIND takes no other with blanks. What is
/// one text anyway stays one, `TXT "host $"`.
fn with_right_side_opened(mut words: Vec<OwnedWord>) -> Result<Vec<OwnedWord>, String> {
    let types = words.iter().skip(1).map(|(text, ..)| std::str::from_utf8(text).ok()?.parse::<RecordType>().ok());
    let rtype = types.enumerate().find_map(|(at, rtype)| Some((at + 1, rtype?)));
    let Some((_, rtype)) = rtype.filter(|(at, rtype)| at + 2 == words.len() && !is_one_text(*rtype)) else {
        return Ok(words);
    };
    if let Some((text, ..)) = words.pop_if(|(_, quoted, _)| *quoted) {
        let text = without_escaped_quotes(&text);
        let inner = split(&text).map_err(|detail| format!("the {rtype} in quotation marks: {detail}"))?;
        words.extend(inner.iter().map(|word| (word.text.to_vec(), word.quoted, word.glued)));
    }
    Ok(words)
}

/// `\"` is a quotation mark of the words within; other escapes are theirs.
fn without_escaped_quotes(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        match (octet, text.get(at + 1)) {
            (b'\\', Some(b'"')) => out.push(b'"'),
            (b'\\', Some(&next)) => out.extend([octet, next]),
            _ => {
                out.push(octet);
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    out
}

/// `start-stop` or `start-stop/step`.
fn read_range(text: &str) -> Option<(u32, u32, u32)> {
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (start, stop) = range.split_once('-')?;
    let number = |text: &str| digits::<u32>(text).ok().filter(|number| i32::try_from(*number).is_ok());
    let (start, stop, step) = (number(start)?, number(stop)?, number(step)?);
    (step > 0 && start <= stop).then_some((start, stop, step))
}

/// Puts `number` where `$` or `${offset,width,base}` stands; `\$` and `$$` are a plain `$`.
fn substitute(text: &[u8], number: u32) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len() + 4);
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        at += 1;
        match (octet, text.get(at)) {
            (b'\\', Some(&next)) => {
                out.extend([octet, next]);
                at += 1;
            }
            (b'$', Some(b'$')) => {
                out.extend(*b"\\$");
                at += 1;
            }
            (b'$', Some(b'{')) => {
                let end = text[at..].iter().position(|octet| *octet == b'}').ok_or("`${` is not closed")?;
                let inside = std::str::from_utf8(&text[at + 1..at + end]).unwrap_or("");
                out.extend(
                    modified(inside, number).ok_or_else(|| format!("`${{{inside}}}` is no ${{offset,width,base}}"))?,
                );
                at += end + 1;
            }
            (b'$', _) => out.extend(number.to_string().bytes()),
            (plain, _) => out.push(plain),
        }
    }
    Ok(out)
}

/// `offset[,width[,base]]` with base d, o, x, X, n or N (nibbles in reverse).
fn modified(inside: &str, number: u32) -> Option<Vec<u8>> {
    let mut parts = inside.split(',');
    let offset = parts.next()?;
    let (minus, offset) = offset.strip_prefix('-').map_or((false, offset), |offset| (true, offset));
    let offset = i64::from(digits::<u32>(offset).ok()?);
    let width: usize = match parts.next() {
        Some(width) => digits(width).ok().filter(|width| *width <= 255)?,
        None => 0,
    };
    let base = parts.next().unwrap_or("d");
    let value = u64::try_from(i64::from(number) + if minus { -offset } else { offset }).ok()?;
    let mut text = String::new();
    let written = match base {
        "d" => write!(text, "{value:0width$}"),
        "o" => write!(text, "{value:0width$o}"),
        "x" => write!(text, "{value:0width$x}"),
        "X" => write!(text, "{value:0width$X}"),
        "n" | "N" => {
            // The width counts the dots between the nibbles.
            let nibbles = width.div_ceil(2);
            _ = write!(text, "{value:0nibbles$x}");
            let reversed: Vec<_> = text.chars().rev().map(String::from).collect();
            text = reversed.join(".");
            if base == "N" {
                text.make_ascii_uppercase();
            }
            Ok(())
        }
        _ => return None,
    };
    written.ok()?;
    parts.next().is_none().then(|| text.into_bytes())
}

#[cfg(test)]
mod tests {
    use crate::zonefile::{Reader, Record};

    /// The right sides that the only line of a file makes.
    fn made(line: &str) -> Vec<String> {
        let records: Result<Vec<Record>, _> =
            Reader::new(line.as_bytes(), "ex.test".parse().expect("a name")).collect();
        match records {
            Ok(records) => records.iter().map(|record| record.rdata.to_text(record.rtype)).collect(),
            Err(fault) => vec![fault.to_string()],
        }
    }

    #[test] // As named-checkzone 9.18 loads them; TXT, which it cuts at blanks, aside.
    fn a_quoted_right_side_is_read_as_the_words_in_it() {
        for (line, right) in [
            (r#"$GENERATE 1-1 HOST-$ MX "0 .""#, "0 ."),
            (r#"$GENERATE 1-1 s$ SRV "0 0 80 s$""#, "0 0 80 s1.ex.test."),
            (r#"$GENERATE 1-1 s$ A "192.0.2.$""#, "192.0.2.1"),
            (r#"$GENERATE 1-1 s$ 30 IN CAA "0 issue \"ca$.test\"""#, r#"0 issue "ca1.test""#),
            (r#"$GENERATE 1-1 s$ HINFO "cpu$ os$""#, r#""cpu1" "os1""#),
            (r#"$GENERATE 1-1 s$ HINFO "cpu $" "os $""#, r#""cpu 1" "os 1""#),
            (r#"$GENERATE 1-1 s$ TXT "text $""#, r#""text 1""#),
            (r#"$GENERATE 1-1 s$ TXT "text $" "more""#, r#""text 1" "more""#),
            (r#"$GENERATE 1-1 s$ TXT "a \"b\" $""#, r#""a \"b\" 1""#),
            ("$GENERATE 1-1 s$ MX 10 a$", "10 a1.ex.test."),
        ] {
            assert_eq!(made(line), [right], "{line}");
        }
        let fault = made(r#"$GENERATE 1-1 s$ MX "0 (""#);
        assert!(fault[0].contains("line 1, column 21: the MX in quotation marks"), "{fault:?}");
    }
}
