use std::{borrow::Borrow, cmp::Ordering, fmt, str::FromStr};

/// A fully qualified domain name in uncompressed wire form, lower case.
///
/// Invariants: ends with the root label, at most 255 octets, labels of 1 to 63 octets ([RFC 1035 section 3.1]);
/// ASCII letters are lower case, so equality and hashing are byte-wise ([RFC 4343]). Ordering is canonical
/// ([RFC 4034 section 6.1]).
///
/// ```
/// use conn3ction_schemas::Name;
/// let name: Name = "App.Example.local".parse().unwrap();
/// assert_eq!(name.to_string(), "app.example.local.");
/// assert_eq!(name.as_wire(), b"\x03app\x07example\x05local\x00");
/// assert!(name.is_at_or_below(&"example.local.".parse().unwrap()));
/// ```
///
/// [RFC 1035 section 3.1]: https://www.rfc-editor.org/rfc/rfc1035#section-3.1
/// [RFC 4034 section 6.1]: https://www.rfc-editor.org/rfc/rfc4034#section-6.1
/// [RFC 4343]: https://www.rfc-editor.org/rfc/rfc4343
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

/// A [`Name`] that lies elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameRef<'a>(&'a [u8]);

impl<'a> NameRef<'a> {
    /// Takes the wire form as [`Name::as_wire`] gave it; `None` if that is no name, or is not in lower case.
    pub fn from_stored(wire: &'a [u8]) -> Option<Self> {
        let mut at = 0;
        // The length of a label is no letter, so that all octets can be looked at alike.
        let has_capitals = wire.iter().fold(false, |has, octet| has | octet.is_ascii_uppercase());
        while let Some(len @ 1..=63) = wire.get(at) {
            at += 1 + *len as usize;
        }
        let is_sound = wire.len() <= 255 && !has_capitals;
        (is_sound && wire.get(at) == Some(&0) && at + 1 == wire.len()).then_some(Self(wire))
    }

    /// Takes what [`NameRef::from_stored`] took before.
    pub(crate) fn known(wire: &'a [u8]) -> Self {
        Self(wire)
    }

    /// The wire form: length-prefixed labels, the root label last.
    #[inline]
    pub fn as_wire(self) -> &'a [u8] {
        self.0
    }

    /// The same name with octets of its own.
    pub fn to_name(self) -> Name {
        Name(self.0.into())
    }

    /// Whether this name is `other` or a descendant of it.
    #[inline]
    pub fn is_at_or_below(self, other: NameRef<'_>) -> bool {
        let Some(labels) = self.0.len().checked_sub(other.0.len()) else { return false };
        let mut at = 0;
        while at < labels {
            at += 1 + self.0[at] as usize;
        }
        at == labels && self.0[at..] == *other.0
    }
}

impl<'a> From<&'a Name> for NameRef<'a> {
    #[inline]
    fn from(name: &'a Name) -> Self {
        Self(&name.0)
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(")?;
        print_labels(self.0, Spelling::Short, f)?;
        f.write_str(")")
    }
}

