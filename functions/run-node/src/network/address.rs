use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::AddressRefused;

/// Refuses all that is not on the public internet, by IANA's special-purpose registries for
/// IPv4 and IPv6.
pub(crate) fn check(address: IpAddr) -> Result<(), AddressRefused> {
    let reason = match address {
        IpAddr::V4(address) => reason_v4(address),
        IpAddr::V6(address) => reason_v6(address),
    };
    match reason {
        Some(reason) => Err(AddressRefused { address, reason }),
        None => Ok(()),
    }
}

const fn reason_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, ..] => "this host",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private network",
        [100, 64..=127, ..] => "a carrier's network",
        [127, ..] => "the loopback network",
        [169, 254, ..] => "a link-local network",
        [192, 0, 0, _] => "a protocol assignment",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "a documentation network",
        [192, 88, 99, _] => "a relay to IPv6",
        [198, 18..=19, ..] => "a benchmarking network",
        [224..=239, ..] => "a multicast group",
        [240..=255, ..] => "a reserved network",
        _ => return None,
    })
}

fn reason_v6(address: Ipv6Addr) -> Option<&'static str> {
    let embedded = |first: u16, second: u16| {
        let [a, b] = first.to_be_bytes();
        let [c, d] = second.to_be_bytes();
        reason_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("this host"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("the loopback address"),
        [0, 0, 0, 0, 0, 0xffff, first, second] | [0x64, 0xff9b, 0, 0, 0, 0, first, second] => {
            embedded(first, second)
        }
        [0x2002, first, second, ..] => embedded(first, second),
        [0x2001, 0, ..] => Some("a Teredo tunnel"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("a documentation network"),
        [0x2001, 0x1..=0x1ff, ..] => Some("a protocol assignment"),
        [0x2000..=0x3fff, ..] => None,
        [0xfc00..=0xfdff, ..] => Some("a private network"),
        [0xfe80..=0xfebf, ..] => Some("a link-local network"),
        [0xfec0..=0xfeff, ..] => Some("a site-local network"),
        [0xff00..=0xffff, ..] => Some("a multicast group"),
        _ => Some("a reserved network"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_case_28_no_address_inside_is_reached() {
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::2",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:c0a8:101::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(check(refused.parse().unwrap()).is_err(), "{refused}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert_eq!(check(public.parse().unwrap()), Ok(()), "{public}");
        }
    }
}
