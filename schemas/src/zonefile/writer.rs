use std::{
    borrow::Borrow,
    io::{self, Write},
};

use crate::{Name, RecordSet, RecordType, SetKey};

/// Writes a zone as a master file: absolute names in which all but letters, digits and `-_*/` is escaped, one record a
/// line, the SOA first. Sets come in any order that puts
/// those of the apex first; the canonical order does.
///
/// # Errors
///
/// Those of `out`, which is best buffered.
pub fn write_zone<N: Borrow<Name>, S: Borrow<RecordSet>>(
    out: &mut impl Write,
    apex: &Name,
    sets: impl IntoIterator<Item = (N, SetKey, S)>,
) -> io::Result<()> {
    writeln!(out, "$ORIGIN {}", apex.in_master_file())?;
    let mut sets = sets.into_iter().peekable();
    let mut after_soa = Vec::new();
    while let Some((owner, key, set)) = sets.next_if(|(owner, ..)| owner.borrow() == apex) {
        if key.rtype == RecordType::SOA {
            write_set(out, owner.borrow(), key, set.borrow())?;
        } else {
            after_soa.push((owner, key, set));
        }
    }
    for (owner, key, set) in after_soa.into_iter().chain(sets) {
        write_set(out, owner.borrow(), key, set.borrow())?;
    }
    Ok(())
}

/// Writes the records of one set, a line each.
///
/// # Errors
///
/// Those of `out`.
pub fn write_set(out: &mut impl Write, owner: &Name, key: SetKey, set: &RecordSet) -> io::Result<()> {
    let head = format!("{}\t{}\tIN\t{}\t", owner.in_master_file(), set.ttl(), key.rtype);
    for rdata in set.rdata() {
        out.write_all(head.as_bytes())?;
        out.write_all(rdata.in_master_file(key.rtype).as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
