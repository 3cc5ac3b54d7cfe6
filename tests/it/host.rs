//! A stand-in for the Azure Functions host.
//!
//! It is not the host: it was written from what the host's published source does, for tests on a
//! machine that cannot have the real one. It reads the real `host.json` and `function.json` files,
//! starts and supervises a handler, matches routes and keys, and forwards requests in the host's two
//! ways, proxying and forwarding, with their quirks. Where it is told to, it signs people in as App
//! Service authentication does. What it leaves out: throttling, the 230 s limit of the cloud's front
//! end, `functionTimeout`, triggers other than HTTP and timer.

mod app;
mod front;
mod handler;
mod sign_in;
mod timer;

pub(crate) use app::{FunctionApp, Trigger};
pub(crate) use front::Front;
pub(crate) use handler::{Health, Host, Level, ReservedPort};
pub(crate) use sign_in::{PRINCIPAL, SignIn};
pub(crate) use timer::{Invocation, tick};

/// The version that the stand-in reports.
const VERSION: &str = "4.1037.0.0";

/// The keys that functions of level `function` ask for.
pub(crate) const KEY: &str = "the-agents-function-key";
pub(crate) const OTHER_KEY: &str = "another-agents-function-key";

/// How the host hands HTTP requests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `enableProxyingHttpRequest`: raw path and query, streamed.
    Proxying,
    /// `enableForwardingHttpRequest` alone, as older hosts know it: rebuilt and buffered.
    Forwarding,
}

/// What a function app consists of, as its files say.
#[derive(Clone, Debug)]
pub(crate) struct FunctionApp {
    root: PathBuf,
    prefix: String,
    executable: String,
    pub(crate) mode: Mode,
    pub(crate) functions: Vec<Function>,
}

/// One function directory.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) trigger: Trigger,
}

#[derive(Clone, Debug)]
pub(crate) enum Trigger {
    Http {
        methods: Vec<String>,
        route: Vec<String>,
        anonymous: bool,
    },
    Timer,
}

impl FunctionApp {
    /// Reads the files under `root` as the host does, with its complaints.
    pub(crate) fn read(root: &Path, settings: &[(&str, &str)]) -> Result<Self, String> {
        let setting = |name: &str| {
            settings
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let read = |path: PathBuf| -> Result<Value, String> {
            let text =
                std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
        };
        let host = read(root.join("host.json"))?;
        if host["version"] != "2.0" {
            return Err("host.json must have version 2.0".to_owned());
        }
        let handler = &host["customHandler"];
        let executable =
            setting("AzureFunctionsJobHost__customHandler__description__defaultExecutablePath")
                .or_else(|| {
                    handler["description"]["defaultExecutablePath"]
                        .as_str()
                        .map(str::to_owned)
                })
                .filter(|path| !path.is_empty())
                .ok_or("customHandler.description.defaultExecutablePath is missing")?;
        let on = |flag: &str| handler[flag].as_bool().unwrap_or(false);
        let mode = match (
            on("enableProxyingHttpRequest"),
            on("enableForwardingHttpRequest"),
        ) {
            (true, _) => Mode::Proxying,
            (false, true) => Mode::Forwarding,
            (false, false) => return Err("HTTP would come as a JSON payload".to_owned()),
        };
        let mut functions: Vec<Function> = Vec::new();
        let mut folders: Vec<_> = std::fs::read_dir(root)
            .map_err(|e| e.to_string())?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.join("function.json").is_file())
            .collect();
        folders.sort();
        for folder in folders {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            let legal = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !name.eq_ignore_ascii_case("host");
            if !legal
                || functions
                    .iter()
                    .any(|other| other.name.eq_ignore_ascii_case(&name))
            {
                return Err(format!("{name} is no name for a function"));
            }
            let definition = read(folder.join("function.json"))?;
            let trigger = trigger(&name, &definition, &setting)?;
            functions.push(Function { name, trigger });
        }
        if functions.is_empty() {
            return Err("there is no function".to_owned());
        }
        let prefix = host["extensions"]["http"]["routePrefix"]
            .as_str()
            .unwrap_or("api")
            .to_owned();
        Ok(Self {
            root: root.to_owned(),
            prefix,
            executable,
            mode,
            functions,
        })
    }

