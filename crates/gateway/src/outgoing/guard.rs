//! Which addresses a stranger's URL may lead to: those of the public internet,
//! and what the operator allows by name or network.
//!
//! The ranges are those that the IANA special-purpose registries (RFC 6890)
//! do not call globally reachable, and two public addresses that clouds use
//! for their metadata.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is allowed beyond the public internet.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    names: Vec<String>,
    networks: Vec<IpNet>,
}

impl Allowed {
    /// From the configuration: host names, addresses, networks. What is none
    /// of these was refused there.
    pub fn of(texts: &[String]) -> Self {
        let mut allowed = Self::default();
        for text in texts {
            match crate::http::network(text) {
                Ok(network) => allowed.networks.push(network),
                Err(_) => allowed.names.push(bare(text)),
            }
        }
        allowed
    }

    /// Why this host must not be reached at this address; `None` where it may.
    pub(super) fn refusal(&self, host: &str, address: IpAddr) -> Option<&'static str> {
        let why = reserved(address)?;
        let canonical = address.to_canonical();
        let allowed = self.names.contains(&bare(host))
            || self.networks.iter().any(|net| net.contains(&canonical));
        (!allowed).then_some(why)
    }
}

/// Whether a text can stand in `outgoing.allow`.
pub fn check(text: &str) -> Result<(), String> {
    let name = !text.is_empty()
        && text.len() <= 253
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && text.bytes().any(|b| b.is_ascii_alphabetic());
    if name || crate::http::network(text).is_ok() {
        return Ok(());
    }
    Err(format!(
        "{text:?} is neither a host name (hooks.internal), an address (10.0.0.7) nor a network (10.0.0.0/8)"
    ))
}

fn bare(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// What kind of reserved address this is; `None` where it is public.
pub(super) fn reserved(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => reserved_v4(address),
        IpAddr::V6(address) => reserved_v6(address),
    }
}

fn reserved_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [169, 254, 169, 254] | [100, 100, 100, 200] | [168, 63, 129, 16] => {
            Some("a cloud's metadata address")
        }
        [0, ..] => Some("an unspecified address"),
        [127, ..] => Some("a loopback address"),
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => Some("a private address"),
        [100, 64..=127, ..] => Some("an address shared by a carrier's customers"),
        [169, 254, ..] => Some("a link-local address"),
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Some("a reserved address"),
        _ => None,
    }
}

fn reserved_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // Behind these stands an IPv4 address: NAT64 (RFC 6052) and 6to4 (RFC 3056).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            reserved_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0xfc00..=0xfdff, ..] => Some("a private address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // IETF protocols, Teredo among them; documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("a reserved address"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            assert_eq!(reserved(public.parse().unwrap()), None, "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.1.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(reserved(private.parse().unwrap()).is_some(), "{private}");
        }
    }

    #[test]
    fn names_and_networks_are_allowed_and_nothing_beside_them() {
        let texts = ["Hooks.Internal", "10.1.0.0/16", "::1"].map(str::to_owned);
        let allowed = Allowed::of(&texts);
        let refusal = |host: &str, ip: &str| allowed.refusal(host, ip.parse().unwrap());
        assert_eq!(refusal("hooks.internal", "192.168.0.1"), None);
        assert_eq!(refusal("hooks.internal.", "127.0.0.1"), None);
        assert_eq!(refusal("any.example", "10.1.2.3"), None);
        assert_eq!(refusal("any.example", "::ffff:10.1.2.3"), None);
        assert_eq!(refusal("any.example", "::1"), None);
        assert_eq!(refusal("any.example", "1.1.1.1"), None);
        assert!(refusal("any.example", "10.2.0.1").is_some());
        assert!(refusal("any.example", "127.0.0.1").is_some());
        assert!(refusal("x.hooks.internal", "127.0.0.1").is_some());
    }

    #[test]
    fn what_may_be_allowed_is_checked() {
        for right in [
            "hooks.internal",
            "localhost",
            "10.0.0.0/8",
            "::1",
            "fd00::/8",
        ] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        for wrong in ["", "*", "http://x", "10.0.0.0/33", "a b", "300.1.1.1", "12"] {
            assert!(check(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
