//! Every record type in the spellings that people use: what we print is what BIND and ldns print of the same file, and
//! they read our print as they read the original. Knot reads it as well.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use conn3ction_tests::{Conn3ction, root, shell};

/// Records as owner, TTL, type and rdata, without the white space that splits long fields.
type Records = BTreeSet<[String; 4]>;

fn records(printed: &str) -> Records {
    let lines = printed.lines().filter(|line| !line.is_empty() && !line.starts_with(['$', ';']));
    let record = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let rdata = words[4..].concat();
        [words[0].to_lowercase(), words[1].to_owned(), words[3].to_owned(), rdata]
    };
    lines.map(record).collect()
}

/// ldns writes degrees in three digits, SvcParams without quotes, addresses of prefixes in full, and hexadecimal digits in
/// lower case, and the algorithm of a CERT as a number; BIND writes them as we do.
const LDNS_WRITES_OTHERWISE: &[&str] = &["loc", "svcb", "https", "apl", "cert"];

fn bind(file: &Path) -> anyhow::Result<Records> {
    let file = file.display();
    let out = shell(&format!("named-compilezone -q -i none -k ignore -n ignore -s full -o - example. {file}"))?;
    Ok(records(&out))
}

fn ldns(file: &Path) -> anyhow::Result<Records> {
    // Behind a key ldns says more about it.
    let without_notes =
        |out: String| out.lines().map(|line| line.split(" ;{").next().unwrap_or(line)).collect::<Vec<_>>().join("\n");
    shell(&format!("ldns-read-zone {}", file.display())).map(|out| records(&without_notes(out)))
}

/// `ours` without what `theirs` has, and the other way round; lines that differ by design are taken out first.
fn assert_same(what: &str, ours: &Records, theirs: &Records, by_design: &[&str]) {
    let differing = |a: &Records, b: &Records| {
        let left = a.difference(b).filter(|record| !by_design.contains(&record[2].as_str()));
        left.map(|record| record.join(" ")).collect::<Vec<_>>().join("\n")
    };
    let (more, less) = (differing(ours, theirs), differing(theirs, ours));
    assert!(more.is_empty() && less.is_empty(), "{what}\nours:\n{more}\ntheirs:\n{less}");
}

/// Imports `original` as `example.`, and exports it into a file in `scratch`: our print.
fn print(scratch: &Path, original: &Path) -> anyhow::Result<PathBuf> {
    let server = Conn3ction::start(&scratch.join("data"), &["--zones", "", "--ledger", "memory"])?;
    let imported = server.cli(&["import", "example.", original.to_str().expect("UTF-8")])?;
    assert_eq!(imported.code, 0, "{imported:?}");
    let exported = server.cli(&["export", "example."])?;
    assert_eq!(exported.code, 0, "{exported:?}");
    let print = scratch.join("ours.zone");
    std::fs::write(&print, &exported.out)?;
    Ok(print)
}

#[test]
fn each_type_prints_as_bind_and_ldns_print_it_and_they_read_our_print_as_the_original() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let original = root().join("tests/data/types/example.zone");
    let print = print(scratch.path(), &original)?;
    let ours = records(&std::fs::read_to_string(&print)?);
    assert_same("BIND reads our print as the original", &bind(&print)?, &bind(&original)?, &[]);
    assert_same("ldns reads our print as the original", &ldns(&print)?, &ldns(&original)?, &[]);
    assert_same("our print is BIND's", &ours, &bind(&original)?, &[]);
    let shown = |records: &Records| -> Records {
        records.iter().map(|record| record.clone().map(|word| word.to_lowercase())).collect()
    };
    assert_same("our print is ldns's", &shown(&ours), &shown(&ldns(&original)?), LDNS_WRITES_OTHERWISE);
    shell(&format!("kzonecheck -d off -o example. {}", print.display()))?;
    Ok(())
}

#[test]
fn types_that_few_know_print_as_bind_prints_them() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let original = root().join("tests/data/types/rare.zone");
    let server = Conn3ction::start(scratch.path(), &["--zones", "", "--ledger", "memory"])?;
    let imported = server.cli(&["import", "example.", original.to_str().expect("UTF-8")])?;
    assert_eq!(imported.code, 0, "{imported:?}");
    let exported = server.cli(&["export", "example."])?;
    assert_same("our print is BIND's", &records(&exported.out), &bind(&original)?, &[]);
    let asked = shell(&format!("dig @127.0.0.1 -p {} +short px.example PX", server.dns.port()))?;
    assert_eq!(asked, "65535 foo. bar.example.\n");
    Ok(())
}

#[test] // Knot takes letters, digits and `-_*/` as they are, and any octet that is escaped.
fn names_of_any_octets_are_exported_so_that_each_reader_takes_them() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut original = "$TTL 300\n@ SOA ns host\\.master 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\n".to_owned();
    for octet in (0..=255u8).filter(|octet| !octet.is_ascii_uppercase()) {
        original += &format!("x\\{octet:03}y\tCNAME\tto\\{octet:03}.example.org.\n");
    }
    let file = scratch.path().join("octets.zone");
    std::fs::write(&file, original)?;
    let print = print(scratch.path(), &file)?;
    assert_same("BIND reads our print as the original", &bind(&print)?, &bind(&file)?, &[]);
    let print = print.display();
    shell(&format!("kzonecheck -o example. {print} && nsd-checkzone example. {print}"))?;
    Ok(())
}
