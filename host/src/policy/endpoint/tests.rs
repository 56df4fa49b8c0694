//! What is read, what is allowed, what covers what.

use super::*;

fn scope(text: &str) -> EndpointScope {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

// covers: A53, A54
#[test]
fn endpoints_are_read_strictly() {
    for (text, canonical) in [
        ("unix:/var/run/docker.sock", "unix:/var/run/docker.sock"),
        ("localhost:80", "localhost:80"),
        ("API.Example.COM.:443", "api.example.com:443"),
        ("xn--bcher-kva.example:1", "xn--bcher-kva.example:1"),
        ("my_host:65535", "my_host:65535"),
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("[::1]:80", "[::1]:80"),
        ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
    ] {
        assert_eq!(endpoint(text).to_string(), canonical, "{text}");
        assert_eq!(endpoint(canonical), endpoint(text), "{text}");
    }
    let long_host = format!("{}:80", "a.".repeat(40_000));
    let long_path = format!("unix:/{}", "a".repeat(107));
    for text in [
        "",
        ":80",
        "host",
        "host:",
        "host:0",
        "host:65536",
        "host:+80",
        "host: 80",
        "host:80 ",
        "host:http",
        "user@host:80",
        "user:word@host:80",
        "http://host:80",
        "host:80/path",
        "a..b:80",
        ".a:80",
        "a..:80",
        ".:80",
        "-a:80",
        "a-:80",
        "bücher.example:80",
        "ｌocalhost:80",
        "ho\0st:80",
        "host\r\nX: y:80",
        "127.1:80",
        "0x7f.1:80",
        "0x7f000001:80",
        "2130706433:80",
        "0177.0.0.1:80",
        "1.2.3.4.5:80",
        "::1:80",
        "[::1]",
        "[::1%eth0]:80",
        "[127.0.0.1]:80",
        "*:80",
        "host:*",
        "10.0.0.0/8:80",
        "unix:",
        "unix:docker.sock",
        "unix:@abstract",
        "unix:/run/../run/docker.sock",
        "unix:/run/./a",
        "unix:/run//a",
        "unix:/run/",
        "unix:/a\0b",
        "unix:/a\nb",
        &long_host,
        &long_path,
    ] {
        assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
    }
}

#[test]
fn scopes_are_read_strictly() {
    for (text, canonical) in [
        ("unix:/run/app.sock", "unix:/run/app.sock"),
        ("HOST:80", "host:80"),
        ("*.Example.com:443", "*.example.com:443"),
        ("*:443", "*:443"),
        ("host:*", "host:*"),
        ("10.0.0.0/8:5432", "10.0.0.0/8:5432"),
        ("10.0.0.1/32:1", "10.0.0.1:1"),
        ("[fd00::/8]:*", "[fd00::/8]:*"),
        ("[::1]:80", "[::1]:80"),
    ] {
        assert_eq!(scope(text).to_string(), canonical, "{text}");
        assert_eq!(scope(canonical), scope(text), "{text}");
    }
    for text in [
        "*",
        "",
        "host",
        "*:0",
        "a*:80",
        "a.*.b:80",
        "*.*:80",
        "**:80",
        "*.10.0.0.1:80",
        "*example.com:80",
        "10.0.0.1/8:80",
        "10.0.0.0/33:80",
        "fd00::/8:80",
        "[::ffff:10.0.0.0/104]:80",
        "host/8:80",
        "unix:/run/*",
        "https://host:443",
    ] {
        assert!(text.parse::<EndpointScope>().is_err(), "{text:?}");
    }
}

// covers: A49, A53
#[test]
fn a_scope_allows_exactly_what_it_names() {
    for (held, asked, allowed) in [
        ("allowed.com:443", "allowed.com:443", true),
        ("allowed.com:443", "ALLOWED.COM.:443", true),
        ("allowed.com:443", "allowed.com:80", false),
        ("allowed.com:443", "evil-allowed.com:443", false),
        ("allowed.com:443", "allowed.com.evil.com:443", false),
        ("allowed.com:443", "sub.allowed.com:443", false),
        ("allowed.com:*", "allowed.com:1", true),
        ("*.allowed.com:443", "sub.allowed.com:443", true),
        ("*.allowed.com:443", "a.b.allowed.com:443", true),
        ("*.allowed.com:443", "allowed.com:443", false),
        ("*.allowed.com:443", "evilallowed.com:443", false),
        ("*:443", "any.example:443", true),
        ("*:443", "any.example:80", false),
        ("10.0.0.0/8:80", "10.255.0.1:80", true),
        ("10.0.0.0/8:80", "11.0.0.1:80", false),
        ("10.0.0.0/8:80", "db.internal:80", false),
        ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", true),
        ("127.0.0.1:80", "localhost:80", false),
        ("unix:/run/app.sock", "unix:/run/app.sock", true),
        ("unix:/run/app.sock", "unix:/run/app.sock.d/x", false),
        ("*:*", "unix:/run/app.sock", false),
    ] {
        assert_eq!(scope(held).allows(&endpoint(asked)), allowed, "{held} {asked}");
    }
}

#[test]
fn a_scope_covers_what_is_no_more_than_itself() {
    for (wide, narrow, covered) in [
        ("*:*", "a.example:80", true),
        ("*:80", "a.example:80", true),
        ("*:80", "a.example:*", false),
        ("*:*", "*.example.com:443", true),
        ("*:*", "8.8.8.8:53", true),
        ("*:*", "localhost:80", false),
        ("*:*", "127.0.0.1:80", false),
        ("*:*", "10.0.0.0/8:80", false),
        ("*:*", "unix:/run/app.sock", false),
        ("*.b.c:1", "*.a.b.c:1", true),
        ("*.b.c:1", "a.b.c:1", true),
        ("*.b.c:1", "*.b.c:1", true),
        ("*.b.c:1", "b.c:1", false),
        ("*.b.c:1", "*.xb.c:1", false),
        ("a.b.c:1", "*.b.c:1", false),
        ("10.0.0.0/8:1", "10.2.0.0/16:1", true),
        ("10.0.0.0/8:1", "10.2.0.1:1", true),
        ("10.2.0.0/16:1", "10.0.0.0/8:1", false),
        ("host:*", "host:1", true),
        ("host:1", "host:*", false),
        ("unix:/a", "unix:/a", true),
        ("unix:/a", "unix:/a/b", false),
    ] {
        assert_eq!(scope(wide).covers(&scope(narrow)), covered, "{wide} {narrow}");
    }
}

// covers: A50
#[test]
fn addresses_that_are_not_public_must_be_named() {
    let check = |scopes: &[&str], asked: &str, address: &str, allowed: bool| {
        let held: Vec<EndpointScope> = scopes.iter().map(|text| scope(text)).collect();
        let name = format!("{scopes:?} {asked} {address}");
        assert_eq!(address_allowed(&held, &endpoint(asked), address.parse().unwrap()), allowed, "{name}");
    };
    check(&["api.example.com:80"], "api.example.com:80", "93.184.216.34", true);
    check(&["api.example.com:80"], "api.example.com:80", "2606:2800:220:1::1", true);
    check(&["api.example.com:80"], "other.example:80", "93.184.216.34", false);
    for inside in [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.216.34",
        "fe80::1",
        "fc00::1",
        "fdff::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "2002:7f00:1::1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
    ] {
        for held in [["api.example.com:80"], ["*:80"], ["*.example.com:80"], ["api.example.com:*"]] {
            check(&held, "api.example.com:80", inside, false);
        }
    }
    check(&["*:80"], "127.0.0.1:80", "127.0.0.1", false);
    check(&["*:80"], "localhost:80", "127.0.0.1", false);
    check(&["localhost:80"], "localhost:80", "127.0.0.1", true);
    check(&["localhost:80"], "localhost:80", "::1", true);
    check(&["localhost:80"], "localhost:80", "10.0.0.1", false);
    check(&["localhost:80", "api.example.com:80"], "api.example.com:80", "127.0.0.1", false);
    check(&["127.0.0.1:80"], "127.0.0.1:80", "127.0.0.1", true);
    check(&["10.0.0.0/8:5432"], "10.1.2.3:5432", "10.1.2.3", true);
    check(&["db.lan:5432", "10.0.0.0/8:5432"], "db.lan:5432", "10.1.2.3", true);
    check(&["db.lan:5432", "10.0.0.0/8:80"], "db.lan:5432", "10.1.2.3", false);
    check(&["10.0.0.0/8:5432"], "db.lan:5432", "10.1.2.3", false);
    check(&["unix:/a"], "unix:/a", "93.184.216.34", false);
}