/// Why a text or octets are no domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A label of no octets elsewhere than at the end.
    #[error("empty label")]
    EmptyLabel,
    /// A label of more than 63 octets.
    #[error("label of more than 63 octets")]
    LongLabel,
    /// A name of more than 255 octets.
    #[error("name of more than 255 octets")]
    LongName,
    /// A `\` that is followed neither by three digits up to 255 nor by another character.
    #[error("bad escape after a backslash")]
    BadEscape,
    /// The empty text.
    #[error("empty name")]
    Empty,
    /// Octets that end early, go on, or use compression.
    #[error("malformed wire form")]
    Wire,
}

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Takes a name in presentation form; relative names are completed by `origin`, `@` is the origin itself.
    ///
    /// # Errors
    ///
    /// [`NameError`] as for any name; a relative name whose completion is over 255 octets is [`NameError::LongName`].
    pub fn parse_relative(text: &[u8], origin: &Name) -> Result<Self, NameError> {
        if text == b"@" {
            return Ok(origin.clone());
        }
        // A last dot ends an absolute name, unless it is escaped: then a little room is left over.
        let rest = if text.ends_with(b".") { 1 } else { 1 + origin.0.len() };
        let mut wire = Vec::with_capacity(text.len() + rest);
        match scan(text, &mut wire)? {
            Scanned::Absolute => wire.push(0),
            Scanned::Relative => wire.extend_from_slice(&origin.0),
        }
        Self::checked(wire)
    }

    /// Takes a name in presentation form; a missing last dot is supplied.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn parse_absolute(text: &[u8]) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        scan(text, &mut wire)?;
        wire.push(0);
        Self::checked(wire)
    }

    /// Takes uncompressed wire form that ends with the root label; lower-cases it.
    ///
    /// # Errors
    ///
    /// [`NameError::Wire`] if the octets are not exactly one name; [`NameError::LongName`].
    pub fn from_wire(octets: &[u8]) -> Result<Self, NameError> {
        let (name, rest) = Self::split_wire(octets)?;
        if rest.is_empty() { Ok(name) } else { Err(NameError::Wire) }
    }

    /// Takes the uncompressed name at the start of `octets` and gives what follows it.
    ///
    /// # Errors
    ///
    /// [`NameError::Wire`] if no whole name stands there; [`NameError::LongName`].
    pub fn split_wire(octets: &[u8]) -> Result<(Self, &[u8]), NameError> {
        let mut at = 0;
        loop {
            match octets.get(at) {
                None => return Err(NameError::Wire),
                Some(0) => break,
                Some(&len) if len <= 63 => at += 1 + len as usize,
                Some(_) => return Err(NameError::Wire),
            }
        }
        let wire = octets.get(..=at).ok_or(NameError::Wire)?;
        Ok((Self::checked(wire.to_ascii_lowercase())?, &octets[at + 1..]))
    }

    fn checked(wire: Vec<u8>) -> Result<Self, NameError> {
        if wire.len() > 255 { Err(NameError::LongName) } else { Ok(Self(wire.into_boxed_slice())) }
    }

    /// The wire form: length-prefixed labels, the root label last.
    #[inline]
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels from the left, without the root label.
    pub fn labels(&self) -> Labels<'_> {
        Labels { rest: &self.0 }
    }

    /// The number of labels, the root label not counted ([RFC 4034 section 3.1.3] counts the same way, but for `*`).
    ///
    /// [RFC 4034 section 3.1.3]: https://www.rfc-editor.org/rfc/rfc4034#section-3.1.3
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether the leftmost label is `*` ([RFC 4592 section 2.1.1]).
    ///
    /// [RFC 4592 section 2.1.1]: https://www.rfc-editor.org/rfc/rfc4592#section-2.1.1
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// The name one label shorter; `None` for the root.
    pub fn parent(&self) -> Option<Name> {
        self.parent_wire().map(|wire| Self(wire.into()))
    }

    /// [`Name::parent`] as a slice of this name's wire form.
    pub fn parent_wire(&self) -> Option<&[u8]> {
        if self.is_root() { None } else { Some(&self.0[1 + self.0[0] as usize..]) }
    }

    /// The last `labels` labels of this name; itself if it has no more.
    pub fn suffix(&self, labels: usize) -> Name {
        let skip = self.label_count().saturating_sub(labels);
        let mut wire = &self.0[..];
        for _ in 0..skip {
            wire = &wire[1 + wire[0] as usize..];
        }
        Self(wire.into())
    }

    /// Whether this name is `other` or a descendant of it.
    pub fn is_at_or_below(&self, other: &Name) -> bool {
        NameRef::from(self).is_at_or_below(other.into())
    }

    /// The offsets in the wire form at which a label starts, the root label last.
    fn suffix_starts(&self) -> impl Iterator<Item = usize> + '_ {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let at = next?;
            let len = self.0[at] as usize;
            next = (len > 0).then_some(at + 1 + len);
            Some(at)
        })
    }

    /// `label` below this name.
    ///
    /// # Errors
    ///
    /// [`NameError`] if the label or the result is too long or the label is empty.
    pub fn child(&self, label: &[u8]) -> Result<Name, NameError> {
        match label.len() {
            0 => return Err(NameError::EmptyLabel),
            64.. => return Err(NameError::LongLabel),
            _ => {}
        }
        let mut wire = Vec::with_capacity(1 + label.len() + self.0.len());
        wire.push(label.len() as u8);
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
        wire.extend_from_slice(&self.0);
        Self::checked(wire)
    }

    /// The presentation form that every reader of master files takes: what is not a letter, a digit or one of `-_*/` is
    /// escaped.
    pub(crate) fn in_master_file(&self) -> impl fmt::Display {
        fmt::from_fn(|f| print_labels(&self.0, Spelling::Careful, f))
    }

    /// The presentation form without the last dot, as JSON shows names; the root is `.`.
    pub fn without_dot(&self) -> String {
        // Without escapes the text is one octet shorter than the wire form.
        let mut text = String::with_capacity(self.0.len());
        // Writing to a String cannot fail.
        _ = print_labels(&self.0, Spelling::Short, &mut text);
        if text.len() > 1 {
            text.pop();
        }
        text
    }
}