    /// The function that a request is for. Literal segments go before parameters.
    fn route(&self, method: &Method, path: &str) -> Option<&Function> {
        let mut segments = path.trim_start_matches('/').split('/');
        if !self.prefix.is_empty() && !segments.next()?.eq_ignore_ascii_case(&self.prefix) {
            return None;
        }
        let segments: Vec<&str> = segments.collect();
        self.functions
            .iter()
            .filter_map(|function| match &function.trigger {
                Trigger::Http { methods, route, .. } => {
                    let matches = route.len() == segments.len()
                        && route
                            .iter()
                            .zip(&segments)
                            .all(|(part, segment)| match part.as_str() {
                                part if part.starts_with('{') => !segment.is_empty(),
                                part => part.eq_ignore_ascii_case(segment),
                            })
                        && methods
                            .iter()
                            .any(|m| m.eq_ignore_ascii_case(method.as_str()));
                    let parameters = route.iter().filter(|part| part.starts_with('{')).count();
                    matches.then_some((parameters, function))
                }
                Trigger::Timer => None,
            })
            .min_by_key(|(parameters, _)| *parameters)
            .map(|(_, function)| function)
    }
}

fn trigger(
    name: &str,
    definition: &Value,
    setting: &impl Fn(&str) -> Option<String>,
) -> Result<Trigger, String> {
    let resolve = |text: &str| match text.strip_prefix('%').and_then(|t| t.strip_suffix('%')) {
        Some(variable) => {
            setting(variable).ok_or_else(|| format!("{name}: %{variable}% is not set"))
        }
        None => Ok(text.to_owned()),
    };
    let bindings = definition["bindings"]
        .as_array()
        .ok_or_else(|| format!("{name}: no bindings"))?;
    let kinds: Vec<(&str, &str)> = bindings
        .iter()
        .map(|b| {
            (
                b["type"].as_str().unwrap_or(""),
                b["direction"].as_str().unwrap_or(""),
            )
        })
        .collect();
    match kinds.as_slice() {
        // One binding more would silently turn the call into a JSON payload.
        [("httpTrigger", "in"), ("http", "out")] => {
            let binding = &bindings[0];
            let route = resolve(binding["route"].as_str().unwrap_or(name))?;
            let methods = binding["methods"]
                .as_array()
                .ok_or_else(|| format!("{name}: no methods"))?;
            Ok(Trigger::Http {
                methods: methods
                    .iter()
                    .filter_map(|m| m.as_str().map(str::to_owned))
                    .collect(),
                route: route.split('/').map(str::to_owned).collect(),
                anonymous: match binding["authLevel"].as_str() {
                    Some("anonymous") => true,
                    Some("function") => false,
                    other => return Err(format!("{name}: authLevel {other:?}")),
                },
            })
        }
        [("timerTrigger", "in")] => {
            let schedule = resolve(bindings[0]["schedule"].as_str().unwrap_or(""))?;
            if schedule.split_whitespace().count() != 6 {
                return Err(format!("{name}: a schedule has six fields"));
            }
            Ok(Trigger::Timer)
        }
        other => Err(format!("{name}: bindings {other:?} are not known here")),
    }
}

