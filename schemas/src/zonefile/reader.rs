use std::{io::BufRead, sync::Arc};

use super::{
    Fault,
    generate::Generate,
    lexer::{LexError, Lexer, Place},
};
use crate::{Name, Rdata, RecordType, Ttl, rdata::Token, ttl::seconds};

/// One record of a master file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The line it begins on, from 1.
    pub line: u64,
    /// The octet in that line, from 1.
    pub column: u64,
    /// The owner.
    pub owner: Name,
    /// The TTL; `None` if neither the record nor anything before it gave one.
    pub ttl: Option<Ttl>,
    /// The type.
    pub rtype: RecordType,
    /// The rdata.
    pub rdata: Rdata,
}

/// Opens what `$INCLUDE` names; the error is shown to the user.
pub type Include<'a> = Box<dyn FnMut(&str) -> Result<Box<dyn BufRead + 'a>, String> + 'a>;

/// Reads a master file record by record. One entry is in memory at a time.
///
/// After a fault the next entry is read; after [`Reader::MAX_FAULTS`] the reader gives up. Records of a class other than
/// IN are faults, and so is `$INCLUDE` unless [`Reader::with_include`] says how to open it.
///
/// ```
/// use conn3ction_schemas::zonefile::Reader;
/// let text = "$TTL 1h\n@ SOA ns host 1 2 3 4 5\nwww 60 A 192.0.2.1\n";
/// let records: Vec<_> = Reader::new(text.as_bytes(), "example.".parse().unwrap()).map(Result::unwrap).collect();
/// assert_eq!(records[1].owner.to_string(), "www.example.");
/// assert_eq!((records[0].ttl.unwrap().as_secs(), records[1].ttl.unwrap().as_secs()), (3600, 60));
/// ```
pub struct Reader<'a> {
    sources: Vec<Source<'a>>,
    include: Option<Include<'a>>,
    generate: Option<Generate>,
    generated: u32,
    /// `$TTL`.
    default_ttl: Option<Ttl>,
    /// The TTL of the last record that gave one (RFC 1035 section 5.1), or of the SOA.
    last_ttl: Option<Ttl>,
    faults: usize,
    /// The lines whose texts were split; `None`: a text over 255 octets is a fault.
    split: Option<Vec<u64>>,
}

/// A file being read, with what holds within it.
struct Source<'a> {
    file: Option<Arc<str>>,
    lexer: Lexer<Box<dyn BufRead + 'a>>,
    origin: Name,
    owner: Option<LastOwner>,
}

/// The owner of the last record, which a blank stands for.
struct LastOwner {
    /// As it was written; `None` once another `$ORIGIN` gives the same text another meaning.
    written: Option<Vec<u8>>,
    name: Name,
}

/// What an entry turned out to be.
enum Entry {
    Record(Record),
    Directive(Directive),
}

enum Directive {
    Origin(Name),
    Ttl(Ttl),
    Generate(Generate),
    Include(String, Option<Name>),
}

/// The place of a word and what is wrong with it.
type WordFault = (usize, String);

impl<'a> Reader<'a> {
    /// Faults after which the reader gives up.
    pub const MAX_FAULTS: usize = 1000;
    /// Names that all `$GENERATE` of a file may make.
    pub const MAX_GENERATED: u32 = 65_536;
    /// Files open in each other.
    const MAX_SOURCES: usize = 8;

    /// Reads `input`; relative names are completed by `origin` until the file says another.
    pub fn new(input: impl BufRead + 'a, origin: Name) -> Self {
        Self {
            sources: vec![Source { file: None, lexer: Lexer::new(Box::new(input)), origin, owner: None }],
            include: None,
            generate: None,
            generated: 0,
            default_ttl: None,
            last_ttl: None,
            faults: 0,
            split: None,
        }
    }

    /// Opens files of `$INCLUDE` with `include`.
    #[must_use]
    pub fn with_include(mut self, include: Include<'a>) -> Self {
        self.include = Some(include);
        self
    }

    /// Splits texts of over 255 octets in TXT and SPF records; [`Reader::split_lines`] tells where.
    #[must_use]
    pub fn with_long_texts_split(mut self) -> Self {
        self.split = Some(Vec::new());
        self
    }

    /// The lines of records whose texts were split.
    pub fn split_lines(&self) -> &[u64] {
        self.split.as_deref().unwrap_or_default()
    }

