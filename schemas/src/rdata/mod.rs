//! Rdata: parse, validate, canonicalise, print.
//!
//! [`table`] has one row per record type: the fields in wire order. A [`field::Field`] can be read from text, checked on
//! the wire and printed, so a new type is one row, and a new field kind only if no present one fits. Text is first
//! turned into octets, then checked as octets: each rule stands once, whichever door the rdata came through.

mod apl;
mod encoded;
mod field;
mod loc;
mod plain;
mod soa;
mod svcb;
mod table;
mod text;
mod token;
mod types;

use std::fmt;

use crate::{Name, RecordType, name::Spelling};

use field::Words;
pub use soa::Soa;
use table::Row;
pub(crate) use table::is_one_text;
pub use token::Token;
use token::Tokens;
pub(crate) use token::split;

/// The data of one record in canonical wire form: names uncompressed and lower case ([RFC 4034 section 6.2]; the next
/// name of NSEC and the target of SVCB and HTTPS keep their case, because signatures cover it: [RFC 6840 section 5.1]).
/// Valid for the type it was made with, which it does not repeat. Ordered as octets ([RFC 4034 section 6.3]).
///
/// ```
/// use conn3ction_schemas::{Rdata, RecordType};
/// let mx = Rdata::parse(RecordType::MX, "10 Mail.example.com", None).unwrap();
/// assert_eq!(mx.to_text(RecordType::MX), "10 mail.example.com.");
/// assert_eq!(mx.target(RecordType::MX), Some("mail.example.com.".parse().unwrap()));
/// ```
///
/// [RFC 4034 section 6.2]: https://www.rfc-editor.org/rfc/rfc4034#section-6.2
/// [RFC 4034 section 6.3]: https://www.rfc-editor.org/rfc/rfc4034#section-6.3
/// [RFC 6840 section 5.1]: https://www.rfc-editor.org/rfc/rfc6840#section-5.1
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rdata(Box<[u8]>);

/// Why a text or octets are no rdata of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct RdataError {
    /// What is wrong and how to mend it.
    pub detail: String,
}

impl Rdata {
    /// Takes uncompressed wire form of a stored event, which was validated when the event was decided.
    pub fn from_stored(wire: &[u8]) -> Self {
        Self(wire.into())
    }

    /// Takes uncompressed wire form, checks it against `rtype` and lower-cases embedded names.
    ///
    /// # Errors
    ///
    /// [`RdataError`]; also for types that no zone holds, such as OPT or ANY.
    pub fn from_wire(rtype: RecordType, wire: &[u8]) -> Result<Self, RdataError> {
        check(rtype, wire).map_err(|detail| RdataError { detail: format!("{rtype}: {detail}") })
    }

    /// As [`Rdata::from_wire`], out of a message, where names may end in pointers: `expand` is given what is left from a
    /// name on, and gives the name whole and how many octets of that it took.
    ///
    /// # Errors
    ///
    /// [`RdataError`].
    pub fn from_compressed(
        rtype: RecordType,
        octets: &[u8],
        mut expand: impl FnMut(&[u8]) -> Option<(Vec<u8>, usize)>,
    ) -> Result<Self, RdataError> {
        let mut rest = octets;
        let mut wire = Vec::with_capacity(octets.len() + 64);
        for (label, field) in table::row(rtype).iter().flat_map(|row| row.fields) {
            let taken = if field.is_name() {
                let expanded = expand(rest).and_then(|(name, len)| Some((name, rest.get(len..)?)));
                expanded.ok_or_else(|| "no name".to_owned()).map(|(name, after)| {
                    wire.extend(name);
                    rest = after;
                })
            } else {
                field.check(&mut rest, &mut wire)
            };
            taken.map_err(|detail| RdataError { detail: format!("{rtype}: {label}: {detail}") })?;
        }
        wire.extend_from_slice(rest);
        Self::from_wire(rtype, &wire)
    }

    /// Takes presentation form, or `\# length hex` for any type ([RFC 3597 section 5]).
    ///
    /// With an `origin` the text is a master file's: relative names are completed by it. Without, it is a value as
    /// JSON and the command line hold it: a dotless name of several labels is absolute, a single label needs its dot, and
    /// a TXT that does not begin with a quotation mark is one text as it stands, split every 255 octets.
    ///
    /// # Errors
    ///
    /// [`RdataError`].
    ///
    /// [RFC 3597 section 5]: https://www.rfc-editor.org/rfc/rfc3597#section-5
    pub fn parse(rtype: RecordType, text: &str, origin: Option<&Name>) -> Result<Self, RdataError> {
        if origin.is_none() && table::is_text(rtype) && !text.trim_start().starts_with(['"', '\\']) {
            return Self::from_wire(rtype, &text::split(text.as_bytes()));
        }
        let tokens =
            token::split(text.as_bytes()).map_err(|detail| RdataError { detail: format!("{rtype}: {detail}") })?;
        Self::from_tokens(rtype, &tokens, origin)
    }