/// The HTTP front: routes, keys, and handing on to a handler.
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

    /// A request of level `function` must bring the key, in a header or in the query.
    fn may(&self, function: &Function, request: &Request) -> bool {
        let Trigger::Http { anonymous, .. } = function.trigger else {
            return false;
        };
        let is_key = |key: &[u8]| [KEY, OTHER_KEY].map(str::as_bytes).contains(&key);
        let in_header = request.headers().get("x-functions-key");
        let in_header = in_header.is_some_and(|key| is_key(key.as_bytes()));
        let query = request.uri().query().unwrap_or_default();
        let in_query = form_urlencoded::parse(query.as_bytes())
            .any(|(n, v)| n == "code" && is_key(v.as_bytes()));
        anonymous || in_header || in_query
    }

    fn target(&self, path_and_query: &str) -> Uri {
        Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(Authority::try_from(self.handler.to_string()).unwrap())
            .path_and_query(PathAndQuery::try_from(path_and_query).unwrap())
            .build()
            .unwrap()
    }

    /// As YARP does it, of which the host's proxy is made.
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
        set("x-forwarded-for", "198.51.100.7");
        set("x-forwarded-proto", "https");
        set("x-azure-functions-hostversion", VERSION);
        set("x-azure-functions-invocationid", &invocation);
        set("x-ms-invocation-id", &invocation);
        if let Some(public) = public {
            headers.insert("x-forwarded-host", public);
        }
        self.deliver(request).await
    }

    /// Tries again as the host does when nobody answers, ten times at most. A request without a body
    /// is even sent again after it broke off: reading must change nothing.
    async fn deliver(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let can_be_sent_again = matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE);
        let mut body = Some(body);
        for attempt in 0..10 {
            let heard = tokio::net::TcpStream::connect(self.handler).await.is_ok();
            let body = match (heard, can_be_sent_again) {
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

    /// As hosts did before they knew proxying: the request is built anew, the answer buffered.
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

/// App Service authentication ("Easy Auth") before the host, for anybody: whoever signs in is the
/// account that the test has chosen. A session holds the whole principal, and so does a bearer token.
#[derive(Clone, Default)]
pub(crate) struct SignIn {
    /// Who will have signed in.
    pub(crate) account: Arc<Mutex<Value>>,
}

/// The cookie of a session.
const SESSION: &str = "AppServiceAuthSession=";

/// The header that says who it is.
pub(crate) const PRINCIPAL: &str = "x-ms-client-principal";

impl SignIn {
    /// The `Cookie` header of somebody who has signed in.
    pub(crate) fn session(principal: &Value) -> String {
        format!("{SESSION}{}", BASE64.encode(principal.to_string()))
    }

    /// What the platform answers itself.
    fn answer(&self, uri: &Uri) -> Option<Response> {
        let query = uri.query().unwrap_or_default();
        let to = form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name.ends_with("_redirect_uri"))
            .map(|(_, to)| to.into_owned())
            .unwrap_or_default();
        let session = match uri.path() {
            "/.auth/login/aad" => Self::session(&self.account.lock().unwrap()),
            "/.auth/logout" => format!("{SESSION}; Max-Age=0"),
            _ => return None,
        };
        let session = format!("{session}; Path=/; HttpOnly");
        let headers = [(header::LOCATION, to), (header::SET_COOKIE, session)];
        Some((StatusCode::FOUND, headers).into_response())
    }

    /// Takes away what clients say of themselves and says who they are.
    fn identify(&self, headers: &mut HeaderMap) {
        let said: Vec<_> = headers.keys().cloned().collect();
        for name in said {
            if name.as_str().starts_with(PRINCIPAL) {
                headers.remove(name);
            }
        }
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let session = text(header::COOKIE).and_then(|cookie| {
            let (_, session) = cookie.split_once(SESSION)?;
            session.split(';').next()
        });
        let token = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        if let Some(principal) = token.or(session).filter(|session| !session.is_empty()) {
            let principal = HeaderValue::from_str(principal).unwrap();
            headers.insert(HeaderName::from_static(PRINCIPAL), principal);
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
    if !front.may(function, &request) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    // What the cloud's front end adds before the host sees it. Nothing is taken away: without
    // sign-in, a client's own X-MS-CLIENT-PRINCIPAL goes through.
    let headers = request.headers_mut();
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.7:52100"),
        ("x-forwarded-proto", "https"),
        ("x-arr-log-id", "6b1f0a52-0000-4000-8000-000000000000"),
        ("disguised-host", "gate.example.com"),
        ("was-default-hostname", "gate.example.com"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    match front.mode {
        Mode::Proxying => front.proxy(request).await,
        Mode::Forwarding => front.forward(request).await,
    }
}

/// `new Uri(…).AbsolutePath`: unescaped, and read anew; what was escaped for a reason is lost.
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

/// From a dictionary: a name that is there twice becomes one with both values.
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

/// What the host makes of a timer's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    Succeeded {
        logs: Vec<String>,
    },
    Failed(String),
    /// The host would wait for five minutes and then kill the handler.
    Hang,
}

/// Calls a function as the host's timer does: by its name, with a chunked body.
pub(crate) async fn tick(handler: SocketAddr, function: &str) -> Invocation {
    let body = json!({
        "Data": {"timer": {
            "Schedule": {"AdjustForDST": true},
            "ScheduleStatus": {"Last": "0001-01-01T00:00:00", "Next": "2026-08-20T10:05:00+00:00",
                               "LastUpdated": "2026-08-20T10:00:00.0012345+00:00"},
            "IsPastDue": true}},
        "Metadata": {"sys": {"MethodName": function, "UtcNow": "2026-08-20T10:05:00.01Z", "RandGuid": Uuid::now_v7().to_string()}},
    });
    let chunks = body.to_string().into_bytes();
    let chunks =
        futures_util::stream::iter(chunks.chunks(50).map(<[u8]>::to_vec).collect::<Vec<_>>());
    let chunks = futures_util::StreamExt::map(chunks, Ok::<_, std::io::Error>);
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{handler}/{function}"))
        .header("content-type", "application/json; charset=utf-8")
        .header("x-azure-functions-hostversion", VERSION)
        .header("x-azure-functions-invocationid", Uuid::now_v7().to_string())
        .header("user-agent", format!("Azure-Functions-Host/{VERSION}"))
        .body(Body::from_stream(chunks))
        .unwrap();
    let http: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    match within(http.request(request)).await {
        Err(error) => Invocation::Failed(error.to_string()),
        Ok(answer) => {
            let (parts, body) = answer.into_parts();
            let body = within(to_bytes(Body::new(body), 1 << 20)).await.unwrap();
            judge(parts.status, &parts.headers, &body)
        }
    }
}

fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Invocation {
    if !status.is_success() {
        return Invocation::Failed(format!("status {status}"));
    }
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if body.is_empty() || body == b"null" {
        return Invocation::Hang;
    }
    if !json.starts_with("application/json") {
        return Invocation::Failed("Invalid HttpResponseMessage".to_owned());
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(answer)) => {
            let logs = answer
                .get("Logs")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            Invocation::Succeeded {
                logs: logs
                    .iter()
                    .filter_map(|l| l.as_str().map(str::to_owned))
                    .collect(),
            }
        }
        _ => Invocation::Failed("the answer is no JSON object".to_owned()),
    }
}

/// How the host reads a line of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Information,
    Warning,
    Error,
}