    /// The next record or fault of the file on top; `None` when all files are read.
    fn step(&mut self) -> Option<Result<Record, Fault>> {
        loop {
            if let Some(made) = self.step_generate() {
                return Some(made);
            }
            let source = self.sources.last_mut()?;
            match source.lexer.advance() {
                Ok(true) => {}
                Ok(false) => {
                    self.sources.pop();
                    continue;
                }
                Err(LexError::Entry(place, detail)) => return Some(Err(self.fault(place, detail))),
                Err(LexError::Input(place, error)) => {
                    let fault = self.fault(place, format!("the input cannot be read on: {error}"));
                    self.sources.clear();
                    return Some(Err(fault));
                }
            }
            let place = source.lexer.place(0);
            let tokens = source.lexer.tokens();
            let entry = match tokens.first() {
                Some(first) if first.text.first() == Some(&b'$') && !first.quoted && !source.lexer.starts_blank() => {
                    directive(&tokens, &source.origin, place).map(Entry::Directive)
                }
                _ => {
                    let blank = source.lexer.starts_blank();
                    record(&tokens, blank, &source.origin, &mut source.owner, place, &mut self.split).map(Entry::Record)
                }
            };
            match entry {
                Ok(Entry::Record(record)) => return Some(Ok(self.with_ttl(record))),
                Ok(Entry::Directive(directive)) => {
                    if let Err(detail) = self.obey(directive) {
                        return Some(Err(self.fault(place, detail)));
                    }
                }
                Err((word, detail)) => {
                    let place = source.lexer.place(word);
                    return Some(Err(self.fault(place, detail)));
                }
            }
        }
    }

    fn step_generate(&mut self) -> Option<Result<Record, Fault>> {
        let generate = self.generate.as_mut()?;
        let place = generate.place;
        let made = match generate.next_words() {
            None => {
                self.generate = None;
                return None;
            }
            Some(Err(detail)) => Err(detail),
            Some(Ok(words)) => {
                let source = self.sources.last_mut()?;
                let tokens: Vec<_> =
                    words.iter().map(|(text, quoted, glued)| Token { text, quoted: *quoted, glued: *glued }).collect();
                record(&tokens, false, &source.origin, &mut source.owner, place, &mut self.split)
                    .map_err(|(_, detail)| detail)
            }
        };
        Some(match made {
            Ok(record) => Ok(self.with_ttl(record)),
            Err(detail) => {
                // The next number would most likely fail in the same way.
                self.generate = None;
                Err(self.fault(place, detail))
            }
        })
    }

    fn obey(&mut self, directive: Directive) -> Result<(), String> {
        match directive {
            Directive::Ttl(ttl) => self.default_ttl = Some(ttl),
            Directive::Origin(origin) => {
                if let Some(source) = self.sources.last_mut() {
                    if let Some(owner) = &mut source.owner {
                        owner.written = None;
                    }
                    source.origin = origin;
                }
            }
            Directive::Generate(generate) => {
                self.generated = self.generated.saturating_add(generate.count());
                if self.generated > Self::MAX_GENERATED {
                    return Err(format!("$GENERATE makes more than {} records in this file", Self::MAX_GENERATED));
                }
                self.generate = Some(generate);
            }
            Directive::Include(file, origin) => {
                let Some(include) = &mut self.include else {
                    return Err("$INCLUDE is not supported here; put the text of the file in its place".into());
                };
                if self.sources.len() >= Self::MAX_SOURCES {
                    return Err(format!("more than {} files include each other", Self::MAX_SOURCES));
                }
                let input = include(&file)?;
                let outer = self.sources.last().map(|source| source.origin.clone());
                let origin = origin.or(outer).unwrap_or_else(Name::root);
                self.sources.push(Source { file: Some(file.into()), lexer: Lexer::new(input), origin, owner: None });
            }
        }
        Ok(())
    }

    /// RFC 2308 section 4: `$TTL` first, without it the last TTL; before any of them a SOA's own minimum.
    fn with_ttl(&mut self, mut record: Record) -> Record {
        if record.ttl.is_some() {
            self.last_ttl = record.ttl;
        } else {
            record.ttl = self.default_ttl.or(self.last_ttl);
        }
        if record.ttl.is_none() && record.rtype == RecordType::SOA {
            record.ttl = record.rdata.soa_minimum().and_then(|secs| Ttl::from_secs(secs).ok());
            self.last_ttl = record.ttl;
        }
        record
    }

    fn fault(&self, place: Place, detail: String) -> Fault {
        let file = self.sources.last().and_then(|source| source.file.clone());
        Fault { file, line: place.line, column: place.column, detail }
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Record, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut item = self.step()?;
        if let Err(fault) = &mut item {
            self.faults += 1;
            if self.faults == Self::MAX_FAULTS {
                fault.detail.push_str("; too many errors, the rest was not read");
                self.sources.clear();
                self.generate = None;
            }
        }
        Some(item)
    }
}

