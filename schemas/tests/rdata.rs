//! Each record type: text to wire to text, and what is refused.

use conn3ction_schemas::{Name, Rdata, RecordType};

fn rtype(text: &str) -> RecordType {
    text.parse().expect("a type")
}

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.replace(' ', "").as_bytes()).expect("hex")
}

/// Type, what a user writes, what is printed.
const FORMS: &[(&str, &str, &str)] = &[
    ("A", "192.0.2.1", "192.0.2.1"),
    ("AAAA", "2001:DB8:0::1", "2001:db8::1"),
    ("AAAA", "::ffff:192.0.2.1", "::ffff:192.0.2.1"),
    ("CNAME", "WWW.Example.com", "www.example.com."),
    ("DNAME", "frobozz.example.", "frobozz.example."),
    ("NS", "localhost.", "localhost."),
    ("PTR", r"a\.b\032c.example.com", r"a\.b\032c.example.com."),
    (
        "SOA",
        r"ns1.example.com. hostmaster\.x.example.com 7 1h 15m 1w 300",
        r"ns1.example.com. hostmaster\.x.example.com. 7 3600 900 604800 300",
    ),
    ("MX", "10 mail.example.com", "10 mail.example.com."),
    ("MX", "0 .", "0 ."), // RFC 7505
    ("TXT", "v=spf1 -all", r#""v=spf1 -all""#),
    ("TXT", r#""one" "two \"quoted\" \\ \007""#, r#""one" "two \"quoted\" \\ \007""#),
    ("TXT", r"C:\dir; (x)", r#""C:\\dir; (x)""#),
    ("TXT", "", r#""""#),
    ("TXT", "é", r#""\195\169""#),
    ("SPF", "v=spf1 -all", r#""v=spf1 -all""#),
    ("SRV", "0 5 5060 sip.example.com", "0 5 5060 sip.example.com."),
    ("CAA", "0 issue letsencrypt.org", r#"0 issue "letsencrypt.org""#),
    ("CAA", r#"128 iodef "mailto:a@example.com""#, r#"128 iodef "mailto:a@example.com""#),
    ("HINFO", r#"PDP-11 "UNIX V7""#, r#""PDP-11" "UNIX V7""#),
    ("RP", "louie.trantor.umd.edu. lam1.people.umd.edu.", "louie.trantor.umd.edu. lam1.people.umd.edu."),
    ("AFSDB", "1 afs.example.com", "1 afs.example.com."),
    // RFC 1035 section 3.3, RFC 1183, RFC 1712, RFC 2163, RFC 6742
    ("MB", "Host.Example.com", "host.example.com."),
    ("MG", "list.example.com.", "list.example.com."),
    ("MR", "new.example.com.", "new.example.com."),
    ("MINFO", "owner.example.com errors.example.com", "owner.example.com. errors.example.com."),
    ("X25", "311061700956", r#""311061700956""#),
    ("RT", "10 relay.prime.com.", "10 relay.prime.com."),
    ("PX", "10 ab.net2.it. O-ab.PRMD-net2.ADMDb.C-it.", "10 ab.net2.it. o-ab.prmd-net2.admdb.c-it."),
    ("GPOS", "-32.6882 116.8652 10.0", r#""-32.6882" "116.8652" "10.0""#),
    ("L32", "10 10.1.2.0", "10 10.1.2.0"),
    ("LP", "10 L64-subnet1.example.com.", "10 L64-subnet1.example.com."),
    ("KEY", "256 255 RSASHA1 AQAB", "256 255 5 AQAB"),
    (
        "TA",
        "30795 RSASHA1 1 310D27F4D82C1FC2400704EA9939FE6E1CEAA3B9",
        "30795 5 1 310D27F4D82C1FC2400704EA9939FE6E1CEAA3B9",
    ),
    ("DLV", "30795 5 1 310D27F4D82C1FC2400704EA9939FE6E1CEAA3B9", "30795 5 1 310D27F4D82C1FC2400704EA9939FE6E1CEAA3B9"),
    ("AVC", "app-name:WOLFGANG", r#""app-name:WOLFGANG""#),
    ("KX", "10 kx.example.com.", "10 kx.example.com."),
    ("LOC", "42 21 54 N 71 06 18 W -24m 30m", "42 21 54.000 N 71 6 18.000 W -24.00m 30m 10000m 10m"), // RFC 1876
    ("LOC", "52 N 4 53.5 E 0", ""),
    ("LOC", "52 N 4 53 E 0", "52 0 0.000 N 4 53 0.000 E 0.00m 1m 10000m 10m"),
    ("LOC", "90 S 180 W -100000.00m 0.01m 0 90000000m", "90 0 0.000 S 180 0 0.000 W -100000.00m 0.01m 0.00m 90000000m"),
    (
        "NAPTR", // RFC 3403 section 6.2
        r#"100 10 "u" "sip+E2U" "!^.*$!sip:info@foo.bar!i" ."#,
        r#"100 10 "u" "sip+E2U" "!^.*$!sip:info@foo.bar!i" ."#,
    ),
    ("URI", r#"10 1 "ftp://ftp1.example.com/public""#, r#"10 1 "ftp://ftp1.example.com/public""#), // RFC 7553
    ("APL", "1:192.168.32.0/21 !1:192.168.38.0/28", "1:192.168.32.0/21 !1:192.168.38.0/28"), // RFC 3123 section 5.1
    ("APL", "2:FF00::/8 !1:0.0.0.0/0", "2:ff00::/8 !1:0.0.0.0/0"),
    ("EUI48", "00-00-5E-00-53-2a", "00-00-5e-00-53-2a"),
    ("EUI64", "00-00-5e-ef-10-00-00-2a", "00-00-5e-ef-10-00-00-2a"),
    (
        "DS", // RFC 4034 section 5.4
        "60485 RSASHA1 1 2BB183AF5F22588179A53B0A 98631FAD1A292118",
        "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
    ),
    (
        "DS",
        "20326 8 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d",
        "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237 C7F8EC8D",
    ),
    ("CDS", "0 0 0 00", "0 0 0 00"),         // RFC 8078 section 4
    ("CDNSKEY", "0 3 0 AA==", "0 3 0 AA=="), // RFC 8078 section 4
    (
        "DNSKEY", // RFC 8080 section 6.1
        "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
        "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
    ),
    (
        "RRSIG", // RFC 8080 section 6.1
        "MX ED25519 2 3600 1440021600 1438207200 3613 example.com. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
        "MX 15 2 3600 20150819220000 20150729220000 3613 example.com. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QL s3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
    ),
    (
        "NSEC", // RFC 4034 section 4.3
        "Host.example.com. A MX RRSIG NSEC TYPE1234",
        "Host.example.com. A MX RRSIG NSEC TYPE1234",
    ),
    (
        "NSEC3", // RFC 5155 appendix A
        "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG",
        "1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR NS SOA MX RRSIG DNSKEY NSEC3PARAM",
    ),
    ("NSEC3", "1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR"),
    ("NSEC3PARAM", "1 0 12 aabbccdd", "1 0 12 AABBCCDD"),
    ("CSYNC", "66 3 A NS AAAA", "66 3 A NS AAAA"), // RFC 7477 section 2.1
    (
        "ZONEMD",
        "2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE7EB1A7B641A47BA7FED2DD5B97AE499FAFA4F22C6BD647DE",
        "2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE7EB1A7B6 41A47BA7FED2DD5B97AE499FAFA4F22C6BD647DE",
    ),
    (
        "TLSA", // RFC 6698 section 2.3
        "0 0 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
        "0 0 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB10 6618E971",
    ),
    ("SMIMEA", "3 1 0 aabb", "3 1 0 AABB"),
    ("SSHFP", "2 1 123456789abcdef67890123456789abcdef67890", "2 1 123456789ABCDEF67890123456789ABCDEF67890"), // RFC 4255
    ("OPENPGPKEY", "AQIDBA==", "AQIDBA=="),
    ("CERT", "PGP 0 0 AQIDBA==", "PGP 0 0 AQIDBA=="),
    ("CERT", "65000 1 RSASHA256 AQIDBA==", "65000 1 RSASHA256 AQIDBA=="),
    ("DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="),
    // RFC 9460 appendix D
    ("SVCB", "0 foo.example.com.", "0 foo.example.com."),
    ("SVCB", "1 .", "1 ."),
    ("HTTPS", "16 foo.example.com. port=53", "16 foo.example.com. port=53"),
    ("SVCB", "1 foo.example.com. key667=hello", r#"1 foo.example.com. key667="hello""#),
    ("SVCB", r#"1 foo.example.com. key667="hello\210qoo""#, r#"1 foo.example.com. key667="hello\210qoo""#),
    (
        "SVCB",
        r#"1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1""#,
        "1 foo.example.com. ipv6hint=2001:db8::1,2001:db8::53:1",
    ),
    (
        "SVCB",
        "16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
        r#"16 foo.example.org. mandatory=alpn,ipv4hint alpn="h2,h3-19" ipv4hint=192.0.2.1"#,
    ),
    ("SVCB", r#"16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#, r#"16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#),
    ("HTTPS", "1 . alpn=h2 no-default-alpn key65280", r#"1 . alpn="h2" no-default-alpn key65280"#),
    ("TYPE65280", r"\# 4 0A000001", r"\# 4 0A000001"),
    ("TYPE731", r"\# 6 abcdef ( 01 23 45 )", ""),
    ("TYPE731", r"\# 6 abcdef 01 23 45", r"\# 6 ABCDEF012345"), // RFC 3597 section 5
    ("TYPE62347", r"\# 0", r"\# 0"),
    ("A", r"\# 4 0A000001", "10.0.0.1"), // RFC 3597 section 5
];

#[test]
fn every_form_prints_as_dig_does_and_what_is_printed_is_a_fixed_point() {
    let origin: Name = "origin.example.".parse().expect("a name");
    for (rtype_text, written, printed) in FORMS {
        let rtype = rtype(rtype_text);
        let parsed = Rdata::parse(rtype, written, None);
        if printed.is_empty() {
            assert!(parsed.is_err(), "{rtype} {written}");
            continue;
        }
        let rdata = parsed.unwrap_or_else(|error| panic!("{rtype} {written}: {error}"));
        let text = rdata.to_text(rtype);
        assert_eq!(&text, printed, "{rtype} {written}");
        assert_eq!(Rdata::parse(rtype, &text, None).as_ref(), Ok(&rdata), "{rtype} {text}");
        assert_eq!(Rdata::parse(rtype, &text, Some(&origin)).as_ref(), Ok(&rdata), "{rtype} {text}");
        assert_eq!(Rdata::from_wire(rtype, rdata.as_wire()).as_ref(), Ok(&rdata), "{rtype} {text}");
    }
}

/// Type, text, octets: from the RFCs.
const WIRE: &[(&str, &str, &str)] = &[
    ("A", "192.0.2.1", "c0000201"),
    ("MX", "10 Mail.Example.", "000a 04 6d61696c 07 6578616d706c65 00"),
    (
        "NSEC",
        "host.example.com. A MX RRSIG NSEC TYPE1234", // RFC 4034 section 4.3
        "04686f7374 076578616d706c65 03636f6d 00 0006 400100000003 041b 0000000000000000000000000000000000000000000000000000 20",
    ),
    ("SVCB", "16 foo.example.com. port=53", "0010 03666f6f 076578616d706c65 03636f6d 00 0003 0002 0035"), // RFC 9460
    ("APL", "1:192.168.32.0/21 !1:192.168.38.0/28", "0001 15 03 c0a820 0001 1c 83 c0a826"),
    ("LOC", "42 21 54 N 71 06 18 W -24m 30m", "00 33 16 13 89172dd0 70be15f0 00988d20"),
    ("CAA", "0 issue \"ca.example\"", "00 05 6973737565 63612e6578616d706c65"),
];

#[test]
fn octets_are_those_of_the_rfcs() {
    for (rtype_text, text, octets) in WIRE {
        let rdata = Rdata::parse(rtype(rtype_text), text, None).expect(text);
        assert_eq!(rdata.as_wire(), hex(octets), "{rtype_text} {text}: {rdata:?}");
    }
}

/// Type, text, a piece of the error.
const BAD_TEXT: &[(&str, &str, &str)] = &[
    ("A", "192.0.2", "no IPv4 address"),
    ("A", "192.0.2.01", "no IPv4 address"),
    ("A", "2001:db8::1", "no IPv4 address"),
    ("A", "192.0.2.1 192.0.2.2", "`192.0.2.2` is left over"),
    ("A", "", "missing"),
    ("A", r"\# 3 0A0000", "needs 4 octets, 3 are left"),
    ("A", r"\# 5 0A000001", "says 5 octets, 4 follow"),
    ("A", r"\# 5 0A00000101", "1 octets too many"),
    ("AAAA", "192.0.2.1", "no IPv6 address"),
    ("CNAME", "mail", "write `mail.`"),
    ("CNAME", "@", "only in a master file"),
    ("CNAME", "a..b.example", "empty label"),
    ("CNAME", "a.example. b.example.", "left over"),
    ("MX", "mail.example.com", "no number from 0 to 65535"),
    ("MX", "65536 mail.example.com", "no number from 0 to 65535"),
    ("MX", "10", "exchange: missing"),
    ("SRV", "0 5 sip.example.com", "port: `sip.example.com`"),
    ("SOA", "a.example. b.example. 1 2 3 4", "minimum: missing"),
    ("SOA", "a.example. b.example. 4294967296 2 3 4 5", "serial: "),
    ("TXT", "\"open", "not closed"),
    ("TXT", "\"\\300\"", "bad escape"),
    ("CAA", "0 is-sue \"x\"", "letters and digits"),
    ("CAA", "256 issue \"x\"", "no number from 0 to 255"),
    ("HINFO", "one", "os: missing"),
    ("MINFO", "a.example.", "errors: missing"),
    ("X25", "1 2", "left over"),
    ("GPOS", "1 2", "altitude: missing"),
    ("PX", "1 a.example.", "x400: missing"),
    ("L32", "1 2001:db8::1", "no IPv4 address"),
    ("DLV", "1 8 2 abcd", "32 octets of digest, not 2"),
    ("LOC", "91 N 4 E 0", "do"),
    ("LOC", "90 0 1 N 4 E 0", "more than 90"),
    ("LOC", "52 60 N 4 E 0", "does not belong"),
    ("NAPTR", "1 1 \"!\" \"\" \"\" .", "letters and digits"),
    ("URI", "1 1 \"\"", "empty"),
    ("APL", "1:192.0.2.0/33", "no prefix"),
    ("APL", "3:192.0.2.0/3", "no prefix"),
    ("EUI48", "00-00-5e-00-53", "not 6 hex pairs"),
    ("DS", "1 8 2 abcd", "32 octets of digest, not 2"),
    ("DS", "1 8 2 abc", "hex digits"),
    ("DNSKEY", "256 2 8 AQID", "protocol: must be 3"),
    ("DNSKEY", "256 3 8 A", "no base64"),
    ("DNSKEY", "256 3 NOPE AQID", "neither a mnemonic nor"),
    ("RRSIG", "RRSIG 8 1 1 1 1 1 . AA==", "no signatures over RRSIG"),
    ("RRSIG", "ANY 8 1 1 1 1 1 . AA==", "no signatures over ANY"),
    ("RRSIG", "A 8 1 1 20181301000000 1 1 . AA==", "no time such as"),
    ("NSEC", "a.example. A NOPE", "no record type"),
    ("NSEC3", "1 0 0 - !", "no base32hex"),
    ("TLSA", "3 1 1 aabb", "32 octets of digest, not 2"),
    ("SSHFP", "1 2 aabb", "32 octets of digest, not 2"),
    ("ZONEMD", "1 1 240 aabb", "at least 12"),
    ("SVCB", "1 foo.example. port=53 port=54", "stands twice"),
    ("SVCB", "1 foo.example. mandatory=port", "mandatory names port, which is not there"),
    ("SVCB", "1 foo.example. mandatory=mandatory", "must not name itself"),
    ("SVCB", "1 foo.example. no-default-alpn", "needs alpn"),
    ("SVCB", "1 foo.example. alpn=", "empty"),
    ("SVCB", "1 foo.example. alpn=h2,,h3", "empty"),
    ("SVCB", "1 foo.example. port=http", "port: "),
    ("SVCB", "1 foo.example. key65535=x", "reserved"),
    ("SVCB", "1 foo.example. key01=x", "no service parameter"),
    ("SVCB", "1 foo.example. ipv4hint=2001:db8::1", "no IPv4"),
    ("TYPE65280", "10.0.0.1", "\\# LENGTH HEX"),
    ("ANY", r"\# 0", "no zone holds"),
    ("OPT", r"\# 0", "no zone holds"),
    ("MX", "10 mail.example.com ; comment", "outside quotation marks"),
];

#[test]
fn bad_text_is_refused_with_what_is_wrong_and_where() {
    for (rtype_text, text, piece) in BAD_TEXT {
        let error = Rdata::parse(rtype(rtype_text), text, None).expect_err(text);
        assert!(error.detail.contains(piece), "{rtype_text} {text}: {error}");
    }
}

#[test]
fn bad_octets_are_refused() {
    for (rtype_text, octets, piece) in [
        ("A", "c00002", "needs 4"),
        ("NS", "c000", "uncompressed"),
        ("NS", "0161", "uncompressed"),
        ("TXT", "", "needs 1"),
        ("TXT", "0561", "needs 5"),
        ("NSEC", "00 0100 01", "1 to 32 octets"),
        ("NSEC", "00 0001 00", "not zero"),
        ("NSEC", "00 0101 40 0001 40", "do not rise"),
        ("NSEC3", "01 00 0000 00 00", "a hash has"),
        ("SVCB", "0001 00 0004 0004 c0000201 0003 0002 0035", "out of order"),
        ("SVCB", "0001 00 0003 0001 35", "needs one port"),
        ("SVCB", "0001 00 0001 0001 00", "empty protocol"),
        ("SVCB", "0001 00 0003 0004 0035", "ends early"),
        ("LOC", "01 121613 80000000 80000000 00989680", "version 1"),
        ("LOC", "00 a21613 80000000 80000000 00989680", "two decimal digits"),
        ("LOC", "00 121613 ffffffff 80000000 00989680", "over 90 degrees"),
        ("CAA", "00 00 61", "tag: empty"),
        ("APL", "0003 00 00", "family 3"),
        ("APL", "0001 08 02 0a00", "zero octet"),
        ("RRSIG", "0001 08 80 00000000 00000000 00000000 0000 00 00", "at most 127"),
        ("OPENPGPKEY", "", "at least one octet"),
    ] {
        let error = Rdata::from_wire(rtype(rtype_text), &hex(octets)).expect_err(octets);
        assert!(error.detail.contains(piece), "{rtype_text} {octets}: {error}");
    }
    assert!(Rdata::from_wire(RecordType::TXT, &vec![0; 65_536]).is_err());
}

#[test]
fn relative_names_take_the_origin_of_a_master_file() {
    let origin: Name = "example.com.".parse().expect("a name");
    for (rtype_text, text, printed) in [
        ("MX", "10 mail", "10 mail.example.com."),
        ("NS", "@", "example.com."),
        ("CNAME", "a.b", "a.b.example.com."),
        ("SVCB", "1 Foo", "1 Foo.example.com."),
        ("TXT", "one two", "\"one\" \"two\""),
    ] {
        let rdata = Rdata::parse(rtype(rtype_text), text, Some(&origin)).expect(text);
        assert_eq!(rdata.to_text(rtype(rtype_text)), printed);
    }
}

#[test]
fn a_long_text_value_is_split_every_255_octets_but_refused_in_a_master_file() {
    let long = "x".repeat(300);
    let rdata = Rdata::parse(RecordType::TXT, &long, None).expect("a text");
    assert_eq!((rdata.as_wire()[0], rdata.as_wire()[256], rdata.as_wire().len()), (255, 45, 302));
    assert_eq!(Rdata::parse(RecordType::TXT, &format!("\"{long}\""), None), Ok(rdata));
    let origin = Name::root();
    assert!(Rdata::parse(RecordType::TXT, &format!("\"{long}\""), Some(&origin)).is_err());
}

#[test]
fn targets_are_what_a_record_points_at() {
    for (rtype_text, text, target) in [
        ("NS", "a.example.", Some("a.example.")),
        ("MX", "10 a.example.", Some("a.example.")),
        ("MX", "0 .", Some(".")),
        ("SRV", "1 2 3 a.example.", Some("a.example.")),
        ("HTTPS", "1 A.example. port=1", Some("a.example.")),
        ("CNAME", "a.example.", Some("a.example.")),
        ("NAPTR", "1 2 \"s\" \"x\" \"\" a.example.", Some("a.example.")),
        ("SOA", "a.example. b.example. 1 2 3 4 5", None),
        ("TXT", "a.example.", None),
    ] {
        let rdata = Rdata::parse(rtype(rtype_text), text, None).expect(text);
        assert_eq!(rdata.target(rtype(rtype_text)), target.map(|name| name.parse().expect("a name")), "{text}");
    }
}

#[test]
fn the_soa_view_reads_and_writes_every_field() {
    let rdata = Rdata::parse(RecordType::SOA, "a.example. b.example. 1 2 3 4 5", None).expect("a SOA");
    let mut soa = rdata.soa().expect("a SOA");
    assert_eq!((soa.serial.0, soa.refresh, soa.retry, soa.expire, soa.minimum), (1, 2, 3, 4, 5));
    assert_eq!(soa.to_rdata(), rdata);
    assert_eq!((rdata.soa_serial(), rdata.soa_minimum()), (Some(soa.serial), Some(5)));
    soa.serial.0 = 9;
    assert_eq!(rdata.with_soa_serial(soa.serial), soa.to_rdata());
}
