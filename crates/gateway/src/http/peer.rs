//! Who is at the other end: the address that a request came from.

use axum::http::HeaderMap;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The address of the connection that a request came over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Reads an address, or addresses with a prefix length.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("{text:?} is no address: write 10.0.0.7, or 10.0.0.0/8"))
}

/// Who asks. A proxy that is trusted names whom it speaks for in
/// `X-Forwarded-For`; of that list the last one that is no such proxy counts,
/// since everything before it is anybody's word.
pub(super) fn client_address(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut client = peer.0.ip().to_canonical();
    if !is_trusted(&client) {
        return client;
    }
    let named = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|text| text.trim().parse::<IpAddr>());
    let named: Vec<_> = named.collect();
    for address in named.into_iter().rev() {
        let Ok(address) = address else { break };
        client = address.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|t| network(t).unwrap()).collect();
        client_address(Peer(peer.parse().unwrap()), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_may_speak_for_others() {
        assert_eq!(client("192.0.2.1:1", &["198.51.100.7"], &[]), "192.0.2.1");
        assert_eq!(
            client("10.0.0.1:1", &["198.51.100.7"], &["10.0.0.0/8"]),
            "198.51.100.7"
        );
        assert_eq!(
            client(
                "10.0.0.1:1",
                &["1.1.1.1, 198.51.100.7", "10.0.0.2"],
                &["10.0.0.0/8"]
            ),
            "198.51.100.7",
            "what stands before the last stranger is that stranger's word"
        );
        assert_eq!(
            client("10.0.0.1:1", &["rubbish"], &["10.0.0.1"]),
            "10.0.0.1"
        );
        assert_eq!(
            client("[::ffff:10.0.0.1]:1", &["198.51.100.7"], &["10.0.0.1"]),
            "198.51.100.7"
        );
    }
}