enum Scanned {
    Absolute,
    Relative,
}

/// Appends the labels of `text` to `wire`, without a root label.
fn scan(text: &[u8], wire: &mut Vec<u8>) -> Result<Scanned, NameError> {
    match text {
        b"" => return Err(NameError::Empty),
        b"." => return Ok(Scanned::Absolute),
        _ => {}
    }
    let mut length_at = wire.len();
    wire.push(0);
    let mut octets = text.iter().copied();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b'.' => {
                close_label(wire, length_at)?;
                if octets.len() == 0 {
                    return Ok(Scanned::Absolute);
                }
                length_at = wire.len();
                wire.push(0);
                continue;
            }
            b'\\' => unescape(&mut octets).ok_or(NameError::BadEscape)?,
            plain => plain,
        };
        wire.push(octet.to_ascii_lowercase());
        if wire.len() > 320 {
            return Err(NameError::LongName);
        }
    }
    close_label(wire, length_at)?;
    Ok(Scanned::Relative)
}

fn close_label(wire: &mut [u8], length_at: usize) -> Result<(), NameError> {
    match wire.len() - length_at - 1 {
        0 => Err(NameError::EmptyLabel),
        len @ 1..=63 => {
            wire[length_at] = len as u8;
            Ok(())
        }
        _ => Err(NameError::LongLabel),
    }
}

/// The octet that stands after a `\`: three decimal digits, or itself (RFC 1035 section 5.1).
pub(crate) fn unescape(octets: &mut std::iter::Copied<std::slice::Iter<'_, u8>>) -> Option<u8> {
    let first = octets.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let second = octets.next().filter(u8::is_ascii_digit)?;
    let third = octets.next().filter(u8::is_ascii_digit)?;
    u8::try_from((first - b'0') as u16 * 100 + (second - b'0') as u16 * 10 + (third - b'0') as u16).ok()
}

/// Which octets of a label are printed as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Spelling {
    /// All that can be seen and mean nothing else in a master file (RFC 1035 section 5.1), as BIND prints them.
    #[default]
    Short,
    /// Only letters, digits and `-_*/`: more than those not every reader of master files takes (Knot, NSD).
    Careful,
}

/// Prints the labels of an uncompressed name in wire form, each with its dot; the root is `.`.
pub(crate) fn print_labels(wire: &[u8], spelling: Spelling, out: &mut impl fmt::Write) -> fmt::Result {
    let mut labels = Labels { rest: wire }.peekable();
    if labels.peek().is_none() {
        return out.write_char('.');
    }
    for label in labels {
        match std::str::from_utf8(label) {
            Ok(text) if label.iter().all(is_plain) => out.write_str(text)?,
            _ => print_label(label, spelling, out)?,
        }
        out.write_char('.')?;
    }
    Ok(())
}

