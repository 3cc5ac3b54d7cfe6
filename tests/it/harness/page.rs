//! An HTTP response, as a browser or an agent receives it.

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::canary;

/// A complete response.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Page {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap();
        let page = Self {
            status,
            headers,
            body,
        };
        if page.header("content-type") == "application/problem+json" {
            canary::assert_no_secret(&page.body);
        }
        page
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The cookies that it sets, for the next request.
    pub(crate) fn cookies(&self) -> String {
        cookies(&self.headers)
    }

    /// The page to which the gate redirects a form that it did not accept, opened as a browser does.
    pub(crate) async fn follow(self, open: impl FnOnce(&str) -> RequestBuilder) -> Self {
        let drafts = self.cookies();
        if drafts.is_empty() {
            return self;
        }
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        let opening = open(self.header("location")).header("cookie", drafts);
        Self::of(opening.send().await.unwrap()).await
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }

    /// The problem document, after a check of its form.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.body
        );
        let problem = self.json();
        for member in ["type", "title", "detail", "invocationId"] {
            assert!(
                problem[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{problem}"
            );
        }
        assert_eq!(problem["status"], self.status.as_u16());
        problem
    }

    /// The hidden fields of the first form alone.
    pub(crate) fn first_form(&self) -> Vec<(String, String)> {
        let (form, _) = self.body.split_once("</form>").unwrap_or_default();
        hidden_fields(form)
    }

    /// The hidden fields of the form in the element of this id; `None` where there is none.
    pub(crate) fn form_in(&self, id: &str) -> Option<Vec<(String, String)>> {
        let (_, rest) = self.body.split_once(&format!("id=\"{id}\""))?;
        let (form, _) = rest.split_once("</form>")?;
        Some(hidden_fields(form))
    }

    /// The hidden fields of all forms.
    pub(crate) fn hidden_fields(&self) -> Vec<(String, String)> {
        hidden_fields(&self.body)
    }

    pub(crate) fn action(&self) -> &str {
        let (_, rest) = self
            .body
            .split_once("action=\"")
            .expect("the page has a form");
        rest.split_once('"').unwrap().0
    }
}

fn hidden_fields(html: &str) -> Vec<(String, String)> {
    let inputs = html.split("<input type=\"hidden\" name=\"").skip(1);
    inputs
        .map(|input| {
            let (name, rest) = input.split_once("\" value=\"").unwrap();
            (name.to_owned(), rest.split_once('"').unwrap().0.to_owned())
        })
        .collect()
}

/// The cookies that a response sets, for the next request.
pub(crate) fn cookies(headers: &HeaderMap) -> String {
    let cookies = headers.get_all("set-cookie").iter();
    let cookies = cookies.map(|it| it.to_str().unwrap().split(';').next().unwrap());
    let set: Vec<&str> = cookies.filter(|it| !it.ends_with('=')).collect();
    set.join("; ")
}
