//! The form of a decision page, as a browser opens and sends it.

use crate::harness::{cookies, http};

/// The form of a page that was opened before it is sent.
pub(crate) struct OpenForm {
    http: reqwest::Client,
    link: String,
    /// The fields that the page fills in.
    hidden: String,
}

/// Opens a link and sends its form. Returns the status of what follows, or 0 if the page takes no decision.
pub(crate) async fn decide_at(link: &str, form: &str) -> Result<u16, reqwest::Error> {
    match OpenForm::at(link).await? {
        Some(open) => open.send(form).await,
        None => Ok(0),
    }
}

impl OpenForm {
    /// Opens a link; `None` if the page takes no decision.
    pub(crate) async fn at(link: &str) -> Result<Option<Self>, reqwest::Error> {
        let http = http().redirect(reqwest::redirect::Policy::none()).build()?;
        let page = http.get(link).send().await?.text().await?;
        let value_of = |name: &str| {
            let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\""))?;
            Some(rest.split_once('"')?.0)
        };
        let is_open = page.contains("value=\"reject\"");
        let Some(token) = value_of("form").filter(|_| is_open) else {
            return Ok(None);
        };
        let votes = value_of("votes").unwrap_or("0");
        let hidden = format!("form={token}&votes={votes}");
        let link = link.to_owned();
        Ok(Some(Self { http, link, hidden }))
    }

    /// Sends it. Returns the status of the answer, or of the page that follows if nothing was recorded.
    pub(crate) async fn send(&self, form: &str) -> Result<u16, reqwest::Error> {
        let (address, k) = self.link.split_once("?k=").unwrap();
        let origin = address.split_once("/api/").unwrap().0;
        let sending = self
            .http
            .post(address)
            .header("origin", origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("k={k}&{}&{form}", self.hidden));
        let answer = sending.send().await?;
        let drafts = cookies(answer.headers());
        if drafts.is_empty() {
            return Ok(answer.status().as_u16());
        }
        // What was not accepted is on the page that follows.
        let opening = self.http.get(&self.link).header("cookie", drafts);
        Ok(opening.send().await?.status().as_u16())
    }
}
