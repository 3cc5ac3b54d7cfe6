//! The HTTP front: routes, keys, and both ways to forward a request to a handler.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::time::sleep;
use uuid::Uuid;

use super::app::Function;
use super::{AuthLevel, FunctionApp, KEY, MASTER_KEY, Mode, OTHER_KEY, SignIn, Trigger, VERSION};

/// The HTTP front: checks routes and keys, and forwards to a handler.
pub(crate) struct Front {
    app: FunctionApp,
    mode: Mode,
    handler: SocketAddr,
    http: Client<HttpConnector, Body>,
    sign_in: Option<SignIn>,
}

impl Front {
    /// Answers on `listener` for the handler at `handler`, until the test ends.
    pub(crate) fn open(
        app: FunctionApp,
        mode: Mode,
        listener: TcpListener,
        handler: SocketAddr,
        sign_in: Option<SignIn>,
    ) {
        let http = Client::builder(TokioExecutor::new()).build_http();
        let front = Arc::new(Self {
            app,
            mode,
            handler,
            http,
            sign_in,
        });
        let router = axum::Router::new().fallback(receive).with_state(front);
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    /// Whether a request may call a function: level `function` requires a key, level `admin` the master key, in
    /// a header or the query.
    fn is_allowed(&self, function: &Function, request: &Request) -> bool {
        let Trigger::Http { level, .. } = function.trigger else {
            return false;
        };
        let keys: &[&str] = match level {
            AuthLevel::Anonymous => return true,
            AuthLevel::Function => &[KEY, OTHER_KEY, MASTER_KEY],
            AuthLevel::Admin => &[MASTER_KEY],
        };
        let is_key = |sent: &[u8]| keys.iter().any(|key| key.as_bytes() == sent);
        let in_header = request.headers().get("x-functions-key");
        let in_header = in_header.is_some_and(|key| is_key(key.as_bytes()));
        let query = request.uri().query().unwrap_or_default();
        let in_query = form_urlencoded::parse(query.as_bytes())
            .any(|(n, v)| n == "code" && is_key(v.as_bytes()));
        in_header || in_query
    }

    fn target(&self, path_and_query: &str) -> Uri {
        Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(Authority::try_from(self.handler.to_string()).unwrap())
            .path_and_query(PathAndQuery::try_from(path_and_query).unwrap())
            .build()
            .unwrap()
    }

    /// Proxies as YARP does, which the host uses.
    async fn proxy(&self, mut request: Request) -> Response {
        let path_and_query = request
            .uri()
            .path_and_query()
            .map_or("/", PathAndQuery::as_str)
            .to_owned();
        *request.uri_mut() = self.target(&path_and_query);
        let public = request.headers().get(header::HOST).cloned();
        let invocation = Uuid::now_v7().to_string();
        let headers = request.headers_mut();
        for hop in [
            "connection",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "proxy-connection",
            "forwarded",
            "host",
        ] {
            headers.remove(hop);
        }
        let mut set = |name: &'static str, value: &str| {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        };
        // As recorded on a developer's machine: the values of a client are replaced.
        set("x-forwarded-for", "127.0.0.1");
        set("x-forwarded-proto", "http");
        set("x-azure-functions-hostversion", VERSION);
        set("x-azure-functions-invocationid", &invocation);
        set("x-ms-invocation-id", &invocation);
        if let Some(public) = public {
            headers.insert("x-forwarded-host", public);
        }
        self.deliver(request).await
    }

    /// Retries as the host does when no handler listens, at most ten times. A request without a body is
    /// even sent again after its connection broke, so reading must change nothing.
    async fn deliver(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let can_be_sent_again = matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE);
        let mut body = Some(body);
        for attempt in 0..10 {
            let listens = tokio::net::TcpStream::connect(self.handler).await.is_ok();
            let body = match (listens, can_be_sent_again) {
                (true, true) => Some(Body::empty()),
                (true, false) => body.take(),
                (false, _) => None,
            };
            if let Some(body) = body {
                match self
                    .http
                    .request(Request::from_parts(parts.clone(), body))
                    .await
                {
                    Ok(answer) => return answer.map(Body::new),
                    Err(_) if can_be_sent_again => {}
                    Err(_) => break,
                }
            }
            sleep(Duration::from_millis(50 + 20 * attempt)).await;
        }
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }

