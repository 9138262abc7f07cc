//! One row per record type.

use super::field::Field::{self, *};
use crate::RecordType;

/// The fields of a type in wire order with the names that errors use, whether the last name is a target, and what no
/// single field can check.
pub(super) struct Row {
    pub(super) fields: &'static [(&'static str, Field)],
    pub(super) target: bool,
    pub(super) rule: fn(&[u8]) -> Result<(), String>,
}

const fn plain(fields: &'static [(&'static str, Field)]) -> Option<Row> {
    Some(Row { fields, target: false, rule: |_| Ok(()) })
}

const fn pointing(fields: &'static [(&'static str, Field)]) -> Option<Row> {
    Some(Row { fields, target: true, rule: |_| Ok(()) })
}

const fn ruled(fields: &'static [(&'static str, Field)], rule: fn(&[u8]) -> Result<(), String>) -> Option<Row> {
    Some(Row { fields, target: false, rule })
}

/// The row of `rtype`; `None` for a type known by number only.
pub(super) fn row(rtype: RecordType) -> Option<Row> {
    use RecordType as T;
    match rtype {
        T::A => plain(&[("address", Ipv4)]),
        T::AAAA => plain(&[("address", Ipv6)]),
        T::NS => pointing(&[("server", Name)]),
        T::CNAME | T::DNAME => pointing(&[("target", Name)]),
        T::PTR => pointing(&[("name", Name)]),
        T::SOA => plain(&[
            ("primary", Name),
            ("mailbox", Name),
            ("serial", U32),
            ("refresh", Period),
            ("retry", Period),
            ("expire", Period),
            ("minimum", Period),
        ]),
        T::MX => pointing(&[("preference", U16), ("exchange", Name)]),
        T::TXT | T::SPF | T::AVC => plain(&[("texts", Texts)]),
        T::SRV => pointing(&[("priority", U16), ("weight", U16), ("port", U16), ("target", Name)]),
        T::CAA => plain(&[("flags", U8), ("tag", Tag), ("value", LongText)]),
        T::HINFO => plain(&[("cpu", Text), ("os", Text)]),
        T::RP => plain(&[("mailbox", Name), ("text-name", Name)]),
        T::AFSDB => pointing(&[("subtype", U16), ("host", Name)]),
        T::KX => pointing(&[("preference", U16), ("exchanger", Name)]),
        T::MB | T::MG | T::MR => plain(&[("name", Name)]),
        T::MINFO => plain(&[("responsible", Name), ("errors", Name)]),
        T::X25 => plain(&[("address", Text)]),
        T::RT => plain(&[("preference", U16), ("host", Name)]),
        T::PX => plain(&[("preference", U16), ("rfc822", Name), ("x400", Name)]),
        T::GPOS => plain(&[("longitude", Text), ("latitude", Text), ("altitude", Text)]),
        T::L32 => plain(&[("preference", U16), ("locator", Ipv4)]),
        T::LP => plain(&[("preference", U16), ("name", CasedName)]),
        T::LOC => plain(&[("location", Location)]),
        T::NAPTR => pointing(&[
            ("order", U16),
            ("preference", U16),
            ("flags", Flags),
            ("services", Text),
            ("regexp", Text),
            ("replacement", Name),
        ]),
        T::URI => ruled(&[("priority", U16), ("weight", U16), ("target", LongText)], uri),
        T::SVCB | T::HTTPS => pointing(&[("priority", U16), ("target", CasedName), ("parameters", SvcParams)]),
        T::APL => plain(&[("prefixes", Prefixes)]),
        T::EUI48 => plain(&[("address", Eui(6))]),
        T::EUI64 => plain(&[("address", Eui(8))]),

        T::DS | T::CDS | T::TA | T::DLV => ruled(
            &[("key-tag", U16), ("algorithm", Algorithm), ("digest-type", U8), ("digest", Hex)],
            delegation_signer,
        ),
        T::DNSKEY | T::CDNSKEY => {
            ruled(&[("flags", U16), ("protocol", U8), ("algorithm", Algorithm), ("key", Base64)], dns_key)
        }
        // The protocol of a KEY says what it is for (RFC 2535 section 3.1.3); today only SIG(0) has one, with 3.
        T::KEY => plain(&[("flags", U16), ("protocol", U8), ("algorithm", Algorithm), ("key", Base64)]),
        T::RRSIG => ruled(
            &[
                ("covered", Type),
                ("algorithm", Algorithm),
                ("labels", U8),
                ("original-ttl", U32),
                ("expiration", Timestamp),
                ("inception", Timestamp),
                ("key-tag", U16),
                ("signer", Name),
                ("signature", Base64),
            ],
            signature,
        ),
        T::NSEC => plain(&[("next", CasedName), ("types", Types)]),
        T::NSEC3 => plain(&[
            ("hash-algorithm", U8),
            ("flags", U8),
            ("iterations", U16),
            ("salt", Salt),
            ("next", HashedName),
            ("types", Types),
        ]),
        T::NSEC3PARAM => plain(&[("hash-algorithm", U8), ("flags", U8), ("iterations", U16), ("salt", Salt)]),
        T::CSYNC => plain(&[("serial", U32), ("flags", U16), ("types", Types)]),
        T::ZONEMD => ruled(&[("serial", U32), ("scheme", U8), ("hash-algorithm", U8), ("digest", Hex)], zone_digest),
        T::TLSA | T::SMIMEA => {
            ruled(&[("usage", U8), ("selector", U8), ("matching-type", U8), ("association", Hex)], association)
        }
        T::SSHFP => ruled(&[("algorithm", U8), ("fingerprint-type", U8), ("fingerprint", Hex)], fingerprint),
        T::OPENPGPKEY => plain(&[("key", Base64)]),
        T::CERT => {
            plain(&[("type", CertType), ("key-tag", U16), ("algorithm", CertAlgorithm), ("certificate", Base64)])
        }
        T::DHCID => plain(&[("identifier", Base64)]),
        _ => None,
    }
}

