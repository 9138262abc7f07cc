//! The additional section: addresses of the names that an answer or a referral points at.

use conn3ction_schemas::{RecordType, SetKey};

use super::{Answer, Targets};
use crate::{
    lookup::find_target,
    store::labels::is_at_or_below,
    wire::{Full, Owner},
};

/// An answer that points at more names gets none of their addresses (CVE-2024-11187).
const MAX_TARGETS: usize = 13;

/// Whether addresses are added for the targets of records of this type.
pub(super) fn has_targets(rtype: RecordType) -> bool {
    target_at(rtype).is_some()
}

/// Where the target stands in the rdata.
fn target_at(rtype: RecordType) -> Option<usize> {
    match rtype {
        RecordType::NS => Some(0),
        RecordType::MX => Some(2),
        RecordType::SRV => Some(6),
        // RFC 9460 section 4.1.
        RecordType::SVCB | RecordType::HTTPS => Some(2),
        _ => None,
    }
}

/// The target's name in `rdata` at `skip`; what follows it (service parameters) is left out.
fn target_in(rdata: &[u8], skip: usize) -> Option<&[u8]> {
    let rest = rdata.get(skip..)?;
    let mut len = 1;
    while let Some(label @ 1..) = rest.get(len - 1).copied() {
        len += 1 + usize::from(label);
    }
    rest.get(..len)
}

impl Answer<'_, '_> {
    pub(super) fn put_additional(&mut self) -> Result<(), Full> {
        let Some(Targets { zone, owner, rtype, placed, is_referral }) = self.targets.take() else { return Ok(()) };
        let (Some(skip), state) = (target_at(rtype), owner.state()) else { return Ok(()) };
        let Some(set) = state.set(SetKey::of(rtype)) else { return Ok(()) };
        let target_of = |rdata: &'_ [u8]| -> Option<([u8; 255], usize)> {
            let target = target_in(rdata, skip)?;
            let mut name = [0; 255];
            name.get_mut(..target.len())?.copy_from_slice(target);
            name.make_ascii_lowercase();
            Some((name, target.len()))
        };
        let apex = zone.apex().as_wire();
        let is_short = set.split().take(MAX_TARGETS + 1).count() <= MAX_TARGETS;
        // Needed glue first: only what is optional may be left out for want of room.
        for needed in [true, false] {
            for (place, (at, rdata)) in placed.rdata_offsets(&set).enumerate() {
                let Some((name, len)) = target_of(rdata) else { continue };
                let Some(below) = name[..len].strip_suffix(apex) else { continue };
                let is_needed = is_referral && is_at_or_below(below, state.owner());
                if is_needed != needed || !(is_needed || is_short) {
                    continue;
                }
                // One host under several priorities is added once.
                let is_same = |earlier: &[u8]| target_in(earlier, skip) == target_in(rdata, skip);
                if is_short && set.split().take(place).any(|(_, earlier)| is_same(earlier)) {
                    continue;
                }
                let Some(host) = find_target(&zone, below) else { continue };
                let host = host.state();
                for rtype in [RecordType::A, RecordType::AAAA] {
                    let Some(addresses) = host.set(SetKey::of(rtype)) else { continue };
                    let owner = Owner::At(at + skip);
                    let put = self.message.put_set(owner, &addresses, None, None);
                    match put {
                        Ok(_) => {}
                        Err(Full) if needed => return Err(Full),
                        Err(Full) => continue,
                    }
                    // A signature that does not fit is no loss that a resolver could not mend by asking.
                    let _ = self.put_signatures(&host, owner, rtype, None);
                }
            }
        }
        Ok(())
    }
}