    /// Forwards as hosts before proxying did: rebuilds the request and buffers the response.
    async fn forward(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let path = reparsed(parts.uri.path());
        let path_and_query = match rebuilt_query(parts.uri.query().unwrap_or_default()) {
            query if query.is_empty() => path,
            query => format!("{path}?{query}"),
        };
        let length = parts
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|l| l.to_str().ok()?.parse().ok());
        if parts.headers.contains_key(header::TRANSFER_ENCODING) {
            // The header was copied, the body was not: .NET refuses to send that.
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let body = match length {
            None | Some(0_u64) => Body::empty(),
            Some(_) => Body::from(to_bytes(body, 100 << 20).await.unwrap_or_default()),
        };
        let mut forwarded = Request::builder()
            .method(parts.method)
            .uri(self.target(&path_and_query))
            .body(body)
            .unwrap();
        let headers = forwarded.headers_mut();
        for (name, value) in &parts.headers {
            let lost = [
                "content-encoding",
                "content-language",
                "content-disposition",
                "content-md5",
                "expires",
                "last-modified",
                "allow",
                "connection",
            ];
            if !lost.contains(&name.as_str()) {
                headers.append(name, value.clone());
            }
        }
        headers.append(
            "x-azure-functions-hostversion",
            HeaderValue::from_static(VERSION),
        );
        // Appended: one that the client sent stays before it.
        let invocation = HeaderValue::from_str(&Uuid::now_v7().to_string()).unwrap();
        headers.append("x-azure-functions-invocationid", invocation);
        let agent = headers
            .get(header::USER_AGENT)
            .and_then(|a| a.to_str().ok())
            .unwrap_or_default();
        let agent = format!("{agent} Azure-Functions-Host/{VERSION}");
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_str(agent.trim()).unwrap(),
        );
        match self.http.request(forwarded).await {
            Ok(answer) => {
                let (mut parts, body) = answer.into_parts();
                parts.headers.remove(header::TRANSFER_ENCODING);
                let body = to_bytes(Body::new(body), 100 << 20).await.unwrap();
                Response::from_parts(parts, Body::from(body))
            }
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

async fn receive(State(front): State<Arc<Front>>, mut request: Request) -> Response {
    if request.uri().path() == "/" {
        return StatusCode::NO_CONTENT.into_response();
    }
    if let Some(sign_in) = &front.sign_in {
        if let Some(answer) = sign_in.answer(request.uri()) {
            return answer;
        }
        sign_in.identify(request.headers_mut());
    }
    let Some(function) = front.app.route(request.method(), request.uri().path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !front.is_allowed(function, &request) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match front.mode {
        Mode::Proxying => front.proxy(request).await,
        Mode::Forwarding => front.forward(request).await,
    }
}

/// `new Uri(…).AbsolutePath`: decoded and parsed again, so that necessary escapes are lost.
fn reparsed(path: &str) -> String {
    let decoded = percent_decoded(path);
    let path = decoded.split(['?', '#']).next().unwrap_or("/");
    path.bytes()
        .map(|b| match b {
            b'/' | b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'('
            | b')' | b'*' | b'+' | b',' | b';' | b'=' => char::from(b).to_string(),
            _ if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

fn percent_decoded(text: &str) -> String {
    // A form decodes `+` too, which a path keeps.
    let escaped = text
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    form_urlencoded::parse(escaped.as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect()
}

/// Rebuilt from a dictionary: a repeated name becomes one with all its values.
fn rebuilt_query(query: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut values: HashMap<String, Vec<String>> = HashMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !values.contains_key(&*name) {
            names.push(name.to_string());
        }
        values
            .entry(name.into_owned())
            .or_default()
            .push(value.into_owned());
    }
    let mut rebuilt = form_urlencoded::Serializer::new(String::new());
    for name in names {
        rebuilt.append_pair(&name, &values[&name].join(","));
    }
    rebuilt.finish().replace('+', "%20").replace("%2C", ",")
}