/// Reads `[owner] [TTL] [class] type rdata`, TTL and class in any order.
fn record(
    tokens: &[Token<'_>],
    blank: bool,
    origin: &Name,
    last: &mut Option<LastOwner>,
    place: Place,
    split: &mut Option<Vec<u64>>,
) -> Result<Record, WordFault> {
    let mut at = 0;
    let owner = if blank {
        last.as_ref().ok_or((0, "no owner stands here, and none before".to_owned()))?.name.clone()
    } else {
        at = 1;
        owner(&tokens[0], origin, last).map_err(|detail| (0, detail))?
    };
    let mut ttl = None;
    let mut class = false;
    let rtype = loop {
        let Some(token) = tokens.get(at) else { return Err((at, "the record type is missing".into())) };
        let word = std::str::from_utf8(token.text).unwrap_or("");
        if !class && is_class(word) {
            if !word.eq_ignore_ascii_case("IN") && !word.eq_ignore_ascii_case("CLASS1") {
                return Err((at, format!("class {word}: only IN is kept here")));
            }
            class = true;
        } else if ttl.is_none() && word.starts_with(|first: char| first.is_ascii_digit()) {
            ttl = Some(read_ttl(word).map_err(|detail| (at, detail))?);
        } else if let Ok(rtype) = word.parse::<RecordType>() {
            break rtype;
        } else {
            let shown = String::from_utf8_lossy(token.text);
            return Err((at, format!("`{shown}` is no TTL, class or record type")));
        }
        at += 1;
    };
    let words = &tokens[at + 1..];
    let long = |token: &Token<'_>| token.text.len() > 255;
    let rdata = match split {
        Some(lines) if matches!(rtype, RecordType::TXT | RecordType::SPF) && words.iter().any(long) => {
            let parts: Vec<_> = words.iter().flat_map(Token::texts).collect();
            if parts.len() > words.len() {
                lines.push(place.line);
            }
            Rdata::from_tokens(rtype, &parts, Some(origin))
        }
        _ => Rdata::from_tokens(rtype, words, Some(origin)),
    };
    let rdata = rdata.map_err(|error| (at + 1, error.detail))?;
    Ok(Record { line: place.line, column: place.column, owner, ttl, rtype, rdata })
}

fn owner(token: &Token<'_>, origin: &Name, last: &mut Option<LastOwner>) -> Result<Name, String> {
    if let Some(last) = last
        && last.written.as_deref() == Some(token.text)
    {
        return Ok(last.name.clone());
    }
    let owner = Name::parse_relative(token.text, origin)
        .map_err(|error| format!("`{}` is no owner name: {error}", String::from_utf8_lossy(token.text)))?;
    let mut written = last.take().and_then(|last| last.written).unwrap_or_default();
    written.clear();
    written.extend_from_slice(token.text);
    *last = Some(LastOwner { written: Some(written), name: owner.clone() });
    Ok(owner)
}

fn is_class(word: &str) -> bool {
    ["IN", "CH", "HS", "CS"].iter().any(|class| class.eq_ignore_ascii_case(word))
        || word.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("CLASS"))
}

fn read_ttl(word: &str) -> Result<Ttl, String> {
    let secs = seconds(word.as_bytes()).ok_or_else(|| format!("`{word}` is no TTL such as 3600 or 1h30m"))?;
    Ttl::from_secs(secs).map_err(|error| error.to_string())
}

fn directive(tokens: &[Token<'_>], origin: &Name, place: Place) -> Result<Directive, WordFault> {
    let text = |at: usize| match tokens.get(at) {
        Some(token) => Ok(String::from_utf8_lossy(token.text).into_owned()),
        None => Err((at, "something is missing here".to_owned())),
    };
    let name = |at: usize| {
        let token = tokens.get(at).ok_or((at, "a name is missing here".to_owned()))?;
        Name::parse_relative(token.text, origin).map_err(|error| (at, format!("no name: {error}")))
    };
    let keyword = text(0)?.to_ascii_uppercase();
    let (directive, most) = match keyword.as_str() {
        "$ORIGIN" => (Directive::Origin(name(1)?), 2),
        "$TTL" => (Directive::Ttl(read_ttl(&text(1)?).map_err(|detail| (1, detail))?), 2),
        "$INCLUDE" => {
            let origin = if tokens.len() > 2 { Some(name(2)?) } else { None };
            (Directive::Include(text(1)?, origin), 3)
        }
        "$GENERATE" => (Directive::Generate(Generate::new(tokens, place)?), usize::MAX),
        _ => return Err((0, format!("{keyword} is not known; there are $ORIGIN, $TTL, $INCLUDE and $GENERATE"))),
    };
    if tokens.len() > most {
        return Err((most, format!("`{}` is left over", text(most)?)));
    }
    Ok(directive)
}
