//! The URL of a channel, which is a secret: it is all that sending there takes.

use std::fmt;

use reqwest::Url;

use super::guard::is_public;

/// The URL of a channel.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelUrl(Url);

/// Why a text is not the URL of a channel; never the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    #[error("it must be a URL")]
    NoUrl,
    #[error("it must begin with https://, unless HO_CHANNELS_ALLOW_PRIVATE is 1")]
    NoHttps,
    #[error("it must have no user, password or fragment")]
    NotPlain,
    #[error("its host is an address that is not public, which takes HO_CHANNELS_ALLOW_PRIVATE=1")]
    NotPublic,
}

impl ChannelUrl {
    /// Parses a URL. With `allows_private` it may lead to any address, and begin with `http://`.
    ///
    /// # Errors
    /// When it is no such URL, or its host is an address that is not public.
    pub fn parse(text: &str, allows_private: bool) -> Result<Self, InvalidUrl> {
        let url = Url::parse(text).map_err(|_| InvalidUrl::NoUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if allows_private => {}
            _ => return Err(InvalidUrl::NoHttps),
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(InvalidUrl::NotPlain);
        }
        let host = url.host_str().ok_or(InvalidUrl::NoUrl)?;
        // The client resolves no addresses, so they are judged here. The parser has given them their usual form.
        let address = host.trim_matches(['[', ']']).parse();
        if !allows_private && address.is_ok_and(|address| !is_public(address)) {
            return Err(InvalidUrl::NotPublic);
        }
        Ok(Self(url))
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for ChannelUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelUrl")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_https_and_leads_to_a_public_host() {
        for (text, why) in [
            ("hooks.example.com/a", InvalidUrl::NoUrl),
            ("http://hooks.example.com/a", InvalidUrl::NoHttps),
            ("file:///etc/passwd", InvalidUrl::NoHttps),
            ("https://user@hooks.example.com", InvalidUrl::NotPlain),
            ("https://:password@hooks.example.com", InvalidUrl::NotPlain),
            ("https://hooks.example.com/#a", InvalidUrl::NotPlain),
            ("https://127.0.0.1/a", InvalidUrl::NotPublic),
            ("https://2130706433/a", InvalidUrl::NotPublic),
            ("https://0x7f.1/a", InvalidUrl::NotPublic),
            ("https://0177.0.0.1/a", InvalidUrl::NotPublic),
            ("https://[::1]/a", InvalidUrl::NotPublic),
            ("https://[::ffff:127.0.0.1]/a", InvalidUrl::NotPublic),
            ("https://[::ffff:a9fe:a9fe]/a", InvalidUrl::NotPublic),
            ("https://169.254.169.254/metadata", InvalidUrl::NotPublic),
        ] {
            assert_eq!(ChannelUrl::parse(text, false), Err(why), "{text}");
        }
        let verbatim = "https://hooks.example.com:8443/a/%2Fb?sig=A%2bB%3D&sp=%2Ftriggers";
        let url = ChannelUrl::parse(verbatim, false).unwrap();
        assert_eq!(url.url().as_str(), verbatim);
        assert_eq!(format!("{url:?}"), "ChannelUrl");
        assert!(ChannelUrl::parse("http://127.0.0.1:1/a", true).is_ok());
        assert!(ChannelUrl::parse("ftp://127.0.0.1/a", true).is_err());
    }
}
