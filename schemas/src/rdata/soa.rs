use super::{
    Rdata,
    field::{take, take_u32},
};
use crate::{Name, Serial};

/// The fields of a SOA record ([RFC 1035 section 3.3.13]).
///
/// [RFC 1035 section 3.3.13]: https://www.rfc-editor.org/rfc/rfc1035#section-3.3.13
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soa {
    /// The primary server.
    pub mname: Name,
    /// The mailbox of who is responsible, its `@` written as a dot.
    pub rname: Name,
    /// The zone's version.
    pub serial: Serial,
    /// Seconds between a secondary's looks at the serial.
    pub refresh: u32,
    /// Seconds before a secondary tries again after a failure.
    pub retry: u32,
    /// Seconds after which a secondary without contact stops answering.
    pub expire: u32,
    /// The negative TTL in seconds, with the SOA's own TTL as the upper bound (RFC 2308 section 4).
    pub minimum: u32,
}

impl Soa {
    pub(super) fn from_wire(wire: &[u8]) -> Option<Self> {
        let (mname, rest) = Name::split_wire(wire).ok()?;
        let (rname, mut rest) = Name::split_wire(rest).ok()?;
        let soa = Self {
            mname,
            rname,
            serial: Serial(take_u32(&mut rest)?),
            refresh: take_u32(&mut rest)?,
            retry: take_u32(&mut rest)?,
            expire: take_u32(&mut rest)?,
            minimum: take_u32(&mut rest)?,
        };
        rest.is_empty().then_some(soa)
    }

    /// The rdata with these fields.
    pub fn to_rdata(&self) -> Rdata {
        let mut wire = Vec::with_capacity(self.mname.as_wire().len() + self.rname.as_wire().len() + 20);
        wire.extend_from_slice(self.mname.as_wire());
        wire.extend_from_slice(self.rname.as_wire());
        for number in [self.serial.0, self.refresh, self.retry, self.expire, self.minimum] {
            wire.extend(number.to_be_bytes());
        }
        Rdata(wire.into_boxed_slice())
    }
}

impl Rdata {
    /// The serial of a SOA; `None` if this is none.
    pub fn soa_serial(&self) -> Option<Serial> {
        let mut rest = self.0.get(self.0.len().checked_sub(20)?..)?;
        take_u32(&mut rest).map(Serial)
    }

    /// The minimum of a SOA: the negative TTL in seconds before the SOA's own TTL bounds it; `None` if this is none.
    pub fn soa_minimum(&self) -> Option<u32> {
        let mut rest = self.0.get(self.0.len().checked_sub(20)?..)?;
        take(&mut rest, 16).ok()?;
        take_u32(&mut rest)
    }

    /// This SOA with another serial; unchanged if this is none.
    #[must_use]
    pub fn with_soa_serial(&self, serial: Serial) -> Rdata {
        let mut wire = self.0.clone();
        if let Some(at) = wire.len().checked_sub(20) {
            wire[at..at + 4].copy_from_slice(&serial.0.to_be_bytes());
        }
        Rdata(wire)
    }
}
