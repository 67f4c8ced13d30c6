//! Where a Redis is: its URL, and what people are told of it.

use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    parse_redis_url,
};

use crate::keepalive;
use crate::store::StoreError;

/// What a URL has to look like.
const RIGHT: &str = "right is redis://HOST:PORT, or redis://USER:PASSWORD@HOST:PORT/DATABASE, or \
                     unix:///PATH/OF/THE/SOCKET?db=DATABASE";

/// Where a Redis is, and how long to wait for it.
#[derive(Clone)]
pub(super) struct Target {
    /// The address. It holds neither password nor database: a link sends these itself, and so can report
    /// a refusal of either in our own words.
    pub(super) info: ConnectionInfo,
    /// The user and password to log in with.
    pub(super) login: Option<Login>,
    /// The database.
    pub(super) database: i64,
    /// How long connecting may take.
    pub(super) connect_timeout: Duration,
    /// How long an answer may take.
    pub(super) timeout: Duration,
}

/// A password, and its user.
#[derive(Clone)]
pub(super) struct Login {
    /// The user; none stands for the user `default`.
    pub(super) user: Option<String>,
    /// The password.
    pub(super) password: String,
}

impl Target {
    /// Parses a URL.
    pub(super) fn parse(
        url: &str,
        connect_timeout: Duration,
        timeout: Duration,
    ) -> Result<Target, StoreError> {
        Target::understand(url, connect_timeout, timeout)
            .map_err(|why| StoreError::Unfit(format!("not the URL of a Redis: {why}")))
    }

    fn understand(
        url: &str,
        connect_timeout: Duration,
        timeout: Duration,
    ) -> Result<Target, String> {
        refuse_what_would_be_ignored(url)?;
        let info = url.into_connection_info().map_err(|error| {
            let text = error.to_string();
            // The rest is the error kind's own name.
            let text = text.split(" - ").next().unwrap_or(&text);
            format!("it can't be understood ({text}); {RIGHT}")
        })?;
        let settings = info.redis_settings();
        let database = settings.db();
        let user = settings.username().map(str::to_owned);
        let password = settings.password().map(str::to_owned);
        // Replies are taken apart by hand, so the URL doesn't choose the protocol. And a turn is one
        // write: its last packet must not wait until the first is acknowledged.
        let settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2);
        let info = info
            .set_redis_settings(settings.set_skip_set_lib_name())
            .set_tcp_settings(tcp_settings());
        let login = password.map(|password| Login { user, password });
        Ok(Target { info, login, database, connect_timeout, timeout })
    }

    /// Names the place for people. The URL itself may hold a password.
    pub(super) fn place(&self) -> String {
        let at = match self.info.addr() {
            ConnectionAddr::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            other => other.to_string(),
        };
        match self.database {
            0 => at,
            database => format!("{at}/{database}"),
        }
    }

    /// Returns the URL, without user and password.
    pub(super) fn url(&self) -> String {
        match (self.info.addr(), self.database) {
            (ConnectionAddr::Unix(path), 0) => format!("unix://{}", path.display()),
            (ConnectionAddr::Unix(path), database) => {
                format!("unix://{}?db={database}", path.display())
            }
            _ => format!("redis://{}", self.place()),
        }
    }

    /// Makes an error of this Redis, or on the way to it.
    pub(super) fn failed(&self, why: impl std::fmt::Display) -> StoreError {
        StoreError::Failed(format!("Redis at {}: {why}", self.place()))
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", self.place())
    }
}

/// Checks that `url` names a Redis, and that no part of it would be ignored. Doesn't connect.
///
/// # Errors
/// What is wrong, and what is right. It doesn't repeat the URL, which may hold a password.
pub fn check_url(url: &str) -> Result<(), String> {
    Target::understand(url, Duration::ZERO, Duration::ZERO).map(drop)
}

/// Adds a password to a URL that has none.
///
/// # Errors
/// What is wrong with the URL.
pub fn with_password(url: &str, password: &str) -> Result<String, String> {
    let mut parsed = parse_redis_url(url).ok_or_else(|| no_redis(url))?;
    if is_socket(parsed.scheme()) {
        if parsed.query_pairs().any(|(key, _)| key == "pass") {
            return Err("the URL of a Redis holds a password already".into());
        }
        parsed.query_pairs_mut().append_pair("pass", password);
    } else {
        if parsed.password().is_some_and(|password| !password.is_empty()) {
            return Err("the URL of a Redis holds a password already".into());
        }
        parsed
            // An unescaped % would be read as the start of a character's number.
            .set_password(Some(&password.replace('%', "%25")))
            .map_err(|()| format!("the URL of a Redis names no host; {RIGHT}"))?;
    }
    check_url(parsed.as_str())?;
    Ok(parsed.into())
}

/// True if the URL holds a password.
pub fn has_password(url: &str) -> bool {
    Target::parse(url, Duration::ZERO, Duration::ZERO).is_ok_and(|target| target.login.is_some())
}

fn is_socket(scheme: &str) -> bool {
    matches!(scheme, "unix" | "redis+unix" | "valkey+unix")
}

fn no_redis(url: &str) -> String {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let is_one = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match is_one && !["redis", "rediss", "valkey", "valkeys", "unix"].contains(&scheme) {
        true => format!("it begins with {scheme}://; {RIGHT}"),
        false => format!("it can't be understood; {RIGHT}"),
    }
}

