//! Which proxy leads to a server. Downloads only: what plugins reach goes its own ways.

use super::FetchError;
use crate::policy::Endpoint;

/// The proxies of this machine. Each is asked to connect to the server (CONNECT) and sees no more than its name.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    proxy: Option<Choice>,
    /// Servers that are reached without one: names that stand for their subdomains as well, addresses, or `*`.
    direct: Vec<String>,
}

#[derive(Debug, Clone)]
enum Choice {
    Address(String),
    Policy(Endpoint),
}

impl Proxies {
    /// What the variables of an environment say, as other programs understand them: `https_proxy`, or else `all_proxy`,
    /// and `no_proxy`, in small letters or capitals. `http_proxy` does not count: nothing leaves this machine that way.
    #[must_use]
    pub fn of_variables(value: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| names.iter().filter_map(|name| value(name)).find(|value| !value.is_empty());
        let proxy = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]).map(Choice::Address);
        let direct = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        let direct = direct.split([',', ' ']).map(|name| name.trim().to_ascii_lowercase());
        Self { proxy, direct: direct.filter(|name| !name.is_empty()).collect() }
    }

    /// The same, but that a policy names the proxy, if it names one.
    #[must_use]
    pub fn with_policy(mut self, proxy: Option<&Endpoint>) -> Self {
        self.proxy = proxy.cloned().map(Choice::Policy).or(self.proxy);
        self
    }

    /// The proxy to a host.
    pub(super) fn to(&self, host: &str) -> Result<Option<ureq::Proxy>, FetchError> {
        let Some(choice) = self.proxy.as_ref().filter(|_| !self.is_direct(host)) else { return Ok(None) };
        let refuse = |proxy: String, why| Err(FetchError::Proxy { proxy, why });
        let address = match choice {
            Choice::Policy(Endpoint::Tcp { host, port }) => format!("http://{host}:{port}"),
            Choice::Policy(local @ Endpoint::Unix(_)) => {
                return refuse(local.to_string(), "nothing is downloaded through a socket of this machine");
            }
            Choice::Address(address) if address.contains("://") => address.clone(),
            Choice::Address(address) => format!("http://{address}"),
        };
        let shown = || {
            let (scheme, rest) = address.split_once("://").unwrap_or(("http", &address));
            format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
        };
        match ureq::Proxy::new(&address) {
            Ok(proxy) if matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https) => {
                Ok(Some(proxy))
            }
            Ok(_) => refuse(shown(), "it is no HTTP proxy"),
            Err(_) => refuse(shown(), "it is no address of a proxy"),
        }
    }

    fn is_direct(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        self.direct.iter().any(|entry| {
            let name = entry.trim_start_matches('*').trim_start_matches('.');
            entry == "*" || host == name || (!name.is_empty() && host.ends_with(&format!(".{name}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::of_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_chooses_as_other_programs_understand_it() {
        let address = |variables: &[(&str, &str)], host: &str| {
            let found = proxies(variables).to(host).unwrap();
            found.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
        };
        assert_eq!(address(&[], "a"), None);
        assert_eq!(address(&[("HTTP_PROXY", "x:1")], "a"), None);
        assert_eq!(address(&[("HTTPS_PROXY", "http://u:p@x:1/")], "a").as_deref(), Some("x:1"));
        assert_eq!(address(&[("ALL_PROXY", "x:1"), ("https_proxy", "y:2")], "a").as_deref(), Some("y:2"));
        let direct = [("HTTPS_PROXY", "x:1"), ("NO_PROXY", "example.com, .local,*.corp,10.0.0.1,::1")];
        for host in ["example.com", "a.EXAMPLE.com", "b.local", "c.corp", "10.0.0.1", "[::1]"] {
            assert_eq!(address(&direct, host), None, "{host}");
        }
        assert!(address(&direct, "notexample.com").is_some());
        assert_eq!(address(&[("https_proxy", "x:1"), ("no_proxy", "*")], "a"), None);
    }

    #[test]
    fn a_policy_goes_first_and_what_is_no_proxy_is_named() {
        let policy: Endpoint = "proxy.example.com:3128".parse().unwrap();
        let found = proxies(&[("HTTPS_PROXY", "x:1")]).with_policy(Some(&policy)).to("a").unwrap().unwrap();
        assert_eq!(found.host(), "proxy.example.com");
        let local: Endpoint = "unix:/run/proxy".parse().unwrap();
        assert!(proxies(&[]).with_policy(Some(&local)).to("a").is_err());
        for bad in ["socks5://u:secret@x:1", "ftp://secret@x", "http://"] {
            let error = proxies(&[("HTTPS_PROXY", bad)]).to("a").unwrap_err().to_string();
            assert!(error.starts_with("the proxy ") && !error.contains("secret"), "{error}");
        }
    }
}