/// Whether the type is nothing but texts.
pub(super) fn is_text(rtype: RecordType) -> bool {
    row(rtype).is_some_and(|row| matches!(row.fields, [(_, Texts)]))
}

/// Whether the type may be written as one quoted text.
pub(crate) fn is_one_text(rtype: RecordType) -> bool {
    row(rtype).is_some_and(|row| matches!(row.fields, [(_, Text | Texts)]))
}

/// Where the target of valid rdata starts.
pub(super) fn target_offset(rtype: RecordType, wire: &[u8]) -> Option<usize> {
    let row = row(rtype).filter(|row| row.target)?;
    let mut rest = wire;
    let mut passed = Vec::new();
    for (_, field) in row.fields {
        if matches!(field, Name | CasedName) {
            return Some(wire.len() - rest.len());
        }
        field.check(&mut rest, &mut passed).ok()?;
    }
    None
}

/// The octets after `skip` must be as many as the method that `kind` names makes; unknown methods make any number.
fn digest_length(wire: &[u8], skip: usize, kind: u8, lengths: &[(u8, usize)]) -> Result<(), String> {
    let actual = wire.len() - skip;
    match lengths.iter().find(|(known, _)| *known == kind) {
        Some((_, length)) if *length != actual => {
            Err(format!("type {kind} has {length} octets of digest, not {actual}"))
        }
        _ => Ok(()),
    }
}

/// RFC 4034 section 5.1, RFC 4509, RFC 5933, RFC 6605.
fn delegation_signer(wire: &[u8]) -> Result<(), String> {
    digest_length(wire, 4, wire[3], &[(1, 20), (2, 32), (3, 32), (4, 48)])
}

/// RFC 4034 section 2.1.2.
fn dns_key(wire: &[u8]) -> Result<(), String> {
    if wire[2] == 3 { Ok(()) } else { Err(format!("protocol: must be 3, not {}", wire[2])) }
}

/// RFC 4034 section 3.1.3: a name has at most 127 labels.
fn signature(wire: &[u8]) -> Result<(), String> {
    if wire[3] < 128 { Ok(()) } else { Err(format!("labels: a name has at most 127, not {}", wire[3])) }
}

/// RFC 6698 section 2.1.3, RFC 8162 section 2.
fn association(wire: &[u8]) -> Result<(), String> {
    digest_length(wire, 3, wire[2], &[(1, 32), (2, 64)])
}

/// RFC 4255 section 3.1.2, RFC 6594 section 4.
fn fingerprint(wire: &[u8]) -> Result<(), String> {
    digest_length(wire, 2, wire[1], &[(1, 20), (2, 32)])
}

/// RFC 8976 section 2.2.
fn zone_digest(wire: &[u8]) -> Result<(), String> {
    if wire.len() < 6 + 12 {
        return Err("digest: at least 12 octets".into());
    }
    digest_length(wire, 6, wire[5], &[(1, 48), (2, 64)])
}

/// RFC 7553 section 4.4.
fn uri(wire: &[u8]) -> Result<(), String> {
    if wire.len() > 4 { Ok(()) } else { Err("target: empty".into()) }
}
