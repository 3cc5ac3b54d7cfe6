//! The proxy as a process, between a client of the tests and a server of the tests, with a real gate.

mod gate;
mod harness;

mod answers;
mod cancel;
mod clear;
mod docs;
mod ends;
mod fuzz;
mod held;
mod hostile;
mod kills;
mod progress;
mod relay;
mod start;
mod tasks;
mod tools;
mod transparent;