/// What became of the handler's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Starting,
    Ready,
    /// It ended with code 0, and this host does not start such a handler again.
    Abandoned,
    /// Three errors within half an hour: the host itself ends.
    HostStopped,
}

/// A port for one server after the other. The kernel gives it to nothing else meanwhile: it is bound,
/// but a socket that does not listen leaves it to a server that asks for it.
pub(crate) struct ReservedPort {
    pub(crate) number: u16,
    _socket: TcpSocket,
}

impl ReservedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self {
            number: socket.local_addr().unwrap().port(),
            _socket: socket,
        }
    }
}

/// The host with its handler.
pub(crate) struct Host {
    pub(crate) url: String,
    pub(crate) handler: SocketAddr,
    pub(crate) health: watch::Receiver<Health>,
    log: Arc<Mutex<Vec<(Level, String)>>>,
    process: Arc<Mutex<Option<u32>>>,
    supervisor: tokio::task::JoinHandle<()>,
    /// How long the handler took from its start to its first answer.
    pub(crate) starts: Arc<Mutex<Vec<Duration>>>,
    _deadline: TestDeadline,
}

/// What the supervisor needs.
struct Supervisor {
    app: FunctionApp,
    port: ReservedPort,
    settings: Vec<(String, String)>,
    restart_on_zero: bool,
    log: Arc<Mutex<Vec<(Level, String)>>>,
    process: Arc<Mutex<Option<u32>>>,
    starts: Arc<Mutex<Vec<Duration>>>,
    health: watch::Sender<Health>,
}

impl Host {
    /// Starts the host over the files in `root`. `restart_on_zero`: hosts since 2026 start a handler
    /// again that ended with code 0; older ones do not.
    pub(crate) async fn start(
        root: &Path,
        settings: &[(&str, &str)],
        restart_on_zero: bool,
        mode: Option<Mode>,
    ) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = FunctionApp::read(root, settings)?;
        let port = ReservedPort::new();
        let handler = SocketAddr::from(([127, 0, 0, 1], port.number));
        let mode = mode.unwrap_or(app.mode);
        Front::open(app.clone(), mode, listener, handler, None);
        let (sender, health) = watch::channel(Health::Starting);
        let (log, process, starts) = (Arc::default(), Arc::default(), Arc::default());
        let supervisor = Supervisor {
            app,
            port,
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.replace("{url}", &url)))
                .collect(),
            restart_on_zero,
            log: Arc::clone(&log),
            process: Arc::clone(&process),
            starts: Arc::clone(&starts),
            health: sender,
        };
        let supervisor = tokio::spawn(supervisor.run());
        Ok(Self {
            url,
            handler,
            health,
            log,
            process,
            supervisor,
            starts,
            _deadline: TestDeadline::start(),
        })
    }

    /// Waits until the handler is in this state.
    pub(crate) async fn until(&mut self, health: Health) {
        let reached = self.health.wait_for(|now| *now == health);
        within(reached).await.expect("the host lives");
    }

    /// SIGKILL to the handler, as the host stops it; the supervisor starts it again.
    pub(crate) async fn kill_handler(&mut self) {
        let id = self.process.lock().unwrap().expect("it runs");
        self.health.borrow_and_update();
        let status = Command::new("kill")
            .args(["-9", &id.to_string()])
            .status()
            .await
            .unwrap();
        assert!(status.success());
        within(self.health.changed()).await.unwrap();
    }

    pub(crate) fn log(&self) -> Vec<(Level, String)> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The child goes with it: it is killed when it is dropped.
        self.supervisor.abort();
    }
}

