//! Lines to words: comments, quotation marks, parentheses.

use std::io::{self, BufRead, Read};

use crate::rdata::Token;

/// The most octets of one entry, its lines together. The largest rdata in the longest spelling, `\255` an octet, fits.
const MAX_ENTRY: usize = 512 * 1024;

/// Parentheses do not nest in real files; this much is borne.
const MAX_DEPTH: u32 = 32;

/// The most words of one entry.
const MAX_WORDS: usize = 64 * 1024;

/// Reads entries: lines, joined by parentheses. One entry is in memory at a time.
pub(super) struct Lexer<R> {
    input: R,
    octets: Vec<u8>,
    words: Vec<Word>,
    /// The number of the line read last.
    line: u64,
}

/// Where a word stands, in the entry and in the file.
#[derive(Debug, Clone, Copy)]
struct Word {
    start: u32,
    end: u32,
    line: u64,
    column: u32,
    quoted: bool,
    glued: bool,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// Why there is no entry here.
pub(super) enum LexError {
    /// This entry is malformed; the next one can be read.
    Entry(Place, String),
    /// The input gave an error.
    Input(Place, io::Error),
}

impl<R: BufRead> Lexer<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, octets: Vec::new(), words: Vec::new(), line: 0 }
    }

    /// Reads the next entry that has words; `false` at the end of the input.
    pub(super) fn advance(&mut self) -> Result<bool, LexError> {
        loop {
            self.octets.clear();
            self.words.clear();
            if !self.read_line()? {
                return Ok(false);
            }
            let opened = self.line;
            let mut depth = 0;
            let mut from = 0;
            let mut opened_at = Place { line: opened, column: 1 };
            loop {
                self.split_line(from, &mut depth, &mut opened_at)?;
                if depth == 0 {
                    break;
                }
                from = self.octets.len();
                if !self.read_line()? {
                    return Err(LexError::Entry(opened_at, "the parenthesis is not closed before the end".into()));
                }
            }
            if !self.words.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Whether the entry starts with a blank, which stands for the last owner.
    pub(super) fn starts_blank(&self) -> bool {
        matches!(self.octets.first(), Some(b' ' | b'\t'))
    }

    /// The words of the entry.
    pub(super) fn tokens(&self) -> Vec<Token<'_>> {
        let text = |word: &Word| &self.octets[word.start as usize..word.end as usize];
        self.words.iter().map(|word| Token { text: text(word), quoted: word.quoted, glued: word.glued }).collect()
    }

    /// Where word number `index` starts; past the last one, where that starts.
    pub(super) fn place(&self, index: usize) -> Place {
        match self.words.get(index).or(self.words.last()) {
            Some(word) => Place { line: word.line, column: u64::from(word.column) },
            None => Place { line: self.line, column: 1 },
        }
    }

    /// Appends the next line without its end.
    fn read_line(&mut self) -> Result<bool, LexError> {
        let start = self.octets.len();
        let room = (MAX_ENTRY - start) as u64 + 1;
        let input = |error, line| LexError::Input(Place { line, column: 1 }, error);
        let read = self.input.by_ref().take(room).read_until(b'\n', &mut self.octets);
        self.line += 1;
        let read = read.map_err(|error| input(error, self.line))?;
        if read == 0 {
            return Ok(false);
        }
        if self.octets.last() == Some(&b'\n') {
            self.octets.pop();
            if self.octets.len() > start && self.octets.last() == Some(&b'\r') {
                self.octets.pop();
            }
        } else if read as u64 == room {
            self.skip_line().map_err(|error| input(error, self.line))?;
            let detail = format!("an entry has at most {MAX_ENTRY} octets; is a parenthesis not closed?");
            return Err(LexError::Entry(Place { line: self.line, column: 1 }, detail));
        }
        Ok(true)
    }

    /// Reads to the end of the line without keeping it.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let (length, ended) = match buffer.iter().position(|octet| *octet == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.input.consume(length);
            if ended {
                return Ok(());
            }
        }
    }

    fn split_line(&mut self, from: usize, depth: &mut u32, opened_at: &mut Place) -> Result<(), LexError> {
        let line = &self.octets[from..];
        let place = |at: usize| Place { line: self.line, column: at as u64 + 1 };
        let fault = |at: usize, detail: &str| Err(LexError::Entry(place(at), detail.into()));
        let mut at = 0;
        let mut glued = false;
        while let Some(&octet) = line.get(at) {
            let start = at;
            let quoted = match octet {
                b';' => break,
                b' ' | b'\t' | b'(' | b')' => {
                    at += 1;
                    glued = false;
                    match octet {
                        b'(' if *depth == MAX_DEPTH => return fault(start, "too many parentheses in each other"),
                        b'(' => {
                            if *depth == 0 {
                                *opened_at = place(start);
                            }
                            *depth += 1;
                        }
                        b')' if *depth == 0 => return fault(start, "there is no parenthesis to close"),
                        b')' => *depth -= 1,
                        _ => {}
                    }
                    continue;
                }
                b'"' => {
                    at = end_of(line, start + 1, |octet| octet == b'"');
                    if at == line.len() {
                        return fault(start, "the quotation mark is not closed on its line");
                    }
                    true
                }
                _ => {
                    at = end_of(line, start, |octet| matches!(octet, b' ' | b'\t' | b'"' | b';' | b'(' | b')'));
                    false
                }
            };
            if self.words.len() == MAX_WORDS {
                return fault(start, "too many words in one entry");
            }
            self.words.push(Word {
                start: (from + start + usize::from(quoted)) as u32,
                end: (from + at) as u32,
                line: self.line,
                column: start as u32 + 1,
                quoted,
                glued,
            });
            at += usize::from(quoted);
            glued = true;
        }
        Ok(())
    }
}

/// Where the first octet from `at` on stands that ends a word and is not escaped; the length if none does.
fn end_of(line: &[u8], mut at: usize, ends: impl Fn(u8) -> bool) -> usize {
    while let Some(&octet) = line.get(at) {
        match octet {
            b'\\' => at += 2,
            octet if ends(octet) => return at,
            _ => at += 1,
        }
    }
    line.len()
}