/// Refuses a URL with a part that would be ignored, such as a database given in the wrong place.
fn refuse_what_would_be_ignored(url: &str) -> Result<(), String> {
    let parsed = parse_redis_url(url).ok_or_else(|| no_redis(url))?;
    if matches!(parsed.scheme(), "rediss" | "valkeys") {
        return Err(format!(
            "{}:// is TLS, which this program doesn't speak; a tunnel on this machine does, such as \
             stunnel, and the URL is then redis://127.0.0.1:PORT",
            parsed.scheme()
        ));
    }
    if parsed.fragment().is_some() {
        return Err(format!("what follows # would be ignored; {RIGHT}"));
    }
    if is_socket(parsed.scheme()) {
        let has_host = parsed.host_str().is_some_and(|host| !host.is_empty());
        if has_host || !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(
                "a socket has no host before its path: unix:///PATH?user=USER&pass=PASSWORD"
                    .to_owned(),
            );
        }
        let pairs: Vec<_> = parsed.query_pairs().collect();
        let keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_ref()).collect();
        return check_socket_query(&keys);
    }
    if let Some(key) = parsed.query_pairs().map(|(key, _)| key.into_owned()).next() {
        return Err(format!(
            "?{key}= would be ignored; a database is the path, as in redis://HOST:PORT/3; {RIGHT}"
        ));
    }
    if parsed.query().is_some() || parsed.port() == Some(0) {
        return Err(format!("it ends with a ?, or has port 0; {RIGHT}"));
    }
    let path = parsed.path().strip_prefix('/').unwrap_or(parsed.path());
    if !path.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("its path is a database's number, such as /3; {RIGHT}"));
    }
    let has_password = parsed.password().is_some_and(|password| !password.is_empty());
    if !parsed.username().is_empty() && !has_password {
        return Err(format!("it names a user and no password; {RIGHT}"));
    }
    Ok(())
}

fn check_socket_query(keys: &[&str]) -> Result<(), String> {
    if let Some(key) = keys.iter().find(|key| !["db", "user", "pass"].contains(key)) {
        return Err(format!("?{key}= would be ignored: a socket takes db, user and pass"));
    }
    if let Some(key) = keys.iter().find(|key| keys.iter().filter(|other| other == key).count() > 1)
    {
        return Err(format!("{key}= is there twice"));
    }
    if keys.contains(&"user") && !keys.contains(&"pass") {
        return Err("it names a user and no password: pass=PASSWORD".to_owned());
    }
    Ok(())
}

/// Returns the system's settings for each connection.
fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive::probes());
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(keepalive::UNACKNOWLEDGED);
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_wholly_understood() {
        for (url, place, database, login) in [
            ("redis://127.0.0.1", "127.0.0.1:6379", 0, None),
            ("redis://h:1/", "h:1", 0, None),
            ("redis://h:1/3", "h:1/3", 3, None),
            ("valkey://[::1]:7/12", "[::1]:7/12", 12, None),
            ("redis://:p%40w@h", "h:6379", 0, Some((None, "p@w"))),
            ("redis://u:p@h/1", "h:6379/1", 1, Some((Some("u"), "p"))),
            ("unix:///run/redis", "/run/redis", 0, None),
            ("unix:///run/redis?db=2&user=u&pass=p", "/run/redis/2", 2, Some((Some("u"), "p"))),
        ] {
            let target = Target::parse(url, Duration::ZERO, Duration::ZERO).unwrap();
            assert_eq!((target.place().as_str(), target.database), (place, database), "{url}");
            let found = target.login.as_ref();
            let found = found.map(|login| (login.user.as_deref(), login.password.as_str()));
            assert_eq!(found, login, "{url}");
        }
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for (url, part) in [
            ("redis://h?db=3", "as in redis://HOST:PORT/3"),
            ("redis://h/1?db=3", "?db= would be ignored"),
            ("redis://h/?protocol=resp3", "?protocol= would be ignored"),
            ("redis://h?", "ends with a ?"),
            ("redis://h#insecure", "what follows #"),
            ("redis://h/x", "a database's number"),
            ("redis://h/-1", "a database's number"),
            ("redis://h/1/2", "a database's number"),
            ("redis://h/99999999999999999999", "it can't be understood"),
            ("redis://h:0", "port 0"),
            ("redis://h:99999", "it can't be understood"),
            ("redis://user@h", "a user and no password"),
            ("redis://user:@h", "a user and no password"),
            ("redis://", "it can't be understood"),
            ("redis://0.0.0.0", "wildcard"),
            ("rediss://h", "rediss:// is TLS"),
            ("valkeys://h", "valkeys:// is TLS"),
            ("http://h", "it begins with http://"),
            ("h:6379", "it can't be understood"),
            ("", "it can't be understood"),
            ("unix:///run/redis?database=1", "?database= would be ignored"),
            ("unix:///run/redis?db=1&db=2", "db= is there twice"),
            ("unix:///run/redis?db=x", "it can't be understood"),
            ("unix:///run/redis?user=u", "a user and no password"),
            ("unix://:pw@h/run/redis", "no host before its path"),
            ("unix:///run/redis#1", "what follows #"),
        ] {
            let error = check_url(url).expect_err(url);
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_is_added_once() {
        assert_eq!(with_password("redis://h/1", "a b").unwrap(), "redis://:a%20b@h/1");
        assert_eq!(
            with_password("unix:///run/redis?user=u", "p&w").unwrap(),
            "unix:///run/redis?user=u&pass=p%26w"
        );
        for url in ["redis://:pw@h", "unix:///run/redis?pass=pw"] {
            assert!(with_password(url, "x").unwrap_err().contains("already"), "{url}");
        }
        assert!(with_password("redis://h?db=1", "x").is_err());
    }
}
