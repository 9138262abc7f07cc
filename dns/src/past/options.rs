//! The EDNS options of the past: ours, extended errors (RFC 8914), ZONEVERSION (RFC 9660).

use std::borrow::Cow;

use conn3ction_schemas::Timestamp;

use crate::store::{Version, View, labels};

use super::EventNote;

/// From the range for local use (RFC 6891 section 9): a moment.
const MOMENT: u16 = 65353;
const EXTENDED_ERROR: u16 = 15;
const ZONE_VERSION: u16 = 19;
/// Octets of text in an extended error: it must not crowd out the answer.
const MAX_TEXT: usize = 200;

/// What the options of a query ask for.
#[derive(Debug, Default)]
pub(super) struct Asked<'q> {
    /// The text of a moment; empty to be told where the live answer comes from.
    pub(super) moment: Option<&'q [u8]>,
    pub(super) zone_version: Option<&'q [u8]>,
    /// Two options ask for different moments.
    pub(super) is_torn: bool,
}

impl<'q> Asked<'q> {
    /// Reads options that are checked to be whole.
    pub(super) fn read(mut options: &'q [u8]) -> Self {
        let mut asked = Self::default();
        while let [code_high, code_low, len_high, len_low, rest @ ..] = options {
            let Some((value, after)) = rest.split_at_checked(u16::from_be_bytes([*len_high, *len_low]).into()) else {
                break;
            };
            match u16::from_be_bytes([*code_high, *code_low]) {
                MOMENT => asked.is_torn |= *asked.moment.get_or_insert(value) != value,
                ZONE_VERSION => _ = asked.zone_version.get_or_insert(value),
                _ => {}
            }
            options = after;
        }
        asked
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.moment.is_none() && self.zone_version.is_none()
    }
}

/// An extended error: a code and what a person reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExtendedError {
    pub(super) code: u16,
    pub(super) text: Cow<'static, str>,
}

impl ExtendedError {
    pub(super) const OTHER: u16 = 0;
    pub(super) const PROHIBITED: u16 = 18;

    /// `as of REVISION TIME ACTOR: REASON`, ` not-final` behind the time if more can still be added to that moment; if another
    /// event than `note`'s gave the answer, that one is named.
    pub(super) fn of(note: &EventNote, cause: Option<&EventNote>, is_final: bool) -> Self {
        let who = cause.unwrap_or(note);
        let set_by = match cause {
            Some(cause) if cause.token != note.token => format!(", set by {}", cause.token.revision),
            _ => String::new(),
        };
        let why = who.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let (revision, time, actor) = (note.token.revision, note.time.to_exact_text(), &who.actor);
        let not_final = if is_final { "" } else { " not-final" };
        let text = format!("as of {revision} {time}{not_final}{set_by} {actor}{why}");
        Self { code: Self::OTHER, text: text.into() }
    }
}

/// The options of a reply, as octets. What has no room is left out; all that we ever say together has.
#[derive(Debug)]
pub(crate) struct Options {
    octets: [u8; 320],
    len: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { octets: [0; 320], len: 0 }
    }
}

impl Options {
    /// `r1041 2026-11-22T01:52:07Z`, and ` not-final` if more can still be added to that moment.
    pub(super) fn moment(&mut self, version: Option<Version>, time: Option<Timestamp>, is_final: bool) {
        let (mut digits, mut room) = ([0; 20], [0; 27]);
        let digits = decimal(version.unwrap_or_default().0, &mut digits);
        let time = time.and_then(|time| time.to_exact_octets(&mut room));
        let (blank, time) = time.map_or((&b""[..], &b""[..]), |time| (b" ", time));
        self.push(MOMENT, &[b"r", digits, blank, time, if is_final { b"" } else { b" not-final" }]);
    }

    pub(super) fn extended_error(&mut self, error: &ExtendedError) {
        let text = &error.text[..error.text.floor_char_boundary(MAX_TEXT)];
        self.push(EXTENDED_ERROR, &[&error.code.to_be_bytes(), text.as_bytes()]);
    }

    /// The serial of the zone that `name` is in (RFC 9660 section 2); nothing if that zone is none of ours.
    pub(super) fn zone_version(&mut self, view: &View, name: &[u8]) {
        const SOA_SERIAL: u8 = 0;
        if let Some(zone) = view.zone_of_wire(name) {
            let apex = zone.apex().as_wire();
            let labels = labels::count(&apex[..apex.len() - 1]) as u8;
            self.push(ZONE_VERSION, &[&[labels, SOA_SERIAL], &zone.serial().0.to_be_bytes()]);
        }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts the options into the OPT record that ends the `octets` long reply in `out`; gives the new length. Without
    /// room, or without an OPT record, they are left out.
    pub(super) fn append(&self, out: &mut [u8], octets: usize) -> usize {
        let Some(length_at) = octets.checked_sub(2) else { return octets };
        match out.get_mut(octets..octets + self.len) {
            Some(place) if self.len > 0 => place.copy_from_slice(&self.octets[..self.len]),
            _ => return octets,
        }
        out[length_at..octets].copy_from_slice(&(self.len as u16).to_be_bytes());
        octets + self.len
    }

    fn push(&mut self, code: u16, value: &[&[u8]]) {
        let len: usize = value.iter().map(|part| part.len()).sum();
        if self.len + 4 + len > self.octets.len() {
            return;
        }
        let [code, len] = [code, len as u16].map(u16::to_be_bytes);
        let (head, mut rest) = self.octets[self.len..].split_at_mut(4);
        head.copy_from_slice(&[code[0], code[1], len[0], len[1]]);
        self.len += 4;
        for part in value {
            let place;
            (place, rest) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            self.len += part.len();
        }
    }
}

/// `number` as text, at the end of `room`: several times as fast as any form, for every answer about the past has one.
fn decimal(mut number: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut begin = room.len();
    loop {
        begin -= 1;
        room[begin] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &room[begin..];
        }
    }
}