impl Supervisor {
    async fn run(self) {
        let mut errors: VecDeque<Instant> = VecDeque::new();
        loop {
            let code = match self.spawn() {
                Ok(child) => self.watch(child).await,
                // The host logs that and goes on waiting for ever.
                Err(error) => {
                    self.write(
                        Level::Error,
                        format!("Failed to start Worker Channel: {error}"),
                    );
                    return;
                }
            };
            *self.process.lock().unwrap() = None;
            match code {
                Some(200) => {}
                Some(0) if self.restart_on_zero => {}
                Some(0) => {
                    self.health.send_replace(Health::Abandoned);
                    return;
                }
                _ => {
                    let now = Instant::now();
                    if errors
                        .back()
                        .is_some_and(|last| now - *last > Duration::from_secs(1_800))
                    {
                        errors.clear();
                    }
                    errors.push_back(now);
                    if errors.len() >= 3 {
                        self.write(
                            Level::Error,
                            "Exceeded http worker restart retry count".to_owned(),
                        );
                        self.health.send_replace(Health::HostStopped);
                        return;
                    }
                }
            }
            self.health.send_replace(Health::Starting);
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let app = &self.app;
        // A file of the app is taken from there; anything else is looked for on PATH.
        let own = app.root.join(&app.executable);
        let program = if own.is_file() {
            own
        } else {
            PathBuf::from(&app.executable)
        };
        let id = Uuid::now_v7().to_string();
        Command::new(program)
            .current_dir(&app.root)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", self.port.number.to_string())
            .env("FUNCTIONS_HTTPWORKER_PORT", self.port.number.to_string())
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &id)
            .env("FUNCTIONS_HTTPWORKER_ID", &id)
            .env("FUNCTIONS_APP_ROOT_PATH", &app.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    /// Until it ends; its code, or nothing if a signal ended it.
    async fn watch(&self, mut child: Child) -> Option<i32> {
        let started = Instant::now();
        *self.process.lock().unwrap() = child.id();
        let out = self.read(child.stdout.take().unwrap(), |_| Level::Information);
        let err = self.read(child.stderr.take().unwrap(), |line| {
            if line.to_ascii_lowercase().contains("warn") {
                Level::Warning
            } else {
                Level::Error
            }
        });
        let ready = async {
            // Any answer to the ping will do.
            let url = format!("http://127.0.0.1:{}/", self.port.number);
            let http = http().build().unwrap();
            while http.get(&url).send().await.is_err() {
                if started.elapsed() > Duration::from_secs(30) {
                    self.write(
                        Level::Error,
                        "Initializing HttpWorker timed out.".to_owned(),
                    );
                    return;
                }
                sleep(Duration::from_millis(5)).await;
            }
            self.starts.lock().unwrap().push(started.elapsed());
            self.health.send_replace(Health::Ready);
        };
        let mut ended = None;
        let process = async { ended = child.wait().await.ok() };
        let life = async {
            tokio::select! {
                () = process => {}
                () = async { ready.await; std::future::pending().await } => {}
            }
        };
        tokio::join!(life, out, err);
        ended.and_then(|status| status.code())
    }

    async fn read(&self, lines: impl AsyncRead + Unpin, level: impl Fn(&str) -> Level) {
        let mut lines = BufReader::new(lines).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            canary::exit_if_secret(&line);
            self.write(level(&line), line);
        }
    }

    fn write(&self, level: Level, line: String) {
        self.log.lock().unwrap().push((level, line));
    }
}
