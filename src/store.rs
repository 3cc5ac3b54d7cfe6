//! Where approvals are kept: one row is the whole truth about one request.
//!
//! Every change after the insert is one write on the condition that no other write came since the row
//! was read. What is acknowledged is durable. To seal a row is to write its row MAC into `RowSeal`. The
//! backends store sealed rows; this module seals them and verifies what comes back.

mod announcement;
mod backend;
mod choices;
mod clock_difference;
mod copied;
mod decided;
mod decided_row;
mod embedded;
mod entry;
mod error;
mod gate_id;
mod grant_text;
mod grants_text;
mod handle;
mod listing;
mod missed;
mod observed_gate_id;
mod pending;
mod probe;
mod rebuild;
mod restore;
mod row;
mod rows;
mod sealing;
mod standing;
mod standing_listing;
mod standing_loss;
mod standing_outbox_text;
mod standing_row;
mod stored_gate_id;
mod table_state;
mod tables;
mod text;
pub(crate) mod text_json;
mod unverified;
mod versioned;

pub use announcement::Announcement;
pub use clock_difference::ClockDifference;
pub use copied::{is_standing_copy, name_gate, place_of_copy, read_copy};
pub use decided::{DecidedBefore, StoredDecidedRow};
pub use embedded::EMBEDDED_FILE;
pub use error::StoreError;
pub use gate_id::{GateIdSetting, OpenedBy, RowSettings, RowVersion};
pub use grants_text::{decode_grants, encode_grants};
pub use handle::Store;
pub use listing::{Cursor, Due, DuePage, StoredRow, ensure_readable};
pub(crate) use row::COLUMN_LIMIT;
pub use standing_listing::StoredStandingRow;
pub use standing_outbox_text::{decode_pause_log, encode_pause_log};
pub use standing_row::{StandingKind, StandingRow};
pub use table_state::{StoreProbe, TableState};
pub use tables::{Account, Wire};
pub use unverified::{ReadError, UnverifiedRow};
pub use versioned::{ETag, Reserved, Versioned};
