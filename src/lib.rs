//! A gate between an AI agent and a consequential action.
//!
//! An agent submits what it is about to do; approvers get an email, open a page, and approve or reject;
//! the agent runs the action only with a verified approval, and reports the outcome. Each request is one
//! row of a table.
//!
//! # Map
//!
//! Each module imports only modules above it in this table (`tests/it/structure.rs` holds that).
//!
//! | module | contents |
//! |---|---|
//! | [`version`] | the version of the program |
//! | [`values`] | addresses, ids, digests, times: valid by construction |
//! | [`private_files`] | files and folders that only their owner can read |
//! | [`reveal`] | makes hidden and confusable characters visible |
//! | [`content`] | the normal form of what a request asks |
//! | [`policy`] | which requests need whose approval: the organisation's rules; pure |
//! | [`domain`] | the lifecycle: states, rules, transitions; pure |
//! | [`keys`] | link tokens, one-time codes, CSRF tokens, row MACs, receipts |
//! | [`azure`] | access tokens, HTTP clients, App Service authentication |
//! | [`store`] | one row per request, written conditionally; Azure Tables or an embedded file |
//! | [`mailer`] | sends email over SMTP, Azure Communication Services or Microsoft 365 |
//! | [`channels`] | tells other systems of the organisation: webhooks, rooms of Teams |
//! | [`render`] | what people read: pages and emails |
//! | [`config`] | the settings, read once from the environment |
//! | [`app`] | the use cases: load, apply a transition, store, notify |
//! | [`http`] | the functions: extract, call a use case, respond |
//!
//! The program's command line is in `cli`, above all of these.
//!
//! # Invariants
//!
//! 1. Anything but a verified approval of exactly these parameters, still in time, is a refusal.
//! 2. `GET` and `HEAD` write nothing. Only a person's form decides.
//! 3. Every change after the insert is one conditional write (ETag). After a conflict the row is read and
//!    the transition applied again. There is one final decision.
//! 4. The deadline is checked whenever a row is read or decided, by `now < expires_at`; the sweep only
//!    stores it.
//! 5. The digest of the parameters as shown is in the row, on the page and in the receipt, and the client
//!    computes it again from what it is about to run.
//! 6. An approval is claimed before the action runs, once, and before it lapses. The permit, its signed
//!    answer, is made in the write that grants it, and the client believes nothing else.
//! 7. No credential of an agent opens a decision. Approvers are on the operator's list, and never the
//!    person the agent acts for.
//! 8. A receipt is made in the write that records the decision, and kept only if that write succeeds. A
//!    stored decision is never signed again, and a row that contradicts its row MAC or its receipt is no
//!    approval. (A whole row restored to an earlier version, by someone who can write the table, cannot
//!    be detected from the row.)
//! 9. What is acknowledged is durable.
//! 10. `domain` reads no clock, draws no randomness, does no I/O. axum appears only in `http`, SQLite and
//!     Azure Tables only in `store`, lettre only in `mailer`, the environment only in `cli`, wire types
//!     only in `http`, `channels` and receipts.
//! 11. No key, token, code, email address, query string or body is ever logged.

pub mod app;
pub mod azure;
pub mod channels;
pub mod config;
pub mod content;
pub mod domain;
pub mod http;
pub mod keys;
pub mod mailer;
pub mod policy;
pub mod private_files;
pub mod render;
pub mod reveal;
pub mod store;
pub mod values;
pub mod version;
