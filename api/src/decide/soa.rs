//! The serial inside SOA rdata (RFC 1035 section 3.3.13). Sets are compared without it: it is the zone's, not the set's.

use conn3ction_schemas::{Name, Rdata, RecordSet, RecordType, Serial, Ttl};

/// REFRESH, RETRY, EXPIRE and MINIMUM of a zone made without a master file, in seconds. REFRESH is short, because a
/// secondary that misses a NOTIFY waits so long; EXPIRE outlasts a holiday.
const TIMERS: [u32; 4] = [60, 30, 1_209_600, 60];

/// The serial of a SOA's rdata.
pub(crate) fn serial(rdata: &Rdata) -> Option<Serial> {
    let at = serial_at(rdata)?;
    let octets = rdata.as_wire().get(at..at + 4)?;
    Some(Serial(u32::from_be_bytes(octets.try_into().ok()?)))
}

/// The TTL for which the absence of a name may be kept, in seconds (RFC 2308 section 5).
pub(crate) fn negative_ttl(soa: &RecordSet) -> u32 {
    let minimum = soa.rdata().first().and_then(|rdata| rdata.as_wire().last_chunk::<4>().copied());
    minimum.map_or(0, u32::from_be_bytes).min(soa.ttl().as_secs())
}

/// `set` with `serial` in its SOA.
pub(crate) fn with_serial(set: &RecordSet, serial: Serial) -> RecordSet {
    let patched = set.rdata().iter().map(|rdata| match serial_at(rdata) {
        Some(at) => {
            let mut wire = rdata.as_wire().to_vec();
            wire[at..at + 4].copy_from_slice(&serial.0.to_be_bytes());
            Rdata::from_stored(&wire)
        }
        None => rdata.clone(),
    });
    RecordSet::new(set.ttl(), patched.collect()).unwrap_or_else(|_| set.clone())
}

/// Whether two sets of one type are the same record for record, but for a SOA's serial.
pub(crate) fn same(rtype: RecordType, a: Option<&RecordSet>, b: Option<&RecordSet>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) if rtype == RecordType::SOA => with_serial(a, Serial(0)) == with_serial(b, Serial(0)),
        (a, b) => a == b,
    }
}

/// The SOA of a zone that is made without one.
pub(crate) fn default_set(mname: &Name, rname: &Name, serial: Serial, ttl: Ttl) -> RecordSet {
    let mut wire = [mname.as_wire(), rname.as_wire(), &serial.0.to_be_bytes()].concat();
    for timer in TIMERS {
        wire.extend_from_slice(&timer.to_be_bytes());
    }
    RecordSet::new(ttl, vec![Rdata::from_stored(&wire)]).unwrap_or_else(|_| unreachable!("one short value is a set"))
}

fn serial_at(rdata: &Rdata) -> Option<usize> {
    let wire = rdata.as_wire();
    let (_, rest) = Name::split_wire(wire).ok()?;
    let (_, rest) = Name::split_wire(rest).ok()?;
    (rest.len() == 20).then(|| wire.len() - 20)
}
