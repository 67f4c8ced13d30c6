//! Who is let in, and what a request has to prove.
//!
//! On loopback whoever uses this machine may look. But a page of the web that the same browser shows must not: a
//! name that it owns may be made to lead here (DNS rebinding), so the `Host` has to be this machine's. Beyond
//! loopback a token is asked for, once; then a cookie holds it. Orders need another token, which only the page knows.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;

use crate::http::{Reply, Request};

/// The name of the cookie.
const COOKIE: &str = "paxos-banking-page";

/// What lets a request in.
#[derive(Debug)]
pub(super) struct Guard {
    /// What a browser has to bring from beyond loopback; none on loopback.
    token: Option<String>,
    /// What orders have to bring.
    orders: String,
}

impl Guard {
    /// Makes tokens that nobody can guess.
    ///
    /// # Errors
    /// If this system has no randomness to give.
    pub(super) fn new(is_beyond_loopback: bool) -> io::Result<Guard> {
        let token = if is_beyond_loopback { Some(random()?) } else { None };
        Ok(Guard { token, orders: random()? })
    }

    /// Returns what to add to the address for a first visit.
    pub(super) fn query(&self) -> String {
        self.token.as_ref().map(|token| format!("?token={token}")).unwrap_or_default()
    }

    /// Returns what a page has to bring with its orders.
    pub(super) fn for_orders(&self) -> &str {
        &self.orders
    }

    /// Returns the reply to a request that is not let in, if it is not.
    pub(super) fn stops(&self, request: &Request) -> Option<Reply> {
        let Some(token) = &self.token else {
            let host = request.header("host").unwrap_or_default();
            let why =
                "this page is only for this machine: open it by http://127.0.0.1 or localhost";
            return (!is_of_this_machine(host)).then(|| Reply::line(421, why));
        };
        let brought = request.parameter("token").or_else(|| cookie(request));
        if brought.is_some_and(|brought| is_equal(&brought, token)) {
            return None;
        }
        let why = "a token is needed: open the address that `paxos-banking web` has printed";
        Some(Reply::line(401, why))
    }

    /// Adds to a page what the browser has to bring from now on.
    pub(super) fn remember(&self, reply: Reply) -> Reply {
        match &self.token {
            None => reply,
            Some(token) => {
                let cookie = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/");
                reply.with("Set-Cookie", cookie)
            }
        }
    }

    /// True if an order comes from the page: no other page can know its token, or send this header.
    pub(super) fn lets_order(&self, request: &Request) -> bool {
        let host = request.header("host").unwrap_or_default();
        let is_own = |origin: &str| origin.strip_prefix("http://").is_some_and(|of| of == host);
        request.header("origin").is_none_or(is_own)
            && request.header("x-order-token").is_some_and(|token| is_equal(token, &self.orders))
    }
}

fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn cookie(request: &Request) -> Option<String> {
    let mut pairs =
        request.header("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

/// True if a `Host` is an address or a name that no other machine can have.
fn is_of_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Compares all of both, wherever they differ first.
fn is_equal(a: &str, b: &str) -> bool {
    let differ = a.bytes().zip(b.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    a.len() == b.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)], query: &str) -> Request {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Request { headers: headers.collect(), query: query.into(), ..Request::default() }
    }

    fn status(guard: &Guard, headers: &[(&str, &str)], query: &str) -> u16 {
        guard.stops(&request(headers, query)).map_or(200, |reply| reply.status)
    }

    #[test]
    fn on_loopback_only_this_machine_s_names_are_answered() {
        let guard = Guard::new(false).unwrap();
        for host in ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "127.8.0.1"] {
            assert_eq!(status(&guard, &[("host", host)], ""), 200, "{host}");
        }
        for host in
            ["evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1:8080", "", "localhost.x"]
        {
            assert_eq!(status(&guard, &[("host", host)], ""), 421, "{host}");
        }
        assert_eq!(status(&guard, &[], ""), 421);
    }

    #[test]
    fn beyond_loopback_the_token_is_asked_for() {
        let guard = Guard::new(true).unwrap();
        let query = guard.query();
        let token = query.strip_prefix("?token=").unwrap();
        assert!(token.len() >= 32);
        assert_eq!(status(&guard, &[("host", "bank.example")], &query[1..]), 200);
        let cookies = format!("a=b; {COOKIE}={token}");
        assert_eq!(status(&guard, &[("cookie", &cookies)], ""), 200);
        assert_eq!(status(&guard, &[("host", "127.0.0.1")], ""), 401);
        assert_eq!(status(&guard, &[], &query[1..query.len() - 1]), 401);
    }

    #[test]
    fn orders_need_the_page_s_token_and_its_origin() {
        let guard = Guard::new(false).unwrap();
        let token = guard.for_orders().to_owned();
        let lets = |headers: &[(&str, &str)]| guard.lets_order(&request(headers, ""));
        assert!(lets(&[
            ("host", "localhost:1"),
            ("origin", "http://localhost:1"),
            ("x-order-token", &token)
        ]));
        assert!(
            lets(&[("host", "localhost:1"), ("x-order-token", &token)]),
            "curl tells no origin"
        );
        assert!(!lets(&[
            ("host", "localhost:1"),
            ("origin", "http://evil.example"),
            ("x-order-token", &token)
        ]));
        assert!(!lets(&[("host", "localhost:1"), ("origin", "null"), ("x-order-token", &token)]));
        assert!(!lets(&[("host", "localhost:1"), ("x-order-token", "guess")]));
        assert!(!lets(&[("host", "localhost:1")]));
    }
}
