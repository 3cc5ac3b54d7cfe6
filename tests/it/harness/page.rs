//! An HTTP response, as a browser or an agent receives it.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
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

    pub(crate) fn hidden_fields(&self) -> Vec<(String, String)> {
        let inputs = self.body.split("<input type=\"hidden\" name=\"").skip(1);
        inputs
            .map(|input| {
                let (name, rest) = input.split_once("\" value=\"").unwrap();
                (name.to_owned(), rest.split_once('"').unwrap().0.to_owned())
            })
            .collect()
    }

    pub(crate) fn action(&self) -> &str {
        let (_, rest) = self
            .body
            .split_once("action=\"")
            .expect("the page has a form");
        rest.split_once('"').unwrap().0
    }
}
