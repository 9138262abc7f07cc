use std::{net::IpAddr, str::FromStr};

/// Who may: a list of addresses and prefixes, such as `192.0.2.1, 2001:db8::/32`. The empty list is nobody.
///
/// IPv4 addresses mapped into IPv6 count as the IPv4 addresses that they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressList(Vec<Prefix>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefix {
    address: IpAddr,
    bits: u8,
}

/// A text is no list of addresses and prefixes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address or prefix; write 192.0.2.1 or 2001:db8::/32")]
pub struct BadAddress(String);

impl AddressList {
    /// The loopback addresses of both families.
    pub fn loopback() -> Self {
        Self(vec![
            Prefix { address: IpAddr::from([127, 0, 0, 0]), bits: 8 },
            Prefix { address: std::net::Ipv6Addr::LOCALHOST.into(), bits: 128 },
        ])
    }

    /// Whether `address` is in the list.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|prefix| prefix.contains(address))
    }
}

impl Prefix {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for AddressList {
    type Err = BadAddress;

    /// Takes addresses and prefixes divided by commas or blanks.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
        parts.map(|part| part.parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Prefix {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(bad()) } else { Ok(Self { address, bits }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_list_by_its_leading_bits() {
        let list: AddressList = "192.0.2.1, 10.0.0.0/8 2001:db8::/33,::/128".parse().expect("a list");
        for (address, inside) in [
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("10.255.0.1", true),
            ("::ffff:10.1.1.1", true),
            ("11.0.0.1", false),
            ("2001:db8:7fff::1", true),
            ("2001:db8:8000::1", false),
            ("::", true),
            ("::1", false),
        ] {
            assert_eq!(list.contains(address.parse().expect("an address")), inside, "{address}");
        }
        assert!("0.0.0.0/0".parse::<AddressList>().expect("all").contains([255, 1, 2, 3].into()));
        assert!(!AddressList::default().contains([127, 0, 0, 1].into()));
        assert!(AddressList::loopback().contains([127, 0, 0, 53].into()));
    }

    #[test]
    fn bad_entries_are_named() {
        for bad in ["localhost", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0/8"] {
            assert_eq!(bad.parse::<AddressList>(), Err(BadAddress(bad.to_owned())));
        }
    }
}
