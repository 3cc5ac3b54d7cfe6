//! A gate between an AI agent and a consequential action.
//!
//! An agent submits what it is about to do; named people get a mail, open a page, and approve or
//! reject; the agent runs the action only with a verified approval, and reports what happened. Every
//! request is one row of a table.
//!
//! # Map
//!
//! | module | what it is |
//! |---|---|
//! | [`approval`] | the lifecycle: states, and the moves between them; pure |
//! | [`id`], [`address`], [`timestamp`] | values that cannot be wrong once they are made |
//! | [`agents`], [`entra`] | which agents a function key speaks for; who has signed in |
//! | [`token`], [`receipt`], [`keyring`] | links, codes and form tokens; signed receipts; their keys |
//! | [`reveal`], [`views`], [`brand`] | what people read: the page and the mails |
//! | [`store`] | where approvals are kept: one row each, changed on a condition |
//! | [`mailer`] | how mails are sent |
//! | [`identity`], `outbound` | who the gate is to the services it stands on, and the way to them |
//! | [`http`] | the functions: extract, load, move, save, notify, respond |
//! | [`config`] | the settings, read once |
//!
//! Dependencies point one way: `main` → `http` → the others; `approval` knows only values.
//!
//! # What always holds
//!
//! 1. Anything but a verified approval of exactly these parameters, still in time, is a refusal.
//! 2. `GET` and `HEAD` write nothing. Only a person's form decides.
//! 3. Every change after the insert is one write on the condition that nobody wrote since the row
//!    was read; else the move is judged again. There is one final decision.
//! 4. The deadline is judged whenever a row is read or decided, by `now < expires_at`; the sweep only
//!    tidies.
//! 5. The digest of the parameters that were shown is in the row, on the page and in the receipt, and
//!    is computed again by the client from what it is about to run.
//! 6. An approval is claimed before it is run, once, and before it lapses.
//! 7. No credential of an agent opens a decision. Approvers are on the operator's list, and never the
//!    person the agent acts for.
//! 8. A receipt is made in the write that records the decision. Nothing signs from a stored row, and a
//!    row that contradicts its seal or its receipt is no approval. (That a whole row was put back to
//!    what it once was, by somebody who can write the table, no row can show.)
//! 9. What is acknowledged is durable.
//! 10. `approval` reads no clock, draws no randomness, does no I/O. axum appears only in `http`, SQLite
//!     and Azure only in `store`, lettre only in `mailer`, the environment only in `config`, wire types only in
//!     `http` and in the receipt.
//! 11. No key, token, code, mail address, query string or body is ever logged.

pub mod address;
pub mod agents;
pub mod approval;
pub mod brand;
pub mod config;
pub mod entra;
pub mod http;
pub mod id;
pub mod identity;
pub mod keyring;
pub mod mailer;
mod outbound;
pub mod receipt;
pub mod reveal;
pub mod store;
pub mod timestamp;
pub mod token;
pub mod views;