/// What every reader of master files takes as it is.
fn is_plain(octet: &u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'*' | b'/')
}

fn print_label(label: &[u8], spelling: Spelling, out: &mut impl fmt::Write) -> fmt::Result {
    for &octet in label {
        match octet {
            plain if is_plain(&plain) => out.write_char(plain as char)?,
            b'.' => out.write_str("\\.")?,
            _ if spelling == Spelling::Careful => write!(out, "\\{octet:03}")?,
            b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                out.write_char('\\')?;
                out.write_char(octet as char)?;
            }
            0x21..=0x7e => out.write_char(octet as char)?,
            _ => write!(out, "\\{octet:03}")?,
        }
    }
    Ok(())
}

/// The labels of a [`Name`] from the left.
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let len = self.rest[0] as usize;
        if len == 0 {
            return None;
        }
        let (label, rest) = self.rest[1..].split_at(len);
        self.rest = rest;
        Some(label)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse_absolute(text.as_bytes())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_labels(&self.0, Spelling::Short, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Ord for Name {
    /// Canonical order: label by label from the root, each as unsigned octets (RFC 4034 section 6.1).
    fn cmp(&self, other: &Self) -> Ordering {
        // Siblings, which are what is mostly compared, differ in their first label alone.
        if let (Some(parent), Some(others)) = (self.parent_wire(), other.parent_wire())
            && parent == others
        {
            return self.labels().next().cmp(&other.labels().next());
        }
        let starts = |name: &Name| {
            let mut at = [0u8; 128];
            let mut count = 0;
            for start in name.suffix_starts() {
                at[count] = start as u8;
                count += 1;
            }
            (at, count - 1)
        };
        let (a, a_count) = starts(self);
        let (b, b_count) = starts(other);
        for back in 1..=a_count.min(b_count) {
            let label = |name: &Name, at: u8| -> (usize, usize) {
                (at as usize + 1, at as usize + 1 + name.0[at as usize] as usize)
            };
            let (from, to) = label(self, a[a_count - back]);
            let (other_from, other_to) = label(other, b[b_count - back]);
            match self.0[from..to].cmp(&other.0[other_from..other_to]) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        a_count.cmp(&b_count)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    #[test] // RFC 4034 section 6.1
    fn names_sort_in_canonical_order() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        for pair in sorted.windows(2) {
            assert!(name(pair[0]) < name(pair[1]), "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn a_suffix_counts_whole_labels_only() {
        assert!(!name("xexample.").is_at_or_below(&name("example.")));
        assert!(name("x.example.").is_at_or_below(&name("example.")));
        assert!(name("x.example.").is_at_or_below(&Name::root()));
        assert_eq!(name("a.b.c.").suffix(2), name("b.c."));
        assert_eq!(name("*.c.").parent(), Some(name("c.")));
    }

    #[test]
    fn bad_names_are_refused_with_their_reason() {
        for (text, error) in [
            ("", NameError::Empty),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("\\25", NameError::BadEscape),
            ("\\256", NameError::BadEscape),
            ("a\\", NameError::BadEscape),
        ] {
            assert_eq!(text.parse::<Name>(), Err(error), "{text}");
        }
        assert_eq!("a".repeat(64).parse::<Name>(), Err(NameError::LongLabel));
        assert_eq!("a.".repeat(128).parse::<Name>(), Err(NameError::LongName));
        assert!("a.".repeat(127).parse::<Name>().is_ok());
    }

    proptest! {
        #[test]
        fn text_and_wire_round_trip(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..12), 0..8)) {
            let mut name = Name::root();
            for label in &labels {
                name = name.child(label).expect("short enough");
            }
            prop_assert_eq!(&name.to_string().parse::<Name>().expect("printed names parse"), &name);
            prop_assert_eq!(&Name::from_wire(name.as_wire()).expect("wire form"), &name);
        }
    }
}
