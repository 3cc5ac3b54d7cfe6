//! The gate through its public face: the real router on a real port, driven by our own client, a
//! real browser, or bytes on a socket; and the real binary as a process.

mod acs;
mod aiosmtpd;
mod azurite;
mod certificate;
mod graph;
mod harness;
mod host;
mod kept;
mod proxy;
mod service;
mod smtp;

mod agents;
mod browser;
mod claim;
mod client;
mod decision;
mod demo;
mod edge;
mod functions;
mod identity;
mod integrity;
mod keys;
mod life;
mod lifecycle;
mod mail;
mod mails;
mod openapi;
mod outcome;
mod process;
mod races;
mod readme;
mod receipt;
mod schemathesis;
mod sign_in;
mod status;
mod store;
mod submit;
mod sweep;
mod tables;
mod verify;
mod withdraw;