    /// Takes the words of presentation form, as [`Rdata::parse`] does.
    ///
    /// # Errors
    ///
    /// [`RdataError`].
    pub fn from_tokens(rtype: RecordType, tokens: &[Token<'_>], origin: Option<&Name>) -> Result<Self, RdataError> {
        assemble(rtype, tokens, origin)
            .and_then(|wire| check(rtype, &wire))
            .map_err(|detail| RdataError { detail: format!("{rtype}: {detail}") })
    }

    /// Presentation form as `dig +short` prints it: names with their dot, texts in quotation marks, long hex and base64
    /// split every 56 characters; `\# length hex` if the type is unknown or its own form cannot say this value.
    pub fn to_text(&self, rtype: RecordType) -> String {
        self.spelled(rtype, Spelling::Short)
    }

    /// As [`Rdata::to_text`], with names as [`Name::in_master_file`] prints them.
    pub(crate) fn in_master_file(&self, rtype: RecordType) -> String {
        self.spelled(rtype, Spelling::Careful)
    }

    fn spelled(&self, rtype: RecordType, spelling: Spelling) -> String {
        table::row(rtype).and_then(|row| print(&row, &self.0, spelling)).unwrap_or_else(|| encoded::generic(&self.0))
    }

    /// The wire form.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The name that this record points at: what additional-section processing follows (NS, MX, SRV, SVCB, HTTPS, NAPTR,
    /// AFSDB, KX) and the targets of CNAME, DNAME and PTR. The root is given as it stands: for SVCB and HTTPS it means
    /// the owner ([RFC 9460 section 2.5]), for MX and SRV no service.
    ///
    /// [RFC 9460 section 2.5]: https://www.rfc-editor.org/rfc/rfc9460#section-2.5
    pub fn target(&self, rtype: RecordType) -> Option<Name> {
        let skip = table::target_offset(rtype, &self.0)?;
        Name::split_wire(self.0.get(skip..)?).ok().map(|(name, _)| name)
    }

    /// The same data with every name in it that `map` gives another for (names in wire form, uncompressed).
    pub fn map_names(&self, rtype: RecordType, mut map: impl FnMut(&[u8]) -> Option<Vec<u8>>) -> Self {
        let Some(row) = table::row(rtype) else { return self.clone() };
        let mut rest = &self.0[..];
        let mut out = Vec::with_capacity(rest.len());
        for (_, field) in row.fields {
            let mut octets = Vec::new();
            if field.check(&mut rest, &mut octets).is_err() {
                return self.clone();
            }
            out.extend(field.is_name().then(|| map(&octets)).flatten().unwrap_or(octets));
        }
        Self(out.into_boxed_slice())
    }

    /// The fields of a SOA; `None` if this is none.
    pub fn soa(&self) -> Option<Soa> {
        Soa::from_wire(&self.0)
    }
}

const NO_DATA: &str = "no zone holds records of this type";

/// Checks octets and lower-cases names.
fn check(rtype: RecordType, wire: &[u8]) -> Result<Rdata, String> {
    if !rtype.is_data() {
        return Err(NO_DATA.into());
    }
    if wire.len() > usize::from(u16::MAX) {
        return Err(format!("{} octets, rdata has at most 65535", wire.len()));
    }
    let Some(row) = table::row(rtype) else { return Ok(Rdata(wire.into())) };
    let mut out = Vec::with_capacity(wire.len());
    let mut rest = wire;
    for (label, field) in row.fields {
        field.check(&mut rest, &mut out).map_err(|detail| format!("{label}: {detail}"))?;
    }
    if !rest.is_empty() {
        return Err(format!("{} octets too many", rest.len()));
    }
    (row.rule)(&out)?;
    Ok(Rdata(out.into_boxed_slice()))
}

/// Turns words into octets that are still to be checked.
fn assemble(rtype: RecordType, words: &[Token<'_>], origin: Option<&Name>) -> Result<Vec<u8>, String> {
    if let Some((Token { text: br"\#", quoted: false, .. }, rest)) = words.split_first() {
        return encoded::parse_generic(rest);
    }
    if !rtype.is_data() {
        return Err(NO_DATA.into());
    }
    let row = table::row(rtype).ok_or("this type is known by number only; write its rdata as \\# LENGTH HEX")?;
    let mut tokens = Tokens::new(words);
    let mut wire = Vec::with_capacity(64);
    let form = || row.fields.iter().map(|(label, _)| *label).collect::<Vec<_>>().join(" ");
    for (label, field) in row.fields {
        field
            .parse(&mut tokens, origin, &mut wire)
            .map_err(|detail| format!("{label}: {detail} (the form is: {})", form()))?;
    }
    match tokens.next() {
        None => Ok(wire),
        Some(extra) => Err(format!("`{}` is left over (the form is: {})", extra.shown(), form())),
    }
}

fn print(row: &Row, wire: &[u8], spelling: Spelling) -> Option<String> {
    let mut words = Words::for_octets(wire.len(), spelling);
    let mut rest = wire;
    for (_, field) in row.fields {
        field.print(&mut rest, &mut words)?;
    }
    rest.is_empty().then(|| words.finish())
}

impl fmt::Debug for Rdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rdata({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}
